"""Batch normalisation as it is at inference: one scale and one shift for each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .layer import Layer, expect_axes, expect_channels


@dataclass(frozen=True, eq=False, repr=False)
class BatchNorm(Layer):
    """Normalise by the mean and variance that training remembered (Ioffe & Szegedy 2015, section 3.1, algorithm 2).

    Parameters
    ----------
    weight, bias, mean, variance : ndarray of shape (C,)
        gamma, beta, the running mean and the running variance.
    epsilon : float
    """

    weight: Array
    bias: Array
    mean: Array
    variance: Array
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        shapes = {name: value.shape for name, value in self.arrays.items()}
        if self.weight.ndim != 1 or len(set(shapes.values())) != 1:
            raise ShapeError(f"{type(self).__name__}: expected four arrays of one shape (C,), got {shapes}")
        if not (self.variance + self.epsilon > 0).all():
            least = float(self.variance.min())
            raise ShapeError(f"{type(self).__name__}: expected variance + epsilon > 0, got variance {least}")

    @property
    def parameters(self) -> dict[str, Array]:
        """The scale and the shift; mean and variance are remembered, not trained."""
        return {"weight": self.weight, "bias": self.bias}

    @property
    def scale(self) -> Array:
        """Gamma / sqrt(variance + epsilon), shape (C,)."""
        return np.asarray(self.weight / np.sqrt(self.variance + self.weight.dtype.type(self.epsilon)))

    def forward(self, x: Array) -> tuple[Array, None]:  # (N, C, ...) -> the same
        # y[n,c,...] = gamma[c] (x[n,c,...] - mean[c]) / sqrt(variance[c] + epsilon) + beta[c]
        self.output_shape(x.shape)
        #            = scale[c] x[n,c,...] + shift[c], with shift[c] = beta[c] - scale[c] mean[c]
        scale = self.scale
        y = x * _columns(scale, x)
        y += _columns(self.bias - scale * self.mean, x)
        return y, None

    def backward(self, signal: Array, _: None) -> tuple[Array]:  # (R, C, ...) -> the same
        # dx[n,c,...] = gamma[c] / sqrt(variance[c] + epsilon) signal[n,c,...]
        return (signal * _columns(self.scale, signal),)

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return dy/dgamma and dy/dbeta applied to `signal`; mean and variance are constants here."""
        normal = (x - _columns(self.mean, x)) / _columns(np.sqrt(self.variance + self.epsilon), x)
        axes = (0, *range(2, x.ndim))
        return {"weight": (signal * normal).sum(axis=axes), "bias": signal.sum(axis=axes)}

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) < 2:
            raise ShapeError(f"expected channels on axis 1, got shape {shapes[0]}; add the batch axis?")
        expect_channels(shapes[0], self.weight.shape[0])
        return shapes[0]


@dataclass(frozen=True, eq=False, repr=False)
class BatchNorm2d(BatchNorm):
    """The same for pictures (N, C, H, W) and nothing else."""

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        return super().output_shape(*shapes)


def _columns(values: Array, x: Array) -> Array:
    """Return (C,) as (C, 1, ...), so that it meets axis 1 of x."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))
