"""Convolutions on blocks of channels, compiled: loops around the vector code of `kernels.vector`.

What lies where is said by tables that Python made and checked: a line is a row of J pixels of y that are neighbours in
memory, `x_lines[i]` and `y_lines[i]` say where line i begins, and `taps[t]` how far from there tap t looks.

Each function is compiled for the shape of its register block: P pixels, Q blocks of channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import njit, prange

from . import vector
from .vector import LANES, VERSION, multiply, scale


def compiled(loops: Callable[..., None]) -> Callable[..., None]:
    """Compile when first called; the checked build runs on one thread, where an exception can leave the loop."""
    try:
        return _register(njit(parallel=not vector.CHECKED, nogil=True, cache=not vector.CHECKED)(loops))
    except RuntimeError:  # no folder can be written: compile anew in every process
        return _register(njit(parallel=True, nogil=True)(loops))


KERNELS: list[Any] = []  # every kernel that this process has made


def _register(kernel: Any) -> Any:
    KERNELS.append(kernel)
    return kernel


@cache
def dense(P: int, Q: int, L: int, step: int) -> Callable[..., None]:
    """Return the loops of a convolution in which every channel of y looks at every channel of x."""
    version = VERSION

    @compiled
    def dense(x, x_lines, taps, w, bias, y, y_lines, other, o_lines, kept, k_lines, where, low, high, what):  # type: ignore[no-untyped-def]
        # y[n, q, y_lines[i] + j] = store(bias[q] + sum_{t, l} x[n, x_lines[i] + step j + taps[t] + l] w[q, t, l])
        N, B, J, apart, x_n, w_block, y_n, y_block, o_n, o_block, k_n, k_block = where
        I, groups = len(x_lines), (B + Q - 1) // Q
        for task in prange(N * groups * I):
            n, q, i = task // (groups * I), min(B - Q, task // I % groups * Q), task % I
            for first in range(0, J, P):
                j = min(J - P, first)  # the last block of a line may overlap the one before
                multiply(P, Q, L, step, x, n * x_n + x_lines[i] + j * step, taps, w, q * w_block, w_block,
                         bias, q * LANES, y, n * y_n + q * y_block + y_lines[i] + j * apart, y_block,
                         other, n * o_n + q * o_block + o_lines[i] + j * apart, o_block,
                         kept, n * k_n + q * k_block + k_lines[i] + j * apart, k_block, apart, low, high, what + 0 * version)

    return dense


@cache
def depthwise(P: int, step: int) -> Callable[..., None]:
    """Return the loops of a convolution in which a channel of y looks at one channel of x, the one of its number."""
    version = VERSION

    @compiled
    def depthwise(x, x_lines, taps, w, bias, y, y_lines, other, o_lines, kept, k_lines, where, low, high, what):  # type: ignore[no-untyped-def]
        # y[n, b, y_lines[i] + j] = store(bias[b] + sum_t x[n, b, x_lines[i] + step j + taps[t]] w[b, t])
        N, B, J, apart, x_n, x_block, y_n, y_block, o_n, o_block, k_n, k_block = where
        I, w_block = len(x_lines), len(taps) * LANES
        for task in prange(N * B):
            n, b = task // B, task % B
            for i in range(I):
                for first in range(0, J, P):
                    j = min(J - P, first)
                    scale(P, step, x, n * x_n + b * x_block + x_lines[i] + j * step, taps, w, b * w_block,
                          bias, b * LANES, y, n * y_n + b * y_block + y_lines[i] + j * apart,
                          other, n * o_n + b * o_block + o_lines[i] + j * apart,
                          kept, n * k_n + b * k_block + k_lines[i] + j * apart, apart, low, high,
                          what + 0 * version)

    return depthwise
