"""The same kernels compiled by Numba: loops over plain arrays, one writer for every output cell.

A stride is taken out first: the picture is cut into its phases, the s x s pictures of every s-th row and column, each
stored as one line of cells. Then the cell that a tap (u, v) of the kernel reads lies at one fixed distance from the
cell that it writes, for all windows at once:

    window (i, j), tap (u, v)  reads  line[phase(u, v)][ i * pitch + j + shift(u, v) ],    pitch = a phase's width

so the innermost loops run along memory. The cells between one row's last window and the next row's first are computed
too and dropped, which is cheaper than stopping there.

What is stored last is y + bias, cut off below `low` and above `high`, while y is still in the cache; a NaN passes.

Work is cut into blocks whose size depends on the shapes alone, and each block is summed by one thread in a fixed
order, so the result is bitwise the same for any number of threads. No `fastmath`: it would reorder sums and ignore NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import config, njit, prange

from npgradcam.typing import Array, IntArray, Pair

from .cache import kept
from .frames import LANES
from .geometry import Store
from .session import load_blas

PIXELS = 512  # cells of y that one block computes: a block of patches stays in the cache
FEW = 8  # images: with fewer, a linear layer is as fast as its weights can be read
TAPS = 64  # taps (c, u, v) that one task of the adjoint pays back


def _compile(loops: Callable[..., None]) -> Callable[..., None]:
    """Compile when first called; keep the machine code on disk for the next run where there is a folder for it.

    With NUMBA_BOUNDSCHECK set it runs on one thread: Numba checks no index in parallel code.
    """
    parallel = not config.BOUNDSCHECK
    with kept() as keep:
        try:
            compiled: Callable[..., None] = njit(parallel=parallel, nogil=True, cache=keep)(loops)
        except RuntimeError:  # the folder cannot be written: compile anew in every process
            compiled = njit(parallel=parallel, nogil=True)(loops)
    return compiled


def is_kept() -> bool:
    """Whether machine code is kept on disk for the next process."""
    return type(getattr(_dense, "_cache", None)).__name__ != "NullCache"


def correlate2d(x: Array, weight: Array, stride: Pair, dilation: Pair, groups: int, sizes: Pair,
                store: Store) -> Array:
    """Compiled twin of `definition.correlate2d`."""
    y = np.empty((x.shape[0], weight.shape[0], *sizes), dtype=x.dtype)
    bias = np.zeros(len(weight), x.dtype) if store.bias is None else store.bias
    last = (bias, x.dtype.type(store.low), x.dtype.type(store.high))
    if groups == 1:
        load_blas()
    if groups == 1 and weight.shape[2:] == (1, 1):
        _pointwise(weight[:, :, 0, 0], _every(x, stride, sizes), y.reshape(*y.shape[:2], -1), *last)
        return y
    lines, taps = _phases(x, stride), _taps(x.shape, weight.shape, stride, dilation)
    if groups == 1:
        _dense(lines, weight.reshape(len(weight), -1), *taps, y, *last)
    else:
        _grouped(lines, weight.reshape(*weight.shape[:2], -1), *taps, y, *last)
    return y


def correlate2d_adjoint(signal: Array, weight: Array, stride: Pair, dilation: Pair, groups: int,
                        canvas: Pair) -> Array:
    """Compiled twin of `definition.correlate2d_adjoint`."""
    shape = (signal.shape[0], weight.shape[1] * groups, *canvas)
    if groups == 1:
        load_blas()
    if groups == 1 and weight.shape[2:] == (1, 1):
        dense = np.empty((*shape[:2], *signal.shape[2:]), dtype=signal.dtype)
        transposed = np.ascontiguousarray(weight[:, :, 0, 0].T)
        last = (np.empty(0, signal.dtype), signal.dtype.type(-np.inf), signal.dtype.type(np.inf))
        _pointwise(transposed, signal.reshape(*signal.shape[:2], -1), dense.reshape(*shape[:2], -1), *last)
        if stride == (1, 1):
            return dense
        x = np.zeros(shape, dtype=signal.dtype)
        x[:, :, :: stride[0], :: stride[1]] = dense
        return x
    taps = _taps(shape, weight.shape, stride, dilation)
    rows, columns = (-(-length // s) for length, s in zip(canvas, stride, strict=True))
    lines = np.zeros((*shape[:2], stride[0] * stride[1], rows * columns), dtype=signal.dtype)
    apart = np.zeros((*signal.shape[:3], columns), dtype=signal.dtype)  # the signal with the lines' pitch
    apart[..., : signal.shape[3]] = signal
    apart = apart.reshape(*signal.shape[:2], -1)[:, :, : (signal.shape[2] - 1) * columns + signal.shape[3]]
    if groups == 1:
        transposed = np.ascontiguousarray(weight.reshape(len(weight), -1).T)  # (C U V, O)
        _dense_adjoint(apart, transposed, *taps, lines)
    else:
        _grouped_adjoint(apart, weight.reshape(*weight.shape[:2], -1), *taps, lines)
    whole = lines.reshape(*shape[:2], *stride, rows, columns).transpose(0, 1, 4, 2, 5, 3)
    return whole.reshape(*shape[:2], rows * stride[0], columns * stride[1])[:, :, : canvas[0], : canvas[1]]


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


def gate(signal: Array, y: Array, low: float, high: float, positive: bool, sloped: bool) -> Array:
    """Compiled twin of `definition.gate`."""
    passed = np.empty_like(signal)
    ends = signal.dtype.type(low), signal.dtype.type(high)
    flat = (x.reshape(len(x), -1) for x in (signal, y, passed))
    _gate(*flat, *ends, positive, sloped)
    return passed


class _Taps(NamedTuple):
    """Where each tap of a kernel reads: in which phase, how far from the window's own cell; and the lines' pitch."""

    phase: IntArray  # (U V,)
    shift: IntArray  # (U V,)
    pitch: int


def _taps(x: tuple[int, ...], weight: tuple[int, ...], stride: Pair, dilation: Pair) -> _Taps:
    (s, t), pitch = stride, -(-x[3] // stride[1])
    row, column = dilation[0] * np.arange(weight[2])[:, None], dilation[1] * np.arange(weight[3])
    phase, shift = row % s * t + column % t, row // s * pitch + column // t
    return _Taps(phase.reshape(-1), shift.reshape(-1), pitch)


def _phases(x: Array, stride: Pair) -> Array:
    """Cut (N, C, H, W) into lines (N, C, s t, cells): line a t + b: rows a, a + s, ... and columns b, b + t, ..."""
    n, c, height, width = x.shape
    rows, columns = (-(-length // s) for length, s in zip(x.shape[2:], stride, strict=True))
    if stride == (1, 1):
        return x.reshape(n, c, 1, height * width)
    whole = np.zeros((n, c, rows * stride[0], columns * stride[1]), dtype=x.dtype)
    whole[:, :, :height, :width] = x
    apart = whole.reshape(n, c, rows, stride[0], columns, stride[1]).transpose(0, 1, 3, 5, 2, 4)
    return apart.reshape(n, c, stride[0] * stride[1], rows * columns)


def _every(x: Array, stride: Pair, sizes: Pair) -> Array:
    """Return the cells (N, C, I J) that a 1 x 1 kernel reads."""
    read = x[:, :, : sizes[0] * stride[0] : stride[0], : sizes[1] * stride[1] : stride[1]]
    return np.ascontiguousarray(read).reshape(*x.shape[:2], -1)


@_compile
def _pointwise(weight, x, y, bias, low, high):  # type: ignore[no-untyped-def]
    """y[n] = weight x[n], a matrix product; each task makes some rows of y.

    weight (O, C), x (N, C, cells), y (N, O, cells), bias (O,); without a bias the product is stored as it is
    """
    N, O, cells = y.shape
    step = min(64, 8 * ((O + 31) // 32))
    parts = (O + step - 1) // step
    for task in prange(N * parts):
        n, o = task // parts, task % parts * step
        np.dot(weight[o : o + step], x[n], y[n, o : o + step])
        for q in range(o, min(O, o + step) if len(bias) else o):
            row, b = y[n, q], bias[q]
            for k in range(cells):
                value = row[k] + b
                value = low if value < low else value
                row[k] = high if value > high else value


@_compile
def _dense(lines, weight, phase, shift, pitch, y, bias, low, high):  # type: ignore[no-untyped-def]
    """Gather the cells that a block of windows looks at as lines, then one matrix product for the block.

    patch[(c,t), i pitch + j] = lines[n, c, phase[t], i pitch + j + shift[t]];  y[n, o] = weight[o] patch
    lines (N, C, phases, cells), weight (O, C T), phase and shift (T,), y (N, O, I, J), bias (O,)
    """
    T, (O, K) = len(phase), weight.shape
    N, C, I, J = lines.shape[0], lines.shape[1], y.shape[2], y.shape[3]
    rows = max(1, min(I, PIXELS // pitch))
    bands = (I + rows - 1) // rows
    step = O if bands * N > 3 else max(32, (O + 3) // 4)  # few bands: share out the channels of y as well
    parts = (O + step - 1) // step
    for task in prange(N * bands * parts):
        n, band, part = task // (bands * parts), task // parts % bands, task % parts
        first, last = band * rows, min(I, (band + 1) * rows)
        o, stop = part * step, min(O, (part + 1) * step)
        cells = (last - first - 1) * pitch + J
        patch = np.empty((K, cells), dtype=y.dtype)
        for c in range(C):
            for t in range(T):
                start = first * pitch + shift[t]
                patch[c * T + t] = lines[n, c, phase[t], start : start + cells]
        product = np.dot(weight[o:stop], patch)
        for q in range(o, stop):
            b = bias[q]
            for i in range(first, last):
                source, row = product[q - o, (i - first) * pitch : (i - first) * pitch + J], y[n, q, i]
                for j in range(J):
                    value = source[j] + b
                    value = low if value < low else value
                    row[j] = high if value > high else value


@_compile
def _dense_adjoint(signal, transposed, phase, shift, pitch, lines):  # type: ignore[no-untyped-def]
    """One matrix product gives what a block of windows pays back; each block of channels of x has one writer.

    patch[(c,t), k] = sum_o weight[o, (c,t)] signal[n, o, k];  lines[n, c, phase[t], k + shift[t]] += patch[(c,t), k]
    signal (R, O, cells) with the lines' pitch, transposed (C T, O), lines (R, C, phases, cells)
    """
    T = len(phase)
    N, C, O, cells = lines.shape[0], lines.shape[1], signal.shape[1], signal.shape[2]
    step = max(1, TAPS // T)
    parts = (C + step - 1) // step
    size = max(PIXELS, pitch)
    for task in prange(N * parts):
        n, start = task // parts, task % parts * step
        stop = min(C, start + step)
        for first in range(0, cells, size):
            last = min(cells, first + size)
            block = np.empty((O, last - first), dtype=lines.dtype)
            for o in range(O):
                block[o] = signal[n, o, first:last]
            patch = np.dot(transposed[start * T : stop * T], block)
            for c in range(start, stop):
                for t in range(T):
                    source = patch[(c - start) * T + t]
                    target = lines[n, c, phase[t], first + shift[t] : last + shift[t]]
                    for k in range(last - first):
                        target[k] += source[k]


@_compile
def _grouped(lines, weight, phase, shift, pitch, y, bias, low, high):  # type: ignore[no-untyped-def]
    """Few channels look at each other (depthwise: one), so every tap adds one whole line to the sum.

    lines (N, channels, phases, cells), weight (O, C, T) with C channels in a group, y (N, O, I, J), bias (O,)
    """
    N, O, I, J = y.shape
    C, T = weight.shape[1], weight.shape[2]
    outs, cells = O * C // lines.shape[1], (I - 1) * pitch + J
    for task in prange(N * O):
        n, o = task // O, task % O
        total = np.zeros(cells, dtype=y.dtype)
        for c in range(C):
            for t in range(T):
                w = weight[o, c, t]
                source = lines[n, o // outs * C + c, phase[t], shift[t] : shift[t] + cells]
                for k in range(cells):
                    total[k] += w * source[k]
        b = bias[o]
        for i in range(I):
            source, row = total[i * pitch : i * pitch + J], y[n, o, i]
            for j in range(J):
                value = source[j] + b
                value = low if value < low else value
                row[j] = high if value > high else value


@_compile
def _grouped_adjoint(signal, weight, phase, shift, pitch, lines):  # type: ignore[no-untyped-def]
    """The lines that a tap read are paid back; one thread writes all the phases of a channel of x.

    signal (R, O, cells) with the lines' pitch, weight (O, C, T), lines (R, channels, phases, cells)
    """
    N, channels, O, cells = lines.shape[0], lines.shape[1], signal.shape[1], signal.shape[2]
    C, T = weight.shape[1], weight.shape[2]
    outs = O * C // channels
    for task in prange(N * channels):
        n, channel = task // channels, task % channels
        group, c = channel // C, channel % C
        for o in range(group * outs, (group + 1) * outs):
            source = signal[n, o]
            for t in range(T):
                w = weight[o, c, t]
                target = lines[n, channel, phase[t], shift[t] : shift[t] + cells]
                for k in range(cells):
                    target[k] += w * source[k]


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
    if len(signal) < 4 * FEW:
        share = -(-weight.shape[1] // config.NUMBA_NUM_THREADS)
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


@_compile
def _linear(x, weight, y):  # type: ignore[no-untyped-def]
    """y^T = W x^T, a matrix product; each task has some rows of W.

    x (C, N), weight (O, C), y (N, O)
    """
    O, step = len(weight), 64
    for task in prange((O + step - 1) // step):
        first, last = task * step, min(O, (task + 1) * step)
        y[:, first:last] = np.dot(weight[first:last], x).T


@_compile
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


@_compile
def _linear_adjoint_of_many(signal, weight, dx):  # type: ignore[no-untyped-def]
    """Dx = signal W, a matrix product; each task has some rows of the signal.

    signal (R, O), weight (O, C), dx (R, C)
    """
    R = len(signal)
    parts = max(4, R // 64)
    for task in prange(parts):
        first, last = task * R // parts, (task + 1) * R // parts
        dx[first:last] = np.dot(signal[first:last], weight)


@_compile
def _add(a, b, total):  # type: ignore[no-untyped-def]
    """Total = a + b; all (cells,)."""
    step = 16384
    for task in prange((len(a) + step - 1) // step):
        for k in range(task * step, min(len(a), (task + 1) * step)):
            total[k] = a[k] + b[k]


@_compile
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


@_compile
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


@_compile
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


def cache_misses() -> int:
    """Return how many of the kernels this process had to compile, because no cache on disk held them."""
    kernels = (_linear, _linear_adjoint, _linear_adjoint_of_many, _add, _pointwise, _dense, _dense_adjoint, _grouped,
               _grouped_adjoint, _gate, _max_pool, _max_pool_adjoint)
    return sum(sum(k.stats.cache_misses.values()) for k in kernels if hasattr(k, "stats"))
