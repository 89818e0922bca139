"""What blocked layers will do: each node that has a blocked form becomes a step, and steps are joined.

Everything between two convolutions is a convolution itself: a norm, an addition, a rectifier alone or a concatenation
multiplies every channel by a number of its own. Joined to the convolution before it, it costs no pass of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from npgradcam.kernels.frames import LANES
from npgradcam.kernels.taps import Window
from npgradcam.layers import (
    Add,
    AvgPool2d,
    BatchNorm,
    Clip,
    Concat,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Identity,
    MaxPool2d,
    Rectifier,
    ReLU,
)
from npgradcam.topology import Node, Topology
from npgradcam.typing import Array, Shape

from .blocked import ends
from .fuse import ConvRectifier

POINT = Window((1, 1))  # a cell of y looks at its cell of x alone


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
    window: Window = POINT

    @property
    def inputs(self) -> tuple[str, ...]:
        """The values that it reads, each once, what is added last."""
        read = dict.fromkeys((*(piece.reads for piece in self.pieces), *self.reads))
        return (*read, *((self.adds,) if self.adds is not None else ()))


def steps_of(network: Topology, shapes: Mapping[str, Shape], keep: Set[str]) -> dict[str, Step]:
    """Return the step of every node that has one."""
    steps: dict[str, Step] = {}
    blocked = set[str]()
    for node in network.nodes:
        step = _step(node, [shapes.get(name, ()) for name in node.inputs], blocked)
        if step is not None:
            steps[node.name] = step
            blocked |= {node.name} - keep
    return steps


def _step(node: Node, inputs: list[Shape], blocked: set[str]) -> Step | None:
    """Return the step of a node; all but convolutions need inputs that are in blocks, and stay there."""
    layer, names = node.layer, node.inputs
    if not inputs or any(len(shape) != 4 or 0 in shape for shape in inputs):
        return None

    def conv(found: Conv2d, window: Window = POINT, gate: Rectifier | None = None) -> Step:
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
            Piece(_each(np.ones(shape[1], np.float32)), POINT, name, first)
            for shape, name, first in zip(inputs, names, firsts, strict=False)
        ))
    return None


def _window(conv: Conv2d, x: Shape) -> Window | None:
    """Return how a convolution slides over a picture; None where it has no blocked form."""
    O, C, U, V = conv.weight.shape
    top, left, bottom, right = conv._padding(x)
    if conv.weight.dtype != np.float32 or min(top, left, bottom, right) < 0:
        return None
    if conv.groups > 1 and not (C == 1 and conv.groups == O):
        return None
    return Window((U, V), conv.stride, (top, left), conv.dilation)


def _each(scale: Array, shift: Array | None = None) -> Conv2d:
    """Return y = scale x + shift, channel by channel, as a convolution."""
    scale = np.asarray(scale, np.float32)
    bias = None if shift is None else np.asarray(shift, np.float32)
    return Conv2d(scale.reshape(-1, 1, 1, 1), bias, groups=len(scale))


def _average(layer: AvgPool2d, x: Shape) -> tuple[Conv2d, Window] | None:
    """Return an average pool as a convolution, where all windows hold as many cells."""
    ones, padding, count = layer._mean(x, np.float32)
    if count.min() != count.max() or min(padding[:2]) < 0:
        return None
    conv = Conv2d(ones / count.flat[0], groups=len(ones))  # how it slides is said by the window
    return conv, Window(layer.kernel, layer.stride, padding[:2], layer.dilation)


def joined(network: Topology, steps: dict[str, Step], keep: Set[str]) -> dict[str, Step]:
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
                first = before(one) if one != other else None
                if first is not None and first.gate is None and first.adds is None and len(first.pieces) == 1:
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
    return piece.window == POINT and piece.conv.groups == O and C == 1


def _is_ones(conv: Conv2d) -> bool:
    """Whether a convolution that treats every channel alone passes them on as they are."""
    return conv.bias is None and bool((conv.weight == 1).all())


def _is_identity(step: Step) -> bool:
    """Whether a step passes its only value on as it is."""
    return step.gate is None and len(step.pieces) == 1 and _is_ones(step.pieces[0].conv)
