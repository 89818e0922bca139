"""Convolutions on blocks of channels, compiled: loops around the vector code of `kernels.vector`.

What lies where is said by tables that Python made and checked: a line is a row of J pixels of y that are neighbours in
memory, `x_lines[i]` and `y_lines[i]` say where line i begins, and `taps[t]` how far from there tap t looks.

Each function is compiled for the shape of its register block: P pixels, Q blocks of channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from numba import njit, prange

from .emitter import VERSION
from .frames import LANES
from .jit import compiled
from .vector import dot_rows, largest, multiply, pay_largest, scale


@cache
def dense(P: int, Q: int, L: int, step: int) -> Callable[..., None]:
    """Return the loops of a convolution in which every channel of y looks at every channel of x."""
    version = VERSION

    @compiled
    def dense(x, x_lines, taps, w, bias, y, y_lines, other, o_lines, kept, k_lines, where, low, high, what):  # type: ignore[no-untyped-def]
        # y[n, q, y_lines[i] + j] = store(bias[q] + sum_{t, l} x[n, x_lines[i] + step j + taps[t] + l] w[q, t, l])
        N, B, J, apart, w_block, x_n, _, y_n, y_block, o_n, o_block, k_n, k_block = where
        I, groups = len(x_lines), (B + Q - 1) // Q
        for task in prange(N * groups * I):
            n, q, i = task // (groups * I), min(B - Q, task // I % groups * Q), task % I
            for first in range(0, J, P):
                j = min(J - P, first)  # the last block of a line may overlap the one before
                multiply(P, Q, L, step, x, n * x_n + x_lines[i] + j * step, taps, w, q * w_block, w_block,
                         bias, q * LANES, y, n * y_n + q * y_block + y_lines[i] + j * apart, y_block,
                         other, n * o_n + q * o_block + o_lines[i] + j * apart, o_block,
                         kept, n * k_n + q * k_block + k_lines[i] + j * apart, k_block, apart, low, high,
                         what + 0 * version)

    return dense


@cache
def depthwise(P: int, step: int) -> Callable[..., None]:
    """Return the loops of a convolution in which a channel of y looks at one channel of x, the one of its number."""
    version, threads = VERSION, 8

    @compiled
    def depthwise(x, x_lines, taps, w, bias, y, y_lines, other, o_lines, kept, k_lines, where, low, high, what):  # type: ignore[no-untyped-def]
        # y[n, b, y_lines[i] + j] = store(bias[b] + sum_t x[n, b, x_lines[i] + step j + taps[t]] w[b, t])
        N, B, J, apart, w_block, x_n, x_block, y_n, y_block, o_n, o_block, k_n, k_block = where
        I = len(x_lines)
        bands = min(I, max(1, 2 * threads // max(1, N * B)))  # few blocks: share out the lines as well
        for task in prange(N * B * bands):
            n, b, band = task // (B * bands), task // bands % B, task % bands
            for i in range(band * I // bands, (band + 1) * I // bands):
                for first in range(0, J, P):
                    j = min(J - P, first)
                    scale(P, step, x, n * x_n + b * x_block + x_lines[i] + j * step, taps, w, b * w_block,
                          bias, b * LANES, y, n * y_n + b * y_block + y_lines[i] + j * apart,
                          other, n * o_n + b * o_block + o_lines[i] + j * apart,
                          kept, n * k_n + b * k_block + k_lines[i] + j * apart, apart, low, high,
                          what + 0 * version)

    return depthwise


@cache
def max_pool() -> Callable[..., None]:
    """Return the loops that take the largest cell of each window."""
    version = VERSION

    @compiled
    def max_pool(x, x_where, y, y_where, window, sizes):  # type: ignore[no-untyped-def]
        # y[n,b,i,j] = max_{u,v} x[n, b, s i + d u - p, s j + d v - p] over the cells of the picture
        x_n, x_block, x_row, x_first = x_where
        y_n, y_block, y_row, y_first = y_where
        N, B, H, W, I, J = sizes
        for task in prange(N * B * I):
            n, b, i = task // (B * I), task // I % B, task % I
            top, u, rows = _inside(i, H, window[0], window[2], window[4], window[6])
            for j in range(J):
                left, v, columns = _inside(j, W, window[1], window[3], window[5], window[7])
                largest(x, n * x_n + b * x_block + x_first + top * x_row + left * LANES, rows, window[6] * x_row,
                        columns, window[7] * LANES,
                        y, n * y_n + b * y_block + y_first + i * y_row + j * LANES + 0 * version * (u + v))

    return max_pool


@cache
def max_pool_adjoint() -> Callable[..., None]:
    """Return the loops that pay each window's signal to the first of its largest cells; dx holds zeros before."""
    version = VERSION

    @compiled
    def max_pool_adjoint(signal, s_where, y, y_where, x, x_where, dx, d_where, window, sizes):  # type: ignore[no-untyped-def]
        s_n, s_block, s_row, s_first = s_where
        y_n, y_block, y_row, y_first = y_where
        x_n, x_block, x_row, x_first = x_where
        d_n, d_block, d_row, d_first = d_where
        N, B, H, W, I, J = sizes
        for task in prange(N * B):  # windows may overlap: one thread pays all of a block
            n, b = task // B, task % B
            for i in range(I):
                top, u, rows = _inside(i, H, window[0], window[2], window[4], window[6])
                for j in range(J):
                    left, v, columns = _inside(j, W, window[1], window[3], window[5], window[7])
                    pay_largest(signal, n * s_n + b * s_block + s_first + i * s_row + j * LANES,
                                x, n * x_n + b * x_block + x_first + top * x_row + left * LANES,
                                window[6] * x_row, window[7] * LANES,
                                dx, n * d_n + b * d_block + d_first + top * d_row + left * LANES,
                                window[6] * d_row, window[7] * LANES, rows, columns,
                                y, n * y_n + b * y_block + y_first + i * y_row + j * LANES + 0 * version * (u + v))

    return max_pool_adjoint


