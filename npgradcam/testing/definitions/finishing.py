"""What is done to a signed map until it is a picture, cell by cell, for every choice of a `Convention`."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from ...typing import Pair
from .numbers import Numbers, wide
from .resampling import Taps, cell_taps, kernel, place

CENTRES: dict[str, dict[str, Any]] = {  # each kernel, as a mode of ONNX' Resize
    "nearest": {"mode": "nearest", "coordinates": "asymmetric", "nearest": "floor"},
    "bilinear": {"mode": "linear", "coordinates": "half_pixel"},
    "corner-aligned": {"mode": "linear", "coordinates": "align_corners"},
    "cubic": {"mode": "cubic", "coordinates": "half_pixel", "cubic_a": -0.75},
    "cubic, a = -0.5": {"mode": "cubic", "coordinates": "half_pixel", "cubic_a": -0.5, "exclude_outside": True},
}


def enlarge(maps: Numbers, how: str, size: Pair) -> Numbers:
    """Bring maps (R, I, J) to (R, H, W): y[h,w] = sum_ij row[h,i] column[w,j] map[i,j].

    `how` is one of `npgradcam.convention.KERNELS`; "spline" and "lanczos" are defined by SciPy and Pillow, not here.
    """
    if how == "none":
        return wide(maps)
    rows, columns = ([_taps(how, i, length, to) for i in range(to)]
                     for length, to in zip(maps.shape[1:], size, strict=True))
    y = np.zeros((len(maps), *size))
    for r, (h, row), (w, column) in product(range(len(maps)), enumerate(rows), enumerate(columns)):
        y[r, h, w] = math.fsum(a * b * float(maps[r, i, j]) for (i, a), (j, b) in product(row.items(), column.items()))
    return y


def _taps(how: str, i: int, length: int, size: int) -> Taps:
    """Return which cells of `length` output cell i of `size` is made of, and their weights."""
    scale = Fraction(size, length)
    if how in CENTRES:
        return cell_taps(i, length, size, scale, Fraction(0), Fraction(1), **CENTRES[how]) or {}
    where = place("half_pixel", i, length, size, scale, Fraction(0), Fraction(1))
    if how == "cubic, table":  # the distance to the next cell in steps of 1/1024
        where = Fraction(round(where * 1024), 1024)
        weights = {h: kernel("cubic", float(abs(h - where)), -0.5) for h in range(length) if abs(h - where) < 2}
        return {h: weight / math.fsum(weights.values()) for h, weight in weights.items()}
    if where > length - 1:  # "mirrored": beyond the centre of an edge cell, as far on this side of it
        where = 2 * (length - 1) - where
    where = abs(where) if length > 1 else Fraction(0)
    below = math.floor(where)
    return {h: float(1 - abs(where - h)) for h in (below, below + 1) if h < length}


def rectify(maps: Numbers) -> Numbers:
    """Return each cell, or 0 where it is negative."""
    return np.where(maps < 0, 0, maps)


def scale(maps: Numbers, how: str, epsilon: float = 0.0) -> Numbers:
    """Scale each of (R, H, W): "max" m / max m, if that is positive; "minmax" (m - min m) / (max(m - min m) + eps)."""
    y = np.array(maps, dtype=np.float64)
    for r, m in enumerate(y.copy()):
        top, bottom = float(m.max()), float(m.min())
        if how == "max" and top > 0:
            y[r] = m / top
        if how == "minmax":
            span = top - bottom + epsilon
            y[r] = (m - bottom) / span if span else math.nan
    return y


def finish(signed: Numbers, size: Pair, *, start: float = 0.0, relu: str = "before", normalise: str = "none",
           when: str = "none", epsilon: float = 0.0, resize: str = "bilinear") -> Numbers:
    """ReLU, scaling and enlarging in a convention's order: what of it is said for "before" or "both", then "after"."""
    maps = wide(signed) + start
    for now in ("before", "after"):
        if now == "after":
            maps = enlarge(maps, resize, size)
        if relu in (now, "both"):
            maps = rectify(maps)
        if when in (now, "both"):
            maps = scale(maps, normalise, epsilon)
    return maps
