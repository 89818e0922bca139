"""What lies above the layer, as data for the page: through which nodes the signal came back to the strongest maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.layers import Add, BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Identity, MaxPool2d
from npgradcam.layout import channels_first
from npgradcam.methods.start import layout_of
from npgradcam.models import network_of
from npgradcam.topology import Node

from .encode import stored, tensor
from .trace import Trace
from .way import windows

COPIES = (Add, Dropout, Identity, Flatten)  # the signal passes as it is


def above(t: Trace, channels: Sequence[int], budget: int) -> dict[str, Any]:
    """Return, for each node that reads the layer, the signal at its output and what multiplies it on the way back.

    dy^c/dA^k_ij is the sum of what these nodes pay back. Where one of them is of another kind, or there is no `room`,
    `stops` names it and nothing else is returned.
    """
    network = network_of(t.net)
    passed = network.between(t.tape.output, (t.layer,))
    readers = [node for node in network.nodes if t.layer in node.pays and node.name in passed]
    signals = t.flow("gradient", at=[node.name for node in readers]) if readers else {}
    found, size = list[dict[str, Any]](), 0
    for node in readers:
        one = _paid(t, node, signals[node.name], list(channels))
        size += stored(*one.get("s", ()), one.get("weight"), one.get("slope")) if one else 0
        if one is None or size > budget:
            return {"channels": [], "nodes": [], "stops": node.name, "room": one is None}
        found.append({"name": node.name, "kind": type(node.layer).__name__, **one})
    return {"channels": list(channels), "nodes": found, "stops": None, "room": True}


def _paid(t: Trace, node: Node, signal: NDArray[Any], channels: list[int]) -> dict[str, Any] | None:
    """What one node pays back to these maps: its signal (R of them), and weights, slopes, a window or a factor."""
    layer, order = node.layer, channels_first(layout_of(t.tape, node.name))
    if isinstance(layer, Flatten) and layout_of(t.tape, t.layer) == "NCHW":
        signal = signal.reshape(len(signal), *t.activations.shape)
    elif order is None:
        return None
    else:
        signal = signal.transpose(order)
    if isinstance(layer, Conv2d):
        C, O = layer.weight.shape[1], len(layer.weight) // layer.groups  # of one group
        groups = [k // C for k in channels]
        weight = np.stack([layer.weight[g * O : (g + 1) * O, k % C] for g, k in zip(groups, channels, strict=True)])
        return {"s": [tensor(row) for row in signal], "weight": tensor(weight), "first": [g * O for g in groups],
                "window": windows(t, node.name)}
    own = {"s": [tensor(row[channels]) for row in signal]}
    if isinstance(layer, MaxPool2d):
        return {**own, "window": windows(t, node.name)}
    if layer.rectifies:
        slope = np.broadcast_to(layer.slope(t.tape.caches[node.name]), t.tape.shapes[node.name])  # type: ignore[attr-defined]
        return {**own, "slope": tensor(slope.transpose(order or (0, 1, 2, 3))[0, channels].astype(signal.dtype))}
    if isinstance(layer, BatchNorm2d):
        return {**own, "factor": [float(v) for v in layer.scale[channels]]}
    if isinstance(layer, GlobalAvgPool2d):
        return {**own, "factor": [1 / t.activations[0].size] * len(channels)}
    same = all(t.tape.shapes[x] == t.tape.shapes[node.name] for x in node.inputs) or isinstance(layer, Flatten)
    return {**own, "factor": [1.0] * len(channels)} if isinstance(layer, COPIES) and same else None
