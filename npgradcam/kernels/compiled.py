"""The same kernels compiled by Numba: loops over plain arrays, one writer for every output cell.

Work is cut into blocks whose size depends on the shapes alone, and each block is summed by one thread in a fixed
order, so the result is bitwise the same for any number of threads. No `fastmath`: it would reorder sums and ignore NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit, prange

from npgradcam.typing import Array, IntArray, Pair

PIXELS = 512  # cells of y that one block computes: a block of patches stays in the cache
COLUMNS = 64  # rows of the transposed product that one block of the adjoint computes


def _compile(loops: Callable[..., None]) -> Callable[..., None]:
    """Compile when first called; keep the machine code on disk for the next run where a folder can be written."""
    try:
        compiled: Callable[..., None] = njit(parallel=True, nogil=True, cache=True)(loops)
    except RuntimeError:  # no folder can be written: compile anew in every process
        compiled = njit(parallel=True, nogil=True)(loops)
    return compiled


def correlate2d(x: Array, weight: Array, stride: Pair, dilation: Pair, groups: int, sizes: Pair) -> Array:
    """Compiled twin of `definition.correlate2d`."""
    y = np.empty((x.shape[0], weight.shape[0], *sizes), dtype=x.dtype)
    if groups == 1:
        _dense(x, weight.reshape(weight.shape[0], -1), weight.shape[2:], stride, dilation, y)
    else:
        _grouped(x, weight, stride, dilation, groups, y)
    return y


def correlate2d_adjoint(signal: Array, weight: Array, stride: Pair, dilation: Pair, groups: int,
                        canvas: Pair) -> Array:
    """Compiled twin of `definition.correlate2d_adjoint`."""
    x = np.zeros((signal.shape[0], weight.shape[1] * groups, *canvas), dtype=signal.dtype)
    if groups == 1:
        transposed = np.ascontiguousarray(weight.reshape(weight.shape[0], -1).T)  # (C U V, O)
        _dense_adjoint(signal, transposed, weight.shape[2:], stride, dilation, x)
    else:
        _grouped_adjoint(signal, weight, stride, dilation, groups, x)
    return x


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


@_compile
def _dense(x, weight, kernel, stride, dilation, y):  # type: ignore[no-untyped-def]
    """Gather the cells that a block of windows looks at as columns, then one matrix product for the block.

    patch[(c,u,v), (i,j)] = x[n, c, s i + d u, s j + d v]
    y[n, o, (i,j)] = sum_(c,u,v) weight[o, (c,u,v)] patch[(c,u,v), (i,j)]
    """
    (U, V), (O, K) = kernel, weight.shape
    N, C, I, J = x.shape[0], x.shape[1], y.shape[2], y.shape[3]
    rows = max(1, min(I, PIXELS // J))
    bands = (I + rows - 1) // rows
    step = O if bands * N > 3 else max(32, (O + 3) // 4)  # few bands: share out the channels of y as well
    parts = (O + step - 1) // step
    for task in prange(N * bands * parts):
        n, band, part = task // (bands * parts), task // parts % bands, task % parts
        first, last = band * rows, min(I, (band + 1) * rows)
        o, stop = part * step, min(O, (part + 1) * step)
        patch = np.empty((K, (last - first) * J), dtype=x.dtype)
        for c in range(C):
            for u in range(U):
                for v in range(V):
                    line = patch[(c * U + u) * V + v]
                    for i in range(first, last):
                        source = x[n, c, stride[0] * i + dilation[0] * u]
                        at, shift = (i - first) * J, dilation[1] * v
                        if stride[1] == 1:
                            line[at : at + J] = source[shift : shift + J]
                        else:
                            for j in range(J):
                                line[at + j] = source[stride[1] * j + shift]
        product = np.dot(weight[o:stop], patch)
        for q in range(o, stop):
            for i in range(first, last):
                at = (i - first) * J
                y[n, q, i] = product[q - o, at : at + J]


@_compile
def _dense_adjoint(signal, transposed, kernel, stride, dilation, x):  # type: ignore[no-untyped-def]
    """One matrix product gives what a block of windows pays back; each block of channels of x has one writer.

    patch[(c,u,v), (i,j)] = sum_o weight[o, (c,u,v)] signal[n, o, (i,j)]
    x[n, c, s i + d u, s j + d v] += patch[(c,u,v), (i,j)]
    """
    U, V = kernel
    N, C, O, I, J = x.shape[0], x.shape[1], signal.shape[1], signal.shape[2], signal.shape[3]
    step = max(1, COLUMNS // (U * V))
    parts = (C + step - 1) // step
    rows = max(1, min(I, PIXELS // J))
    for task in prange(N * parts):
        n, start = task // parts, task % parts * step
        stop = min(C, start + step)
        for first in range(0, I, rows):
            last = min(I, first + rows)
            block = np.empty((O, (last - first) * J), dtype=x.dtype)
            for o in range(O):
                for i in range(first, last):
                    at = (i - first) * J
                    block[o, at : at + J] = signal[n, o, i]
            patch = np.dot(transposed[start * U * V : stop * U * V], block)
            for c in range(start, stop):
                for u in range(U):
                    for v in range(V):
                        line = patch[((c - start) * U + u) * V + v]
                        for i in range(first, last):
                            target = x[n, c, stride[0] * i + dilation[0] * u]
                            at, shift = (i - first) * J, dilation[1] * v
                            for j in range(J):
                                target[stride[1] * j + shift] += line[at + j]


@_compile
def _grouped(x, weight, stride, dilation, groups, y):  # type: ignore[no-untyped-def]
    """Few channels look at each other (depthwise: one): the sum is short, and every row of y is read along x's rows."""
    N, O, I, J = y.shape
    C, U, V = weight.shape[1], weight.shape[2], weight.shape[3]
    for task in prange(N * O):
        n, o = task // O, task % O
        first = o // (O // groups) * C
        for i in range(I):
            line = y[n, o, i]
            line[:] = 0
            for c in range(C):
                for u in range(U):
                    source = x[n, first + c, stride[0] * i + dilation[0] * u]
                    for v in range(V):
                        w, shift = weight[o, c, u, v], dilation[1] * v
                        if stride[1] == 1:
                            for j in range(J):
                                line[j] += w * source[shift + j]
                        else:
                            for j in range(J):
                                line[j] += w * source[stride[1] * j + shift]


