"""A strategy for every kind of layer: settings at random, and inputs that fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from hypothesis import strategies as st

from ...layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Pad,
    ReLU,
    ReLU6,
)
from ...typing import Array, Pair, Quad, Shape

Kind: TypeAlias = Literal["real", "apart", "whole"]


@dataclass(frozen=True, eq=False)
class Case:
    """A layer, and inputs that fit it, all in float64."""

    layer: Layer
    xs: tuple[Array, ...]

    def astype(self, dtype: str) -> Case:
        """Return the same case in another precision."""
        return Case(self.layer.astype(dtype), tuple(x.astype(dtype) for x in self.xs))

    def __repr__(self) -> str:
        """Show what matters when a test fails: the layer's settings, and shapes."""
        arrays = {name: value.shape for name, value in self.layer.arrays.items()}
        settings = {name: value for name, value in vars(self.layer).items() if name not in arrays}
        return f"{type(self.layer).__name__}({arrays}, {settings}) at {[x.shape for x in self.xs]}"


def sizes(smallest: int = 1, largest: int = 3) -> st.SearchStrategy[int]:
    """Small whole numbers."""
    return st.integers(smallest, largest)


def pairs(smallest: int = 1, largest: int = 3) -> st.SearchStrategy[Pair]:
    """Two small numbers, for rows and for columns."""
    return st.tuples(sizes(smallest, largest), sizes(smallest, largest))


@st.composite
def values(draw: st.DrawFn, shape: Shape, numbers: Kind = "real") -> Array:
    """Draw an array of that shape; Hypothesis shrinks shapes, not numbers."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if numbers == "whole":
        return random.integers(-8, 9, shape).astype(np.float64)
    if numbers == "apart":
        count = int(np.prod(shape))
        return ((random.permutation(count) - count // 2 + 0.5) * 0.01).reshape(shape)
    return random.standard_normal(shape)


@st.composite
def shapes(draw: st.DrawFn, channels: int | None = None, smallest: Pair = (1, 1), largest: int = 7) -> Shape:
    """Draw (N, C, H, W); H and W are drawn apart."""
    height, width = (draw(st.integers(low, max(low, largest))) for low in smallest)
    return draw(sizes(1, 2)), channels or draw(sizes()), height, width


def _room(kernel: Pair, dilation: Pair, padding: Quad) -> Pair:
    """The smallest picture into which a window fits."""
    return tuple(  # type: ignore[return-value]
        max(1, d * (u - 1) + 1 - before - after)
        for u, d, before, after in zip(kernel, dilation, padding[:2], padding[2:], strict=True)
    )


@st.composite
def conv2d(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Strides, dilations, paddings unlike on the four sides or by name, groups down to depthwise."""
    groups, ins, outs = draw(sizes()), draw(sizes(1, 2)), draw(sizes(1, 2))
    kernel, stride, dilation = draw(pairs()), draw(pairs()), draw(pairs(1, 2))
    sides: Quad = draw(st.tuples(*(sizes(0, 3),) * 4))
    padding: Any = draw(st.sampled_from((sides, sides, "same", "same_lower")))
    smallest = (1, 1) if isinstance(padding, str) else _room(kernel, dilation, sides)
    parameters: Kind = "whole" if numbers == "whole" else "real"
    weight, bias = draw(values((groups * outs, ins, *kernel), parameters)), draw(values((groups * outs,), parameters))
    x = draw(values(draw(shapes(groups * ins, smallest)), numbers))
    return Case(Conv2d(weight, bias, stride, padding, dilation, groups), (x,))


@st.composite
def _windows(draw: st.DrawFn) -> tuple[Pair, Pair, Any, Pair, Pair]:
    """Draw kernel, stride, padding, dilation, and the smallest picture that every window sees a cell of."""
    kernel, stride, dilation = draw(pairs()), draw(pairs()), draw(pairs(1, 2))
    # less than the first and last cell of the kernel lie apart from the next, so that each window sees the picture
    sides: Quad = draw(st.tuples(*(sizes(0, u - 1) for u in (*kernel, *kernel))))
    padding: Any = draw(st.sampled_from((sides, sides, "same", "same_lower")))
    least = (1, 1) if isinstance(padding, str) else _room(kernel, dilation, sides)
    return kernel, stride, padding, dilation, (max(least[0], dilation[0]), max(least[1], dilation[1]))


