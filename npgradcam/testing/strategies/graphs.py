"""Small random networks: sequences, residual additions and concatenations, ending in scores."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from ...layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Pad,
    ReLU,
    ReLU6,
    Softmax,
)
from ...network import Network, Node
from ...typing import Array
from .cases import Kind, values


@dataclass(frozen=True, eq=False)
class Drawn:
    """A float64 network with images, and names of places in it that are maps (N, K, I, J)."""

    network: Network
    images: Array
    maps: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the graph when a test fails."""
        nodes = "; ".join(f"{n.name}({', '.join(n.inputs)})" for n in self.network.nodes)
        return f"images {self.images.shape}: {nodes}"


class _Drawing:
    """The nodes so far, and how many channels each has."""

    def __init__(self, draw: st.DrawFn, channels: int, numbers: Kind) -> None:
        self.draw, self.numbers = draw, numbers
        self.nodes: list[Node] = []
        self.channels = {"input": channels}

    def append(self, layer: Layer, inputs: tuple[str, ...], channels: int) -> str:
        name = f"{type(layer).__name__.lower()}{len(self.nodes)}"
        self.nodes.append(Node(name, layer, inputs))
        self.channels[name] = channels
        return name

    def array(self, *shape: int) -> Array:
        kind: Kind = "whole" if self.numbers == "whole" else "real"
        return self.draw(values(shape, kind))

    def conv(self, below: str) -> str:
        """A convolution that keeps the picture's size, dense or depthwise, often with a batch norm."""
        ins = self.channels[below]
        depthwise, side = self.draw(st.booleans()), self.draw(st.sampled_from((1, 3)))
        outs = ins if depthwise else self.draw(st.integers(1, 4))
        weight = self.array(outs, 1 if depthwise else ins, side, side)
        layer = Conv2d(weight, self.array(outs), padding="same", groups=ins if depthwise else 1)
        name = self.append(layer, (below,), outs)
        if self.numbers != "whole" and self.draw(st.booleans()):
            weight, bias, mean, spread = (self.array(outs) for _ in range(4))
            name = self.append(BatchNorm2d(weight, bias, mean, spread**2, 1e-3), (name,), outs)
        return name

    def step(self, below: str) -> str:
        """One more layer, or a small block with branches."""
        kind = self.draw(st.sampled_from(("conv", "relu", "relu6", "max", "avg", "pad", "dropout", "residual", "fork")))
        channels = self.channels[below]
        simple = {"relu": ReLU(), "relu6": ReLU6(), "pad": Pad((1, 0, 0, 2), 0.5), "dropout": Dropout(),
                  "max": MaxPool2d((3, 2), (2, 1), (1, 0, 1, 1)), "avg": AvgPool2d((2, 2), (1, 2), (1, 1, 1, 1))}
        if kind in simple:
            return self.append(simple[kind], (below,), channels)
        first = self.append(ReLU(), (self.conv(below),), 0)
        self.channels[first] = self.channels[self.nodes[-1].inputs[0]]
        if kind == "conv":
            return first
        if kind == "residual" and self.channels[first] == channels:
            return self.append(Add(), (first, below), channels)
        second = self.conv(below)
        return self.append(Concat(), (first, second), self.channels[first] + self.channels[second])


@st.composite
def networks(draw: st.DrawFn, numbers: Kind = "real", softmax: bool = False) -> Drawn:
    """Draw a network whose layers are piecewise linear, from images (N, C, H, W) to scores (N, classes).

    Parameters
    ----------
    numbers : {"real", "apart", "whole"}
        What parameters and images hold.
    softmax : bool
        Whether a softmax ends it; then it is not piecewise linear.
    """
    channels = draw(st.integers(1, 3))
    drawing = _Drawing(draw, channels, numbers)
    shape = draw(st.tuples(st.integers(1, 3), st.just(channels), st.integers(2, 6), st.integers(5, 8)))
    images = draw(values(shape, numbers))
    name = drawing.conv("input")
    for _ in range(draw(st.integers(1, 4))):
        name = drawing.step(name)
    maps = tuple(["input", *(node.name for node in drawing.nodes)])
    outs, classes = drawing.channels[name], draw(st.integers(2, 4))
    name = drawing.append(Flatten(), (drawing.append(GlobalAvgPool2d(), (name,), outs),), outs)
    name = drawing.append(Linear(drawing.array(classes, outs), drawing.array(classes)), (name,), classes)
    if softmax:
        drawing.append(Softmax(), (name,), classes)
    return Drawn(Network(tuple(drawing.nodes), dtype="float64"), images, maps)
