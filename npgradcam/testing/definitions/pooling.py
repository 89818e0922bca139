"""Pooling and its adjoints; `padding` is (top, left, bottom, right), "same" or "same_lower"."""

from __future__ import annotations

import math
from itertools import product
from typing import TypeAlias

import numpy as np

from ...typing import Pair, Shape
from .numbers import Numbers, wide, zeros
from .windows import Padding, four_sides, looks, sizes

Place: TypeAlias = tuple[int, int, int, int]  # n, c, i, j
Cell: TypeAlias = tuple[int, int]  # h, w


def max_pool2d(x: Numbers, kernel: Pair, stride: Pair, padding: Padding = (0, 0, 0, 0), ceil: bool = False,
               dilation: Pair = (1, 1)) -> tuple[Numbers, dict[Place, Cell]]:
    """Return the largest cell of each window, and (h, w) of the winner by (n, c, i, j).

    The first of equal cells wins, row by row; the first NaN wins over every number; padding never wins.
    """
    y = zeros((*x.shape[:2], *sizes(x.shape, kernel, stride, padding, dilation, ceil)), x)
    x, winner = wide(x), dict[Place, Cell]()
    for i, j, _, _, h, w in looks(x.shape, kernel, stride, padding, dilation, ceil):
        for n, c in product(range(len(x)), range(x.shape[1])):
            value, best = x[n, c, h, w], y[n, c, i, j]
            if (n, c, i, j) not in winner or value > best or (value != value and best == best):
                y[n, c, i, j], winner[n, c, i, j] = value, (h, w)
    return y, winner


def max_pool2d_adjoint(signal: Numbers, winner: dict[Place, Cell], shape: Shape) -> Numbers:
    """dx[n, c, winner of (i,j)] += signal[n,c,i,j]; winners of one image serve every row."""
    dx = zeros((len(signal), *shape[1:]), signal)
    for (r, c, i, j), value in np.ndenumerate(wide(signal)):
        dx[(r, c, *winner[(r if shape[0] > 1 else 0), c, i, j])] += value
    return dx


def avg_pool2d_counts(shape: Shape, kernel: Pair, stride: Pair, padding: Padding = (0, 0, 0, 0), ceil: bool = False,
                      count_include_pad: bool = True, dilation: Pair = (1, 1)) -> Numbers:
    """Return how many cells the mean of each window divides by, (I, J).

    The picture's cells, and with `count_include_pad` those of the padding; never the cells beyond the padding, which
    only `ceil` reaches.
    """
    top, left, bottom, right = padding = four_sides(padding, shape, kernel, stride, dilation)
    if count_include_pad:  # the padded picture as a picture of its own
        shape, padding = (*shape[:2], shape[2] + top + bottom, shape[3] + left + right), (0, 0, 0, 0)
    count = np.zeros(sizes(shape, kernel, stride, padding, dilation, ceil), np.int64)
    for i, j, *_ in looks(shape, kernel, stride, padding, dilation, ceil):
        count[i, j] += 1
    return count


def avg_pool2d(x: Numbers, kernel: Pair, stride: Pair, padding: Padding = (0, 0, 0, 0), ceil: bool = False,
               count_include_pad: bool = True, dilation: Pair = (1, 1)) -> Numbers:
    """y[n,c,i,j] = 1/count[i,j] sum_{u,v} x[n, c, s i + d u - p, s j + d v - p]."""
    total = zeros((*x.shape[:2], *sizes(x.shape, kernel, stride, padding, dilation, ceil)), x)
    x = wide(x)
    for i, j, _, _, h, w in looks(x.shape, kernel, stride, padding, dilation, ceil):
        total[:, :, i, j] += x[:, :, h, w]
    I, J = total.shape[2:]
    return total / avg_pool2d_counts(x.shape, kernel, stride, padding, ceil, count_include_pad, dilation)[:I, :J]


def avg_pool2d_adjoint(signal: Numbers, shape: Shape, kernel: Pair, stride: Pair, padding: Padding = (0, 0, 0, 0),
                       ceil: bool = False, count_include_pad: bool = True, dilation: Pair = (1, 1)) -> Numbers:
    """dx[n, c, s i + d u - p, s j + d v - p] += signal[n,c,i,j] / count[i,j]."""
    count = avg_pool2d_counts(shape, kernel, stride, padding, ceil, count_include_pad, dilation)
    signal, dx = wide(signal), np.zeros((len(signal), *shape[1:]))
    for i, j, _, _, h, w in looks(shape, kernel, stride, padding, dilation, ceil):
        dx[:, :, h, w] += signal[:, :, i, j] / count[i, j]
    return dx


def adaptive_avg_pool2d(x: Numbers, size: Pair) -> Numbers:
    """Return means over windows that cover the picture; window i reads floor(i H / I) .. ceil((i + 1) H / I) - 1."""
    x, y = wide(x), np.zeros((*x.shape[:2], *size))
    for i, j in product(range(size[0]), range(size[1])):
        cells = _cells(i, j, (x.shape[2], x.shape[3]), size)
        y[:, :, i, j] = sum(x[:, :, h, w] for h, w in cells) / len(cells)
    return y


def adaptive_avg_pool2d_adjoint(signal: Numbers, shape: Shape) -> Numbers:
    """dx[n,c,h,w] += signal[n,c,i,j] / count[i,j] for every window (i, j) that reads (h, w)."""
    I, J = signal.shape[2:]
    signal, dx = wide(signal), np.zeros((len(signal), *shape[1:]))
    for i, j in product(range(I), range(J)):
        cells = _cells(i, j, (shape[2], shape[3]), (I, J))
        for h, w in cells:
            dx[:, :, h, w] += signal[:, :, i, j] / len(cells)
    return dx


def _cells(i: int, j: int, picture: Pair, size: Pair) -> list[Cell]:
    (H, W), (I, J) = picture, size
    rows = [h for h in range(H) if math.floor(i * H / I) <= h < math.ceil((i + 1) * H / I)]
    columns = [w for w in range(W) if math.floor(j * W / J) <= w < math.ceil((j + 1) * W / J)]
    return list(product(rows, columns))


def global_avg_pool2d(x: Numbers) -> Numbers:
    """y[n,c] = 1/Z sum_{h,w} x[n,c,h,w], Z = H W; (N, C, 1, 1)."""
    cells = [wide(x)[:, :, h, w] for h, w in product(range(x.shape[2]), range(x.shape[3]))]
    return np.asarray(sum(cells) / len(cells))[:, :, None, None]


def global_avg_pool2d_adjoint(signal: Numbers, shape: Shape) -> Numbers:
    """dx[n,c,h,w] = 1/Z signal[n,c]."""
    dx = np.zeros((len(signal), *shape[1:]))
    for h, w in product(range(shape[2]), range(shape[3])):
        dx[:, :, h, w] = wide(signal)[:, :, 0, 0] / (shape[2] * shape[3])
    return dx
