"""Sums, products, powers, choices: operands number by number, stretched to one shape by numpy's broadcasting.

Each operand gets back a signal of its own shape. An operand that the layer holds is a constant: it does not arrive, and
no signal is computed for it. Where floating-point arithmetic has no number it gives infinity or NaN, without a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from npgradcam.typing import Array

from .broadcasting import Broadcasting, sum_to


@dataclass(frozen=True, eq=False, repr=False)
class Add(Broadcasting):
    """y = x1 + x2 + ... + constant; each summand gets the whole signal."""

    constant: Array | None = None

    def forward(self, *xs: Array) -> tuple[Array, Any]:  # shapes that stretch to one another -> that one
        y = self.output_shape(*(x.shape for x in xs))
        summands = self.operands(xs)
        return np.asarray(sum(summands[1:], start=summands[0])), (y, [x.shape for x in xs])

    def backward(self, signal: Array, cache: Any) -> tuple[Array, ...]:  # (R, ...) -> one for each that arrived
        # dx1 = dx2 = ... = signal
        y, shapes = cache
        return tuple(sum_to(signal, shape, y) for shape in shapes)


@dataclass(frozen=True, eq=False, repr=False)
class Sub(Broadcasting):
    """y = first - second."""

    first: Array | None = None
    second: Array | None = None

    @property
    def places(self) -> tuple[Array | None, ...]:
        return self.first, self.second

    def forward(self, *xs: Array) -> tuple[Array, Any]:
        y = self.output_shape(*(x.shape for x in xs))
        a, b = self.operands(xs)
        return np.asarray(a - b), (y, a.shape, b.shape)

    def backward(self, signal: Array, cache: Any) -> tuple[Array, ...]:
        # da = signal; db = -signal
        y, a, b = cache
        down = [sum_to(signal, a, y)] if self.first is None else []
        return (*down, np.asarray(-sum_to(signal, b, y))) if self.second is None else tuple(down)


@dataclass(frozen=True, eq=False, repr=False)
class Mul(Broadcasting):
    """y = x1 x2 ... constant."""

    constant: Array | None = None

    def forward(self, *xs: Array) -> tuple[Array, Any]:
        shape = self.output_shape(*(x.shape for x in xs))
        y, *others = self.operands(xs)
        for factor in others:
            y = y * factor
        return np.asarray(y), (shape, [x.shape for x in xs], xs if len(xs) > 1 else ())

    def backward(self, signal: Array, cache: Any) -> tuple[Array, ...]:
        # dx1 = x2 x3 ... constant signal
        y, shapes, xs = cache
        down = []
        for place, shape in enumerate(shapes):
            part = signal
            for factor in self.operands((*xs[:place], *xs[place + 1 :])):
                part = part * factor
            down.append(np.asarray(sum_to(part, shape, y)))
        return tuple(down)


@dataclass(frozen=True, eq=False, repr=False)
class Div(Broadcasting):
    """y = first / second; of whole numbers the quotient without its fraction, as in C: -7 / 2 = -3."""

    first: Array | None = None
    second: Array | None = None

    @property
    def places(self) -> tuple[Array | None, ...]:
        return self.first, self.second

    def forward(self, *xs: Array) -> tuple[Array, Any]:
        shape = self.output_shape(*(x.shape for x in xs))
        a, b = self.operands(xs)
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.asarray(a / b if a.dtype.kind == "f" else np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)))
        arrived = self.second is None  # else the divisor is at hand, and nobody asks for its signal
        return y, (shape, a.shape, b.shape, y if arrived else None, b if arrived else None)

    def backward(self, signal: Array, cache: Any) -> tuple[Array, ...]:
        # da = signal / b; db = -signal a / b^2 = -da y
        shape, a, b, y, divisor = cache
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.asarray(signal / (divisor if self.second is None else self.second))
            down = [sum_to(part, a, shape)] if self.first is None else []
            return (*down, np.asarray(-sum_to(part * y, b, shape))) if self.second is None else tuple(down)


@dataclass(frozen=True, eq=False, repr=False)
class Pow(Broadcasting):
    """y = first ^ second, in the dtype of the first; NaN where a negative number has an exponent with a fraction.

    The signal of a base is 0 where the exponent is 0, and that of an exponent is 0 where the base is 0 and the exponent
    is not negative. Whole numbers as exponents get no signal.
    """

    first: Array | None = None
    second: Array | None = None

    @property
    def places(self) -> tuple[Array | None, ...]:
        return self.first, self.second

    def forward(self, *xs: Array) -> tuple[Array, Any]:
        shape = self.output_shape(*(x.shape for x in xs))
        a, b = self.operands(xs)
        with np.errstate(all="ignore"):
            y = np.asarray(_power(a, b), a.dtype)
        return y, (shape, a.shape, b.shape, xs, y if self.second is None else None)

    def backward(self, signal: Array, cache: Any) -> tuple[Array | None, ...]:
        # da = b a^(b-1) signal; db = ln(a) y signal
        shape, a_shape, b_shape, xs, y = cache
        a, b = self.operands(xs)
        down: list[Array | None] = []
        with np.errstate(all="ignore"):
            if self.first is None:
                exponent = b.astype(signal.dtype, copy=False)
                slope = np.where(exponent == 0, signal.dtype.type(0), exponent * _power(a, exponent - 1))
                down.append(sum_to(np.asarray(signal * slope), a_shape, shape))
            if self.second is None and b.dtype.kind != "f":
                down.append(None)
            elif self.second is None:
                slope = np.where((a == 0) & (b >= 0), signal.dtype.type(0), np.log(a) * y)
                down.append(sum_to(np.asarray(signal * slope), b_shape, shape))
        return tuple(down)


def _power(a: Any, b: Any) -> Any:
    return a ** (b.astype(a.dtype, copy=False) if a.dtype.kind == "f" else b)


class _Choice(Broadcasting):
    """One of the operands at every place: the winner gets the signal."""

    choose: ClassVar[np.ufunc]

    def forward(self, *xs: Array) -> tuple[Array, Any]:
        shape = self.output_shape(*(x.shape for x in xs))
        y = np.asarray(reduce(self.choose, self.operands(xs)))
        return y, (shape, [x.shape for x in xs], y, xs)

    def backward(self, signal: Array, cache: Any) -> tuple[Array, ...]:
        # dxk = signal where xk won
        y, shapes, chosen, xs = cache
        still, down = np.True_, []
        for x, shape in zip(xs, shapes, strict=True):
            won = still & ((x == chosen) | (x != x))  # NaN wins over every number
            still = still & ~won
            down.append(sum_to(np.asarray(signal * won), shape, y))
        return tuple(down)


@dataclass(frozen=True, eq=False, repr=False)
class Minimum(_Choice):
    """y = the smallest of x1, x2, ..., constant; a tie goes to the first that arrives; NaN wins and stays."""

    constant: Array | None = None
    choose: ClassVar[np.ufunc] = np.minimum


@dataclass(frozen=True, eq=False, repr=False)
class Maximum(_Choice):
    """y = the largest of x1, x2, ..., constant; a tie goes to the first that arrives; NaN wins and stays."""

    constant: Array | None = None
    choose: ClassVar[np.ufunc] = np.maximum


@dataclass(frozen=True, eq=False, repr=False)
class Where(Broadcasting):
    """y = first where the condition holds, else second; the condition gets no signal."""

    condition: NDArray[np.bool_] | None = None
    first: Array | None = None
    second: Array | None = None

    @property
    def places(self) -> tuple[Any, ...]:
        return self.condition, self.first, self.second

    def forward(self, *xs: Any) -> tuple[Array, Any]:
        shape = self.output_shape(*(x.shape for x in xs))
        condition, a, b = self.operands(xs)
        arrived = None if self.condition is not None else condition
        return np.where(condition, a, b), (shape, a.shape, b.shape, arrived)

    def backward(self, signal: Array, cache: Any) -> tuple[Array | None, ...]:
        # da = signal where the condition holds; db = signal elsewhere
        shape, a, b, arrived = cache
        condition = arrived if self.condition is None else self.condition
        down: list[Array | None] = [None] if self.condition is None else []
        if self.first is None:
            down.append(sum_to(np.asarray(signal * condition), a, shape))
        if self.second is None:
            down.append(sum_to(np.asarray(signal * ~condition), b, shape))
        return tuple(down)
