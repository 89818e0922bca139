"""Let blocked layers that nobody goes back through run as a list of calls in which only the image is missing.

Such layers keep nothing for a backward, so where every picture between them lies can be settled once: the calls are
made with their arrays, and the next image of that size goes through the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Lock
from typing import Any, ClassVar, NamedTuple

import numpy as np

from npgradcam.kernels import blocks
from npgradcam.layers import Layer
from npgradcam.topology import Node, Topology
from npgradcam.typing import Array, Shape

from .alone import Alone
from .blocked import BlockedConv
from .blocked_pictures import BlockedMaxPool, BlockedMean, Packed, Unpacked
from .fold import replace_nodes
from .shared_memory import Use, settled

TOGETHER = 8  # images: enough to read the weights seldom, few enough for pictures that are still in the cache
MOST = 2**27  # bytes of pictures that a chain holds for the next image

_INSIDE = (Packed, BlockedConv, BlockedMaxPool)
_LAST = (BlockedConv, BlockedMaxPool, BlockedMean, Unpacked)


def chain(network: Topology, keep: Set[str]) -> Topology:
    """Return the graph with one layer for all the blocked layers that lead to one value and to nothing else.

    Parameters
    ----------
    network : Topology
        As from `block`.
    keep : set of str
        The nodes that somebody will look at: backward goes no further than to the first of them.
    """
    looked_at, gone_back_through = {*keep, *network.outputs}, network.follows(keep)
    free = {node.name for node in network.nodes if isinstance(node.layer, _INSIDE)} - looked_at
    alone = Alone(network, free, {node.name for node in network.nodes if isinstance(node.layer, Packed)})
    done: list[Node] = []
    inside: set[str] = set()
    for node in reversed(network.nodes):
        if node.name in inside:
            continue
        done.append(node)
        if node.name in gone_back_through or not isinstance(node.layer, _LAST):
            continue
        nodes = alone.serving(node.name)
        made = Chain.of(nodes)
        if made is not None:
            done[-1] = Node(node.name, made, made.reads)
            inside.update(each.name for each in nodes)
    return replace_nodes(network, tuple(done[::-1]))


class _Ready(NamedTuple):
    """All calls of a chain but for the first and the last layers', and the pictures that those write and read."""

    calls: list[Callable[[], None]]
    pictures: dict[str, Array]
    bytes: int


@dataclass(frozen=True, eq=False, repr=False)
class Chain(Layer):
    """What several layers do, one after the other; only forward.

    Parameters
    ----------
    packed : tuple of Node
        Those that put the chain's inputs into blocks.
    nodes : tuple of Node
        The others, each after those that it reads.
    """

    packed: tuple[Node, ...]
    nodes: tuple[Node, ...]
    inputs: ClassVar[int | None] = None

    @classmethod
    def of(cls, nodes: list[Node]) -> Chain | None:
        """Return a chain, where these are enough."""
        packed, rest = (tuple(n for n in nodes if isinstance(n.layer, Packed) is first) for first in (True, False))
        return cls(packed, rest) if packed and len(rest) > 1 else None

    @property
    def reads(self) -> tuple[str, ...]:
        """The values that it reads, in the order of its inputs."""
        return tuple(node.inputs[0] for node in self.packed)

    def forward(self, *xs: Array) -> tuple[Array, None]:
        if min(map(len, xs)) > TOGETHER:
            groups = range(0, len(xs[0]), TOGETHER)
            return np.concatenate([self.forward(*(x[n : n + TOGETHER] for x in xs))[0] for n in groups]), None
        sizes = tuple(map(len, xs))
        with self._lock:
            ready = self._waiting.pop(sizes, None)
        if ready is None:
            ready = self._prepare(sizes)
        for node, x in zip(self.packed, xs, strict=True):
            blocks.pack(x, node.layer.at.value, ready.pictures[node.name])  # type: ignore[attr-defined]
        for call in ready.calls:
            call()
        last = self.nodes[-1]
        y, _ = last.layer.forward(*(ready.pictures[name] for name in last.inputs))
        with self._lock:
            if ready.bytes <= MOST:
                self._waiting.clear()
                self._waiting[sizes] = ready
        return y, None

    def output_shape(self, *shapes: Shape) -> Shape:
        known = dict(zip(self.reads, shapes, strict=True))
        for node in (*self.packed, *self.nodes):
            known[node.name] = node.layer.output_shape(*(known[name] for name in node.inputs))
        return known[self.nodes[-1].name]

    @cached_property
    def _waiting(self) -> dict[tuple[int, ...], _Ready]:
        """By the inputs' numbers of images: the calls for them, while nobody runs them."""
        return {}

    @cached_property
    def _lock(self) -> Any:
        return Lock()

    def _prepare(self, sizes: tuple[int, ...]) -> _Ready:
        """Settle where every picture lies, and make the calls."""
        steps = (*self.packed, *self.nodes)
        last = {name: step for step, node in enumerate(steps) for name in node.inputs}
        images = dict(zip((node.name for node in self.packed), sizes, strict=True))
        for node in self.nodes:
            images[node.name] = images[node.inputs[0]]
        frames = [(n.layer.at if isinstance(n.layer, Packed) else n.layer.target).value  # type: ignore[attr-defined]
                  for n in steps[:-1]]
        uses = [Use(frame, images[n.name], last[n.name]) for n, frame in zip(steps[:-1], frames, strict=True)]
        arrays, taken = settled(uses)
        pictures = {node.name: x for node, x in zip(steps[:-1], arrays, strict=True)}
        calls: list[Callable[[], None]] = []
        for node, use, y in zip(steps[:-1], uses, arrays, strict=True):
            if use.clears:
                calls.append(partial(use.frame.clear_around, y))
            if not isinstance(node.layer, Packed):
                calls += node.layer.calls(y, *(pictures[name] for name in node.inputs))  # type: ignore[attr-defined]
        return _Ready(calls, pictures, taken)
