"""Pooling: a window of cells becomes one, its largest or its average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.kernels import geometry
from npgradcam.typing import Array, Pair, Quad, Shape

from .layer import Layer, expect_axes


class _Pool2d(Layer):
    """What the two sliding pools share: the geometry of their windows."""

    kernel: Pair
    stride: Pair
    padding: Quad
    ceil: bool
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        span = [d * (u - 1) + 1 for u, d in zip(self.kernel, self.dilation, strict=True)]
        if min(self.kernel + self.stride + self.dilation) < 1 or min(self.padding) < 0:
            raise ShapeError(f"expected kernel, stride, dilation >= 1 and padding >= 0, got {self}")
        if max(self.padding[0], self.padding[2]) >= span[0] or max(self.padding[1], self.padding[3]) >= span[1]:
            raise ShapeError(
                f"{type(self).__name__}: expected padding smaller than the window {tuple(span)}, got {self.padding}; "
                "a window that sees only padding has no value"
            )

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        sizes = geometry.output_sizes(shapes[0], self.kernel, self.stride, self.padding, self.dilation, self.ceil)
        return (*shapes[0][:2], *sizes)


@dataclass(frozen=True, eq=False)
class MaxPool2d(_Pool2d):
    """y = the largest cell of each window; a tie goes to the first cell in row-major order; NaN wins and stays.

    Parameters
    ----------
    kernel, stride, dilation : (int, int)
    padding : (top, left, bottom, right), smaller than the window
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

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:
        # dx[n, c, winner of (i,j)] += signal[n,c,i,j]
        winner, shape = cache
        geometry = (self.kernel, self.stride, self.padding, self.dilation, shape)
        return (kernels.max_pool2d_adjoint(signal, winner, *geometry),)


@dataclass(frozen=True, eq=False)
class AvgPool2d(_Pool2d):
    """y = the mean of each window.

    Parameters
    ----------
    kernel, stride : (int, int)
    padding : (top, left, bottom, right), smaller than the window
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

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:
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


@dataclass(frozen=True, eq=False)
class GlobalAvgPool2d(Layer):
    """y = the mean of each feature map: where CAM's equation begins."""

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, 1, 1)
        # y[n,c] = 1/Z sum_{h,w} x[n,c,h,w], Z = H W
        self.output_shape(x.shape)
        return x.mean(axis=(2, 3), keepdims=True), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:
        # dx[n,c,h,w] = 1/Z signal[n,c]: every cell gets the same share
        share = signal / (shape[2] * shape[3])
        return (np.broadcast_to(share, (*signal.shape[:2], *shape[2:])).copy(),)

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        return (*shapes[0][:2], 1, 1)


@dataclass(frozen=True, eq=False)
class AdaptiveAvgPool2d(Layer):
    """y = means over I x J windows that cover the picture: window i reads the rows floor(i H/I) .. ceil((i+1) H/I) - 1.

    Parameters
    ----------
    sizes : (int, int)
        (I, J), the size of the output whatever the input's.
    """

    sizes: Pair

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, I, J)
        # y[n,c] = P x[n,c] Q^T, with P[i,h] = 1/count[i] where window i reads row h, and Q likewise for columns
        self.output_shape(x.shape)
        P, Q = self._windows(x.shape, x.dtype)
        return P @ x @ Q.T, x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:
        # dx[n,c] = P^T signal[n,c] Q
        P, Q = self._windows(shape, signal.dtype)
        return (P.T @ signal @ Q,)

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        return (*shapes[0][:2], *self.sizes)

    def _windows(self, shape: Shape, dtype: Any) -> tuple[Array, Array]:
        rows, columns = (_average_matrix(shape[2 + a], self.sizes[a]).astype(dtype) for a in (0, 1))
        return rows, columns


def _average_matrix(length: int, windows: int) -> Array:
    """P of shape (windows, length); each row is a mean over its window."""
    i, h = np.arange(windows)[:, None], np.arange(length)
    reads = (h >= i * length // windows) & (h < -(-(i + 1) * length // windows))
    return np.asarray(reads / reads.sum(axis=1, keepdims=True))
