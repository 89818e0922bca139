"""Let the layers between two convolutions keep their pictures in blocks of channels, for vector code.

Each node becomes a step that one blocked layer computes, where there is one (see `steps`); then every value gets a
frame with as many zeros around as its readers look at. What somebody looks at, or a layer without a blocked form
reads, is unpacked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set

from npgradcam.kernels import taps, winograd_passes
from npgradcam.kernels.frames import LANES, Frame
from npgradcam.layers import Layer
from npgradcam.topology import Node, Topology
from npgradcam.typing import Quad, Shape

from .blocked import BlockedConv, Part
from .blocked_pictures import BlockedMaxPool, BlockedMean, Packed, Place, Unpacked
from .fold import replace_nodes
from .steps import Piece, Step, joined, steps_of

IN_BLOCKS = " in blocks"
FEW = 4  # channels of a picture that is stored without lanes of zeros


def block(network: Topology, shapes: Mapping[str, Shape], keep: Set[str]) -> Topology:
    """Return the graph with blocked layers wherever a convolution has one, and around it.

    Parameters
    ----------
    network : Topology
    shapes : mapping of str to tuple
        The shape of every input and node, as from `Topology.shapes`.
    keep : set of str
        The nodes that somebody will look at.
    """
    steps = joined(network, steps_of(network, shapes, keep), keep)
    return replace_nodes(network, tuple(_Plan(network, steps, shapes, keep).nodes())) if steps else network


class _Plan:
    """Where every value in blocks lies, and who makes it.

    A value goes by its node's name and " in blocks"; what somebody looks at is unpacked, and packed again for others.
    """

    def __init__(self, network: Topology, steps: dict[str, Step], shapes: Mapping[str, Shape], keep: Set[str]) -> None:
        self.steps, self.shapes, self.keep = steps, shapes, keep
        self.reading: dict[str, list[Step]] = defaultdict(list)
        for step in steps.values():
            for name in step.inputs:
                self.reading[name].append(step)
        needed = self._needed(network)
        self.order = [node for node in network.nodes if node.name in needed]  # what was joined to others is gone
        plain = {name for node in self.order if node.name not in steps for name in node.inputs}
        plain |= {*keep, *network.outputs}
        self.unpacked = {name for name, step in steps.items() if name in plain and step.kind != "mean"}
        self.places = {self.made(name): self._tight(name) for name, step in steps.items() if step.kind != "mean"}
        for step in steps.values():
            for name in step.inputs:
                self.places.setdefault(self.read(name), self._tight(name))
        self._add_zeros_around()

    def _needed(self, network: Topology) -> set[str]:
        """Return the nodes that the outputs and what is looked at depend on, by way of the steps."""
        inputs = {node.name: node.inputs for node in network.nodes}
        inputs |= {name: step.inputs for name, step in self.steps.items()}
        needed, waiting = set[str](), [*network.outputs, *self.keep]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(inputs.get(name, ()))
        return needed

    def made(self, name: str) -> str:
        """Return the name of the value that a step makes."""
        return name + IN_BLOCKS

    def read(self, name: str) -> str:
        """Return the name of the value that a step reads."""
        again = name in self.steps and name in self.unpacked and name in self.keep
        return name + " again" * again + IN_BLOCKS

    def _tight(self, name: str) -> Place:
        """Return the frames of a value and its signal without zeros around."""
        _, C, H, W = self.shapes[name]
        reading = self.reading[name]
        dense = all(step.kind == "conv" and step.adds != name and all(p.conv.groups == 1 for p in step.pieces)
                    for step in reading)
        if C > FEW or not dense or name in self.steps:
            return Place(Frame(C, H, W), Frame(C, H, W))
        strides = {s for step in reading for piece in step.pieces for s in piece.window.stride}
        r = max((r for r in (2, 3, 4) if C * r * r <= LANES and not any(r % s for s in strides)), default=1)
        return Place(Frame(C, H, W, lanes=C), Frame(C * r * r, -(-H // r), -(-W // r)), r)

    def _add_zeros_around(self) -> None:
        """Give every value as many zeros around as its readers look at, every signal as many as its maker does."""
        alike: list[tuple[str, str]] = []
        for step in self.steps.values():
            made = self.made(step.name)
            for piece in step.pieces:
                read, (forward, back) = self.read(piece.reads), self._tiles(step, piece)
                (x, _, together), y = self.places[read], self.places[made].value
                self._widen(read, _zeros(piece, forward, x, y, back=False), (0, 0, 0, 0))
                self._widen(made, (0, 0, 0, 0), _zeros(piece, back, y, x, back=True, together=together))
            if step.adds is not None:
                alike += [(made, self.read(step.adds)), (self.read(step.adds), made)]
        before = None
        while before != self.places:  # what is added gets the sum's signal as it is
            before = dict(self.places)
            for one, other in (*alike, *reversed(alike)):  # there and back: once is enough in a row of sums
                self._widen(one, (0, 0, 0, 0), self.places[other].signal[3:7])

    def _widen(self, name: str, value: Quad, signal: Quad) -> None:
        place = self.places[name]
        self.places[name] = Place(place.value.around(value), place.signal.around(signal), place.together)

    def _tiles(self, step: Step, piece: Piece) -> tuple[int | None, int | None]:
        """Return the m of Winograd's tiles, forward and back."""
        O, C = piece.conv.weight.shape[:2]
        slides = piece.window.stride == piece.window.dilation == (1, 1) and max(piece.window.padding) <= 2
        if piece.window.kernel != (3, 3) or piece.conv.groups > 1 or not slides or min(C, O) < LANES:
            return (None, None)
        N, _, H, W = self.shapes[piece.reads]
        _, _, I, J = self.shapes[step.name]
        return (winograd_passes.best_tile((C, O), (I, J), N), winograd_passes.best_tile((O, C), (H, W), N))

    def nodes(self) -> list[Node]:
        """Return the nodes of the graph, each after its inputs."""
        done: dict[str, Node] = {}
        for node in self.order:
            step = self.steps.get(node.name)
            if step is None:
                done[node.name] = node
                continue
            for name in step.inputs:
                read = self.read(name)
                if read not in done:
                    done[read] = Node(read, Packed(self.places[read]), (name,))
            made = step.name if step.kind == "mean" else self.made(step.name)
            done[made] = Node(made, self._layer(step), tuple(map(self.read, step.inputs)))
            if step.name in self.unpacked:
                done[step.name] = Node(step.name, Unpacked(self.places[made]), (made,))
        return list(done.values())

    def _layer(self, step: Step) -> Layer:
        sources = tuple(self.places[self.read(name)] for name in step.inputs)
        if step.kind == "mean":
            return BlockedMean(sources[0])
        target = self.places[self.made(step.name)]
        if step.kind == "pool":
            return BlockedMaxPool(step.window, sources[0], target)
        before = self.steps.get(step.inputs[0])
        reads = before.gate if before is not None and self._leaves_its_gate(before, step) else None
        read = any(self._leaves_its_gate(step, other) for other in self.reading[step.name])
        parts = tuple(
            Part(piece.conv, piece.window, step.inputs.index(piece.reads), self._tiles(step, piece), piece.first)
            for piece in step.pieces
        )
        return BlockedConv(parts, step.gate, sources, target, step.adds is not None, reads, read)

    def _leaves_its_gate(self, made: Step, reader: Step) -> bool:
        """Whether the rule at the rectifier of `made` can be left to its reader: nobody else reads or looks at it."""
        alone = len(self.reading[made.name]) == 1 and made.name not in self.unpacked and reader.adds != made.name
        one = reader.kind == "conv" and len(reader.pieces) == 1 and reader.pieces[0].reads == made.name
        return alone and one and made.kind == "conv" and made.gate is not None


def _zeros(piece: Piece, m: int | None, source: Frame, target: Frame, *, back: bool, together: int = 1) -> Quad:
    """Return how many zeros around `source` a pass reads that makes `target` from it, forward or back."""
    sizes, window, (p, q) = (target.height, target.width), piece.window, piece.window.padding
    if together > 1:
        return taps.halo(taps.adjoint_together(piece.conv.weight, window, sizes, together)[1], source)
    if m is not None:
        return winograd_passes.halo(m, (2 - p, 2 - q) if back else (p, q), source, sizes)
    return taps.halo((taps.adjoint_taps if back else taps.forward_taps)(window, sizes), source)
