"""Normalisation by the input's own mean and variance: of a feature map, of a group of them, of the last axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .layer import Layer, expect_channels

Axes: TypeAlias = tuple[int, ...]


def _normalise(x: Array, axes: Axes, epsilon: float) -> tuple[Array, Array]:
    """Return z = (x - mean) / spread with spread = sqrt(variance + epsilon), and the spread, both over `axes`."""
    centred = x - x.mean(axis=axes, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=axes, keepdims=True) + epsilon)
    return centred / spread, spread


def _normalise_adjoint(signal: Array, z: Array, spread: Array, axes: Axes) -> Array:
    """(dz - mean(dz) - z mean(z dz)) / spread: mean and variance see every x, so each x is paid back through both."""
    through_mean = signal.mean(axis=axes, keepdims=True)
    through_variance = z * (signal * z).mean(axis=axes, keepdims=True)
    return np.asarray((signal - through_mean - through_variance) / spread)


@dataclass(frozen=True, eq=False, repr=False)
class GroupNorm(Layer):
    """Normalise each group of neighbouring channels of each image (Wu & He 2018, section 3).

    Parameters
    ----------
    groups : int
    weight, bias : ndarray of shape (C,)
        gamma and beta.
    epsilon : float
    """

    groups: int
    weight: Array
    bias: Array
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        _expect_pair(self)
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise ShapeError(f"GroupNorm: expected groups that divide {self.weight.shape[0]}, got {self.groups}")

    def forward(self, x: Array) -> tuple[Array, Any]:  # (N, C, ...) -> the same
        # z[n,g,k] = (x[n,g,k] - mean_k x[n,g,k]) / sqrt(variance_k x[n,g,k] + epsilon), k over a group's C/G maps
        # y[n,c,...] = gamma[c] z[n,c,...] + beta[c]
        self.output_shape(x.shape)
        z, spread = _normalise(x.reshape(len(x), self.groups, -1), (2,), self.epsilon)
        return _columns(self.weight, x) * z.reshape(x.shape) + _columns(self.bias, x), (z, spread)

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:  # (R, C, ...) -> the same
        # dz[n,c,...] = gamma[c] signal[n,c,...]
        z, spread = cache
        dz = (_columns(self.weight, signal) * signal).reshape(len(signal), *z.shape[1:])
        return (_normalise_adjoint(dz, z, spread, (2,)).reshape(signal.shape),)

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return dy/dgamma and dy/dbeta applied to `signal`, summed over the batch."""
        z, _ = _normalise(x.reshape(len(x), self.groups, -1), (2,), self.epsilon)
        axes = (0, *range(2, x.ndim))
        return {"weight": (signal * z.reshape(x.shape)).sum(axis=axes), "bias": signal.sum(axis=axes)}

    def output_shape(self, *shapes: Shape) -> Shape:
        _expect_maps(shapes[0], self.weight.shape[0])
        return shapes[0]


