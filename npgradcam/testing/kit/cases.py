"""The hand-chosen networks: each is about one thing that implementations get wrong."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from npgradcam.layers import (
    Add,
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Softmax,
)
from npgradcam.network import Network, Node
from npgradcam.typing import Array

from .case import Case, in_float32

CLASSES = 4
NEGATIVE = "negative evidence only"
Steps = list[tuple[str, Layer]]


class Draw:
    """Seeded parameters, all of them numbers that float32 holds."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        """Return normal numbers."""
        return (scale * self.random.standard_normal(shape)).astype(np.float32).astype(np.float64)

    def conv(self, outs: int, ins: int, side: int = 3, **settings: Any) -> Conv2d:
        """Return a convolution that keeps the picture's size, if nothing else is said."""
        settings = {"padding": (side // 2,) * 4, **settings}
        return Conv2d(self.normal(outs, ins, side, side, scale=1 / side), self.normal(outs, scale=0.2), **settings)

    def linear(self, outs: int, ins: int) -> Linear:
        """Return a linear layer."""
        return Linear(self.normal(outs, ins), self.normal(outs))

    def norm(self, channels: int) -> BatchNorm2d:
        """Return a batch norm with scales of either sign."""
        variance = self.random.uniform(0.5, 2, channels)
        return BatchNorm2d(self.normal(channels), self.normal(channels), self.normal(channels), variance, 2.0**-10)

    def images(self, count: int = 1, height: int = 12, width: int = 20, scale: float = 1.0) -> Array:
        """Return images (N, 3, H, W), float32."""
        return (scale * self.random.standard_normal((count, 3, height, width))).astype(np.float32)


def pooled_head(draw: Draw, channels: int, classes: int = CLASSES) -> Steps:
    """Global average pooling and one linear layer."""
    return [("pool", GlobalAvgPool2d()), ("flatten", Flatten()), ("fc", draw.linear(classes, channels))]


def dense_head(draw: Draw, numbers: int) -> Steps:
    """Two linear layers with a ReLU between: gradients differ from cell to cell."""
    return [("flatten", Flatten()), ("fc1", draw.linear(8, numbers)), ("fc1.relu", ReLU()),
            ("fc2", draw.linear(CLASSES, 8))]


def trunk(draw: Draw, rectifier: type[Layer] = ReLU, norm: bool = False) -> Steps:
    """Convolution (- norm) - rectifier - max pool - convolution (- norm) - rectifier, to 6 maps of half the size."""
    steps: Steps = [("conv1", draw.conv(5, 3)), ("norm1", draw.norm(5)), ("relu1", rectifier()),
                    ("pool1", MaxPool2d((2, 2), (2, 2))), ("conv2", draw.conv(6, 5)), ("norm2", draw.norm(6)),
                    ("relu2", rectifier())]
    return [step for step in steps if norm or "norm" not in step[0]]


def case(name: str, steps: Steps | tuple[Node, ...], images: Array, target: tuple[int, ...], layer: str = "relu2",
         **settings: Any) -> Case:
    """Return a case of a sequence of layers, or of a graph."""
    network = Network.sequential(steps) if isinstance(steps, list) else Network(steps)
    return Case(name, in_float32(network), images, target, layer, **settings)


@lru_cache(1)
def cases() -> tuple[Case, ...]:
    """Return the cases; the first is an ordinary one, on which a convention shows."""
    d = [Draw(seed) for seed in range(16)]
    return (
        case("an image that is not square", [*trunk(d[0]), *dense_head(d[0], 6 * 6 * 10)], d[0].images(), (1,)),
        case("ReLU, global pooling", [*trunk(d[1]), *pooled_head(d[1], 6)], d[1].images(), (2,), pooled=True),
        case("ReLU6", [*trunk(d[2], ReLU6), *pooled_head(d[2], 6)], d[2].images(scale=6), (0,), pooled=True),
        case("a rectifier after a rectifier", _twice(d[3]), d[3].images(), (1,), "relu3", pooled=True),
        case("batch norm", [*trunk(d[4], norm=True), *pooled_head(d[4], 6)], d[4].images(), (0,), pooled=True),
        case("residual addition", _residual(d[5]), d[5].images(), (0,), pooled=True),
        case("concatenation", _concatenated(d[6]), d[6].images(), (2,), "both", pooled=True),
        case("strides and uneven padding", _strided(d[7]), d[7].images(1, 13, 18), (1,), pooled=True),
        case("class maps pooled", _class_maps(d[8]), d[8].images(), (1,)),
        case("two images, two classes", [*trunk(d[9]), *dense_head(d[9], 360)], d[9].images(2), (3, 0)),
        case("an earlier layer", [*trunk(d[10]), *dense_head(d[10], 360)], d[10].images(), (2,), "relu1"),
        case("a softmax at the end", [*trunk(d[11]), *pooled_head(d[11], 6), ("softmax", Softmax())],
             d[11].images(), (1,), pooled=True),
        case(NEGATIVE, _negative(d[12]), d[12].images(), (3,), pooled=True),
        case("a tie in max pooling", *_tie(d[13]), (0,), "conv1"),
        case("weak evidence", _weak(d[14]), d[14].images(), (1,), exact=True),
    )


def _twice(d: Draw) -> Steps:
    return [*trunk(d), ("conv3", d.conv(5, 6)), ("relu3a", ReLU()), ("relu3", ReLU6()), *pooled_head(d, 5)]


def _residual(d: Draw) -> tuple[Node, ...]:
    steps = dict(pooled_head(d, 5))
    return (Node("conv1", d.conv(5, 3), ("input",)), Node("relu1", ReLU(), ("conv1",)),
            Node("conv2", d.conv(5, 5), ("relu1",)), Node("add", Add(), ("conv2", "relu1")),
            Node("relu2", ReLU(), ("add",)), Node("pool", steps["pool"], ("relu2",)),
            Node("flatten", steps["flatten"], ("pool",)), Node("fc", steps["fc"], ("flatten",)))


def _concatenated(d: Draw) -> tuple[Node, ...]:
    steps = dict(pooled_head(d, 7))
    return (Node("conv1", d.conv(4, 3), ("input",)), Node("relu1", ReLU(), ("conv1",)),
            Node("conv2", d.conv(3, 4), ("relu1",)), Node("relu2", ReLU(), ("conv2",)),
            Node("both", Concat(), ("relu1", "relu2")), Node("pool", steps["pool"], ("both",)),
            Node("flatten", steps["flatten"], ("pool",)), Node("fc", steps["fc"], ("flatten",)))


def _strided(d: Draw) -> Steps:
    return [("conv1", d.conv(4, 3, stride=(2, 1), padding=(0, 1, 2, 0))), ("relu1", ReLU()),
            ("conv2", d.conv(4, 2, groups=2)), ("relu2", ReLU()), *pooled_head(d, 4)]


def _class_maps(d: Draw) -> Steps:
    return [*trunk(d), ("classes", d.conv(CLASSES, 6, 1)), ("classes.relu", ReLU()), ("pool", GlobalAvgPool2d()),
            ("flatten", Flatten())]


def _negative(d: Draw) -> Steps:
    head = d.linear(CLASSES, 6)
    head.weight[3] = -np.abs(head.weight[3])
    return [*trunk(d), ("pool", GlobalAvgPool2d()), ("flatten", Flatten()), ("fc", head)]


def _tie(d: Draw) -> tuple[Steps, Array]:
    """Every pixel of a block of 2 x 2 is the same, so that every window of the pooling is tied, at any sign."""
    small = d.images(1, 6, 10)
    images = small.repeat(2, axis=2).repeat(2, axis=3)
    return [("conv1", d.conv(5, 3, 1)), ("pool1", MaxPool2d((2, 2), (2, 2))), ("conv2", d.conv(6, 5)),
            ("relu2", ReLU()), *dense_head(d, 360)], images


def _weak(d: Draw) -> Steps:
    """The last layer is a thousandth: gradients of 1e-4, squared 1e-8."""
    *steps, (name, last) = [*trunk(d), *dense_head(d, 360)]
    assert isinstance(last, Linear)  # noqa: S101
    return [*steps, (name, Linear(last.weight / 1024, last.bias / 1024))]