@_compile
def _grouped_adjoint(signal, weight, stride, dilation, groups, x):  # type: ignore[no-untyped-def]
    """The rows of x that a row of y looked at are paid back; one thread writes the whole of a channel of x."""
    N, O, I, J = signal.shape
    C, U, V = weight.shape[1], weight.shape[2], weight.shape[3]
    outs = O // groups
    for task in prange(N * groups * C):
        n, channel = task // (groups * C), task % (groups * C)
        group, c = channel // C, channel % C
        for o in range(group * outs, (group + 1) * outs):
            for i in range(I):
                line = signal[n, o, i]
                for u in range(U):
                    target = x[n, channel, stride[0] * i + dilation[0] * u]
                    for v in range(V):
                        w, shift = weight[o, c, u, v], dilation[1] * v
                        if stride[1] == 1:
                            for j in range(J):
                                target[shift + j] += w * line[j]
                        else:
                            for j in range(J):
                                target[stride[1] * j + shift] += w * line[j]


@_compile
def _max_pool(x, kernel, stride, dilation, y, index):  # type: ignore[no-untyped-def]
    """The first largest cell of each window in row-major order; `not (best >= value)` lets a NaN win, and stay."""
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


@_compile
def _max_pool_adjoint(signal, index, x):  # type: ignore[no-untyped-def]
    """Pay each winner; an index of batch 1 serves every row of the signal."""
    N, C, I, J = signal.shape
    W = x.shape[3]
    for task in prange(N * C):
        n, c = task // C, task % C
        kept = n if index.shape[0] > 1 else 0
        for i in range(I):
            for j in range(J):
                where = index[kept, c, i, j]
                x[n, c, where // W, where % W] += signal[n, c, i, j]


def cache_misses() -> int:
    """Return how many of the kernels this process had to compile, because no cache on disk held them."""
    kernels = (_dense, _dense_adjoint, _grouped, _grouped_adjoint, _max_pool, _max_pool_adjoint)
    return sum(sum(k.stats.cache_misses.values()) for k in kernels if hasattr(k, "stats"))
