"""The slow definitions of layers that treat every number alone, or several operands place by place."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from ..layers import (
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
from . import definitions as slow
from .definitions import activations as f
from .definitions import arithmetic
from .definitions.numbers import Numbers

Pair = tuple[Callable[..., Any], Callable[..., Any]]  # forward(layer, *xs), backward(layer, signal, *xs)


def _each(function: Callable[..., float], slope: Callable[..., float],
          settings: Callable[[Any], tuple[Any, ...]] = lambda layer: ()) -> Pair:
    return (
        lambda layer, x: slow.place_by_place(function, x, *settings(layer)),
        lambda layer, signal, x: f.each_signal(slope, signal, x, *settings(layer)),
    )


def _gelu(layer: Gelu, x: Numbers) -> Numbers:
    return slow.place_by_place(f.gelu if layer.approximate == "none" else f.gelu_tanh, x)


def _gelu_signal(layer: Gelu, signal: Numbers, x: Numbers) -> Numbers:
    return f.each_signal(f.gelu_slope if layer.approximate == "none" else f.gelu_tanh_slope, signal, x)


def _several(function: Callable[..., Any], slopes: Callable[..., Any], names: tuple[str, ...]) -> Pair:
    """The operands are those that arrive, in the order of `names` where a layer does not hold them itself."""

    def operands(layer: Layer, xs: tuple[Numbers, ...]) -> list[Numbers]:
        if names == ("constant",):  # held or not, it comes last
            return [*xs, *layer.arrays.values()]
        held, arriving = layer.arrays, list(xs)
        return [held[name] if name in held else arriving.pop(0) for name in names]

    def backward(layer: Layer, signal: Numbers, *xs: Numbers) -> tuple[Numbers, ...]:
        every = operands(layer, xs)
        down = slow.place_by_place_adjoint(slopes, signal, *every)
        return tuple(part for part, x in zip(down, every, strict=True) if any(x is own for own in xs))

    return lambda layer, *xs: slow.place_by_place(function, *operands(layer, xs)), backward


PAIRS: dict[type[Layer], Pair] = {
    Sigmoid: _each(f.sigmoid, f.sigmoid_slope),
    SiLU: _each(f.silu, f.silu_slope),
    HardSigmoid: _each(f.hard_sigmoid, f.hard_sigmoid_slope, lambda layer: (layer.alpha, layer.beta)),
    HardSwish: _each(f.hard_swish, f.hard_swish_slope),
    Mish: _each(f.mish, f.mish_slope),
    Tanh: _each(math.tanh, f.tanh_slope),
    Gelu: (_gelu, _gelu_signal),
    Softplus: _each(f.softplus, f.sigmoid),
    Softsign: _each(f.softsign, f.softsign_slope),
    Elu: _each(f.elu, f.elu_slope, lambda layer: (1, layer.alpha, 1)),
    Selu: _each(f.elu, f.elu_slope, lambda layer: (layer.gamma, layer.gamma * layer.alpha, 1)),
    Celu: _each(f.elu, f.elu_slope, lambda layer: (1, layer.alpha, layer.alpha)),
    Erf: _each(math.erf, f.erf_slope),
    Exp: _each(math.exp, math.exp),
    Log: _each(math.log, lambda x: 1 / x),
    Sqrt: _each(math.sqrt, lambda x: 0.5 / math.sqrt(x)),
    Reciprocal: _each(lambda x: 1 / x, lambda x: -1 / x**2),
    Abs: _each(abs, f.sign),
    Neg: _each(lambda x: -x, lambda x: -1),
    LeakyReLU: _each(f.leaky_relu, f.leaky_relu_slope, lambda layer: (layer.alpha,)),
    PReLU: _each(f.leaky_relu, f.leaky_relu_slope, lambda layer: (layer.alpha,)),
    ThresholdedReLU: _each(f.thresholded_relu, f.thresholded_relu_slope, lambda layer: (layer.alpha,)),
    Add: _several(lambda *xs: sum(xs), lambda *xs: [1] * len(xs), ("constant",)),
    Sub: _several(lambda a, b: a - b, lambda a, b: (1, -1), ("first", "second")),
    Mul: _several(lambda *xs: math.prod(xs), arithmetic.multiply_slopes, ("constant",)),
    Div: _several(arithmetic.divide, arithmetic.divide_slopes, ("first", "second")),
    Pow: _several(lambda a, b: a**b, arithmetic.power_slopes, ("first", "second")),
    Minimum: _several(lambda *xs: min(xs), partial(arithmetic.first_of, min), ("constant",)),
    Maximum: _several(lambda *xs: max(xs), partial(arithmetic.first_of, max), ("constant",)),
    Where: _several(lambda c, a, b: a if c else b, arithmetic.choose_slopes, ("condition", "first", "second")),
    Softmax: (
        lambda layer, x: slow.softmax(x, layer.axis, layer.onward),
        lambda layer, signal, x: slow.softmax_adjoint(signal, x, layer.axis, layer.onward),
    ),
    LogSoftmax: (
        lambda layer, x: slow.log_softmax(x, layer.axis, layer.onward),
        lambda layer, signal, x: slow.log_softmax_adjoint(signal, x, layer.axis, layer.onward),
    ),
}
