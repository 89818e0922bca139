"""Pooling: a window of cells becomes one, its largest or its average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.kernels import geometry
from npgradcam.typing import Array, IntArray, Pair, Quad, Shape

from .layer import Layer, expect_axes, expect_whole
from .windows import expect_windows


class _Pool2d(Layer):
    """What the two sliding pools share: the geometry of their windows."""

    kernel: Pair
    stride: Pair
    padding: kernels.Padding
    ceil: bool
    dilation: Pair

    def __post_init__(self) -> None:
        expect_windows(type(self).__name__, self.kernel, self.stride, self.padding, self.dilation)

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        pad = self._padding(shapes[0])
        sizes = geometry.output_sizes(shapes[0], self.kernel, self.stride, pad, self.dilation, self.ceil)
        if not self._counts(shapes[0], sizes, frame=(0, 0, 0, 0)).all():
            raise ShapeError(f"a window of {self} sees only padding of shape {shapes[0]}, so it has no value")
        return (*shapes[0][:2], *sizes)

    def _padding(self, shape: Shape) -> Quad:
        return kernels.resolve(self.padding, shape, self.kernel, self.stride, self.dilation)

    def _counts(self, shape: Shape, sizes: Pair, frame: Quad) -> IntArray:
        """How many cells of each window lie in the picture or in a frame (top, left, bottom, right) of it; (I, J)."""
        pad, counts = self._padding(shape), []
        for axis in (0, 1):
            cells = self.stride[axis] * np.arange(sizes[axis])[:, None] - pad[axis]
            cells = cells + self.dilation[axis] * np.arange(self.kernel[axis])  # (I, U): where window i looks
            counts.append(((cells >= -frame[axis]) & (cells < shape[2 + axis] + frame[2 + axis])).sum(axis=1))
        return np.asarray(counts[0][:, None] * counts[1])


@dataclass(frozen=True, eq=False, repr=False)
class MaxPool2d(_Pool2d):
    """y = the largest cell of each window; a tie goes to the first cell in row-major order; NaN wins and stays.

    Parameters
    ----------
    kernel, stride, dilation : (int, int)
    padding : (top, left, bottom, right), "same" or "same_lower"
        Padding is minus infinity: it never wins. "same" is TensorFlow's, as in `Conv2d`.
    ceil : bool
        Round the number of windows up instead of down.
    """

    kernel: Pair
    stride: Pair
    padding: kernels.Padding = (0, 0, 0, 0)
    ceil: bool = False
    dilation: Pair = (1, 1)

    def forward(self, x: Array) -> tuple[Array, Any]:  # (N, C, H, W) -> (N, C, I, J)
        # y[n,c,i,j] = max_{u,v} x[n, c, s i + d u - p, s j + d v - p], and which cell it was
        _, _, I, J = self.output_shape(x.shape)
        y, winner = kernels.max_pool2d(x, self.kernel, self.stride, self._padding(x.shape), self.dilation, (I, J))
        return y, (winner, x.shape)

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:  # (R, C, I, J) -> (R, C, H, W)
        # dx[n, c, winner of (i,j)] += signal[n,c,i,j]
        winner, shape = cache
        windows = (self.kernel, self.stride, self._padding(shape), self.dilation)
        return (kernels.max_pool2d_adjoint(signal, winner, *windows, shape),)


@dataclass(frozen=True, eq=False, repr=False)
class AvgPool2d(_Pool2d):
    """y = the mean of each window.

    Parameters
    ----------
    kernel, stride, dilation : (int, int)
    padding : (top, left, bottom, right), "same" or "same_lower"
    ceil : bool
        Round the number of windows up instead of down.
    count_include_pad : bool
        Whether padding (zeros) counts in the mean's denominator. Cells beyond the padding, which only `ceil` reaches,
        never count.
    """

    kernel: Pair
    stride: Pair
    padding: kernels.Padding = (0, 0, 0, 0)
    ceil: bool = False
    count_include_pad: bool = True
    dilation: Pair = (1, 1)

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, I, J)
        # y[n,c,i,j] = 1/count[i,j] sum_{u,v} x[n, c, s i + d u - p, s j + d v - p]: a convolution with a kernel of ones
        ones, padding, count = self._mean(x.shape, x.dtype)
        return kernels.correlate2d(x, ones, self.stride, padding, self.dilation, len(ones)) / count, x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # (R, C, I, J) -> (R, C, H, W)
        # dx[n, c, s i + d u - p, s j + d v - p] += signal[n,c,i,j] / count[i,j]
        ones, padding, count = self._mean(shape, signal.dtype)
        share = signal / count
        return (kernels.correlate2d_adjoint(share, ones, self.stride, padding, self.dilation, len(ones), shape),)

    def _mean(self, shape: Shape, dtype: Any) -> tuple[Array, Quad, Array]:
        """Return the kernel of ones (C, 1, U, V), a padding that ends where the last window ends, and count (I, J)."""
        _, C, I, J = self.output_shape(shape)
        top, left, *_ = pad = self._padding(shape)
        height, width = geometry.reach((I, J), self.kernel, self.stride, self.dilation)
        count = self._counts(shape, (I, J), frame=pad if self.count_include_pad else (0, 0, 0, 0))
        ends = (top, left, height - top - shape[2], width - left - shape[3])
        return np.ones((C, 1, *self.kernel), dtype), ends, count.astype(dtype)


@dataclass(frozen=True, eq=False, repr=False)
class GlobalAvgPool2d(Layer):
    """y = the mean of each feature map: where CAM's equation begins."""

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, 1, 1)
        # y[n,c] = 1/Z sum_{h,w} x[n,c,h,w], Z = H W
        self.output_shape(x.shape)
        return x.mean(axis=(2, 3), keepdims=True), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # (R, C, 1, 1) -> (R, C, H, W)
        # dx[n,c,h,w] = 1/Z signal[n,c]: every cell gets the same share
        share = signal / (shape[2] * shape[3])
        return (np.broadcast_to(share, (*signal.shape[:2], *shape[2:])),)

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        return (*shapes[0][:2], 1, 1)


