"""Batch normalisation as it is at inference: one scale and one shift for each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .layer import Layer, expect_axes, expect_channels


@dataclass(frozen=True, eq=False, repr=False)
class BatchNorm2d(Layer):
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
            raise ShapeError(f"BatchNorm2d: expected four arrays of one shape (C,), got {shapes}")
        if not (self.variance + self.epsilon > 0).all():
            raise ShapeError(f"BatchNorm2d: expected variance + epsilon > 0, got {float(self.variance.min())}")

    @property
    def parameters(self) -> dict[str, Array]:
        """The scale and the shift; mean and variance are remembered, not trained."""
        return {"weight": self.weight, "bias": self.bias}

    @property
    def scale(self) -> Array:
        """Gamma / sqrt(variance + epsilon), shape (C,)."""
        return np.asarray(self.weight / np.sqrt(self.variance + self.weight.dtype.type(self.epsilon)))

    def forward(self, x: Array) -> tuple[Array, None]:  # (N, C, H, W) -> the same
        # y[n,c,h,w] = gamma[c] (x[n,c,h,w] - mean[c]) / sqrt(variance[c] + epsilon) + beta[c]
        self.output_shape(x.shape)
        #             = scale[c] x[n,c,h,w] + shift[c], with shift[c] = beta[c] - scale[c] mean[c]
        scale = self.scale
        y = x * scale[:, None, None]
        y += (self.bias - scale * self.mean)[:, None, None]
        return y, None

    def backward(self, signal: Array, _: None) -> tuple[Array]:  # (R, C, H, W) -> the same
        # dx[n,c,h,w] = gamma[c] / sqrt(variance[c] + epsilon) signal[n,c,h,w]
        return (signal * self.scale[:, None, None],)

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return dy/dgamma and dy/dbeta applied to `signal`; mean and variance are constants here."""
        normal = (x - self.mean[:, None, None]) / np.sqrt(self.variance + self.epsilon)[:, None, None]
        return {"weight": (signal * normal).sum(axis=(0, 2, 3)), "bias": signal.sum(axis=(0, 2, 3))}

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        expect_channels(shapes[0], self.weight.shape[0])
        return shapes[0]
