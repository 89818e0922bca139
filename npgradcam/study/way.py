"""The way back from a map of the chosen layer to a convolution, through layers of which a cell reads one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npgradcam import kernels
from npgradcam.layers import Add, BatchNorm2d, Concat, Conv2d, Dropout, Identity, MaxPool2d, Mul, Sub, Transpose
from npgradcam.layers.activations import Activation
from npgradcam.layout import channels_first
from npgradcam.methods.start import layout_of, spatial
from npgradcam.models import network_of

if TYPE_CHECKING:
    from .trace import Trace

SIGNS = {Add: "+", Sub: "−", Mul: "×"}


@dataclass(frozen=True)
class Step:
    """A node on the way, and which of its maps; `kind` is "input" for the network's input."""

    name: str
    kind: str
    k: int


def way_back(t: Trace, k: int) -> tuple[Step, ...]:
    """Return the nodes from map k of the layer backwards: to a convolution, to the input, or to where the way ends.

    A channel of a Concat belongs to one branch, a max pooling picks one cell, a Transpose moves axes only.
    """
    network, way = network_of(t.net), list[Step]()
    at: tuple[str, int] | None = (t.layer, k)
    while at is not None and channels_first(layout_of(t.tape, at[0])):
        name, k = at
        inside = name not in network.inputs
        way.append(Step(name, type(network[name].layer).__name__ if inside else "input", k))
        at = _below(t, name, k) if inside else None
    return tuple(way)


def _below(t: Trace, name: str, k: int) -> tuple[str, int] | None:
    """The node and its map that map k of a node reads, cell by cell; None where it reads more."""
    network, letters = network_of(t.net), layout_of(t.tape, name)
    layer, inputs = network[name].layer, network[name].inputs
    if isinstance(layer, Concat) and letters and letters[layer.axis] == "C":
        for x in inputs:
            size = t.tape.shapes[x][layer.axis]
            if k < size:
                return x, k
            k -= size
    if layer.rectifies or isinstance(layer, (Activation, BatchNorm2d, Dropout, Identity, MaxPool2d, Transpose)):
        return inputs[0], k
    if type(layer) in SIGNS:
        return next(((x, k) for x in inputs if t.tape.shapes[x] == t.tape.shapes[name]), None)
    return None


def maps_of(t: Trace, name: str) -> NDArray[Any]:
    """Return what a node gives as maps (K, I, J), whatever the order of its axes."""
    maps: NDArray[Any] = spatial(t.tape, name)[0][0]
    return maps


def operands(t: Trace, name: str) -> list[NDArray[Any]]:
    """Return what a sum, difference or product works on, each as maps (K, I, J)."""
    _, order = spatial(t.tape, name)
    xs = (np.broadcast_to(t.outputs[x], t.tape.shapes[name]) for x in network_of(t.net)[name].inputs)
    return [x.transpose(order)[0] for x in xs]


def windows(t: Trace, name: str) -> dict[str, list[int]]:
    """Return how a convolution or a max pooling moves its window; the padding in cells."""
    layer, shape = network_of(t.net)[name].layer, t.tape.shapes[network_of(t.net)[name].inputs[0]]
    assert isinstance(layer, (Conv2d, MaxPool2d))  # noqa: S101
    kernel = layer.weight.shape[2:] if isinstance(layer, Conv2d) else layer.kernel
    padding = kernels.resolve(layer.padding, shape, kernel, layer.stride, layer.dilation)
    return {"kernel": list(kernel), "stride": list(layer.stride), "dilation": list(layer.dilation),
            "padding": list(padding)}


def winner(x: NDArray[Any], window: dict[str, list[int]], i: int, j: int) -> tuple[int, int]:
    """Return the cell of a map (I, J) that a max pooling's cell (i, j) takes: the first of the largest."""
    (U, V), s, d, (top, left, _, _) = (window[name] for name in ("kernel", "stride", "dilation", "padding"))
    cells = [(s[0] * i + d[0] * u - top, s[1] * j + d[1] * v - left) for u in range(U) for v in range(V)]
    inside = [(h, w) for h, w in cells if 0 <= h < x.shape[0] and 0 <= w < x.shape[1]]
    return max(inside, key=lambda cell: x[cell])
