"""Let the layers between two convolutions keep their pictures in blocks of channels, for vector code.

Each node becomes a step that one blocked layer computes, where there is one; steps that follow one another are joined
(an addition and a rectifier into the convolution before them); then every value gets a frame with as many zeros around
as its readers look at. What somebody looks at, or a layer without a blocked form reads, is unpacked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from npgradcam.kernels import passes, winograd_passes
from npgradcam.kernels.frames import LANES, Frame
from npgradcam.kernels.passes import Window
from npgradcam.layers import (
    Add, AvgPool2d, BatchNorm, Clip, Concat, Conv2d, Dropout, GlobalAvgPool2d, Identity, Layer, MaxPool2d, Rectifier, ReLU,
)
from npgradcam.topology import Node, Topology
from npgradcam.typing import Array, Shape

from .blocked import BlockedConcat, BlockedConv, BlockedMaxPool, BlockedMean, Packed, Place, Unpacked
from .fold import replace_nodes
from .fuse import ConvRectifier

IN_BLOCKS = " in blocks"
FEW = 4  # channels of a picture that is stored without lanes of zeros


@dataclass(frozen=True)
class Step:
    """What one blocked layer will do: `conv` of the first input, plus the second if there is one, cut off by `gate`."""

    name: str
    kind: Literal["conv", "pool", "mean", "concat"]
    inputs: tuple[str, ...]
    layer: Any = None  # Conv2d or MaxPool2d
    window: Window = Window((1, 1))
    gate: Rectifier | None = None


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
    steps = _joined(network, _steps(network, shapes), shapes, keep)
    if not steps:
        return network
    plan = _Plan(network, steps, shapes, keep)
    return replace_nodes(network, tuple(plan.nodes()))


def _steps(network: Topology, shapes: Mapping[str, Shape]) -> dict[str, Step]:
    """Return the step of every node that has one."""
    steps: dict[str, Step] = {}
    for node in network.nodes:
        step = _step(node, [shapes.get(name, ()) for name in node.inputs], shapes.get(node.name, ()), set(steps))
        if step is not None:
            steps[node.name] = step
    return steps


def _step(node: Node, inputs: list[Shape], output: Shape, blocked: set[str]) -> Step | None:
    """Return the step of a node; all but convolutions need inputs that are blocked already."""
    layer, names = node.layer, node.inputs
    if not inputs or any(len(shape) != 4 or 0 in shape for shape in inputs):
        return None
    found = layer if type(layer) is Conv2d else getattr(layer, "conv", None)
    if type(found) is Conv2d and (type(layer) is Conv2d or isinstance(layer, ConvRectifier)):
        window = _window(found, inputs[0])
        gate = layer.gate if isinstance(layer, ConvRectifier) else None
        return None if window is None else Step(node.name, "conv", names, found, window, gate)
    if not blocked.issuperset(names):
        return None
    C = inputs[0][1]
    if isinstance(layer, BatchNorm):
        scale = layer.scale
        return Step(node.name, "conv", names, _each(scale, layer.bias - scale * layer.mean))
    if isinstance(layer, (Identity, Dropout)):
        return Step(node.name, "conv", names, _each(np.ones(C, np.float32)))
    if isinstance(layer, (ReLU, Clip)):
        return Step(node.name, "conv", names, _each(np.ones(C, np.float32)), gate=layer)
    if isinstance(layer, Add) and len(names) == 2 and layer.constant is None and inputs[0] == inputs[1]:
        return Step(node.name, "conv", names, _each(np.ones(C, np.float32)))
    if isinstance(layer, MaxPool2d):
        pad = layer._padding(inputs[0])
        return Step(node.name, "pool", names, layer, Window(layer.kernel, layer.stride, pad[:2], layer.dilation))
    if isinstance(layer, AvgPool2d):
        return _average(node, layer, inputs[0])
    if isinstance(layer, GlobalAvgPool2d):
        return Step(node.name, "mean", names)
    if isinstance(layer, Concat) and layer.axis in (1, -3) and all(shape[1] % LANES == 0 for shape in inputs[:-1]):
        return Step(node.name, "concat", names)
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


def _average(node: Node, layer: AvgPool2d, x: Shape) -> Step | None:
    """Return an average pool as a convolution, where all windows hold as many cells."""
    ones, padding, count = layer._mean(x, np.float32)
    if count.min() != count.max() or min(padding[:2]) < 0:
        return None
    conv = Conv2d(ones / count.flat[0], None, layer.stride, padding, layer.dilation, len(ones))
    return Step(node.name, "conv", node.inputs, conv, Window(layer.kernel, layer.stride, padding[:2], layer.dilation))


def _joined(network: Topology, steps: dict[str, Step], shapes: Mapping[str, Shape], keep: Set[str]) -> dict[str, Step]:
    """Return the steps with additions and rectifiers joined to the convolution before them."""
    readers = Counter(name for node in network.nodes for name in node.inputs)

    def before(name: str) -> Step | None:
        """The convolution that made a value which nobody else reads or looks at."""
        step = steps.get(name)
        free = step is not None and step.kind == "conv" and name not in keep and readers[name] == 1
        return step if free else None

    for name in list(steps):
        step = steps[name]
        if step.kind != "conv" or step.window != Window((1, 1)) or not _is_ones(step.layer):
            continue
        if len(step.inputs) == 2:  # an addition
            for one, other in (step.inputs, step.inputs[::-1]):
                first = before(one)
                if first is not None and first.gate is None and len(first.inputs) == 1 and one != other:
                    del steps[one]
                    steps[name] = replace(first, name=name, inputs=(first.inputs[0], other), gate=step.gate)
                    break
        else:
            first = before(step.inputs[0])
            if first is not None and (first.gate is None or step.gate is None):
                del steps[first.name]
                steps[name] = replace(first, name=name, gate=first.gate or step.gate)
    return steps


def _is_ones(conv: Conv2d) -> bool:
    """Whether a convolution passes every channel on as it is."""
    return conv.groups == len(conv.weight) > 0 and conv.weight.shape[1:] == (1, 1, 1) and conv.bias is None and bool(
        (conv.weight == 1).all()
    )


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
        return all(step.kind == "conv" and step.layer.groups == 1 and step.inputs == (name,) for step in reading)

    def _add_halos(self) -> None:
        """Give every value as many zeros around as its readers, and its maker on the way back, look at."""
        alike: list[tuple[str, str]] = []
        for step in self.steps.values():
            if step.kind != "conv":
                continue
            read = self._key(step.inputs[0])
            target, source = self.values[step.name], self.values[read]
            sizes, (p, q) = (target.height, target.width), step.window.padding
            forward, back = self._tiles(step)
            if forward is None:
                zeros = passes.halo(passes.forward_taps(step.window, sizes), source)
            else:
                zeros = winograd_passes.halo(forward, (p, q), source, sizes)
            self.values[read] = source.around(zeros)
            sizes = (source.height, source.width)
            if back is None:
                zeros = passes.halo(passes.adjoint_taps(step.window, sizes), target)
            else:
                zeros = winograd_passes.halo(back, (2 - p, 2 - q), target, sizes)
            self.signals[step.name] = self.signals[step.name].around(zeros)
            alike += [(step.name, self._key(name)) for name in step.inputs[1:]]
        before = None
        while before != self.signals:  # what is added gets the sum's signal as it is
            before = dict(self.signals)
            for a, b in alike:
                for one, other in ((a, b), (b, a)):
                    f = self.signals[other]
                    self.signals[one] = self.signals[one].around((f.top, f.left, f.bottom, f.right))

    def _tiles(self, step: Step) -> tuple[int | None, int | None]:
        """Return the m of Winograd's tiles, forward and back."""
        O, C = step.layer.weight.shape[:2]
        slides = step.window.stride == step.window.dilation == (1, 1) and max(step.window.padding) <= 2
        if step.window.kernel != (3, 3) or step.layer.groups > 1 or not slides or min(C, O) < LANES:
            return (None, None)
        x, y = self.shapes[step.inputs[0]], self.shapes[step.name]
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
        places = [self.place(self._key(name)) for name in step.inputs]
        if step.kind == "mean":
            return BlockedMean(places[0])
        target = self.place(step.name)
        if step.kind == "pool":
            return BlockedMaxPool(step.window, places[0], target)
        if step.kind == "concat":
            return BlockedConcat(tuple(places), target)
        made = self.steps.get(step.inputs[0])
        reads = made.gate if made is not None and self._gates(made, step) else None
        read = step.gate is not None and any(
            other.kind == "conv" and other.inputs[:1] == (step.name,) and self._gates(step, other)
            for other in self.steps.values()
        )
        return BlockedConv(step.layer, step.window, step.gate, places[0], target, *places[1:], reads=reads, read=read,
                           tiles=self._tiles(step))

    def _gates(self, made: Step, reader: Step) -> bool:
        """Whether the rule at the rectifier of `made` can be left to its reader: nobody else reads or looks at it."""
        alone = self.readers[made.name] == 1 and made.name not in self.unpacked
        return made.kind == reader.kind == "conv" and made.gate is not None and alone
