"""Smooth activations: a function of every number alone. No backward rule acts on them: there is no gate that closes.

Every function takes any number without overflow: where exp would be too large, the limit comes out. NaN stays NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array

from .layer import Layer


class Activation(Layer):
    """y = f(x), number by number: on the way back the signal is multiplied by the slope f'(x)."""

    def slope(self, cache: Any) -> Any:
        """Return f'(x), read off what the forward kept."""
        raise NotImplementedError

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:  # any shape -> the same
        # dx = f'(x) signal
        return (np.asarray(signal * self.slope(cache)),)


@dataclass(frozen=True, eq=False, repr=False)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)); the slope is y (1 - y)."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        y = _logistic(x)
        return y, y

    def slope(self, y: Array) -> Any:
        return y - y * y


@dataclass(frozen=True, eq=False, repr=False)
class SiLU(Activation):
    """y = x s with s = 1 / (1 + exp(-x)), also called Swish (Elfwing et al. 2018); the slope is s + y (1 - s)."""

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:  # any shape -> the same
        s = _logistic(x)
        y = np.asarray(x * s)
        return y, (y, s)

    def slope(self, cache: tuple[Array, Array]) -> Any:
        y, s = cache
        slope = 1 - s
        slope *= y
        slope += s
        return slope


@dataclass(frozen=True, eq=False, repr=False)
class HardSigmoid(Activation):
    """y = min(max(alpha x + beta, 0), 1); the slope is alpha where 0 < y < 1, else 0: also 0 at both kinks."""

    alpha: float = 0.2
    beta: float = 0.5

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        y = np.asarray(x * self.alpha)
        y += self.beta
        return np.clip(y, 0, 1, out=y), y

    def slope(self, y: Array) -> Any:
        return ((y > 0) & (y < 1)) * y.dtype.type(self.alpha)


@dataclass(frozen=True, eq=False, repr=False)
class HardSwish(Activation):
    """y = x min(max(x / 6 + 1/2, 0), 1) (Howard et al. 2019, section 5.2).

    The slope is 0 where x <= -3, 1 where x >= 3, and x / 3 + 1/2 between.
    """

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        y = np.asarray(x * (1 / 6))
        y += 0.5
        np.clip(y, 0, 1, out=y)
        y *= x
        return y, x

    def slope(self, x: Array) -> Any:
        slope = np.asarray(x * (1 / 3))
        slope += 0.5
        slope[x <= -3] = 0
        slope[x >= 3] = 1
        return slope


@dataclass(frozen=True, eq=False, repr=False)
class Mish(Activation):
    """y = x tanh(ln(1 + exp(x))) (Misra 2019).

    With e = exp(x), tanh(ln(1 + e)) = w / (w + 2), w = e (e + 2), and its slope is 4 e (1 + e) / (w + 2)^2.
    """

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        _, w = self._powers(x)
        return np.asarray(x * (w / (w + 2))), x

    def slope(self, x: Array) -> Any:
        e, w = self._powers(x)
        return w / (w + 2) + x * (4 * (e / (w + 2)) * ((1 + e) / (w + 2)))

    @staticmethod
    def _powers(x: Array) -> tuple[Any, Any]:
        e = np.exp(np.minimum(x, 30))  # from 30 on tanh is 1 in both precisions
        return e, e * (e + 2)


@dataclass(frozen=True, eq=False, repr=False)
class Tanh(Activation):
    """y = tanh(x); the slope is 1 - y^2."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        y = np.asarray(np.tanh(x))
        return y, y

    def slope(self, y: Array) -> Any:
        return 1 - y * y


@dataclass(frozen=True, eq=False, repr=False)
class Gelu(Activation):
    """y = x g with g the standard normal's distribution function at x (Hendrycks & Gimpel 2016).

    Parameters
    ----------
    approximate : {"none", "tanh"}
        "none": g = (1 + erf(x / sqrt(2))) / 2, and the slope is g + x exp(-x^2 / 2) / sqrt(2 pi). "tanh": the paper's
        approximation g = (1 + tanh(z)) / 2, z = sqrt(2 / pi) (x + 0.044715 x^3), with its own slope.
    """

    approximate: Literal["none", "tanh"] = "none"

    def __post_init__(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise ShapeError(f"Gelu: expected approximate to be 'none' or 'tanh', got {self.approximate!r}")

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:  # any shape -> the same
        from scipy.special import erfc

        if self.approximate == "none":
            g = np.asarray(erfc(x * -math.sqrt(1 / 2)))  # erfc(-z) = 1 + erf(z), without cancellation where z < 0
            g *= 0.5
        else:
            g = _logistic(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x)))  # (1 + tanh(z)) / 2
        return np.asarray(x * g), (x, g)

    def slope(self, cache: tuple[Array, Array]) -> Any:
        x, g = cache
        if self.approximate == "none":
            return g + x * (np.exp(x * x * -0.5) * math.sqrt(1 / (2 * math.pi)))
        return g + x * (g * (1 - g)) * (2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * (x * x)))


@dataclass(frozen=True, eq=False, repr=False)
class Softplus(Activation):
    """y = ln(1 + exp(x)); the slope is 1 / (1 + exp(-x))."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        # ln(1 + exp(x)) = max(x, 0) + ln(1 + exp(-|x|))
        y = np.asarray(np.log1p(np.exp(-np.abs(x))))
        y += np.maximum(x, 0)
        return y, x

    def slope(self, x: Array) -> Any:
        return _logistic(x)


@dataclass(frozen=True, eq=False, repr=False)
class Softsign(Activation):
    """y = x / (1 + |x|); the slope is 1 / (1 + |x|)^2."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        return np.asarray(x / (1 + np.abs(x))), x

    def slope(self, x: Array) -> Any:
        root = 1 / (1 + np.abs(x))
        return root * root


def _logistic(x: Any) -> Array:
    """Return 1 / (1 + exp(-x)) in one new array."""
    y: Array = np.negative(x, out=np.empty_like(x))
    with np.errstate(over="ignore"):  # exp(-x) = infinity: the limit 0 comes out
        np.exp(y, out=y)
    y += 1
    np.reciprocal(y, out=y)
    return y
