"""What lies behind the strongest maps, as data for the page: the maps on the way down, and a convolution's kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from npgradcam.layers import BatchNorm2d, Conv2d
from npgradcam.models import network_of

from .encode import stored, tensor
from .trace import Trace
from .way import SIGNS, Step, maps_of, operands, way_back, windows


def behind(t: Trace, channels: Iterable[int], budget: int) -> list[dict[str, Any]]:
    """Return the ways back from these maps, those that go through the same nodes together, in about `budget` bytes.

    The first maps come first; a way that does not fit is left out, or stands without its convolution.
    """
    ways: dict[tuple[str, ...], list[tuple[Step, ...]]] = {}
    for k in channels:
        steps = way_back(t, int(k))
        ways.setdefault(tuple(step.name for step in steps), []).append(steps)
    found, left = list[dict[str, Any]](), budget
    for group in (group for names, group in ways.items() if names):
        way, size = _way(t, group, left)
        if size <= left:
            found.append(way)
            left -= size
    return found


def _way(t: Trace, group: list[tuple[Step, ...]], room: int) -> tuple[dict[str, Any], int]:
    """One way of several maps, each at its own channel of every node, and its size in the page."""
    steps = [_step(t, nodes) for nodes in zip(*group, strict=True)]
    size = sum(stored(step["out"], *step.get("more", ())) for step in steps)
    found = {"channels": [way[0].k for way in group], "steps": steps, "conv": None}
    last = group[0][-1]
    if last.kind == "Conv2d":
        conv = _conv(t, last.name, [way[-1].k for way in group])
        weight = stored(conv["x"], conv["weight"])
        if size + weight <= room:
            return {**found, "conv": conv}, size + weight
    return found, size


def _step(t: Trace, nodes: tuple[Step, ...]) -> dict[str, Any]:
    """One node: for each map what it gives there, and what is needed to compute it from the node below."""
    name, kind, channels = nodes[0].name, nodes[0].kind, [node.k for node in nodes]
    step: dict[str, Any] = {"name": name, "kind": kind, "at": channels, "out": tensor(maps_of(t, name)[channels])}
    if kind == "input":
        return step
    layer = network_of(t.net)[name].layer
    if type(layer) in SIGNS:
        step["sign"] = SIGNS[type(layer)]
        step["more"] = [tensor(x[channels]) for x in operands(t, name)]
    if kind == "MaxPool2d":
        step["window"] = windows(t, name)
    if isinstance(layer, BatchNorm2d):
        step["scale"] = [float(v) for v in layer.scale[channels]]
        step["shift"] = [float(v) for v in (layer.bias - layer.scale * layer.mean)[channels]]
    return step


def _conv(t: Trace, name: str, channels: list[int]) -> dict[str, Any]:
    layer, source = network_of(t.net)[name].layer, network_of(t.net)[name].inputs[0]
    assert isinstance(layer, Conv2d)  # noqa: S101
    return {
        "name": name, "source": source, **windows(t, name), "x": tensor(maps_of(t, source)),
        "weight": tensor(np.asarray(layer.weight[channels])),
        "per_group": [int(k // (len(layer.weight) // layer.groups)) for k in channels],
        "bias": [0.0 if layer.bias is None else float(layer.bias[k]) for k in channels],
    }
