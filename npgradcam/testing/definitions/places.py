"""Layers that move numbers: each is a list of moves, from a place in the input to a place in the output.

A place is a tuple of indices, one for each axis. `Moves` are pairs (place in y, place in x); a place in x that no pair
has is dropped, one that several have is copied several times, and a place in y that none has holds a padding's value.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import TypeAlias

import numpy as np

from ...typing import Shape
from .numbers import Numbers, wide, zeros

Place: TypeAlias = tuple[int, ...]
Moves: TypeAlias = list[tuple[Place, Place]]


def moved(x: Numbers, moves: Moves, shape: Shape | None = None, value: float = 0) -> Numbers:
    """y[place in y] = x[place in x], and `value` elsewhere; y ends at the last place, or has this shape."""
    if shape is None:
        shape = tuple(1 + max(place[axis] for place, _ in moves) for axis in range(len(moves[0][0])))
    y = zeros(shape, x, value)
    y[...] = value
    for there, here in moves:
        y[there] = wide(x[here])
    return y


def moved_adjoint(signal: Numbers, shape: Shape, moves: Moves, rows: bool = False) -> Numbers:
    """dx[place in x] += signal[place in y]; with `rows`, the moves of a single image serve every row of the signal."""
    if not (rows and shape[0] == 1):
        dx = zeros(shape, signal)
        for there, here in moves:
            dx[here] += wide(signal[there])
        return dx
    dx = zeros((len(signal), *shape[1:]), signal)
    for r in range(len(signal)):
        for there, here in moves:
            dx[(r, *here[1:])] += wide(signal[(r, *there[1:])])
    return dx


def regroup(shape: Shape, other: Shape) -> Moves:
    """The k-th number of one shape, row by row, is the k-th of the other."""
    return list(zip(np.ndindex(*other), np.ndindex(*shape), strict=True))


def reshape_shape(shape: Shape, target: Shape, allowzero: bool = False) -> Shape:
    """Return `target` with 0 read as "the same as before" and -1 as the one length that fits."""
    lengths = [shape[k] if length == 0 and not allowzero else length for k, length in enumerate(target)]
    fits = [k for k in range(prod(shape) + 1) if prod(k if n == -1 else n for n in lengths) == prod(shape)]
    return tuple(fits[0] if length == -1 else length for length in lengths)


def flatten(shape: Shape, axis: int = 1) -> Moves:
    """y[n C + c, h W + w] = x[n,c,h,w] for axis 2: a number for the axes before it, a number for the others."""
    axis = axis + len(shape) if axis < 0 else axis
    moves: Moves = []
    for here in np.ndindex(*shape):
        there = [0, 0]
        for k, (i, n) in enumerate(zip(here, shape, strict=True)):
            there[k >= axis] = there[k >= axis] * n + i
        moves.append((tuple(there), here))
    return moves


def squeeze(shape: Shape, axes: Shape | None = None) -> Moves:
    """y[h, w] = x[h, 0, w, 0], without the axes of length 1, or without some of them."""
    gone = [k for k in range(len(shape)) if (shape[k] == 1 if axes is None else k in axes or k - len(shape) in axes)]
    return [(tuple(i for k, i in enumerate(here) if k not in gone), here) for here in np.ndindex(*shape)]


def unsqueeze(shape: Shape, axes: Shape) -> Moves:
    """y[h, 0, w, 0] = x[h, w], with the zeros at `axes`."""
    rank = len(shape) + len(axes)
    moves = []
    for here in np.ndindex(*shape):
        there = list(here)
        for axis in sorted(axis % rank for axis in axes):
            there.insert(axis, 0)
        moves.append((tuple(there), here))
    return moves


def transpose(shape: Shape, perm: Shape | None = None) -> Moves:
    """y[i[perm[0]], i[perm[1]], ...] = x[i[0], i[1], ...]; from last to first where there is no perm."""
    perm = tuple(reversed(range(len(shape)))) if perm is None else perm
    return [(tuple(here[axis] for axis in perm), here) for here in np.ndindex(*shape)]


def depth_to_space(shape: Shape, b: int, mode: str = "DCR") -> Moves:
    """y[n, c, h b + u, w b + v] = x[n, (u b + v) C + c, h, w]; x[n, (c b + u) b + v, h, w] for "CRD"."""
    N, channels, H, W = shape
    C = channels // (b * b)
    moves: Moves = []
    for n, c, h, w, u, v in np.ndindex(N, C, H, W, b, b):
        channel = (u * b + v) * C + c if mode == "DCR" else (c * b + u) * b + v
        moves.append(((n, c, h * b + u, w * b + v), (n, channel, h, w)))
    return moves


def space_to_depth(shape: Shape, b: int, mode: str = "DCR") -> Moves:
    """y[n, (u b + v) C + c, h, w] = x[n, c, h b + u, w b + v]; y[n, (c b + u) b + v, h, w] for "CRD"."""
    N, C, height, width = shape
    moves: Moves = []
    for n, c, h, w, u, v in np.ndindex(N, C, height // b, width // b, b, b):
        channel = (u * b + v) * C + c if mode == "DCR" else (c * b + u) * b + v
        moves.append(((n, channel, h, w), (n, c, h * b + u, w * b + v)))
    return moves


def along(shape: Shape, sources: Callable[[int, int], list[int]]) -> Moves:
    """y[i, j, ...] = x[s[i], t[j], ...], where `sources(axis, length)` gives s for axis 0, t for axis 1, ..."""
    axes = [list(enumerate(sources(axis, length))) for axis, length in enumerate(shape)]
    return [(tuple(i for i, _ in pairs), tuple(s for _, s in pairs)) for pairs in product(*axes)]


def slice_cells(start: int, end: int, step: int, length: int) -> list[int]:
    """The cells from start to before end, walked in steps; both first moved into the axis."""
    start = start + length if start < 0 else start
    end = end + length if end < 0 else end
    cells = []
    i = min(max(start, 0), length if step > 0 else length - 1)
    while (i < min(end, length)) if step > 0 else (i > max(end, -1)):
        cells.append(i)
        i += step
    return cells


def slice_moves(shape: Shape, starts: Shape, ends: Shape, axes: Shape | None = None,
                steps: Shape | None = None) -> Moves:
    """y[..., i, ...] = x[..., start + step i, ...]."""
    def cells(axis: int, length: int) -> list[int]:
        for k in range(len(starts)):
            if (k if axes is None else axes[k] % len(shape)) == axis:
                return slice_cells(starts[k], ends[k], 1 if steps is None else steps[k], length)
        return list(range(length))
    return along(shape, cells)


def gather(shape: Shape, indices: Numbers, axis: int = 0) -> Moves:
    """y[n,k,l,h,w] = x[n, indices[k,l], h, w], for indices with two axes in the place of axis 1."""
    axis = axis + len(shape) if axis < 0 else axis
    moves = []
    for k in np.ndindex(*indices.shape):
        for before, after in product(np.ndindex(*shape[:axis]), np.ndindex(*shape[axis + 1 :])):
            moves.append(((*before, *k, *after), (*before, int(indices[k]) % shape[axis], *after)))
    return moves


def expand(shape: Shape, target: Shape) -> Moves:
    """y[a,n,c,h,w] = x[n,c,0,0] where x has length 1 on its last two axes, and y one more in front."""
    rank = max(len(shape), len(target))
    mine, other = [1] * (rank - len(shape)) + list(shape), [1] * (rank - len(target)) + list(target)
    moves = []
    for there in np.ndindex(*(k if n == 1 else n for n, k in zip(mine, other, strict=True))):
        here = [0 if n == 1 else i for n, i in zip(mine, there, strict=True)]
        moves.append((there, tuple(here[rank - len(shape) :])))
    return moves


def tile(shape: Shape, repeats: Shape) -> Moves:
    """y[n, c, k H + h, l W + w] = x[n,c,h,w] for every k and l."""
    return along(shape, lambda axis, length: [i for _ in range(repeats[axis]) for i in range(length)])


def pad_axes(shape: Shape, before: Shape, after: Shape, mode: str = "constant") -> Moves:
    """y[..., before + i, ...] = x[..., i, ...]; outside nothing moves, or the cell that `mode` finds there."""
    moves = []
    for there in np.ndindex(*(b + n + a for b, n, a in zip(before, shape, after, strict=True))):
        here = tuple(_inside(i - b, n, mode) for i, b, n in zip(there, before, shape, strict=True))
        if all(0 <= i < n for i, n in zip(here, shape, strict=True)):
            moves.append((there, here))
    return moves


def _inside(i: int, length: int, mode: str) -> int:
    """Walk from beyond the edge until a cell is found: stay at the edge, turn back at it, or come in at the other."""
    while mode != "constant" and not 0 <= i < length:
        if mode == "edge" or length == 1:
            i += 1 if i < 0 else -1
        elif mode == "reflect":
            i = -i if i < 0 else 2 * (length - 1) - i
        else:
            i += length if i < 0 else -length
    return i
