"""Cases of layers that treat every number alone, or several operands place by place."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...layers import (
    Abs,
    Add,
    Celu,
    Div,
    Elu,
    Erf,
    Exp,
    Gelu,
    HardSigmoid,
    HardSwish,
    Layer,
    LeakyReLU,
    Log,
    LogSoftmax,
    Maximum,
    Minimum,
    Mish,
    Mul,
    Neg,
    Pow,
    PReLU,
    Reciprocal,
    Selu,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Sqrt,
    Sub,
    Tanh,
    ThresholdedReLU,
    Where,
)
from ...typing import Array, Shape
from .cases import Case, Kind, shapes, sizes, values

EXACT = {"Abs", "Add", "HardSigmoid", "LeakyReLU", "Maximum", "Minimum", "Mul", "Neg", "PReLU", "Sub",
         "ThresholdedReLU", "Where"}  # whole numbers in, numbers out that float32 holds


@st.composite
def alone(draw: st.DrawFn, numbers: Kind, kind: type[Layer], *settings: Any) -> Case:
    """A function of every number alone, with one of the `settings` where there are any, on any picture."""
    x = draw(values(draw(shapes(largest=5)), numbers))
    if kind is HardSwish:
        x = 4 * x  # its kinks lie at -3 and 3
    if kind in (Log, Sqrt):
        x = np.abs(x) + 0.25
    if kind is Reciprocal:
        x = away_from_0(x)
    return Case(kind(*draw(st.sampled_from(settings or ((),)))), (x,))


@st.composite
def prelu(draw: st.DrawFn, numbers: Kind) -> Case:
    """One slope for all, for each channel, for each cell; negative ones and such above 1 too."""
    x = draw(values(draw(shapes(largest=5)), numbers))
    alpha = draw(values(draw(stretched(x.shape[1:], 0)), "whole" if numbers == "whole" else "real"))
    return Case(PReLU(alpha), (x,))


def away_from_0(x: Array) -> Array:
    """The same numbers, moved from 0 by 1/2."""
    return np.asarray(x + np.where(x < 0, -0.5, 0.5))


@st.composite
def stretched(draw: st.DrawFn, shape: Shape, least: int = 1) -> Shape:
    """Draw a shape that stretches to `shape`: some axes of length 1, first axes left out, `least` axes at least."""
    lengths = tuple(draw(st.sampled_from((length, length, 1))) for length in shape)
    return lengths[draw(st.sampled_from((0, 0, *range(len(shape) - least + 1)))) :]


@st.composite
def several(draw: st.DrawFn, numbers: Kind, kind: type[Layer]) -> Case:
    """One to three operands that arrive, and perhaps a constant; ties only where `numbers` are whole."""
    shape = draw(shapes(largest=4))
    count, holds = draw(sizes()), draw(st.booleans())
    each = [draw(values(draw(stretched(shape, 1)), numbers)) for _ in range(count)]
    xs = tuple(x + (0.002 * k if numbers == "apart" else 0) for k, x in enumerate(each))
    if not holds:
        return Case(kind(), xs)
    constant = draw(values(draw(stretched(shape, 0)), numbers)) + (0.006 if numbers == "apart" else 0)
    return Case(kind(np.asarray(constant)), xs)  # type: ignore[call-arg]


@st.composite
def two(draw: st.DrawFn, numbers: Kind, kind: type[Layer]) -> Case:
    """Two operands of which one may be held; a divisor is not 0, and a base with any exponent is positive."""
    shape = draw(shapes(largest=4))
    a, b = (draw(values(draw(stretched(shape)), numbers)) for _ in range(2))
    if kind is Div:
        b = away_from_0(b)
    if kind is Pow and draw(st.booleans()):
        return Case(Pow(None, np.asarray(draw(st.sampled_from((-1.0, 0.0, 0.5, 1.0, 2.0, 3.0))))), (np.abs(a) + 0.25,))
    if kind is Pow and draw(st.booleans()):
        return Case(Pow(None, np.asarray(draw(st.sampled_from((-1.0, 0.0, 1.0, 2.0, 3.0))))), (away_from_0(a),))
    if kind is Pow:
        a = np.abs(a) + 0.25
    held = draw(st.sampled_from(("first", "second", None)))
    operands = {"first": a, "second": b}
    return Case(kind(**({held: operands.pop(held)} if held else {})), tuple(operands.values()))


@st.composite
def where(draw: st.DrawFn, numbers: Kind) -> Case:
    """A condition that is held (one that arrives is no number), and either operand held or none."""
    shape = draw(shapes(largest=4))
    condition = draw(values(draw(stretched(shape, 0)), "whole")) > 0
    operands = {name: draw(values(draw(stretched(shape)), numbers)) for name in ("first", "second")}
    held = draw(st.sampled_from(("first", "second", None)))
    layer = Where(np.asarray(condition), **({held: operands.pop(held)} if held else {}))
    return Case(layer, tuple(operands.values()))


@st.composite
def softmax(draw: st.DrawFn, numbers: Kind, kind: type[Layer]) -> Case:
    """Scores (N, C) or maps of scores, along any axis, or along it and all axes after it."""
    shape = draw(shapes(largest=4))[: draw(sizes(2, 4))]
    axis = draw(st.sampled_from((1, 1, -1, *range(-len(shape), len(shape)))))
    layer = kind(axis, draw(st.booleans()))  # type: ignore[call-arg]
    return Case(layer, (draw(values(shape, numbers)),))


def layers(numbers: Kind) -> dict[str, st.SearchStrategy[Case]]:
    """Return a strategy for each of these layers, by its name; "whole" has those that are exact then."""
    found: dict[type[Layer], st.SearchStrategy[Case]] = {
        kind: alone(numbers, kind)
        for kind in (Sigmoid, SiLU, HardSwish, Mish, Tanh, Softplus, Softsign, Selu, Erf, Exp, Log, Sqrt, Reciprocal,
                     Abs, Neg)
    }
    found |= {
        HardSigmoid: alone(numbers, HardSigmoid, (0.25, 0.5), (2.0, 0.5)),
        Gelu: alone(numbers, Gelu, ("none",), ("tanh",)),
        Elu: alone(numbers, Elu, (1.0,), (0.3,), (-2.0,)),
        Celu: alone(numbers, Celu, (1.0,), (0.3,), (2.0,)),
        LeakyReLU: alone(numbers, LeakyReLU, (0.25,), (0.0,), (-0.5,), (2.0,)),
        ThresholdedReLU: alone(numbers, ThresholdedReLU, (1.0,), (0.5,), (0.0,), (-0.25,)),
        PReLU: prelu(numbers), Where: where(numbers),
    }
    found |= {kind: several(numbers, kind) for kind in (Add, Mul, Minimum, Maximum)}
    found |= {kind: two(numbers, kind) for kind in (Sub, Div, Pow)}
    found |= {kind: softmax(numbers, kind) for kind in (Softmax, LogSoftmax)}
    return {kind.__name__: s for kind, s in found.items() if numbers != "whole" or kind.__name__ in EXACT}
