"""The same kernels compiled by Numba, on plain arrays; those of convolutions are in `compiled_convolution`.

Work is cut into blocks, and each is summed by one thread in a fixed order that depends on the shapes alone, so the
result is bitwise the same for any number of threads. No `fastmath`: it would reorder sums and ignore NaN.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from npgradcam.typing import Array, IntArray, Pair

from .blas import load_blas
from .compiled_convolution import correlate2d, correlate2d_adjoint
from .frames import LANES
from .jit import compiled, threads

__all__ = ["add", "correlate2d", "correlate2d_adjoint", "gate", "linear", "linear_adjoint", "max_pool2d",
           "max_pool2d_adjoint"]

FEW = 8  # images: with fewer, a linear layer is as fast as its weights can be read


def linear(x: Array, weight: Array) -> Array:
    """Compiled twin of `definition.linear`."""
    y = np.empty((len(x), len(weight)), x.dtype)
    if len(x) < FEW and x.dtype == np.float32 and x.shape[1] >= LANES:
        from . import compiled_blocks

        compiled_blocks.linear()(x, weight, y)
    else:
        load_blas()
        _linear(np.ascontiguousarray(x.T), weight, y)
    return y


def linear_adjoint(signal: Array, weight: Array) -> Array:
    """Compiled twin of `definition.linear_adjoint`."""
    dx = np.zeros((len(signal), weight.shape[1]), signal.dtype)
    if len(signal) < 4 * FEW or 16 * np.count_nonzero(signal) < signal.size:  # of a thousand classes, each its own
        share = -(-weight.shape[1] // threads())
        _linear_adjoint(signal, weight, dx, max(512, -(-share // 64) * 64))
    else:
        load_blas()
        _linear_adjoint_of_many(signal, weight, dx)
    return dx


def add(a: Array, b: Array) -> Array:
    """Compiled twin of `definition.add`."""
    total = np.empty_like(a)
    _add(a.reshape(-1), b.reshape(-1), total.reshape(-1))
    return total


@compiled
def _linear(x, weight, y):  # type: ignore[no-untyped-def]
    """y^T = W x^T, a matrix product; each task has some rows of W.

    x (C, N), weight (O, C), y (N, O)
    """
    O, step = len(weight), 64
    for task in prange((O + step - 1) // step):
        first, last = task * step, min(O, (task + 1) * step)
        y[:, first:last] = np.dot(weight[first:last], x).T


@compiled
def _linear_adjoint(signal, weight, dx, step):  # type: ignore[no-untyped-def]
    """Dx = signal W; each task has some columns of W. A signal of 0 pays nothing, and its row of W is not read.

    signal (R, O), weight (O, C), dx (R, C), zeros before
    """
    C = weight.shape[1]
    for task in prange((C + step - 1) // step):
        first, last = task * step, min(C, (task + 1) * step)
        for r in range(len(signal)):
            total, pays = dx[r, first:last], np.flatnonzero(signal[r])
            fours = len(pays) // 4 * 4
            for k in range(0, fours, 4):  # four rows of W together: dx is read and written once for them
                s, t, u, v = signal[r, pays[k]], signal[r, pays[k + 1]], signal[r, pays[k + 2]], signal[r, pays[k + 3]]
                a, b = weight[pays[k], first:last], weight[pays[k + 1], first:last]
                c, d = weight[pays[k + 2], first:last], weight[pays[k + 3], first:last]
                for i in range(last - first):
                    total[i] = total[i] + s * a[i] + t * b[i] + u * c[i] + v * d[i]
            for o in pays[fours:]:
                s, a = signal[r, o], weight[o, first:last]
                for i in range(last - first):
                    total[i] += s * a[i]


@compiled
def _linear_adjoint_of_many(signal, weight, dx):  # type: ignore[no-untyped-def]
    """Dx = signal W, a matrix product; each task has some rows of the signal.

    signal (R, O), weight (O, C), dx (R, C)
    """
    R = len(signal)
    parts = max(4, R // 64)
    for task in prange(parts):
        first, last = task * R // parts, (task + 1) * R // parts
        dx[first:last] = np.dot(signal[first:last], weight)


@compiled
def _add(a, b, total):  # type: ignore[no-untyped-def]
    """Total = a + b; all (cells,)."""
    step = 16384
    for task in prange((len(a) + step - 1) // step):
        for k in range(task * step, min(len(a), (task + 1) * step)):
            total[k] = a[k] + b[k]


def gate(signal: Array, y: Array, low: float, high: float, positive: bool, sloped: bool) -> Array:
    """Compiled twin of `definition.gate`."""
    passed = np.empty_like(signal)
    ends = signal.dtype.type(low), signal.dtype.type(high)
    flat = (x.reshape(len(x), -1) for x in (signal, y, passed))
    _gate(*flat, *ends, positive, sloped)
    return passed


@compiled
def _gate(signal, y, passed, low, high, positive, sloped):  # type: ignore[no-untyped-def]
    """What a rectifier lets through, number by number; a y of batch 1 serves every row of the signal.

    signal and passed (R, cells), y (R or 1, cells)
    """
    R, cells = signal.shape
    size = 16384
    parts = (cells + size - 1) // size
    for task in prange(R * parts):
        r, first = task // parts, task % parts * size
        kept = r if y.shape[0] > 1 else 0
        for k in range(first, min(cells, first + size)):
            s, at = signal[r, k], y[kept, k]
            if positive and s < 0:
                passed[r, k] = 0
            elif sloped and not (at > low and at < high):
                passed[r, k] = s * 0
            else:
                passed[r, k] = s


def max_pool2d(x: Array, kernel: Pair, stride: Pair, dilation: Pair, sizes: Pair) -> tuple[Array, IntArray]:
    """Compiled twin of `definition.max_pool2d`."""
    y = np.empty((*x.shape[:2], *sizes), dtype=x.dtype)
    index = np.empty(y.shape, dtype=np.int32)
    _max_pool(x, kernel, stride, dilation, y, index)
    return y, index


def max_pool2d_adjoint(signal: Array, index: IntArray, canvas: Pair) -> Array:
    """Compiled twin of `definition.max_pool2d_adjoint`."""
    x = np.zeros((*signal.shape[:2], *canvas), dtype=signal.dtype)
    _max_pool_adjoint(signal, index, x)
    return x


@compiled
def _max_pool(x, kernel, stride, dilation, y, index):  # type: ignore[no-untyped-def]
    """The first largest cell of each window in row-major order; `not (best >= value)` lets a NaN win, and stay.

    x (N, C, H, W), padded; y and index (N, C, I, J)
    """
    N, C, I, J = y.shape
    W = x.shape[3]
    for task in prange(N * C):
        n, c = task // C, task % C
        for i in range(I):
            for j in range(J):
                h, w = stride[0] * i, stride[1] * j
                best, where = x[n, c, h, w], h * W + w
                for u in range(kernel[0]):
                    for v in range(kernel[1]):
                        value = x[n, c, h + dilation[0] * u, w + dilation[1] * v]
                        if best == best and not (best >= value):
                            best, where = value, (h + dilation[0] * u) * W + w + dilation[1] * v
                y[n, c, i, j] = best
                index[n, c, i, j] = where


@compiled
def _max_pool_adjoint(signal, index, x):  # type: ignore[no-untyped-def]
    """Pay each winner; an index of batch 1 serves every row of the signal.

    signal (R, C, I, J), index (R or 1, C, I, J), x (R, C, H, W), padded
    """
    N, C, I, J = signal.shape
    W = x.shape[3]
    for task in prange(N * C):
        n, c = task // C, task % C
        kept = n if index.shape[0] > 1 else 0
        for i in range(I):
            for j in range(J):
                where = index[kept, c, i, j]
                x[n, c, where // W, where % W] += signal[n, c, i, j]
