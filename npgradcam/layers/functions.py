"""Elementary functions, number by number: what an exported graph writes out where a formula was meant.

Outside a function's domain the value is NaN and at its poles infinity, as floating-point arithmetic has it, without a
warning. NaN stays NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam.typing import Array

from .activations import Activation


@dataclass(frozen=True, eq=False, repr=False)
class Exp(Activation):
    """y = exp(x), infinity where that is too large; the slope is y."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        with np.errstate(over="ignore"):
            y = np.asarray(np.exp(x))
        return y, y

    def slope(self, y: Array) -> Any:
        return y


@dataclass(frozen=True, eq=False, repr=False)
class Log(Activation):
    """y = ln(x), minus infinity at 0, NaN below; the slope is 1 / x, infinity at 0."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(x)), x

    def slope(self, x: Array) -> Any:
        with np.errstate(divide="ignore"):
            return 1 / x


@dataclass(frozen=True, eq=False, repr=False)
class Sqrt(Activation):
    """y = sqrt(x), NaN below 0; the slope is 1 / (2 y), infinity at 0."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        with np.errstate(invalid="ignore"):
            y = np.asarray(np.sqrt(x))
        return y, y

    def slope(self, y: Array) -> Any:
        with np.errstate(divide="ignore"):
            return 0.5 / y


@dataclass(frozen=True, eq=False, repr=False)
class Reciprocal(Activation):
    """y = 1 / x, infinity at 0; the slope is -y^2."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        with np.errstate(divide="ignore"):
            y = np.asarray(1 / x)
        return y, y

    def slope(self, y: Array) -> Any:
        return -(y * y)


@dataclass(frozen=True, eq=False, repr=False)
class Erf(Activation):
    """y = 2 / sqrt(pi) integral from 0 to x of exp(-t^2) dt; the slope is 2 / sqrt(pi) exp(-x^2)."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        from scipy.special import erf

        return np.asarray(erf(x)), x

    def slope(self, x: Array) -> Any:
        return np.exp(-(x * x)) * (2 / math.sqrt(math.pi))


@dataclass(frozen=True, eq=False, repr=False)
class Abs(Activation):
    """y = |x|; the slope is 1 where x > 0, -1 where x < 0, and 0 at the kink x = 0."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        return np.asarray(np.abs(x)), x

    def slope(self, x: Array) -> Any:
        return np.sign(x)


@dataclass(frozen=True, eq=False, repr=False)
class Neg(Activation):
    """y = -x."""

    def forward(self, x: Array) -> tuple[Array, None]:  # any shape -> the same
        return np.asarray(-x), None

    def slope(self, _: None) -> Any:
        return -1
