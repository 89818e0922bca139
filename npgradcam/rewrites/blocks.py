"""Let the layers between two convolutions keep their pictures in blocks of channels, for vector code.

Each node becomes a step that one blocked layer computes, where there is one; steps that follow one another are joined
(an addition and a rectifier into the convolution before them); then every value gets a frame with as many zeros around
as its readers look at. What somebody looks at, or a layer without a blocked form reads, is unpacked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from npgradcam.kernels import passes, winograd_passes
from npgradcam.kernels.frames import LANES, Frame
from npgradcam.kernels.passes import Window
from npgradcam.layers import (
    Add, AvgPool2d, BatchNorm, Clip, Concat, Conv2d, Dropout, GlobalAvgPool2d, Identity, Layer, MaxPool2d, Rectifier, ReLU,
)
from npgradcam.topology import Node, Topology
from npgradcam.typing import Array, Quad, Shape

from .blocked import BlockedConv, BlockedMaxPool, BlockedMean, Packed, Part, Place, Unpacked, ends
from .fold import replace_nodes
from .fuse import ConvRectifier

IN_BLOCKS = " in blocks"
FEW = 4  # channels of a picture that is stored without lanes of zeros


class Piece(NamedTuple):
    """A convolution of one value that makes some of the channels of another."""

    conv: Conv2d
    window: Window
    reads: str
    first: int = 0  # the block where its channels begin


@dataclass(frozen=True)
class Step:
    """What one blocked layer will do: convolutions, plus another value if there is one, cut off by `gate`."""

    name: str
    kind: Literal["conv", "pool", "mean"]
    pieces: tuple[Piece, ...] = ()
    adds: str | None = None
    gate: Rectifier | None = None
    reads: tuple[str, ...] = ()  # of a pool or a mean
    window: Window = Window((1, 1))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The values that it reads, each once, what is added last."""
        read = dict.fromkeys((*(piece.reads for piece in self.pieces), *self.reads))
        return (*read, *((self.adds,) if self.adds is not None else ()))


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
    steps = _joined(network, _steps(network, shapes, keep), keep)
    if not steps:
        return network
    plan = _Plan(network, steps, shapes, keep)
    return replace_nodes(network, tuple(plan.nodes()))


def _steps(network: Topology, shapes: Mapping[str, Shape], keep: Set[str]) -> dict[str, Step]:
    """Return the step of every node that has one."""
    steps: dict[str, Step] = {}
    for node in network.nodes:
        step = _step(node, [shapes.get(name, ()) for name in node.inputs], set(steps) - keep)
        if step is not None:
            steps[node.name] = step
    return steps


