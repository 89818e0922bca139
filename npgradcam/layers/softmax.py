"""From logits to probabilities. Explanations start before it; it is here so that a network may end with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .layer import Layer


class _Normalised(Layer):
    """A layer whose numbers compete along an axis, or along it and all axes after it."""

    axis: int
    onward: bool

    def output_shape(self, *shapes: Shape) -> Shape:
        self.axes(shapes[0])
        return shapes[0]

    def keeps_batch(self, *shapes: Shape) -> bool:
        return 0 not in self.axes(shapes[0])

    def axes(self, shape: Shape) -> tuple[int, ...]:
        """Return the axes along which the numbers of an array of this shape compete."""
        axis = self.axis + len(shape) if self.axis < 0 else self.axis
        if not 0 <= axis < len(shape):
            raise ShapeError(f"expected classes on axis {self.axis}, got shape {shape}; add the batch axis?")
        return tuple(range(axis, len(shape))) if self.onward else (axis,)


@dataclass(frozen=True, eq=False, repr=False)
class Softmax(_Normalised):
    """y[n,c] = exp(x[n,c]) / sum_d exp(x[n,d]).

    Parameters
    ----------
    axis : int
        The axis of c and d.
    onward : bool
        Whether c and d run over all axes from `axis` on together, as ONNX had it before opset 13.
    """

    axis: int = 1
    onward: bool = False

    def forward(self, x: Array) -> tuple[Array, Any]:  # (N, C, ...) -> the same
        # the largest logit is subtracted first: the quotient stays the same, and nothing overflows
        axes = self.axes(x.shape)
        y = np.asarray(np.exp(x - x.max(axis=axes, keepdims=True)))
        y /= y.sum(axis=axes, keepdims=True)
        return y, y

    def backward(self, signal: Array, y: Array) -> tuple[Array]:  # (R, C, ...) -> the same
        # dx[n,c] = y[n,c] (signal[n,c] - sum_d y[n,d] signal[n,d])
        return (y * (signal - (y * signal).sum(axis=self.axes(y.shape), keepdims=True)),)


@dataclass(frozen=True, eq=False, repr=False)
class LogSoftmax(_Normalised):
    """y[n,c] = x[n,c] - ln(sum_d exp(x[n,d])): the softmax's logarithm, also where the softmax itself would be 0.

    Parameters
    ----------
    axis, onward
        As of `Softmax`.
    """

    axis: int = 1
    onward: bool = False

    def forward(self, x: Array) -> tuple[Array, Array]:  # (N, C, ...) -> the same
        axes = self.axes(x.shape)
        y = np.asarray(x - x.max(axis=axes, keepdims=True))
        y -= np.log(np.exp(y).sum(axis=axes, keepdims=True))
        return y, y

    def backward(self, signal: Array, y: Array) -> tuple[Array]:  # (R, C, ...) -> the same
        # dx[n,c] = signal[n,c] - exp(y[n,c]) sum_d signal[n,d]
        return (signal - np.exp(y) * signal.sum(axis=self.axes(y.shape), keepdims=True),)