@njit(inline="always")
def _inside(i, length, kernel, stride, padding, dilation):  # type: ignore[no-untyped-def]
    """Return the first cell of window i that lies in the picture, which of its taps that is, and how many do."""
    start = stride * i - padding
    first = (dilation - 1 - start) // dilation if start < 0 else 0
    last = min(kernel - 1, (length - 1 - start) // dilation)
    return start + dilation * first, first, last - first + 1


@cache
def pack() -> Callable[..., None]:
    """Return the loops that put a picture in its frame."""

    @compiled
    def pack(x, y, top, left):  # type: ignore[no-untyped-def]
        # y[n, c / lanes, top + h, left + w, c mod lanes] = x[n, c, h, w]; x (N, C, H, W), y a frame with zeros around
        N, C, H, W = x.shape
        B, lanes = y.shape[1], y.shape[4]
        for task in prange(N * B * H):
            n, b, h = task // (B * H), task // H % B, task % H
            row = y[n, b, top + h, left : left + W]
            for l in range(lanes):
                c = b * lanes + l
                for w in range(W):
                    row[w, l] = x[n, c, h, w] if c < C else 0

    return pack


@cache
def unpack() -> Callable[..., None]:
    """Return the loops that take a picture out of its frame."""

    @compiled
    def unpack(y, x, top, left):  # type: ignore[no-untyped-def]
        # x[n, c, h, w] = y[n, c / lanes, top + h, left + w, c mod lanes]
        N, C, H, W = x.shape
        B, lanes = y.shape[1], y.shape[4]
        for task in prange(N * B):
            n, b = task // B, task % B
            for l in range(min(lanes, C - b * lanes)):
                for h in range(H):
                    for w in range(W):
                        x[n, b * lanes + l, h, w] = y[n, b, top + h, left + w, l]

    return unpack


@cache
def linear() -> Callable[..., None]:
    """Return the loops of a linear layer for a few images: each task reads four rows of W once, for all of them."""
    version = VERSION

    @compiled
    def linear(x, weight, y):  # type: ignore[no-untyped-def]
        # y[n,o] = sum_c weight[o,c] x[n,c]; x (N, C), weight (O, C), y (N, O), C >= LANES
        (N, C), O = x.shape, len(weight)
        whole = C // LANES
        xs, ws, ys = x.reshape(-1), weight.reshape(-1), y.reshape(-1)
        for task in prange((O + 3) // 4):
            first = task * 4
            for n in range(N):
                if first + 4 <= O:
                    dot_rows(4, ws, first * C, C, xs, n * C, whole, ys, n * O + first + 0 * version)
                else:
                    for o in range(first, O):
                        dot_rows(1, ws, o * C, C, xs, n * C, whole, ys, n * O + o)
                for o in range(first, min(O, first + 4)):
                    for c in range(whole * LANES, C):
                        y[n, o] += weight[o, c] * x[n, c]

    return linear