def _step(node: Node, inputs: list[Shape], blocked: set[str]) -> Step | None:
    """Return the step of a node; all but convolutions need inputs that are in blocks, and stay there."""
    layer, names = node.layer, node.inputs
    if not inputs or any(len(shape) != 4 or 0 in shape for shape in inputs):
        return None

    def conv(found: Conv2d, window: Window = Window((1, 1)), gate: Rectifier | None = None) -> Step:
        return Step(node.name, "conv", (Piece(found, window, names[0]),), gate=gate)

    found = layer.conv if isinstance(layer, ConvRectifier) else layer
    if type(found) is Conv2d:
        window = _window(found, inputs[0])
        return None if window is None else conv(found, window, layer.gate if isinstance(layer, ConvRectifier) else None)
    if not blocked.issuperset(names):
        return None
    ones = _each(np.ones(inputs[0][1], np.float32))
    if isinstance(layer, BatchNorm):
        return conv(_each(layer.scale, layer.bias - layer.scale * layer.mean))
    if isinstance(layer, (Identity, Dropout)):
        return conv(ones)
    if isinstance(layer, (ReLU, Clip)):
        return conv(ones, gate=layer)
    if isinstance(layer, Add) and len(names) == 2 and layer.constant is None and inputs[0] == inputs[1]:
        return replace(conv(ones), adds=names[1])
    if isinstance(layer, MaxPool2d):
        pad = layer._padding(inputs[0])
        slides = Window(layer.kernel, layer.stride, pad[:2], layer.dilation)
        return Step(node.name, "pool", reads=names, window=slides)
    if isinstance(layer, AvgPool2d):
        mean = _average(layer, inputs[0])
        return None if mean is None else conv(*mean)
    if isinstance(layer, GlobalAvgPool2d):
        return Step(node.name, "mean", reads=names)
    if isinstance(layer, Concat) and layer.axis in (1, -3) and all(shape[1] % LANES == 0 for shape in inputs[:-1]):
        firsts = np.cumsum([0, *(shape[1] // LANES for shape in inputs)]).tolist()
        return Step(node.name, "conv", tuple(
            Piece(_each(np.ones(shape[1], np.float32)), Window((1, 1)), name, first)
            for shape, name, first in zip(inputs, names, firsts, strict=False)
        ))
    return None


def _window(conv: Conv2d, x: Shape) -> Window | None:
    """Return how a convolution slides over a picture; None where it has no blocked form."""
    O, C, U, V = conv.weight.shape
    top, left, bottom, right = conv._padding(x)
    if conv.weight.dtype != np.float32 or min(top, left, bottom, right) < 0:
        return None
    if conv.groups > 1 and not (C == 1 and O == conv.groups):
        return None
    return Window((U, V), conv.stride, (top, left), conv.dilation)


def _each(scale: Array, shift: Array | None = None) -> Conv2d:
    """Return y = scale x + shift, channel by channel, as a convolution."""
    scale = np.asarray(scale, np.float32)
    return Conv2d(scale.reshape(-1, 1, 1, 1), None if shift is None else np.asarray(shift, np.float32), groups=len(scale))


def _average(layer: AvgPool2d, x: Shape) -> tuple[Conv2d, Window] | None:
    """Return an average pool as a convolution, where all windows hold as many cells."""
    ones, padding, count = layer._mean(x, np.float32)
    if count.min() != count.max() or min(padding[:2]) < 0:
        return None
    conv = Conv2d(ones / count.flat[0], groups=len(ones))  # how it slides is said by the window
    return conv, Window(layer.kernel, layer.stride, padding[:2], layer.dilation)


def _joined(network: Topology, steps: dict[str, Step], keep: Set[str]) -> dict[str, Step]:
    """Return the steps joined to those before them: additions, rectifiers, norms, and what concatenates."""
    readers = Counter(name for node in network.nodes for name in node.inputs)

    def before(name: str) -> Step | None:
        """The convolutions that made a value which nobody else reads or looks at."""
        step = steps.get(name)
        free = step is not None and step.kind == "conv" and name not in keep and readers[name] == 1
        return step if free else None

    def take(name: str, first: Step, **changes: Any) -> None:
        steps.pop(first.name, None)
        steps[name] = replace(first, name=name, **changes)

    for name in list(steps):
        step = steps[name]
        if step.kind != "conv" or not all(_each_alone(piece) for piece in step.pieces):
            continue
        made = [before(piece.reads) for piece in step.pieces]
        first = made[0]
        if len(step.pieces) > 1:
            _take_over(steps, step, made)
        elif step.adds is not None:
            for one, other in ((step.pieces[0].reads, step.adds), (step.adds, step.pieces[0].reads)):
                first = before(one)
                if first is not None and first.gate is first.adds is None and len(first.pieces) == 1 and one != other:
                    take(name, first, adds=other, gate=step.gate)
                    break
        elif first is None or (first.gate is not None and not _is_identity(step)):
            continue
        elif _is_identity(step):
            take(name, first, gate=first.gate or step.gate)
        elif _is_ones(step.pieces[0].conv):
            take(name, first, gate=step.gate)
        elif first.adds is None and all(_each_alone(piece) for piece in first.pieces):  # a norm after a concatenation
            take(name, first, gate=step.gate, pieces=_scaled(first.pieces, step.pieces[0].conv))
    return steps


def _take_over(steps: dict[str, Step], step: Step, made: list[Step | None]) -> None:
    """Let a concatenation make its channels itself, where all that it reads is cut off in the same way."""
    gates = {None if one is None or one.gate is None else (type(one.gate), *ends(one.gate)) for one in made}
    alone = len({one.name for one in made if one is not None}) == len(step.pieces)
    if not alone or len(gates) != 1 or any(one is None or one.adds is not None for one in made):
        return
    pieces = []
    for piece, one in zip(step.pieces, made, strict=True):
        if one is not None:
            steps.pop(one.name)
            pieces += [each._replace(first=piece.first + each.first) for each in one.pieces]
    steps[step.name] = replace(step, pieces=tuple(pieces), gate=made[0].gate if made[0] is not None else None)


def _scaled(pieces: tuple[Piece, ...], norm: Conv2d) -> tuple[Piece, ...]:
    """Return pieces that treat every channel alone, scaled and shifted by one more such convolution."""
    scaled = []
    for piece in pieces:
        channels = slice(piece.first * LANES, piece.first * LANES + len(piece.conv.weight))
        scale = norm.weight[channels, 0, 0, 0]
        shift = 0 if norm.bias is None else norm.bias[channels]
        held = 0 if piece.conv.bias is None else piece.conv.bias
        scaled.append(piece._replace(conv=_each(piece.conv.weight[:, 0, 0, 0] * scale, scale * held + shift)))
    return tuple(scaled)


def _each_alone(piece: Piece) -> bool:
    """Whether a piece multiplies every channel by a number of its own, cell by cell."""
    O, C = piece.conv.weight.shape[:2]
    return piece.window == Window((1, 1)) and piece.conv.groups == O and C == 1


def _is_ones(conv: Conv2d) -> bool:
    """Whether a convolution that treats every channel alone passes them on as they are."""
    return conv.bias is None and bool((conv.weight == 1).all())


def _is_identity(step: Step) -> bool:
    """Whether a step passes its only value on as it is."""
    return step.gate is None and len(step.pieces) == 1 and _is_ones(step.pieces[0].conv)


class _Plan:
    """Where every blocked value lies, and who makes it."""

    def __init__(self, network: Topology, steps: dict[str, Step], shapes: Mapping[str, Shape], keep: Set[str]) -> None:
        self.network, self.steps, self.shapes, self.keep = network, steps, shapes, keep
        self.readers = Counter(name for step in steps.values() for name in step.inputs)
        gone = {node.name for node in network.nodes} - set(steps)
        self.opaque = [node for node in network.nodes if node.name in gone and self._is_left(node)]
        plain = {name for node in self.opaque for name in node.inputs} | set(keep) | set(network.outputs)
        self.unpacked = {name for name, step in steps.items() if name in plain and step.kind != "mean"}
        self.values: dict[str, Frame] = {}
        self.signals: dict[str, Frame] = {}
        for step in steps.values():
            if step.kind != "mean":
                _, C, H, W = shapes[step.name]
                self.values[step.name] = self.signals[step.name] = Frame(C, H, W)
            for name in step.inputs:
                self._add_source(name)
        self._add_halos()

    def _is_left(self, node: Node) -> bool:
        """Whether a node without a step is still there: joined ones are gone."""
        return node.name in self._needed

    @property
    def _needed(self) -> set[str]:
        return self.__dict__.setdefault("_needed_cache", self._find_needed())

    def _find_needed(self) -> set[str]:
        """Return the nodes that outputs and kept nodes depend on, reading through the steps' own inputs."""
        inputs = {node.name: node.inputs for node in self.network.nodes}
        inputs |= {name: step.inputs for name, step in self.steps.items()}
        needed, waiting = set[str](), [*self.network.outputs, *self.keep]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(inputs.get(name, ()))
        return needed

    def source(self, name: str) -> str:
        """Return the name of the blocked value that a step reads: what is looked at is packed again."""
        return name + IN_BLOCKS if name not in self.unpacked or name not in self.keep else name + " again" + IN_BLOCKS

    def _add_source(self, name: str) -> None:
        key = self._key(name)
        if key not in self.values:
            _, C, H, W = self.shapes[name]
            lanes = C if C <= FEW and self._read_by_dense(name) else LANES
            self.values[key], self.signals[key] = Frame(C, H, W, lanes=lanes), Frame(C, H, W)

    def _key(self, name: str) -> str:
        """Under which name a step finds the frames of what it reads."""
        return name if name in self.steps and not (name in self.unpacked and name in self.keep) else "packed " + name

    def _read_by_dense(self, name: str) -> bool:
        """Whether only convolutions that look at every channel read a value."""
        reading = [step for step in self.steps.values() if name in step.inputs]
        return all(step.kind == "conv" and step.adds != name and all(p.conv.groups == 1 for p in step.pieces)
                   for step in reading)

    def _add_halos(self) -> None:
        """Give every value as many zeros around as its readers, and its maker on the way back, look at."""
        alike: list[tuple[str, str]] = []
        for step in self.steps.values():
            target = self.values.get(step.name)
            for piece in step.pieces:
                read = self._key(piece.reads)
                source, y = self.values[read], self.values[step.name]
                forward, back = self._tiles(step, piece)
                self.values[read] = source.around(_zeros(piece.window, forward, source, y, back=False))
                self.signals[step.name] = self.signals[step.name].around(_zeros(piece.window, back, y, source, back=True))
            if step.adds is not None and target is not None:
                alike.append((step.name, self._key(step.adds)))
        before = None
        while before != self.signals:  # what is added gets the sum's signal as it is
            before = dict(self.signals)
            for a, b in alike:
                for one, other in ((a, b), (b, a)):
                    f = self.signals[other]
                    self.signals[one] = self.signals[one].around((f.top, f.left, f.bottom, f.right))

    def _tiles(self, step: Step, piece: Piece) -> tuple[int | None, int | None]:
        """Return the m of Winograd's tiles, forward and back."""
        O, C = piece.conv.weight.shape[:2]
        slides = piece.window.stride == piece.window.dilation == (1, 1) and max(piece.window.padding) <= 2
        if piece.window.kernel != (3, 3) or piece.conv.groups > 1 or not slides or min(C, O) < LANES:
            return (None, None)
        x, y = self.shapes[piece.reads], self.shapes[step.name]
        return (winograd_passes.best_tile((C, O), y[2:], y[0]), winograd_passes.best_tile((O, C), x[2:], x[0]))  # type: ignore[arg-type]

    def place(self, key: str) -> Place:
        """Return where a value and its signal lie."""
        return Place(self.values[key], self.signals[key])

    def nodes(self) -> list[Node]:
        """Return the nodes of the graph, each after its inputs."""
        made: list[Node] = []
        there = set[str]()
        left = {node.name for node in self.opaque}

        def packed(name: str) -> str:
            source = self.source(name)
            if source not in there:
                there.add(source)
                made.append(Node(source, Packed(self.place(self._key(name))), (name,)))
            return source

        for node in self.network.nodes:
            if node.name in left:
                made.append(node)
            step = self.steps.get(node.name)
            if step is None:
                continue
            sources = tuple(map(packed, step.inputs))
            name = step.name if step.kind == "mean" else step.name + IN_BLOCKS
            there.add(name)
            made.append(Node(name, self._layer(step), sources))
            if step.name in self.unpacked:
                made.append(Node(step.name, Unpacked(self.place(step.name)), (name,)))
        return made

    def _layer(self, step: Step) -> Layer:
        places = tuple(self.place(self._key(name)) for name in step.inputs)
        if step.kind == "mean":
            return BlockedMean(places[0])
        target = self.place(step.name)
        if step.kind == "pool":
            return BlockedMaxPool(step.window, places[0], target)
        made = self.steps.get(step.inputs[0])
        reads = made.gate if made is not None and self._gates(made, step) else None
        read = any(step.name in other.inputs and self._gates(step, other) for other in self.steps.values())
        parts = tuple(
            Part(piece.conv, piece.window, step.inputs.index(piece.reads), self._tiles(step, piece), piece.first)
            for piece in step.pieces
        )
        return BlockedConv(parts, step.gate, places, target, step.adds is not None, reads, read)

    def _gates(self, made: Step, reader: Step) -> bool:
        """Whether the rule at the rectifier of `made` can be left to its reader: nobody else reads or looks at it."""
        alone = self.readers[made.name] == 1 and made.name not in self.unpacked
        first = reader.kind == "conv" and len(reader.pieces) == 1 and reader.pieces[0].reads == made.name
        return alone and first and made.kind == "conv" and made.gate is not None


def _zeros(window: Window, m: int | None, source: Frame, target: Frame, *, back: bool) -> Quad:
    """Return how many zeros around `source` a pass reads that makes `target` from it, forward or back."""
    sizes, (p, q) = (target.height, target.width), window.padding
    if m is not None:
        return winograd_passes.halo(m, (2 - p, 2 - q) if back else (p, q), source, sizes)
    return passes.halo((passes.adjoint_taps if back else passes.forward_taps)(window, sizes), source)
