"""A linear layer: every output sees every input."""

from __future__ import annotations

from dataclasses import dataclass

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .layer import Layer, expect_axes, expect_channels


@dataclass(frozen=True, eq=False, repr=False)
class Linear(Layer):
    """y = W x + b for each row of the batch.

    Parameters
    ----------
    weight : ndarray of shape (O, C)
    bias : ndarray of shape (O,)
    """

    weight: Array
    bias: Array

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise ShapeError(
                f"Linear: expected weight (O, C) and bias (O,), got {self.weight.shape} and {self.bias.shape}"
            )

    def forward(self, x: Array) -> tuple[Array, None]:  # (N, C) -> (N, O)
        # y[n,o] = bias[o] + sum_c weight[o,c] x[n,c]
        self.output_shape(x.shape)
        return kernels.linear(x, self.weight) + self.bias, None

    def backward(self, signal: Array, _: None) -> tuple[Array]:  # (R, O) -> (R, C)
        # dx[n,c] = sum_o weight[o,c] signal[n,o]
        return (kernels.linear_adjoint(signal, self.weight),)

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return dy/dweight and dy/dbias applied to `signal`, summed over the batch."""
        # dweight[o,c] = sum_n signal[n,o] x[n,c]
        return {"weight": signal.T @ x, "bias": signal.sum(axis=0)}

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NC")
        expect_channels(shapes[0], self.weight.shape[1])
        return (shapes[0][0], self.weight.shape[0])
