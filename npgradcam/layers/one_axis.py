"""Sequences: a layer for pictures, applied to pictures of one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .layer import Layer, expect_axes


@dataclass(frozen=True, eq=False, repr=False)
class OneAxis(Layer):
    """A layer for (N, C, H, W) applied to (N, C, L), seen as (N, C, 1, L).

    Parameters
    ----------
    layer : Layer
        A convolution or pooling that keeps a picture of one row a picture of one row.
    """

    layer: Layer

    def forward(self, x: Array) -> tuple[Array, Any]:  # (N, C, L) -> (N, O, M)
        self.output_shape(x.shape)
        y, cache = self.layer.forward(x[:, :, None])
        return y[:, :, 0], cache

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:  # (R, O, M) -> (R, C, L)
        (down,) = self.layer.backward(signal[:, :, None], cache)
        return (np.asarray(down)[:, :, 0],)

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        return self.layer.parameter_gradients(signal[:, :, None], x[:, :, None])

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCL")
        n, c, length = shapes[0]
        found = self.layer.output_shape((n, c, 1, length))
        if len(found) != 4 or found[2] != 1:
            raise ShapeError(f"OneAxis: expected a layer that keeps one row, got {found} from {self.layer}")
        return (*found[:2], found[3])

    @property
    def arrays(self) -> dict[str, Array]:
        """Every array that the layer inside holds."""
        return self.layer.arrays

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays of the layer inside that training changes."""
        return self.layer.parameters

    def astype(self, dtype: Any) -> OneAxis:
        """Return the same layer in another precision."""
        return OneAxis(self.layer.astype(dtype))
