"""What made one cell of the feature maps: back through rectifier, norm and sum to a convolution's products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npgradcam import kernels
from npgradcam.layers import Add, BatchNorm2d, Conv2d, Dropout, Identity
from npgradcam.methods.start import layout_of, network_of

if TYPE_CHECKING:
    from .trace import Trace

LISTED = 5


@dataclass(frozen=True)
class Behind:
    """The way from a layer's cell back to a convolution.

    Attributes
    ----------
    way : tuple of (name, kind)
        The nodes passed, from the layer backwards; the last one may be a convolution.
    conv : str or None
        The convolution's name, where the way ends at one.
    lines : tuple of str
        The arithmetic, a line a node.
    """

    way: tuple[tuple[str, str], ...]
    conv: str | None
    lines: tuple[str, ...]


def way_back(t: Trace) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """Return the nodes from the layer back to the nearest convolution, through layers that work cell by cell."""
    network, at, way = network_of(t.net), t.layer, list[tuple[str, str]]()
    while at not in network.inputs and layout_of(t.tape, at) == "NCHW":
        layer = network[at].layer
        way.append((at, type(layer).__name__))
        if isinstance(layer, Conv2d):
            return tuple(way), at
        sums = isinstance(layer, Add) and len(network[at].inputs) == 2
        if not (layer.rectifies or sums or isinstance(layer, (BatchNorm2d, Dropout, Identity))):
            break
        at = network[at].inputs[0]
    return tuple(way), None


def patch(t: Trace, conv: str, i: int, j: int) -> Any:
    """Return the input of a convolution under its window (i, j), (C, U, V), zeros outside the picture."""
    network = network_of(t.net)
    layer = network[conv].layer
    assert isinstance(layer, Conv2d)  # noqa: S101
    x = t.outputs[network[conv].inputs[0]][0]
    (U, V), s, d = layer.weight.shape[2:], layer.stride, layer.dilation
    top, left, bottom, right = kernels.resolve(layer.padding, (1, *x.shape), (U, V), s, d)
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right)))
    rows, columns = s[0] * i + d[0] * np.arange(U), s[1] * j + d[1] * np.arange(V)
    return padded[:, rows[:, None], columns]


def behind(t: Trace, k: int, i: int, j: int) -> Behind:
    """Return how A^k_ij came about."""
    way, conv = way_back(t)
    network, lines = network_of(t.net), []
    for name, kind in way:
        if kind == "Conv2d":
            lines += _products(t, name, k, i, j)
            continue
        y = t.outputs[name][0, k, i, j]
        xs = " , ".join(f"{t.outputs[x][0, k, i, j]:.6g}" for x in network[name].inputs
                        if t.outputs[x].ndim == 4 and t.outputs[x].shape[1:] == t.outputs[name].shape[1:])
        lines.append(f"{name}: {kind}({xs}) = {y:.6g}")
    if conv is None and way:
        lines.append(f"behind it lies {way[-1][1]} {way[-1][0]!r}, which looks at other cells as well")
    return Behind(way, conv, tuple(lines))


def _products(t: Trace, name: str, k: int, i: int, j: int) -> list[str]:
    """The convolution's sum: its strongest input channels, the rest, the bias."""
    layer = network_of(t.net)[name].layer
    assert isinstance(layer, Conv2d)  # noqa: S101
    window = patch(t, name, i, j)
    C = layer.weight.shape[1]
    first = k // (layer.weight.shape[0] // layer.groups) * C
    parts = (layer.weight[k].astype(np.float64) * window[first : first + C]).sum(axis=(1, 2))
    bias = 0.0 if layer.bias is None else float(layer.bias[k])
    order = np.argsort(-np.abs(parts), kind="stable")[:LISTED]
    shown = " ".join(f"{parts[c]:+.4g} [from map {first + c}]" for c in order)
    rest = parts.sum() - parts[order].sum()
    U, V = layer.weight.shape[2:]
    return [f"{name}: sum over {C} maps of {U} x {V} cells times kernel: {shown} {rest:+.4g} [{C - len(order)} others] "
            f"{bias:+.4g} [bias] = {parts.sum() + bias:.6g}"]
