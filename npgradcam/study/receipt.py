"""A receipt for gradients: what y^c does when one cell of A^k is moved a little, computed by running the network on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npgradcam.errors import NpGradcamError
from npgradcam.methods.start import network_of, spatial
from npgradcam.methods.target import rows
from npgradcam.network import Network

if TYPE_CHECKING:
    from .trace import Trace

STEP = 1e-4  # times the size of the maps: small enough for piecewise linear networks, large enough for float64
CELLS, FEW = 16, 4  # fewer cells where the maps are large and each costs most of a forward


def rest_of(t: Trace) -> tuple[Network, dict[str, Any]]:
    """Return the part of the network from the layer on, in float64, and what else goes into it."""
    network = network_of(t.net)
    passed = network.follows((t.layer,)) & network.leads_to(t.tape.output)
    nodes = tuple(node for node in network.nodes if node.name in passed)
    outside = dict.fromkeys(name for node in nodes for name in node.inputs if name not in passed)
    given = {name: t.outputs[name] for name in outside}
    given = {name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in given.items()}
    whole = frozenset(name for name, x in given.items() if x.dtype.kind != "f")
    rest = Network(nodes, tuple(outside), (t.tape.output,), dtype="float64", backend=network.backend, whole=whole)
    return rest, given


def receipt(t: Trace) -> list[dict[str, Any]]:
    """Return (y^c(A + h) - y^c(A - h)) / 2h beside dy^c/dA for some cells of each row; empty where it cannot be run.

    The cells are the hottest of the maps that contribute most. The relative error is to the larger of the two.
    """
    try:
        rest, given = rest_of(t)
        rest.forward(given)
    except NpGradcamError:
        return []
    _, order = spatial(t.tape, t.layer)
    back = np.argsort(order)
    found = []
    count = CELLS if t.activations[0].size <= 256 else FEW
    for row, c in enumerate(t.target):
        seed = rows(t.tape, [[c]]).seed.astype(np.float64)
        for k in t.strongest(row)[: count // 2]:
            signed = t.activations[k] * t.gradients[row, k]
            hot = np.argsort(-np.abs(signed), axis=None, kind="stable")[:2]
            for flat in hot:
                i, j = (int(n) for n in np.unravel_index(flat, signed.shape))
                h = STEP * max(1.0, float(np.abs(t.activations).max()))
                y = []
                for way in (h, -h):
                    moved = given[t.layer].transpose(order).copy()
                    moved[0, k, i, j] += way
                    logits = rest.forward({**given, t.layer: np.ascontiguousarray(moved.transpose(back))}).logits
                    y.append(float((seed * logits).sum()))
                measured, said = (y[0] - y[1]) / (2 * h), float(t.gradients[row, k, i, j])
                largest = max(abs(measured), abs(said))
                error = abs(measured - said) / largest if largest else 0.0
                found.append({"row": row, "k": int(k), "i": i, "j": j, "h": h, "plus": y[0], "minus": y[1],
                              "measured": measured, "gradient": said, "error": error})
    return found
