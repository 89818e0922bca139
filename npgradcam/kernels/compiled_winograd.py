"""Winograd's convolution on blocks of channels, compiled: loops around the code of `vector` and `vector_tiles`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import get_thread_id, prange

from .emitter import VERSION
from .frames import LANES
from .jit import compiled
from .vector import multiply
from .vector_tiles import store_tile, transform_tile

# numbers between the matrices of V: else many lie a power of 2 apart and drive each other from the cache
PAD = 3 * LANES


@cache
def by_block(m: int, P: int, Q: int) -> Callable[..., None]:
    """Return the loops of Winograd's convolution whose tasks take T tiles each through all steps."""
    version = VERSION

    @compiled
    def by_block(x, y, other, kept, U, bias, taps, tiles, where, rows, low, high, what, room):  # type: ignore[no-untyped-def]
        # y = store(A^T (sum_c U * (B^T d B)) A + bias)
        N, B, C, T, x_n, x_block, y_n, y_block, o_n, o_block, k_n, k_block = where
        K, D = (m + 2) * (m + 2), len(tiles)
        parts = (D + T - 1) // T
        nothing = np.zeros(Q * LANES, y.dtype)
        v_step, p_step = C * T * LANES + PAD, B * T * LANES + PAD
        for task in prange(N * parts):
            n, first = task // parts, min(D - T, task % parts * T)
            mine = room[get_thread_id()]
            V, product = mine[: K * v_step], mine[K * v_step : K * (v_step + p_step)]
            for c in range(C):
                for t in range(T):
                    transform_tile(m, x, n * x_n + c * x_block + tiles[first + t, 0], rows[0],
                                   V, (c * T + t) * LANES, v_step)
            for k in range(K):
                for group in range(0, B, Q):
                    q = min(group, B - Q)
                    for part in range(0, T, P):
                        j = min(part, T - P)
                        multiply(P, Q, LANES, LANES, V, k * v_step + j * LANES, taps,
                                 U, (k * B + q) * C * LANES * LANES, C * LANES * LANES, nothing, 0,
                                 product, k * p_step + (q * T + j) * LANES, T * LANES, product, 0, 0, product, 0, 0,
                                 LANES, -np.inf, np.inf, 0 * version)
            for b in range(B):
                for t in range(T):
                    tile = tiles[first + t]
                    store_tile(m, product, (b * T + t) * LANES, p_step, bias, b * LANES,
                               y, n * y_n + b * y_block + tile[1], rows[1],
                               other, n * o_n + b * o_block + tile[2], rows[2],
                               kept, n * k_n + b * k_block + tile[3], rows[3], tile[4], tile[5], low, high, what)

    return by_block


@cache
def by_phase(m: int, P: int, Q: int) -> Callable[..., None]:
    """Return the loops of Winograd's convolution in which all threads do one step for T tiles before the next.

    The transformed kernels are read once for all T tiles, which may belong to several images.
    """
    version = VERSION

    @compiled
    def by_phase(x, y, other, kept, U, bias, taps, tiles, where, rows, low, high, what, V, product, first):  # type: ignore[no-untyped-def]
        _, B, C, T, x_n, x_block, y_n, y_block, o_n, o_block, k_n, k_block = where
        K, D, groups = (m + 2) * (m + 2), len(tiles), (B + Q - 1) // Q
        nothing = np.zeros(Q * LANES, y.dtype)
        v_step, p_step = C * T * LANES + PAD, B * T * LANES + PAD
        for task in prange(C * T):
            c, t = task // T, task % T
            n, d = (first + t) // D, (first + t) % D
            transform_tile(m, x, n * x_n + c * x_block + tiles[d, 0], rows[0], V, (c * T + t) * LANES, v_step)
        for task in prange(K * groups):
            k, q = task // groups, min(B - Q, task % groups * Q)
            for part in range(0, T, P):
                j = min(part, T - P)
                multiply(P, Q, LANES, LANES, V, k * v_step + j * LANES, taps, U, (k * B + q) * C * LANES * LANES,
                         C * LANES * LANES, nothing, 0, product, k * p_step + (q * T + j) * LANES, T * LANES,
                         product, 0, 0, product, 0, 0, LANES, -np.inf, np.inf, 0 * version)
        for task in prange(B * T):
            b, t = task // T, task % T
            n, d = (first + t) // D, (first + t) % D
            store_tile(m, product, (b * T + t) * LANES, p_step, bias, b * LANES,
                       y, n * y_n + b * y_block + tiles[d, 1], rows[1],
                       other, n * o_n + b * o_block + tiles[d, 2], rows[2],
                       kept, n * k_n + b * k_block + tiles[d, 3], rows[3], tiles[d, 4], tiles[d, 5], low, high, what)

    return by_phase
