"""Reductions: the cells that become one, number by number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ...typing import Shape
from .numbers import Numbers, wide, zeros

Place: TypeAlias = tuple[int, ...]


def groups(shape: Shape, axes: Shape | None = None, keepdims: bool = True) -> dict[Place, list[Place]]:
    """Return for each place in the output the places in the input that become it, in row-major order."""
    reduced = range(len(shape)) if axes is None else [axis % len(shape) for axis in axes]
    found: dict[Place, list[Place]] = {}
    for here in np.ndindex(*shape):
        there = [None if axis in reduced else i for axis, i in enumerate(here)]
        place = tuple((0 if i is None else i) for i in there if keepdims or i is not None)
        found.setdefault(place, []).append(here)
    return found


def _reduce(x: Numbers, axes: Shape | None, keepdims: bool, of: Callable[[list[Any]], Any], whole: bool) -> Numbers:
    cells = groups(x.shape, axes, keepdims)
    shape = [1 + max(place[axis] for place in cells) for axis in range(len(next(iter(cells))))]
    y = zeros(shape, *([x] if whole else [x, 0.5]))
    for there, places in cells.items():
        y[there] = of([wide(x[here]).item() for here in places])
    return y


def _pay_back(signal: Numbers, x: Numbers, axes: Shape | None, keepdims: bool,
              shares: Callable[[list[Any]], list[Any]], whole: bool) -> Numbers:
    """dx[place] = share of the place among its cells times the signal; one image's cells serve every row."""
    reduced = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
    rows = len(signal) if x.ndim and 0 not in reduced and len(x) == 1 else None
    dx = zeros(x.shape if rows is None else (rows, *x.shape[1:]), *([signal] if whole else [signal, 0.5]))
    for there, places in groups(x.shape, axes, keepdims).items():
        for here, share in zip(places, shares([wide(x[here]).item() for here in places]), strict=True):
            for r in [None] if rows is None else range(rows):
                value = wide(signal[there if r is None else (r, *there[1:])]).item()
                dx[here if r is None else (r, *here[1:])] = share * value
    return dx


def reduce_sum(x: Numbers, axes: Shape | None = None, keepdims: bool = True) -> Numbers:
    """Return y = sum of the cells."""
    return _reduce(x, axes, keepdims, sum, whole=True)


def reduce_sum_adjoint(signal: Numbers, x: Numbers, axes: Shape | None = None, keepdims: bool = True) -> Numbers:
    """Each cell gets the signal."""
    return _pay_back(signal, x, axes, keepdims, lambda cells: [1 for _ in cells], whole=True)


def reduce_mean(x: Numbers, axes: Shape | None = None, keepdims: bool = True) -> Numbers:
    """Return y = 1/Z sum of the cells, Z of them; a float64 of whole numbers, too."""
    return _reduce(x, axes, keepdims, lambda cells: sum(cells) / len(cells), whole=False)


def reduce_mean_adjoint(signal: Numbers, x: Numbers, axes: Shape | None = None, keepdims: bool = True) -> Numbers:
    """Each of Z cells gets 1/Z of the signal."""
    return _pay_back(signal, x, axes, keepdims, lambda cells: [1 / len(cells) for _ in cells], whole=False)


def reduce_l2(x: Numbers, axes: Shape | None = None, keepdims: bool = True) -> Numbers:
    """Return y = sqrt(sum of cell^2)."""
    return _reduce(x, axes, keepdims, lambda cells: math.sqrt(math.fsum(cell**2 for cell in cells)), whole=False)


def reduce_l2_adjoint(signal: Numbers, x: Numbers, axes: Shape | None = None, keepdims: bool = True) -> Numbers:
    """Each cell gets cell / y times the signal, and 0 where y is 0."""
    def shares(cells: list[Any]) -> list[Any]:
        y = math.sqrt(math.fsum(cell**2 for cell in cells))
        return [cell / y if y else 0.0 for cell in cells]
    return _pay_back(signal, x, axes, keepdims, shares, whole=False)


def _winner(cells: list[Any], largest: bool) -> int:
    """The first of the largest (or smallest) cells; the first NaN where there is one."""
    best = 0
    for k, cell in enumerate(cells):
        better = cell > cells[best] if largest else cell < cells[best]
        if better or (cell != cell and cells[best] == cells[best]):
            best = k
    return best


def reduce_extreme(x: Numbers, axes: Shape | None = None, keepdims: bool = True, largest: bool = True) -> Numbers:
    """Return y = the largest cell, or the smallest."""
    return _reduce(x, axes, keepdims, lambda cells: cells[_winner(cells, largest)], whole=True)


def reduce_extreme_adjoint(signal: Numbers, x: Numbers, axes: Shape | None = None, keepdims: bool = True,
                           largest: bool = True) -> Numbers:
    """The winner gets the signal: the first in row-major order of several."""
    def shares(cells: list[Any]) -> list[int]:
        return [int(k == _winner(cells, largest)) for k in range(len(cells))]
    return _pay_back(signal, x, axes, keepdims, shares, whole=True)
