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
    h = STEP * max(1.0, float(np.abs(t.activations).max()))
    cells = [(row, *cell) for row in range(len(t.target)) for cell in _cells(t, row)]
    moves = [(k, i, j, way) for _, k, i, j in cells for way in (h, -h)]
    y = _scores(t, rest, given, moves)
    found = []
    for n, (row, k, i, j) in enumerate(cells):
        seed = rows(t.tape, [[t.target[row]]]).seed[0]
        plus, minus = (float((seed * y[m]).sum()) for m in (2 * n, 2 * n + 1))
        measured, said = (plus - minus) / (2 * h), float(t.gradients[row, k, i, j])
        largest = max(abs(measured), abs(said))
        found.append({"row": row, "k": k, "i": i, "j": j, "h": h, "plus": plus, "minus": minus, "measured": measured,
                      "gradient": said, "error": abs(measured - said) / largest if largest else 0.0})
    return found


def _cells(t: Trace, row: int) -> list[tuple[int, int, int]]:
    """The two hottest cells (k, i, j) of each of the strongest maps."""
    count = CELLS if t.activations[0].size <= 256 else FEW
    found = []
    for k in t.strongest(row)[: count // 2]:
        heat = np.abs(t.activations[k] * t.gradients[row, k])
        for flat in np.argsort(-heat, axis=None, kind="stable")[:2]:
            i, j = np.unravel_index(flat, heat.shape)
            found.append((int(k), int(i), int(j)))
    return found


def _scores(t: Trace, rest: Network, given: dict[str, Any], moves: list[tuple[int, int, int, float]]) -> list[Any]:
    """Return the logits after each move, all moves as one batch where the network takes one."""
    _, order = spatial(t.tape, t.layer)
    maps, back = given[t.layer].transpose(order), np.argsort(order)
    moved = np.repeat(maps, len(moves), axis=0)
    for n, (k, i, j, way) in enumerate(moves):
        moved[n, k, i, j] += way

    def run(some: Any) -> Any:
        others = {name: np.repeat(x, len(some), axis=0) for name, x in given.items()} if len(some) > 1 else given
        return rest.forward({**others, t.layer: np.ascontiguousarray(some.transpose(back))}).logits

    alone = [run(moved[:1])[0]]
    try:
        together = run(moved)
        if len(together) == len(moved) and np.allclose(together[0], alone[0], rtol=1e-9, atol=0):
            return list(together)
    except NpGradcamError:
        pass  # a graph that is drawn for one image
    return alone + [run(moved[n : n + 1])[0] for n in range(1, len(moved))]
