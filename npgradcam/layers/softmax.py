"""From logits to probabilities. Explanations start before it; it is here so that a network may end with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .layer import Layer


@dataclass(frozen=True, eq=False, repr=False)
class Softmax(Layer):
    """y[n,c] = exp(x[n,c]) / sum_d exp(x[n,d]), over axis 1."""

    def forward(self, x: Array) -> tuple[Array, Array]:  # (N, C, ...) -> the same
        self.output_shape(x.shape)
        # the largest logit is subtracted first: the quotient stays the same, and nothing overflows
        e = np.exp(x - x.max(axis=1, keepdims=True))
        y = e / e.sum(axis=1, keepdims=True)
        return y, y

    def backward(self, signal: Array, y: Array) -> tuple[Array]:  # (R, C, ...) -> the same
        # dx[n,c] = y[n,c] (signal[n,c] - sum_d y[n,d] signal[n,d])
        return (y * (signal - (y * signal).sum(axis=1, keepdims=True)),)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) < 2:
            raise ShapeError(f"expected classes on axis 1, got shape {shapes[0]}; add the batch axis?")
        return shapes[0]
