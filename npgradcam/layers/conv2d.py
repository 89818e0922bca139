"""Two-dimensional convolution (as every CNN means it: cross-correlation), both directions."""

from __future__ import annotations

from dataclasses import dataclass

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Pair, Quad, Shape

from .layer import Layer, expect_axes, expect_channels
from .windows import expect_windows


@dataclass(frozen=True, eq=False, repr=False)
class Conv2d(Layer):
    """Slide O kernels of U x V cells over C channels.

    Parameters
    ----------
    weight : ndarray of shape (O, C / groups, U, V)
    bias : ndarray of shape (O,), optional
    stride, dilation : (int, int)
    padding : (top, left, bottom, right), "same" or "same_lower"
        Zeros around the picture; "same" is TensorFlow's, I = ceil(H / s), an odd cell at the bottom and right;
        "same_lower" puts it at the top and left.
    groups : int
        Output channels see only the input channels of their own group; groups = C is a depthwise convolution.
    """

    weight: Array
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: kernels.Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        outputs, groups = self.weight.shape[:1], self.groups
        if self.weight.ndim != 4 or groups < 1 or outputs[0] % groups or (
            self.bias is not None and self.bias.shape != outputs
        ):
            raise ShapeError(
                f"Conv2d: expected weight (O, C / groups, U, V), bias (O,) and groups that divide O, "
                f"got {self.weight.shape}, {None if self.bias is None else self.bias.shape}, groups {groups}"
            )
        expect_windows("Conv2d", (self.weight.shape[2], self.weight.shape[3]), self.stride, self.padding, self.dilation)

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, O, I, J)
        # y[n,o,i,j] = bias[o] + sum_{c,u,v} weight[o,c,u,v] x[n, c, s i + d u - p, s j + d v - p]
        return self.correlate(x, kernels.Store(self.bias)), x.shape  # all that backward needs

    def correlate(self, x: Array, store: kernels.Store) -> Array:
        """Return the sum as `store` says: with the bias, and in rewritten graphs with what a rectifier cuts off."""
        self.output_shape(x.shape)
        window = (self.stride, self._padding(x.shape), self.dilation, self.groups)
        return kernels.correlate2d(x, self.weight, *window, store)

    def backward(self, signal: Array, x_shape: Shape) -> tuple[Array]:  # (R, O, I, J) -> (R, C, H, W)
        # the same sum, read from y to x: each y[n,o,i,j] pays back every x it looked at
        return (
            kernels.correlate2d_adjoint(
                signal, self.weight, self.stride, self._padding(x_shape), self.dilation, self.groups, x_shape
            ),
        )

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return dy/dweight and dy/dbias applied to `signal`, summed over the batch."""
        # dweight[o,c,u,v] = sum_{n,i,j} signal[n,o,i,j] x[n, c, s i + d u - p, s j + d v - p]
        (U, V), pad = self.weight.shape[2:], self._padding(x.shape)
        dweight = kernels.correlate2d_weight(signal, x, (U, V), self.stride, pad, self.dilation, self.groups)
        return {"weight": dweight} if self.bias is None else {"weight": dweight, "bias": signal.sum(axis=(0, 2, 3))}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        expect_axes(x, "NCHW")
        expect_channels(x, self.weight.shape[1] * self.groups)
        (U, V), pad = self.weight.shape[2:], self._padding(x)
        I, J = kernels.geometry.output_sizes(x, (U, V), self.stride, pad, self.dilation)
        return (x[0], self.weight.shape[0], I, J)

    def _padding(self, shape: Shape) -> Quad:
        U, V = self.weight.shape[2:]
        return kernels.resolve(self.padding, shape, (U, V), self.stride, self.dilation)