@dataclass(frozen=True, eq=False, repr=False)
class InstanceNorm(Layer):
    """Normalise each feature map of each image by itself (Ulyanov et al. 2016, equation 4).

    Parameters
    ----------
    weight, bias : ndarray of shape (C,)
        gamma and beta.
    epsilon : float
    """

    weight: Array
    bias: Array
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        _expect_pair(self)

    def forward(self, x: Array) -> tuple[Array, Any]:  # (N, C, ...) -> the same
        # y[n,c,k] = gamma[c] (x[n,c,k] - mean_k x[n,c,k]) / sqrt(variance_k x[n,c,k] + epsilon) + beta[c]
        self.output_shape(x.shape)
        z, spread = _normalise(x, tuple(range(2, x.ndim)), self.epsilon)
        return _columns(self.weight, x) * z + _columns(self.bias, x), (z, spread)

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:  # (R, C, ...) -> the same
        # dz[n,c,k] = gamma[c] signal[n,c,k]
        z, spread = cache
        return (_normalise_adjoint(_columns(self.weight, signal) * signal, z, spread, tuple(range(2, signal.ndim))),)

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return dy/dgamma and dy/dbeta applied to `signal`, summed over the batch."""
        z, _ = _normalise(x, tuple(range(2, x.ndim)), self.epsilon)
        axes = (0, *range(2, x.ndim))
        return {"weight": (signal * z).sum(axis=axes), "bias": signal.sum(axis=axes)}

    def output_shape(self, *shapes: Shape) -> Shape:
        _expect_maps(shapes[0], self.weight.shape[0])
        return shapes[0]


@dataclass(frozen=True, eq=False, repr=False)
class LayerNorm(Layer):
    """Normalise over all axes from one on (Ba et al. 2016, equation 4, here for any such axes).

    Parameters
    ----------
    weight : ndarray that broadcasts to the input
        gamma; as a rule of the shape of the axes that are normalised.
    bias : ndarray that broadcasts to the input, optional
    axis : int
        The first axis that is normalised; -1 is the last. Axis 0 would mix the images of a batch, and does.
    epsilon : float
    """

    weight: Array
    bias: Array | None = None
    axis: int = -1
    epsilon: float = 1e-5

    def forward(self, x: Array) -> tuple[Array, Any]:  # (N, ...) -> the same
        # y[m,k] = gamma[k] (x[m,k] - mean_k x[m,k]) / sqrt(variance_k x[m,k] + epsilon) + beta[k]
        # m: where on the axes before `axis`; k: where on those from it on
        self.output_shape(x.shape)
        z, spread = _normalise(x, self._axes(x.ndim), self.epsilon)
        y = self.weight * z
        return y if self.bias is None else y + self.bias, (z, spread)

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:  # (R, ...) -> the same
        # dz[m,k] = gamma[k] signal[m,k]
        z, spread = cache
        return (_normalise_adjoint(self.weight * signal, z, spread, self._axes(signal.ndim)),)

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return dy/dgamma and dy/dbeta applied to `signal`, summed over every axis along which they are repeated."""
        z, _ = _normalise(x, self._axes(x.ndim), self.epsilon)
        found = {"weight": _unrepeat(signal * z, self.weight.shape)}
        return found if self.bias is None else found | {"bias": _unrepeat(signal, self.bias.shape)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if not -len(x) <= self.axis < len(x):
            raise ShapeError(f"LayerNorm: expected an array with axis {self.axis}, got shape {x}")
        for name, value in self.arrays.items():
            if value.ndim > len(x) or any(v not in (1, n) for v, n in zip(value.shape[::-1], x[::-1], strict=False)):
                raise ShapeError(f"LayerNorm: expected {name} that broadcasts to {x}, got {value.shape}")
        return x

    def keeps_batch(self, *shapes: Shape) -> bool:
        """Whether axis 0 is not among those that are normalised."""
        return 0 not in self._axes(len(shapes[0]))

    def _axes(self, ndim: int) -> Axes:
        return tuple(range(self.axis % ndim, ndim))


def _columns(values: Array, x: Array) -> Array:
    """Return (C,) as (C, 1, ...), so that it meets axis 1 of x."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def _unrepeat(x: Array, shape: Shape) -> Array:
    """Sum x over the axes along which an array of that shape was repeated."""
    whole = (1,) * (x.ndim - len(shape)) + shape
    axes = tuple(axis for axis, length in enumerate(whole) if length == 1)
    return np.asarray(x.sum(axis=axes).reshape(shape))


def _expect_pair(layer: GroupNorm | InstanceNorm) -> None:
    if layer.weight.ndim != 1 or layer.weight.shape != layer.bias.shape:
        kind, got = type(layer).__name__, (layer.weight.shape, layer.bias.shape)
        raise ShapeError(f"{kind}: expected weight and bias of one shape (C,), got {got[0]} and {got[1]}")


def _expect_maps(x: Shape, channels: int) -> None:
    if len(x) < 3:
        raise ShapeError(f"expected at least 3 axes (N, C, ...), got shape {x}; add the batch axis?")
    expect_channels(x, channels)
