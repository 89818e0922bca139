"""Linear units with an exponential below 0: ELU and its two relatives. They never close, so no backward rule acts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array

from .activations import Activation


class _ExponentialUnit(Activation):
    """y = right x where x > 0, else left (exp(x / width) - 1)."""

    right: float
    left: float
    width: float

    def forward(self, x: Array) -> tuple[Array, Array]:  # any shape -> the same
        y = np.asarray(np.expm1(np.minimum(x, 0) / self.width))
        y *= self.left
        y += self.right * np.maximum(x, 0)  # one of the two is 0
        return y, x

    def slope(self, x: Array) -> Array:
        below = self.left / self.width * np.exp(np.minimum(x, 0) / self.width)
        return np.where(x > 0, x.dtype.type(self.right), below)


@dataclass(frozen=True, eq=False, repr=False)
class Elu(_ExponentialUnit):
    """y = x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2016); the slope at the kink x = 0 is alpha."""

    alpha: float = 1.0
    right, width = 1.0, 1.0

    @property
    def left(self) -> float:
        return self.alpha


@dataclass(frozen=True, eq=False, repr=False)
class Selu(_ExponentialUnit):
    """y = gamma x where x > 0, else gamma alpha (exp(x) - 1); the slope at the kink x = 0 is gamma alpha.

    alpha and gamma keep mean 0 and variance 1 from layer to layer (Klambauer et al. 2017, section 2).
    """

    alpha: float = 1.67326319217681884765625
    gamma: float = 1.05070102214813232421875
    width = 1.0

    @property
    def right(self) -> float:
        return self.gamma

    @property
    def left(self) -> float:
        return self.gamma * self.alpha


@dataclass(frozen=True, eq=False, repr=False)
class Celu(_ExponentialUnit):
    """y = x where x > 0, else alpha (exp(x / alpha) - 1) (Barron 2017): the slope is continuous, 1 at x = 0."""

    alpha: float = 1.0
    right = 1.0

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ShapeError(f"Celu: expected alpha > 0, got {self.alpha}")

    @property
    def left(self) -> float:
        return self.alpha

    @property
    def width(self) -> float:
        return self.alpha
