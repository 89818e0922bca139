"""Winograd's convolution compiled by Numba: gather tiles, many small matrix products, put tiles together.

    V[k, c, tile] = B^T d B     k = one of the (m + 2)^2 places of a transformed tile, d the tile's cells of channel c
    M[k, o, tile] = sum_c U[k, o, c] V[k, c, tile]                    a matrix product for each k: the bulk of the work
    y[o, tile]    = min(max(A^T M A + bias[o], low), high)            m x m cells

The transforms run along `LANES` tiles at once. Their scratch arrays have lengths that are known to the compiler, and
their cells lie side by side for neighbouring tiles, so it makes vector code of them. Rows of tiles shorter than
`LANES` lie one after the other. How the work is cut is decided in `winograd_blocks`, from the shapes alone, and every
cell has one writer, so the result is bitwise the same for any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from .compiled import _compile

LANES = 32  # tiles that the transforms handle at once
WIDTH = 8 * LANES + 8  # cells of a row that they read: 4 for each tile, and 4 more at the end of a row of tiles
PAD = 48  # numbers between the matrices of V: else many lie a power of 2 apart and drive each other from the cache
STEP = 32  # channels that one task transforms
ROWS = 256  # channels of y that one matrix product makes

EIGHTH, QUARTER, HALF, TWO, FOUR, EIGHT = (np.float32(2.0**n) for n in (-3, -2, -1, 1, 2, 3))  # exact in float64 too
THREE_HALVES, FIVE_HALVES = np.float32(1.5), np.float32(2.5)


@njit(forceinline=True)
def _input_4(a, b, c, d, e, f):  # type: ignore[no-untyped-def]
    """B^T of F(4, 3) applied to six numbers: points 0, 1, -1, 2, -1/2 and infinity."""
    ec, db = e - c, d - b
    return (a + e - TWO * c - THREE_HALVES * db, e - b - FIVE_HALVES * c - HALF * d, e + b + HALF * c - FIVE_HALVES * d,
            ec + HALF * db, ec - TWO * db, b + f - TWO * d - THREE_HALVES * ec)


@njit(forceinline=True)
def _output_4(a, b, c, d, e, f):  # type: ignore[no-untyped-def]
    """A^T of F(4, 3) applied to six numbers."""
    plus, minus = b + c, b - c
    return (
        a + plus + d + e,
        minus + TWO * d - HALF * e,
        plus + FOUR * d + QUARTER * e,
        minus + EIGHT * d - EIGHTH * e + f,
    )


@njit(forceinline=True)
def _input_2(a, b, c, d):  # type: ignore[no-untyped-def]
    """B^T of F(2, 3) applied to four numbers: points 0, 1, -1 and infinity."""
    return c - a, b + c, c - b, d - b


@njit(forceinline=True)
def _output_2(a, b, c, d):  # type: ignore[no-untyped-def]
    """A^T of F(2, 3) applied to four numbers."""
    return a + b + c, b - c + d


@njit(nogil=True)
def _places(part, m, columns, at):  # type: ignore[no-untyped-def]
    """Where each tile of a part begins in the scratch rows: m cells apart, with m more between two rows of tiles."""
    for t in range(part[2] - part[1]):
        at[t] = m * (t + (part[1] + t) // columns - part[1] // columns)
    return m * (part[2] - part[1] + (part[2] - 1) // columns - part[1] // columns + 1)  # cells in use


@njit(nogil=True)
def _gather(x, before, left, m, columns, part, first, c, stop, v):  # type: ignore[no-untyped-def]
    """Transform the tiles of a part, channels c to stop: V[:, c, tile] = B^T d B.

    x (C, H, W); columns: tiles in a row of tiles; part: image, first tile, last tile + 1, number of its first tile;
    v ((m + 2)^2, > C tiles): V, each of its matrices as one line; `first` is the number of its first tile
    """
    C, H, W = x.shape
    cells = np.zeros(6 * WIDTH, x.dtype).reshape(6, WIDTH)  # outside the picture it stays 0 for every channel
    down = np.empty((6, WIDTH), x.dtype)
    apart = np.zeros((36, LANES), x.dtype)
    both = np.empty((36, LANES), x.dtype)
    at = np.zeros(LANES, np.uint64)
    used, count = _places(part, m, columns, at), part[2] - part[1]
    tiles, number = (v.shape[1] - PAD) // C, part[3] - first
    lines = np.empty((6 * LANES, 3), np.uint64)  # of the picture: from where, to where in `cells`, how long
    found = 0
    for row in range(part[1] // columns, (part[2] - 1) // columns + 1):
        t, end = max(part[1], row * columns), min(part[2], (row + 1) * columns)
        source, width = m * (t - row * columns) - left, m * (end - t) + 2
        skip = max(0, -source)
        for i in range(m + 2):
            h, length = m * row + i - before, min(width, W - source) - skip
            if 0 <= h < H and length > 0:
                lines[found, 0], lines[found, 2] = h * W + source + skip, length
                lines[found, 1] = i * WIDTH + at[t - part[1]] + skip
                found += 1
    flat = cells.reshape(-1)
    for channel in range(c, stop):
        plane = x[channel].reshape(-1)
        for n in range(found):
            source, target = lines[n, 0], lines[n, 1]
            for k in range(lines[n, 2]):
                flat[target + k] = plane[source + k]
        if m == 4:
            for s in range(used):
                down[0, s], down[1, s], down[2, s], down[3, s], down[4, s], down[5, s] = _input_4(
                    cells[0, s], cells[1, s], cells[2, s], cells[3, s], cells[4, s], cells[5, s])
            for i in range(6):
                for t in range(count):
                    for j in range(6):
                        apart[6 * i + j, t] = down[i, at[t] + np.uint64(j)]
            for i in range(6):
                for t in range(LANES):
                    (both[6 * i, t], both[6 * i + 1, t], both[6 * i + 2, t], both[6 * i + 3, t], both[6 * i + 4, t],
                     both[6 * i + 5, t]) = _input_4(apart[6 * i, t], apart[6 * i + 1, t], apart[6 * i + 2, t],
                                                    apart[6 * i + 3, t], apart[6 * i + 4, t], apart[6 * i + 5, t])
        else:
            for s in range(used):
                down[0, s], down[1, s], down[2, s], down[3, s] = _input_2(
                    cells[0, s], cells[1, s], cells[2, s], cells[3, s])
            for i in range(4):
                for t in range(count):
                    for j in range(4):
                        apart[4 * i + j, t] = down[i, at[t] + np.uint64(j)]
            for i in range(4):
                for t in range(LANES):
                    both[4 * i, t], both[4 * i + 1, t], both[4 * i + 2, t], both[4 * i + 3, t] = _input_2(
                        apart[4 * i, t], apart[4 * i + 1, t], apart[4 * i + 2, t], apart[4 * i + 3, t])
        start = channel * tiles + number
        for k in range((m + 2) * (m + 2)):
            line, target = both[k], v[k, start : start + count]
            for t in range(count):
                target[t] = line[t]


@njit(nogil=True)
def _scatter(product, bias, low, high, m, columns, part, first, o, stop, y):  # type: ignore[no-untyped-def]
    """Transform the products of a part back, channels o to stop: y = min(max(A^T M A + bias, low), high).

    product ((m + 2)^2, > O tiles): M, as V in `_gather`; y (O, I, J)
    """
    O, I, J = y.shape
    both = np.zeros((36, LANES), y.dtype)
    up = np.empty((24, LANES), y.dtype)
    apart = np.empty((16, LANES), y.dtype)
    cells = np.empty((4, WIDTH), y.dtype)
    at = np.zeros(LANES, np.uint64)
    _places(part, m, columns, at)
    count, tiles, number = part[2] - part[1], (product.shape[1] - PAD) // O, part[3] - first
    for channel in range(o, stop):
        start = channel * tiles + number
        for k in range((m + 2) * (m + 2)):
            line, target = product[k, start : start + count], both[k]
            for t in range(count):
                target[t] = line[t]
        if m == 4:
            for j in range(6):
                for t in range(LANES):
                    up[j, t], up[6 + j, t], up[12 + j, t], up[18 + j, t] = _output_4(
                        both[j, t], both[6 + j, t], both[12 + j, t], both[18 + j, t], both[24 + j, t], both[30 + j, t])
            for i in range(4):
                for t in range(LANES):
                    apart[4 * i, t], apart[4 * i + 1, t], apart[4 * i + 2, t], apart[4 * i + 3, t] = _output_4(
                        up[6 * i, t], up[6 * i + 1, t], up[6 * i + 2, t], up[6 * i + 3, t], up[6 * i + 4, t],
                        up[6 * i + 5, t])
            for i in range(4):
                for t in range(count):
                    for j in range(4):
                        cells[i, at[t] + np.uint64(j)] = apart[4 * i + j, t]
        else:
            for j in range(4):
                for t in range(LANES):
                    up[j, t], up[4 + j, t] = _output_2(both[j, t], both[4 + j, t], both[8 + j, t], both[12 + j, t])
            for i in range(2):
                for t in range(LANES):
                    apart[2 * i, t], apart[2 * i + 1, t] = _output_2(
                        up[4 * i, t], up[4 * i + 1, t], up[4 * i + 2, t], up[4 * i + 3, t])
            for i in range(2):
                for t in range(count):
                    for j in range(2):
                        cells[i, at[t] + np.uint64(j)] = apart[2 * i + j, t]
        b = bias[channel]
        for row in range(part[1] // columns, (part[2] - 1) // columns + 1):
            t, end = max(part[1], row * columns), min(part[2], (row + 1) * columns)
            column, source = m * (t - row * columns), at[t - part[1]]
            width = min(m * (end - t), J - column)
            for i in range(min(m, I - m * row)):
                line, target = cells[i, source : source + width], y[channel, m * row + i, column : column + width]
                for s in range(width):
                    value = line[s] + b
                    value = low if value < low else value
                    target[s] = high if value > high else value


@njit(nogil=True)
def _multiply(transformed, v, product, k, o, stop):  # type: ignore[no-untyped-def]
    """M[k] = U[k] V[k], matrices of (O, C), (C, tiles) and (O, tiles): rows o to stop of it."""
    C = transformed.shape[2]
    tiles = (v.shape[1] - PAD) // C
    into = product[k, o * tiles : stop * tiles].reshape(stop - o, tiles)
    np.dot(transformed[k, o:stop], v[k, : C * tiles].reshape(C, tiles), into)


@_compile
def by_block(x, transformed, bias, low, high, before, left, m, columns, plan, cuts, y):  # type: ignore[no-untyped-def]
    """Large pictures: each task takes a block of tiles from x to y, and its V and M stay in the core's own cache.

    x (N, C, H, W), transformed ((m + 2)^2, O, C), plan (parts, 4), cuts (blocks + 1,), y (N, O, I, J)
    """
    K, O, C = transformed.shape
    for block in prange(len(cuts) - 1):
        start, stop = cuts[block], cuts[block + 1]
        first = plan[start, 3]
        tiles = plan[stop - 1, 3] + plan[stop - 1, 2] - plan[stop - 1, 1] - first
        v = np.empty((K, C * tiles + PAD), x.dtype)
        product = np.empty((K, O * tiles + PAD), x.dtype)
        for p in range(start, stop):
            _gather(x[plan[p, 0]], before, left, m, columns, plan[p], first, 0, C, v)
        for k in range(K):
            _multiply(transformed, v, product, k, 0, O)
        for p in range(start, stop):
            _scatter(product, bias, low, high, m, columns, plan[p], first, 0, O, y[plan[p, 0]])


@_compile
def by_phase(x, transformed, bias, low, high, before, left, m, columns, plan, v, product, y):  # type: ignore[no-untyped-def]
    """Many channels: all threads gather, then multiply, then put together, so the weights are read only once.

    v ((m + 2)^2, C tiles + PAD), product ((m + 2)^2, O tiles + PAD); the others as in `by_block`
    """
    K, O, C = transformed.shape
    ins, outs = (C + STEP - 1) // STEP, (O + STEP - 1) // STEP
    for task in prange(len(plan) * ins):
        p, c = task // ins, task % ins * STEP
        _gather(x[plan[p, 0]], before, left, m, columns, plan[p], plan[0, 3], c, min(C, c + STEP), v)
    parts = (O + ROWS - 1) // ROWS
    for task in prange(K * parts):
        k, o = task // parts, task % parts * ROWS
        _multiply(transformed, v, product, k, o, min(O, o + ROWS))
    for task in prange(len(plan) * outs):
        p, o = task // outs, task % outs * STEP
        _scatter(product, bias, low, high, m, columns, plan[p], plan[0, 3], o, min(O, o + STEP), y[plan[p, 0]])
