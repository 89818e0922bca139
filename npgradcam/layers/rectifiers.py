"""Rectifiers: what is negative (or too large) is cut off; on the way back, a rule decides with the slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array

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
    gradient on whatever the rule.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        numbers = all(isinstance(bound, (int, float, np.number)) for bound in (self.low, self.high))
        if not numbers or not self.low < self.high:
            raise ShapeError(f"Clip: expected low < high, got {self.low} and {self.high}")

    @property
    def rectifies(self) -> bool:
        return self.low == 0

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        y = np.clip(x, self.low, self.high)
        return y, y

    def slope(self, y: Array) -> Any:
        return (self.low < y) & (y < self.high)  # where low < x < high, and nowhere else


@dataclass(frozen=True, eq=False, repr=False)
class ReLU6(Clip):
    """y = min(max(x, 0), 6); the slope is 1 where 0 < x < 6, else 0: a gate that closes at both ends."""

    low: float = 0.0
    high: float = 6.0
