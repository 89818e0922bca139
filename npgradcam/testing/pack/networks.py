"""The pack's networks. Every number in them is a small whole number over a power of two.

A sum of such numbers is exact in whatever order it is added, in float64 and in float32, as long as 24 bits hold it. So
is every mean here, over 2, 4, 8, ... cells. Rectifiers and max poolings meet their kinks and ties again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Pad,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
)
from ...network import Network, Node
from ...typing import Array, Quad

ALL: Quad = (1, 1, 1, 1)


@dataclass(frozen=True, eq=False)
class Case:
    """One network with images and classes.

    Attributes
    ----------
    name, about : str
    network : Network
        In float64.
    images : ndarray of shape (N, 3, H, W)
    targets : list of N lists of int
        The classes of each image: in all R rows.
    layers : tuple of str
        Whose maps are explained.
    """

    name: str
    about: str
    network: Network
    images: Array
    targets: list[list[int]]
    layers: tuple[str, ...]


class Draw:
    """Whole numbers over powers of two, from bits alone, so that any NumPy draws the same."""

    def __init__(self, seed: int) -> None:
        self.bits = np.random.RandomState(seed)  # a frozen stream; a Generator's may change

    def __call__(self, shape: tuple[int, ...], most: int = 2, over: int = 2) -> Array:
        """Return numbers from -most / over to most / over."""
        return self.bits.randint(-most, most + 1, shape).astype(np.float64) / over

    def images(self, count: int = 1, height: int = 8, width: int = 16) -> Array:
        """Return pictures of -4 to 4, in halves."""
        return self((count, 3, height, width), 8)

    def conv(self, outputs: int, inputs: int, side: int | tuple[int, int] = 3, **settings: Any) -> Conv2d:
        """Return a convolution of `side` x `side` cells, or of (U, V)."""
        kernel = (side, side) if isinstance(side, int) else side
        weight = self((outputs, inputs // settings.get("groups", 1), *kernel))
        return Conv2d(weight, self((outputs,)), **settings)

    def linear(self, outputs: int, inputs: int) -> Linear:
        """Return a linear layer."""
        return Linear(self((outputs, inputs)), self((outputs,)))

    def norm(self, channels: int) -> BatchNorm2d:
        """Return a norm with variance + epsilon 1/4, 1 or 4, so that the root is exact."""
        epsilon = 2.0**-10
        variance = 4.0 ** self.bits.randint(-1, 2, channels) - epsilon
        return BatchNorm2d(self((channels,), 4), self((channels,)), self((channels,), 4), variance, epsilon)

    def head(self, channels: int, classes: int = 5) -> list[tuple[str, Layer]]:
        """Return the head that CAM needs."""
        return [("pool", GlobalAvgPool2d()), ("flatten", Flatten()), ("fc", self.linear(classes, channels))]


def _line(*layers: tuple[str, Layer]) -> Network:
    return Network.sequential(layers, dtype="float64", backend="numpy")


def _graph(*nodes: tuple[str, Layer, str], head: list[tuple[str, Layer]]) -> Network:
    """Nodes with their inputs in words; the head follows the last of them."""
    made = [Node(name, layer, tuple(inputs.split())) for name, layer, inputs in nodes]
    for name, layer in head:
        made.append(Node(name, layer, (made[-1].name,)))
    return Network(tuple(made), dtype="float64", backend="numpy")


def _plain(d: Draw, *end: tuple[str, Layer]) -> Network:
    return _line(("conv1", d.conv(4, 3, padding=ALL)), ("relu1", ReLU()), ("conv2", d.conv(6, 4, padding=ALL)),
                 ("relu2", ReLU()), *d.head(6), *end)


def _vgg(d: Draw) -> Network:
    return _line(("conv1", d.conv(4, 3, padding=ALL)), ("relu1", ReLU()), ("max1", MaxPool2d((2, 2), (2, 2))),
                 ("conv2", d.conv(6, 4, padding=ALL)), ("relu2", ReLU()), ("max2", MaxPool2d((2, 2), (2, 2))),
                 ("flatten", Flatten()), ("fc1", d.linear(8, 48)), ("relu3", ReLU()), ("fc2", d.linear(5, 8)))


def _residual(d: Draw) -> Network:
    return _graph(("conv1", d.conv(4, 3, padding=ALL), "input"), ("norm1", d.norm(4), "conv1"),
                  ("relu1", ReLU(), "norm1"), ("conv2", d.conv(4, 4, padding=ALL), "relu1"),
                  ("norm2", d.norm(4), "conv2"), ("add", Add(), "norm2 relu1"), ("relu2", ReLU(), "add"),
                  head=d.head(4))


def _depthwise(d: Draw) -> Network:
    return _line(("conv1", d.conv(4, 3, stride=(2, 2), padding=(0, 0, 1, 1))), ("relu1", ReLU6()),
                 ("depthwise", d.conv(4, 4, padding=ALL, groups=4)), ("relu2", ReLU6()),
                 ("pointwise", d.conv(6, 4, 1)), ("relu3", ReLU6()), *d.head(6))


def _concat(d: Draw) -> Network:
    return _graph(("conv1", d.conv(4, 3, padding=ALL), "input"), ("relu1", ReLU(), "conv1"),
                  ("conv2", d.conv(3, 4, 1), "relu1"), ("relu2", ReLU(), "conv2"),
                  ("conv3", d.conv(3, 4, padding=ALL), "relu1"), ("relu3", ReLU(), "conv3"),
                  ("concat", Concat(), "relu2 relu3"), head=d.head(6))


def _class_maps(d: Draw) -> Network:
    return _line(("conv1", d.conv(4, 3, padding=ALL)), ("relu1", ReLU()), ("conv2", d.conv(6, 4, padding=ALL)),
                 ("relu2", ReLU()), ("classes", d.conv(4, 6, 1)), ("relu3", ReLU()), ("pool", GlobalAvgPool2d()),
                 ("flatten", Flatten()))


def _windows(d: Draw) -> Network:
    return _line(("conv1", d.conv(4, 3, (3, 2), stride=(2, 1), padding=(0, 1, 1, 0))), ("relu1", ReLU()),
                 ("conv2", d.conv(4, 4, padding=(2, 2, 2, 2), dilation=(2, 2), groups=2)), ("relu2", ReLU()),
                 ("max", MaxPool2d((3, 3), (1, 2), (1, 1, 1, 0))), *d.head(4))


def _leaky(d: Draw) -> Network:
    return _line(("conv1", d.conv(4, 3, padding=ALL)), ("leaky1", LeakyReLU(0.25)),
                 ("conv2", d.conv(6, 4, padding=ALL)), ("leaky2", LeakyReLU(0.125)), *d.head(6))


def _average(d: Draw) -> Network:
    return _line(("pad", Pad((1, 0, 1, 2), 0.5)), ("conv1", d.conv(4, 3, padding=(0, 0, 0, 0))), ("relu1", ReLU()),
                 ("average1", AvgPool2d((2, 2), (2, 2))), ("conv2", d.conv(6, 4, padding=ALL)), ("relu2", ReLU()),
                 ("average2", AvgPool2d((2, 4), (1, 2), (1, 1, 0, 1), count_include_pad=True)), *d.head(6))


def _one_cell(d: Draw) -> Network:
    return _line(("conv1", d.conv(1, 3, padding=ALL)), ("relu1", ReLU()), ("conv2", d.conv(6, 1, (8, 16))),
                 ("relu2", ReLU()), ("flatten", Flatten()), ("fc", d.linear(5, 6)))


def _negative(d: Draw) -> Network:
    """Nothing speaks for class 0: its weights are negative, so no cell of its map is positive."""
    conv1, conv2, fc = d.conv(4, 3, padding=ALL), d.conv(6, 4, padding=ALL), d.linear(5, 6)
    fc.weight[0] = -np.abs(fc.weight[0]) - 0.5
    return _line(("conv1", conv1), ("relu1", ReLU()), ("conv2", conv2), ("relu2", ReLU()),
                 ("pool", GlobalAvgPool2d()), ("flatten", Flatten()), ("fc", fc))


def _cases() -> tuple[Case, ...]:
    def case(name: str, about: str, make: Any, layers: str, targets: list[list[int]], height: int = 8,
             width: int = 16) -> Case:
        d = Draw(len(name) + 1000 * sum(map(ord, name)))
        images = d.images(len(targets), height, width)
        if name == "batch":
            images[1] = 0
        return Case(name, about, make(d), images, targets, tuple(layers.split()))

    return (
        case("plain", "two convolutions, global average, one linear layer: CAM is Z Grad-CAM", _plain, "relu1 relu2",
             [[0, 3]]),
        case("vgg", "max poolings with ties, three linear layers, no global average", _vgg, "relu2 max2", [[1, 4]]),
        case("residual", "batch normalisation, and an addition that two paths reach", _residual, "norm2 relu2",
             [[0, 2]]),
        case("depthwise", "strided, depthwise and 1 x 1 convolutions with ReLU6, which saturates", _depthwise,
             "relu2 relu3", [[0, 4]]),
        case("concat", "two branches side by side", _concat, "relu1 concat", [[1, 3]]),
        case("class_maps", "a map for each class, rectified and averaged, no linear layer", _class_maps,
             "relu2 classes", [[0, 2]]),
        case("windows", "strides, paddings, kernels that differ by axis; dilated, grouped; overlapping max pooling",
             _windows, "relu2 max", [[2, 3]]),
        case("leaky", "rectifiers that leak a quarter and an eighth", _leaky, "leaky1 leaky2", [[0, 1]]),
        case("average", "padding by a number, average poolings that overlap and count the padding", _average,
             "relu2 average2", [[1, 2]]),
        case("softmax", "ends with a softmax; explained is the logit before it",
             lambda d: _plain(d, ("softmax", Softmax())), "relu2", [[0, 3]]),
        case("sigmoid", "ends with a sigmoid for each label; explained is the logit before it",
             lambda d: _plain(d, ("sigmoid", Sigmoid())), "relu2", [[1, 4]]),
        case("wide", "pictures of 4 x 32", _plain, "relu2", [[0, 2]], 4, 32),
        case("tall", "pictures of 32 x 4", _plain, "relu2", [[1, 3]], 32, 4),
        case("one_cell", "a layer of one channel, and one of one cell", _one_cell, "relu1 relu2", [[0, 3]]),
        case("batch", "three images, the second of nothing but zeros, with 2, 1 and 1 classes", _plain, "relu2",
             [[0, 3], [2], [4]]),
        case("negative", "no cell of class 0's map is positive: the map is zero, the signed map is not", _negative,
             "relu2", [[0, 1]]),
    )


CASES = {case.name: case for case in _cases()}
