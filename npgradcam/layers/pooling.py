"""Pooling: a window of cells becomes one, its largest or its average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.kernels import geometry
from npgradcam.typing import Array, Pair, Quad, Shape

from .layer import Layer, expect_axes, expect_whole


class _Pool2d(Layer):
    """What the two sliding pools share: the geometry of their windows."""

    kernel: Pair
    stride: Pair
    padding: Quad
    ceil: bool
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        for name, count in (("kernel", 2), ("stride", 2), ("padding", 4), ("dilation", 2)):
            expect_whole(name, getattr(self, name), count)
        if min(self.kernel + self.stride + self.dilation) < 1 or min(self.padding) < 0:
            raise ShapeError(f"expected kernel, stride, dilation >= 1 and padding >= 0, got {self}")

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        sizes = geometry.output_sizes(shapes[0], self.kernel, self.stride, self.padding, self.dilation, self.ceil)
        for axis in (0, 1):
            looks_at = self.stride[axis] * np.arange(sizes[axis])[:, None] - self.padding[axis]
            looks_at = looks_at + self.dilation[axis] * np.arange(self.kernel[axis])
            if not ((looks_at >= 0) & (looks_at < shapes[0][2 + axis])).any(axis=1).all():
                raise ShapeError(f"a window of {self} sees only padding of shape {shapes[0]}, so it has no value")
        return (*shapes[0][:2], *sizes)


@dataclass(frozen=True, eq=False, repr=False)
class MaxPool2d(_Pool2d):
    """y = the largest cell of each window; a tie goes to the first cell in row-major order; NaN wins and stays.

    Parameters
    ----------
    kernel, stride, dilation : (int, int)
    padding : (top, left, bottom, right)
        Padding is minus infinity: it never wins.
    ceil : bool
        Round the number of windows up instead of down.
    """

    kernel: Pair
    stride: Pair
    padding: Quad = (0, 0, 0, 0)
    ceil: bool = False
    dilation: Pair = (1, 1)

    def forward(self, x: Array) -> tuple[Array, Any]:  # (N, C, H, W) -> (N, C, I, J)
        # y[n,c,i,j] = max_{u,v} x[n, c, s i + d u - p, s j + d v - p], and which cell it was
        _, _, I, J = self.output_shape(x.shape)
        y, winner = kernels.max_pool2d(x, self.kernel, self.stride, self.padding, self.dilation, (I, J))
        return y, (winner, x.shape)

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:  # (R, C, I, J) -> (R, C, H, W)
        # dx[n, c, winner of (i,j)] += signal[n,c,i,j]
        winner, shape = cache
        geometry = (self.kernel, self.stride, self.padding, self.dilation, shape)
        return (kernels.max_pool2d_adjoint(signal, winner, *geometry),)


@dataclass(frozen=True, eq=False, repr=False)
class AvgPool2d(_Pool2d):
    """y = the mean of each window.

    Parameters
    ----------
    kernel, stride : (int, int)
    padding : (top, left, bottom, right)
    ceil : bool
        Round the number of windows up instead of down.
    count_include_pad : bool
        Whether padding (zeros) counts in the mean's denominator. Cells beyond the padding, which only `ceil` reaches,
        never count.
    """

    kernel: Pair
    stride: Pair
    padding: Quad = (0, 0, 0, 0)
    ceil: bool = False
    count_include_pad: bool = True

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, I, J)
        # y[n,c,i,j] = 1/count[i,j] sum_{u,v} x[n, c, s i + u - p, s j + v - p]: a convolution with a kernel of ones
        _, C, I, J = self.output_shape(x.shape)
        ones, pad = np.ones((C, 1, *self.kernel), x.dtype), self._overhang(x.shape, (I, J))
        y = kernels.correlate2d(x, ones, self.stride, pad, (1, 1), groups=C)
        return y / self._count(x.shape, (I, J)).astype(x.dtype), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # (R, C, I, J) -> (R, C, H, W)
        # dx[n, c, s i + u - p, s j + v - p] += signal[n,c,i,j] / count[i,j]
        _, C, I, J = self.output_shape(shape)
        ones, pad = np.ones((C, 1, *self.kernel), signal.dtype), self._overhang(shape, (I, J))
        share = signal / self._count(shape, (I, J)).astype(signal.dtype)
        return (kernels.correlate2d_adjoint(share, ones, self.stride, pad, (1, 1), C, shape),)

    def _overhang(self, shape: Shape, sizes: Pair) -> Quad:
        """Padding that ends where the last window ends, so that `ceil` and floor are the same sum."""
        top, left = self.padding[:2]
        height, width = geometry.reach(sizes, self.kernel, self.stride, (1, 1))
        return (top, left, max(0, height - top - shape[2]), max(0, width - left - shape[3]))

    def _count(self, shape: Shape, sizes: Pair) -> Array:
        """How many cells the mean of window (i, j) divides by; (I, J)."""
        top, left, bottom, right = self.padding
        edges = (top, bottom, left, right) if self.count_include_pad else (0, 0, 0, 0)
        counts = []
        for axis, before, end in ((0, edges[0], edges[1]), (1, edges[2], edges[3])):
            first = self.stride[axis] * np.arange(sizes[axis]) - self.padding[axis]
            last = np.minimum(first + self.kernel[axis], shape[2 + axis] + end)
            counts.append(last - np.maximum(first, -before))
        return np.asarray(counts[0][:, None] * counts[1], dtype=np.float64)


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
        return (np.broadcast_to(share, (*signal.shape[:2], *shape[2:])).copy(),)

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
