"""Functions of several numbers, place by place, with operands that are stretched; and what each operand gets back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ...typing import Shape
from .numbers import Numbers, wide

Function: TypeAlias = Callable[..., Any]  # of as many numbers as there are operands


def stretched_shape(*shapes: Shape) -> Shape:
    """Return the longest length on every axis, counted from the last axis."""
    rank = max(len(shape) for shape in shapes)
    every = [(*(1,) * (rank - len(shape)), *shape) for shape in shapes]
    return tuple(max(shape[axis] for shape in every) for axis in range(rank))


def stretched_place(place: Shape, shape: Shape) -> Shape:
    """Return where an operand of `shape` is read for the output's `place`: at 0 where its axis has length 1."""
    own = place[len(place) - len(shape) :]
    return tuple(0 if length == 1 else k for k, length in zip(own, shape, strict=True))


def place_by_place(function: Function, *operands: Any) -> Numbers:
    """y[place] = f(x1[place], x2[place], ...); an operand may be a single number."""
    xs = [wide(x) for x in operands]
    y = np.zeros(stretched_shape(*(x.shape for x in xs)), object)
    for place in np.ndindex(*y.shape):
        y[place] = function(*(x[stretched_place(place, x.shape)].item() for x in xs))
    return y.astype(np.int64 if all(isinstance(value, (int, bool)) for value in y.flat) else np.float64)


def place_by_place_adjoint(slopes: Function, signal: Numbers, *operands: Any) -> tuple[Numbers, ...]:
    """dxk[its place] += df/dxk signal[place]; `slopes` returns df/dx1, df/dx2, ... at one place.

    Where x's first axis is the output's own, x gets as many rows as the signal has: one image serves every row.
    """
    xs, signal = [wide(x) for x in operands], wide(signal)
    y = stretched_shape(*(x.shape for x in xs))
    own = [x.ndim == len(y) and x.shape[0] == y[0] for x in xs]
    down = [np.zeros((len(signal), *x.shape[1:]) if rows else x.shape, object) for x, rows in zip(xs, own, strict=True)]
    for (r, *rest), value in np.ndenumerate(signal):
        place = (r if y[0] > 1 else 0, *rest)
        places = [stretched_place(place, x.shape) for x in xs]
        partial = slopes(*(x[at].item() for x, at in zip(xs, places, strict=True)))
        for dx, at, rows, slope in zip(down, places, own, partial, strict=True):
            dx[(r, *at[1:]) if rows else at] += slope * value.item()
    return tuple(
        dx.astype(np.int64 if all(isinstance(value, int) for value in dx.flat) else np.float64) for dx in down
    )


def divide(a: Any, b: Any) -> Any:
    """Return a / b; of whole numbers the quotient without its fraction."""
    if isinstance(a, int) and isinstance(b, int):
        return (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1)
    return a / b


def multiply_slopes(*xs: Any) -> list[Any]:
    """Return for each factor the product of all others."""
    return [math.prod(x for other, x in enumerate(xs) if other != k) for k in range(len(xs))]


def divide_slopes(a: float, b: float) -> tuple[float, float]:
    """Return 1 / b and -a / b^2."""
    return 1 / b, -a / b**2


def power_slopes(a: float, b: float) -> tuple[float, float]:
    """Return b a^(b-1), which is 0 where b is 0, and ln(a) a^b, which is 0 where a is 0 and b is not negative."""
    by_base = 0.0 if b == 0 else b * a ** (b - 1)
    if a <= 0:
        return by_base, 0.0 if a == 0 and b >= 0 else math.nan
    return by_base, math.log(a) * a**b


def first_of(choose: Callable[[Any], Any], *xs: Any) -> list[int]:
    """Return 1 for the first operand that is the chosen one (the least or greatest), 0 for the others."""
    winner = xs.index(choose(xs))
    return [int(k == winner) for k in range(len(xs))]


def choose_slopes(condition: Any, a: Any, b: Any) -> tuple[int, int, int]:
    """Return 1 for the operand that the condition chooses, 0 for the other and for the condition."""
    return 0, int(bool(condition)), int(not condition)