@st.composite
def max_pool2d(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Paddings, dilations and `ceil`; no window that sees padding only."""
    kernel, stride, padding, dilation, smallest = draw(_windows())
    x = draw(values(draw(shapes(smallest=smallest)), numbers))
    return Case(MaxPool2d(kernel, stride, padding, draw(st.booleans()), dilation), (x,))


@st.composite
def avg_pool2d(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Paddings, dilations, `ceil`, and padding counted or not."""
    kernel, stride, padding, dilation, smallest = draw(_windows())
    x = draw(values(draw(shapes(smallest=smallest)), numbers))
    return Case(AvgPool2d(kernel, stride, padding, draw(st.booleans()), draw(st.booleans()), dilation), (x,))


@st.composite
def adaptive_avg_pool2d(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Outputs smaller and larger than the picture; for "whole", windows of 1, 2 or 4 cells a side that tile it."""
    size = draw(pairs(1, 5))
    shape = draw(shapes())
    if numbers == "whole":
        tile = draw(st.tuples(*(st.sampled_from((1, 2, 4)),) * 2))
        shape = (*shape[:2], size[0] * tile[0], size[1] * tile[1])
    return Case(AdaptiveAvgPool2d(size), (draw(values(shape, numbers)),))


@st.composite
def batch_norm2d(draw: st.DrawFn, numbers: Kind = "real", channels: int | None = None) -> Case:
    """Any scale and shift; for "whole", scales that are powers of two times whole numbers."""
    x = draw(values(draw(shapes(channels)), numbers))
    whole = numbers == "whole"
    weight, bias, mean, spread = (draw(values((x.shape[1],), "whole" if whole else "real")) for _ in range(4))
    variance = 4.0 ** np.clip(spread, -2, 2) if whole else spread**2
    return Case(BatchNorm2d(weight, bias, mean, variance, 0.0 if whole else 1e-3), (x,))


@st.composite
def linear(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Rows of C numbers to rows of O."""
    rows, ins, outs = draw(sizes()), draw(sizes(1, 6)), draw(sizes(1, 5))
    kind: Kind = "whole" if numbers == "whole" else "real"
    weight, bias = draw(values((outs, ins), kind)), draw(values((outs,), kind))
    return Case(Linear(weight, bias), (draw(values((rows, ins), numbers)),))


@st.composite
def unary(draw: st.DrawFn, layer: Layer, numbers: Kind = "real") -> Case:
    """Draw an input for a layer that takes any picture."""
    return Case(layer, (draw(values(draw(shapes()), numbers)),))


@st.composite
def clip(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Clips that begin at 0 (rectifiers) and others; kinks at whole hundredths."""
    low = draw(st.sampled_from((0.0, 0.0, -1.0, -0.25)))
    return Case(Clip(low, draw(st.sampled_from((0.5, 2.0, 6.0)))), draw(unary(ReLU(), numbers)).xs)


@st.composite
def pad(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Four sides, any value."""
    sides: Quad = draw(st.tuples(*(sizes(0, 3),) * 4))
    return Case(Pad(sides, draw(st.sampled_from((0.0, -3.0, 7.0)))), draw(unary(ReLU(), numbers)).xs)


def layers(numbers: Kind = "real") -> dict[str, st.SearchStrategy[Case]]:
    """Return a strategy of cases for every kind of layer, by its name; "whole" has those that are exact then."""
    from . import axes, pointwise, spatial  # they build on this page

    plain = {type(layer).__name__: unary(layer, numbers)
             for layer in (ReLU(), ReLU6(), GlobalAvgPool2d(), Dropout())}
    drawn = {
        "Conv2d": conv2d, "Linear": linear, "BatchNorm2d": batch_norm2d, "Clip": clip, "MaxPool2d": max_pool2d,
        "AvgPool2d": avg_pool2d, "AdaptiveAvgPool2d": adaptive_avg_pool2d, "Pad": pad,
    }
    found = plain | {name: strategy(numbers) for name, strategy in drawn.items()} | axes.layers(numbers)
    found |= spatial.layers(numbers) | pointwise.layers(numbers)
    return {name: found[name] for name in sorted(found)}
