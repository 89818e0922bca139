"""Rectifiers: what is negative (or too large) is cut off; on the way back, a rule decides with the slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .broadcasting import sum_to
from .layer import Rectifier


@dataclass(frozen=True, eq=False, repr=False)
class ReLU(Rectifier):
    """y = max(x, 0); the slope is 1 where x > 0, else 0: also 0 at the kink x = 0. NaN stays NaN."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        y = np.maximum(x, 0)
        return y, y

    def slope(self, y: Array) -> Any:
        return y > 0  # where x > 0, and nowhere else


@dataclass(frozen=True, eq=False, repr=False)
class Clip(Rectifier):
    """y = min(max(x, low), high); the slope is 1 where low < x < high, else 0: also 0 at both kinks. NaN stays NaN.

    A clip that begins at 0 is a rectifier. Any other is not, so the backward rules leave it alone: it passes the
    gradient on whatever the rule. Where high <= low nothing passes: everything becomes high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        numbers = all(isinstance(bound, (int, float, np.number)) for bound in (self.low, self.high))
        if not numbers or np.isnan(self.low) or np.isnan(self.high):
            raise ShapeError(f"Clip: expected two numbers, got {self.low} and {self.high}")

    @property
    def rectifies(self) -> bool:
        return self.low == 0

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        y = np.clip(x, self.low, self.high).astype(x.dtype, copy=False)  # whole numbers stay whole
        return y, y

    def slope(self, y: Array) -> Any:
        return (self.low < y) & (y < self.high)  # where low < x < high, and nowhere else


@dataclass(frozen=True, eq=False, repr=False)
class ReLU6(Clip):
    """y = min(max(x, 0), 6); the slope is 1 where 0 < x < 6, else 0: a gate that closes at both ends."""

    low: float = 0.0
    high: float = 6.0


class _Leaky(Rectifier):
    """A rectifier that lets a share of the negative numbers through: y = x where x > 0, else a x.

    The rules act as on every rectifier, with the slope 1 where x > 0, else a: `gradient` and `guided` multiply by it,
    `deconvnet` does not look at it. What is kept is x: y does not tell its sign where a may be negative. NaN stays NaN.
    """

    @property
    def leak(self) -> Any:
        """The slope a of what is not positive."""
        raise NotImplementedError

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        self.output_shape(x.shape)
        return np.maximum(x, 0) + self.leak * np.minimum(x, 0), x  # one of the two is 0

    def slope(self, x: Array) -> Any:
        passed = (x > 0).astype(x.dtype)
        return passed + (1 - passed) * self.leak


@dataclass(frozen=True, eq=False, repr=False)
class LeakyReLU(_Leaky):
    """y = x where x > 0, else alpha x (Maas et al. 2013); the slope at the kink x = 0 is alpha. NaN stays NaN."""

    alpha: float = 0.01

    @property
    def leak(self) -> float:
        return self.alpha


@dataclass(frozen=True, eq=False, repr=False)
class PReLU(_Leaky):
    """y = x where x > 0, else alpha x, alpha learnt (He et al. 2015, section 2.1); the slope at x = 0 is alpha.

    Parameters
    ----------
    alpha : ndarray that stretches to the shape of x: (C, 1, 1) for one slope per channel
    """

    alpha: Array

    @property
    def leak(self) -> Array:
        return self.alpha

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return dy/dalpha applied to `signal`, summed over the axes along which alpha is stretched."""
        # dalpha[c] = sum_{n,h,w} signal[n,c,h,w] min(x[n,c,h,w], 0)
        return {"alpha": sum_to(signal * np.minimum(x, 0), self.alpha.shape, x.shape)}

    def output_shape(self, *shapes: Shape) -> Shape:
        lengths = zip(self.alpha.shape[::-1], shapes[0][::-1], strict=False)
        if self.alpha.ndim > len(shapes[0]) or any(a not in (1, length) for a, length in lengths):
            raise ShapeError(f"expected x to which slopes of shape {self.alpha.shape} stretch, got shape {shapes[0]}")
        return shapes[0]

    def keeps_batch(self, *shapes: Shape) -> bool:
        return self.alpha.ndim < len(shapes[0]) or self.alpha.shape[0] == 1


@dataclass(frozen=True, eq=False, repr=False)
class ThresholdedReLU(Rectifier):
    """y = x where x > alpha, else 0 (Konda et al. 2015); the slope is 1 where x > alpha, else 0. NaN stays NaN."""

    alpha: float = 1.0

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        return np.where(x <= self.alpha, x.dtype.type(0), x), x

    def slope(self, x: Array) -> Any:
        return x > self.alpha
