"""Where the milliseconds go: a graph whose layers write down how long they take, and compute the same."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from npgradcam.layers import Computed, Conv2d, Layer, Linear
from npgradcam.network import Network
from npgradcam.topology import Node, Topology
from npgradcam.typing import Shape

from . import by_layer
from .fold import replace_nodes


@dataclass
class Row:
    """What one layer of a plan cost.

    Attributes
    ----------
    name, kind : str
        The node, and what computes it.
    forward, backward : list of float
        Seconds of every call.
    operations : int
        Products and sums of one forward, as the equation counts them; 0 where there is no weight.
    shape : tuple of int
        Of the array that it makes.
    """

    name: str
    kind: str
    forward: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)
    operations: int = 0
    shape: Shape = ()


@dataclass(frozen=True, eq=False, repr=False)
class Timed(Layer):
    """The same layer, with a clock."""

    layer: Layer
    row: Row
    inputs: ClassVar[int | None] = None

    def forward(self, *xs: Any) -> Any:
        start = perf_counter()
        y, cache = self.layer.forward(*xs)
        self.row.forward.append(perf_counter() - start)
        self.row.shape, self.row.operations = np.shape(y), operations(self.layer, np.shape(y))
        return y, cache

    def backward(self, signal: Any, cache: Any, *rule: Any) -> Any:
        start = perf_counter()
        signals = self.layer.backward(signal, cache, *rule)
        self.row.backward.append(perf_counter() - start)
        return signals

    @property
    def rectifies(self) -> bool:
        return self.layer.rectifies

    @property
    def differentiable(self) -> bool:
        return self.layer.differentiable

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.layer.output_shape(*shapes)

    def keeps_batch(self, *shapes: Shape) -> bool:
        return self.layer.keeps_batch(*shapes)


def timed(network: Network) -> tuple[Network, dict[str, Row]]:
    """Return a network that computes the same in the same way, and the rows that it fills while it runs."""
    rows: dict[str, Row] = {}

    def choose(plan: Topology, shapes: Mapping[str, Shape], keep: Set[str]) -> Topology:
        faster = plan if network.choose is None else by_layer(plan, shapes, keep)
        return replace_nodes(faster, tuple(map(_with_clock, faster.nodes)))

    def _with_clock(node: Node) -> Node:
        if isinstance(node.layer, Computed):  # the network asks what it has built
            return node
        row = rows.setdefault(node.name, Row(node.name, type(node.layer).__name__))
        return Node(node.name, Timed(node.layer, row), node.inputs)

    return replace(network, choose=choose), rows


def operations(layer: Layer, y: Shape) -> int:
    """Return how many products and sums a convolution or linear layer needs for an output of this shape."""
    if isinstance(layer, Linear):
        return 2 * y[0] * layer.weight.size
    parts = getattr(layer, "parts", None)
    if parts is not None:  # in blocks: how many cells y has is said by its frame
        frame = layer.target.value  # type: ignore[attr-defined]
        return sum(2 * y[0] * part.conv.weight.size * frame.height * frame.width for part in parts)
    conv = getattr(layer, "conv", layer)
    return 2 * y[0] * conv.weight.size * y[2] * y[3] if isinstance(conv, Conv2d) and len(y) == 4 else 0


def peak(seconds: float = 0.3) -> float:
    """Return the GFLOP/s that the fastest kernel reaches on data in the cache: what a layer can be held against."""
    from npgradcam.kernels import passes, rooms, taps
    from npgradcam.kernels.frames import Frame

    frame = Frame(128, 14, 14)
    weight = np.ones((128, 128, 1, 1), np.float32)
    (made,) = passes.dense(weight, None, taps.forward_taps(taps.Window((1, 1)), (14, 14)), passes.Frames(frame, frame))
    x, y = rooms.picture(frame, 8), rooms.picture(frame, 8)
    x[:] = 1
    best, until = np.inf, None
    while until is None or perf_counter() < until:
        start = perf_counter()
        made.run(x, y)
        if until is None:  # the first call compiles
            until = perf_counter() + seconds
        else:
            best = min(best, perf_counter() - start)
    return 2 * 8 * weight.size * 14 * 14 / best / 1e9