@dataclass(frozen=True, eq=False, repr=False)
class AdaptiveAvgPool2d(Layer):
    """y = means over I x J windows that cover the picture: window i reads the rows floor(i H/I) .. ceil((i+1) H/I) - 1.

    Parameters
    ----------
    sizes : (int, int)
        (I, J), the size of the output whatever the input's.
    """

    sizes: Pair

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, I, J)
        # y[n,c,i,j] = mean of x[n,c] over the rows of window i and the columns of window j
        y = np.empty(self.output_shape(x.shape), x.dtype)
        for i, rows in enumerate(self._windows(x.shape[2], self.sizes[0])):
            for j, columns in enumerate(self._windows(x.shape[3], self.sizes[1])):
                y[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
        return y, x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # (R, C, I, J) -> (R, C, H, W)
        # every cell of window (i, j) gets signal[n,c,i,j] / count; where windows overlap, shares add
        dx = np.zeros((*signal.shape[:2], *shape[2:]), signal.dtype)
        for i, rows in enumerate(self._windows(shape[2], self.sizes[0])):
            for j, columns in enumerate(self._windows(shape[3], self.sizes[1])):
                window = dx[:, :, rows, columns]
                window += signal[:, :, i, j, None, None] / (window.shape[2] * window.shape[3])
        return (dx,)

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        expect_whole("sizes", self.sizes, 2)
        if min(self.sizes) < 1:
            raise ShapeError(f"expected at least one window on each axis, got {self.sizes}")
        return (*shapes[0][:2], *self.sizes)

    @staticmethod
    def _windows(length: int, count: int) -> list[slice]:
        return [slice(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
