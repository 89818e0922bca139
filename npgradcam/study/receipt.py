"""A receipt for gradients: what y^c does when cells of A^k are moved a little, computed by running the network on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npgradcam import kernels
from npgradcam.errors import NpGradcamError
from npgradcam.layers import Layer, Linear
from npgradcam.methods.start import spatial
from npgradcam.methods.target import rows
from npgradcam.models import network_of
from npgradcam.topology import Node, named

if TYPE_CHECKING:
    from .trace import Trace

STEP = 1e-6  # times the size of the maps: few rectifiers above switch on the way, and float64 still tells them apart
WHOLE = 0.1  # of that for a whole map: more cells, more rectifiers above them that could switch on the way
CELLS, FEW = 16, 8  # fewer cells where the maps are large and each costs most of a forward
AT_ONCE = 2**23  # numbers of moved maps that run together, and of a linear layer's weights that are doubled together
Cell = tuple[int, int | None, int | None]  # (k, i, j); (k, None, None) is the whole map


@dataclass(frozen=True)
class Rest:
    """The part of a network from a layer on, run in float64 layer by layer, so that no more weights lie there twice."""

    layer: str
    nodes: tuple[Node, ...]
    given: Mapping[str, NDArray[Any]]  # what else goes into it
    output: str
    backend: kernels.Backend

    def __call__(self, maps: NDArray[Any]) -> NDArray[Any]:
        """Return the output for maps of the layer; what else goes in is the same for all of them."""
        values = {name: np.repeat(x, len(maps), axis=0) if len(maps) > 1 else x for name, x in self.given.items()}
        values[self.layer] = maps
        last = {name: node for node in self.nodes for name in node.inputs}
        with kernels.session(self.backend):
            for node in self.nodes:
                with named(node):
                    values[node.name] = np.asarray(in_double(node.layer, *(values[name] for name in node.inputs)))
                for name in {name for name in node.inputs if last[name] is node and name != self.output}:
                    del values[name]  # nobody reads it again
        return values[self.output]


def in_double(layer: Layer, *xs: Any) -> Any:
    """Return a layer's output in float64; a wide linear layer goes in slices of its outputs."""
    if isinstance(layer, Linear) and layer.weight.size > AT_ONCE:
        cuts = range(0, len(layer.weight), max(1, AT_ONCE // layer.weight.shape[1]))
        slices = (slice(cut, cut + cuts.step) for cut in cuts)
        return np.concatenate([in_double(Linear(layer.weight[s], layer.bias[s]), *xs) for s in slices], axis=1)
    return layer.astype("float64").forward(*xs)[0]


def rest_of(t: Trace) -> Rest:
    """Return the part of the network from the layer on."""
    network = network_of(t.net)
    passed = network.follows((t.layer,)) & network.leads_to(t.tape.output)
    nodes = tuple(node for node in network.nodes if node.name in passed)
    outside = dict.fromkeys(name for node in nodes for name in node.inputs if name not in passed and name != t.layer)
    given = {name: t.outputs[name] for name in outside}
    given = {name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in given.items()}
    return Rest(t.layer, nodes, given, t.tape.output, network.backend)


def receipt(t: Trace) -> list[dict[str, Any]]:
    """Return (y^c(A + h) - y^c(A - h)) / 2h beside dy^c/dA, for each row; empty where the network cannot be run on.

    First come the hottest cells of the maps that contribute most, then these maps as a whole: all cells of one moved
    together must change y^c by h times the sum of their gradients, h Z alpha. The relative error is to the larger.
    """
    step = STEP * max(1.0, float(np.abs(t.activations).max()))
    cells = [(row, *cell) for row in range(len(t.target)) for cell in _cells(t, row)]
    steps = [step * WHOLE if i is None else step for _, _, i, _ in cells]
    try:
        moves = [(cell, way) for (_, *cell), h in zip(cells, steps, strict=True) for way in (h, -h)]
        y = _scores(t, rest_of(t), moves)
    except NpGradcamError:
        return []
    found = []
    for n, ((row, k, i, j), h) in enumerate(zip(cells, steps, strict=True)):
        seed = rows(t.tape, [[t.target[row]]]).seed[0]
        plus, minus = (float((seed * y[m]).sum()) for m in (2 * n, 2 * n + 1))
        whole = t.alpha[row, k] * t.activations[0].size
        measured, said = (plus - minus) / (2 * h), float(whole if i is None else t.gradients[row, k, i, j])
        largest = max(abs(measured), abs(said))
        found.append({"row": row, "k": k, "i": i, "j": j, "h": h, "plus": plus, "minus": minus, "measured": measured,
                      "gradient": said, "error": abs(measured - said) / largest if largest else 0.0})
    return found


def _cells(t: Trace, row: int) -> list[Cell]:
    """The two hottest cells of each of the strongest maps, and some of these maps as a whole."""
    count = CELLS if t.activations[0].size <= 256 else FEW
    found: list[Cell] = []
    for k in map(int, t.strongest(row)[: count // 2]):
        heat = np.abs(t.activations[k] * t.gradients[row, k])
        for flat in np.argsort(-heat, axis=None, kind="stable")[:2]:
            i, j = np.unravel_index(flat, heat.shape)
            found.append((k, int(i), int(j)))
    return found + [(int(k), None, None) for k in t.strongest(row)[: count // 4]]


def _scores(t: Trace, rest: Rest, moves: list[tuple[Any, float]]) -> list[Any]:
    """Return the logits after each move, as few batches where the network takes one."""
    maps, order = spatial(t.tape, t.layer)
    back = np.argsort(order)

    def run(some: list[tuple[Any, float]]) -> Any:
        moved = np.repeat(maps.astype(np.float64), len(some), axis=0)
        for n, ((k, i, j), way) in enumerate(some):
            moved[n, k, slice(None) if i is None else i, slice(None) if j is None else j] += way
        return rest(np.ascontiguousarray(moved.transpose(back)))

    alone, few = run(moves[:1])[0], max(1, AT_ONCE // maps.size)
    try:
        if few > 1 and np.allclose(run(moves[:2])[0], alone, rtol=1e-9, atol=0):
            batches = [run(moves[n : n + few]) for n in range(0, len(moves), few)]
            if sum(map(len, batches)) == len(moves):
                return [y for batch in batches for y in batch]
    except NpGradcamError:
        pass  # a graph that is drawn for one image
    return [alone, *(run(moves[n : n + 1])[0] for n in range(1, len(moves)))]
