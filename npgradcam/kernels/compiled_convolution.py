"""Convolutions of plain arrays, compiled: loops with one writer for every output cell.

A stride is taken out first: the picture is cut into its phases, the s x s pictures of every s-th row and column, each
stored as one line of cells. Then the cell that a tap (u, v) of the kernel reads lies at one fixed distance from the
cell that it writes, for all windows at once:

    window (i, j), tap (u, v)  reads  line[phase(u, v)][ i * pitch + j + shift(u, v) ],    pitch = a phase's width

so the innermost loops run along memory. The cells between one row's last window and the next row's first are computed
too and dropped, which is cheaper than stopping there.

What is stored last is y + bias, cut off below `low` and above `high`, while y is still in the cache; a NaN passes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from npgradcam.typing import Array, IntArray, Pair

from .blas import load_blas
from .geometry import Store
from .jit import compiled

PIXELS = 512  # cells of y that one block computes: a block of patches stays in the cache
TAPS = 64  # taps (c, u, v) that one task of the adjoint pays back


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


@compiled
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


@compiled
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


@compiled
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


@compiled
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


@compiled
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
