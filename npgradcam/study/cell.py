"""What made one cell of the feature maps: back through rectifier, norm and sum to a convolution's products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.layers import Conv2d
from npgradcam.models import network_of

from .language import said
from .way import SIGNS, maps_of, operands, way_back, windows, winner

if TYPE_CHECKING:
    from .trace import Trace

LISTED = 5


def behind(t: Trace, k: int, i: int, j: int, lang: str = "en") -> list[str]:
    """Return how A^k_ij came about, a line a node."""
    network, way, lines = network_of(t.net), way_back(t, k), list[str]()
    for step, below in zip(way, [*way[1:], None], strict=True):
        y = maps_of(t, step.name)[step.k, i, j]
        if step.kind == "Conv2d":
            return lines + _products(t, step.name, step.k, i, j, lang)
        if step.kind == "input":
            return [*lines, said(lang, "input", name=step.name, k=step.k, i=i, j=j, y=f"{y:.6g}")]
        if below is None:
            return [*lines, said(lang, "elsewhere", kind=step.kind, name=step.name)]
        layer = network[step.name].layer
        if type(layer) in SIGNS:
            xs = f" {SIGNS[type(layer)]} ".join(f"{x[step.k, i, j]:.6g}" for x in operands(t, step.name))
            lines.append(f"{step.name}: {xs} = {y:.6g}")
            continue
        if step.kind == "MaxPool2d":
            i, j = winner(maps_of(t, below.name)[below.k], windows(t, step.name), i, j)
        x = f"{maps_of(t, below.name)[below.k, i, j]:.6g}"
        if step.kind == "MaxPool2d":
            lines.append(f"{step.name}: " + said(lang, "pool", x=x, i=i, j=j))
        elif step.kind == "Concat":
            lines.append(f"{step.name}: " + said(lang, "concat", k=step.k, of=below.k, name=below.name))
        else:
            lines.append(f"{step.name}: {step.kind}({x}) = {y:.6g}")
    return lines


def patch(t: Trace, conv: str, i: int, j: int) -> NDArray[Any]:
    """Return the input of a convolution under its window (i, j), (C, U, V), zeros outside the picture."""
    x, window = maps_of(t, network_of(t.net)[conv].inputs[0]), windows(t, conv)
    (U, V), s, d, (top, left, bottom, right) = (window[name] for name in ("kernel", "stride", "dilation", "padding"))
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right)))
    rows, columns = s[0] * i + d[0] * np.arange(U), s[1] * j + d[1] * np.arange(V)
    return padded[:, rows[:, None], columns]


def _products(t: Trace, name: str, k: int, i: int, j: int, lang: str) -> list[str]:
    """The convolution's sum: its strongest input channels, the rest, the bias."""
    layer = network_of(t.net)[name].layer
    assert isinstance(layer, Conv2d)  # noqa: S101
    window = patch(t, name, i, j)
    C = layer.weight.shape[1]
    first = k // (layer.weight.shape[0] // layer.groups) * C
    parts = (layer.weight[k].astype(np.float64) * window[first : first + C]).sum(axis=(1, 2)) + 0.0  # -0 is 0
    bias = 0.0 if layer.bias is None else float(layer.bias[k])
    order = np.argsort(-np.abs(parts), kind="stable")[:LISTED]
    shown = " ".join(f"{parts[c]:+.4g} [{said(lang, 'from', c=first + c)}]" for c in order)
    rest = parts.sum() - parts[order].sum()
    U, V = layer.weight.shape[2:]
    others = said(lang, "others", n=C - len(order))
    return [f"{name}: {said(lang, 'conv', C=C, U=U, V=V)}: {shown} {rest:+.4g} [{others}] "
            f"{bias:+.4g} [{said(lang, 'bias')}] = {parts.sum() + bias:.6g}"]
