"""Local response normalisation: a strong channel dims its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .layer import Layer


@dataclass(frozen=True, eq=False, repr=False)
class LRN(Layer):
    """Divide each number by a power of what its channel and the neighbouring channels hold at the same place.

    Krizhevsky et al. 2012, section 3.3, with alpha divided by the window's size as every framework does.

    Parameters
    ----------
    size : int
        Channels in a window: (size - 1) // 2 below, the others above; fewer at the ends.
    alpha, beta, bias : float
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.size, (int, np.integer)) or self.size < 1:
            raise ShapeError(f"LRN: expected a size >= 1, got {self.size!r}")

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:  # (N, C, ...) -> the same
        # b[n,c] = bias + alpha / size sum_{k: c - below <= k <= c + above} x[n,k]^2;  y[n,c] = x[n,c] b[n,c]^-beta
        self.output_shape(x.shape)
        below = (self.size - 1) // 2
        base = self.bias + self.alpha / self.size * _neighbours(x * x, below, self.size - 1 - below)
        return x * base**-self.beta, (x, base)

    def backward(self, signal: Array, cache: tuple[Array, Array]) -> tuple[Array]:  # (R, C, ...) -> the same
        # dx[n,k] = signal[n,k] b[n,k]^-beta - 2 alpha beta / size x[n,k] sum_c signal[n,c] x[n,c] b[n,c]^(-beta - 1)
        #           over the c whose window holds k: k - above <= c <= k + below
        x, base = cache
        below = (self.size - 1) // 2
        direct = signal * base**-self.beta
        dimmed = _neighbours(direct * x / base, self.size - 1 - below, below)
        return (direct - 2 * self.alpha * self.beta / self.size * x * dimmed,)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) < 2:
            raise ShapeError(f"expected channels on axis 1, got shape {shapes[0]}; add the batch axis?")
        return shapes[0]


def _neighbours(x: Array, below: int, above: int) -> Array:
    """Return sum_{k: c - below <= k <= c + above} x[n,k] for each c, over the channels that there are."""
    y, channels = x.copy(), x.shape[1]
    for step in range(1, min(below + 1, channels)):
        y[:, step:] += x[:, : channels - step]
    for step in range(1, min(above + 1, channels)):
        y[:, : channels - step] += x[:, step:]
    return y
