"""Transposed convolution: the adjoint of a convolution, used as a layer that makes pictures larger."""

from __future__ import annotations

from dataclasses import dataclass

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.kernels import geometry
from npgradcam.typing import Array, Pair, Quad, Shape

from .layer import Layer, expect_axes, expect_channels, expect_whole
from .windows import expect_windows


@dataclass(frozen=True, eq=False, repr=False)
class ConvTranspose2d(Layer):
    """Each cell of C channels pays into U x V cells of O channels: `Conv2d` with its two directions exchanged.

    Parameters
    ----------
    weight : ndarray of shape (C, O / groups, U, V)
    bias : ndarray of shape (O,), optional
    stride : (int, int)
        How far the places of neighbouring cells lie apart.
    padding : (top, left, bottom, right), "same" or "same_lower"
        Cells that are cut off the whole, I = s (H - 1) + d (U - 1) + 1. "same" cuts (or adds zeros at the end) so that
        I = s H; an odd cell is cut at the bottom and right, by "same_lower" at the top and left.
    output_padding : (int, int)
        Cells that are added at the bottom and at the right, or cut off less; nothing but the bias lies in cells that
        nobody pays into. "same" does not look at it.
    dilation : (int, int)
    groups : int
        Input channels pay into the output channels of their own group only.
    """

    weight: Array
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: kernels.Padding = (0, 0, 0, 0)
    output_padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        shape, groups = self.weight.shape, self.groups
        if self.weight.ndim != 4 or groups < 1 or shape[0] % groups or (
            self.bias is not None and self.bias.shape != (shape[1] * groups,)
        ):
            raise ShapeError(
                f"ConvTranspose2d: expected weight (C, O / groups, U, V), bias (O,) and groups that divide C, "
                f"got {shape}, {None if self.bias is None else self.bias.shape}, groups {groups}"
            )
        expect_windows("ConvTranspose2d", (shape[2], shape[3]), self.stride, self.padding, self.dilation)
        expect_whole("output_padding", self.output_padding, 2)
        if min(self.output_padding) < 0:
            raise ShapeError(f"ConvTranspose2d: expected output_padding >= 0, got {self.output_padding}")

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, O, I, J)
        # y[n, o, s h + d u - p, s w + d v - p] += weight[c,o,u,v] x[n,c,h,w], over a ground of bias[o]
        shape, padding = self._geometry(x.shape)
        y = kernels.correlate2d_adjoint(x, self.weight, self.stride, padding, self.dilation, self.groups, shape)
        if self.bias is not None:
            y += self.bias[:, None, None]
        return y, x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # (R, O, I, J) -> (R, C, H, W)
        # dx[n,c,h,w] = sum_{o,u,v} weight[c,o,u,v] signal[n, o, s h + d u - p, s w + d v - p]: a convolution
        _, padding = self._geometry(shape)
        return (kernels.correlate2d(signal, self.weight, self.stride, padding, self.dilation, self.groups),)

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return dy/dweight and dy/dbias applied to `signal`, summed over the batch."""
        # dweight[c,o,u,v] = sum_{n,h,w} x[n,c,h,w] signal[n, o, s h + d u - p, s w + d v - p]
        (U, V), (_, padding) = self.weight.shape[2:], self._geometry(x.shape)
        found = kernels.correlate2d_weight(x, signal, (U, V), self.stride, padding, self.dilation, self.groups)
        return {"weight": found} if self.bias is None else {"weight": found, "bias": signal.sum(axis=(0, 2, 3))}

    def output_shape(self, *shapes: Shape) -> Shape:
        return self._geometry(shapes[0])[0]

    def _geometry(self, x: Shape) -> tuple[Shape, Quad]:
        """Return y's shape (N, O, I, J), and the padding with which a convolution leads from it to exactly H x W.

        Below and at the right this padding is negative where cells are added that no window reaches.
        """
        expect_axes(x, "NCHW")
        expect_channels(x, self.weight.shape[0])
        kernel, (s, t) = (self.weight.shape[2], self.weight.shape[3]), self.stride
        I, J = whole = geometry.reach((x[2], x[3]), kernel, self.stride, self.dilation)
        if isinstance(self.padding, str):
            I, J = s * x[2], t * x[3]
            top, left, _, _ = kernels.resolve(self.padding, (*x[:2], I, J), kernel, self.stride, self.dilation)
        else:
            top, left, bottom, right = self.padding
            I, J = I + self.output_padding[0] - top - bottom, J + self.output_padding[1] - left - right
        if min(I, J) < 1:
            raise ShapeError(f"{self} leaves nothing of shape {x}; is the padding too large?")
        return (x[0], self.weight.shape[1] * self.groups, I, J), (top, left, whole[0] - top - I, whole[1] - left - J)
