"""Resizing by ONNX' definition of the operator, cell by cell, with exact fractions for the places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from ...typing import Shape
from .numbers import Numbers, wide, zeros

Taps: TypeAlias = dict[int, float]  # which cells of the input, by what weight


def resize(x: Numbers, *, extrapolation: float = 0.0, **settings: Any) -> Numbers:
    """Return y = sum over the neighbours on every axis of (product of their weights) x; outside, `extrapolation`.

    The settings are those of the layer `Resize`.
    """
    axes = axis_taps(x.shape, **settings)
    whole = all(isinstance(weight, int) for taps in axes for tap in taps for weight in (tap or {}).values())
    y = zeros([len(taps) for taps in axes], x, 0 if whole else 0.5)
    x = wide(x)
    for place in np.ndindex(*y.shape):
        taps = [axes[axis][i] for axis, i in enumerate(place)]
        if None in taps:
            y[place] = extrapolation
            continue
        for terms in product(*(tap.items() for tap in taps if tap is not None)):
            y[place] += math.prod(weight for _, weight in terms) * x[tuple(h for h, _ in terms)]
    return y


def resize_adjoint(signal: Numbers, shape: Shape, *, extrapolation: float = 0.0, **settings: Any) -> Numbers:
    """Return dx += (product of the weights) signal, for every neighbour of every cell; `shape` is that of x.

    Where the batch stays as it is, every row of the signal is one of dx.
    """
    axes = axis_taps(shape, **settings)
    if axes[0] == [{n: 1} for n in range(shape[0])]:
        axes[0] = [{r: 1} for r in range(len(signal))]
        shape = (len(signal), *shape[1:])
    whole = all(isinstance(weight, int) for taps in axes for tap in taps for weight in (tap or {}).values())
    dx = zeros(shape, signal, 0 if whole else 0.5)
    for place, value in np.ndenumerate(wide(signal)):
        taps = [axes[axis][i] for axis, i in enumerate(place)]
        if None in taps:
            continue
        for terms in product(*(tap.items() for tap in taps if tap is not None)):
            dx[tuple(h for h, _ in terms)] += math.prod(weight for _, weight in terms) * value
    return dx


def axis_taps(shape: Shape, *, sizes: Sequence[int] | None = None, scales: Sequence[float] | None = None,
              axes: Sequence[int] | None = None, keep_aspect: str = "stretch", roi: Sequence[float] | None = None,
              **settings: Any) -> list[list[Taps | None]]:
    """For every axis and every output cell on it, the input cells that it is made of; None: it lies outside."""
    which = list(range(len(shape))) if axes is None else [axis % len(shape) for axis in axes]
    if sizes is not None:
        wanted = [Fraction(size, shape[axis]) for axis, size in zip(which, sizes, strict=True)]
        one = {"stretch": None, "not_larger": min(wanted), "not_smaller": max(wanted)}[keep_aspect]
        wanted = wanted if one is None else [one for _ in wanted]
    else:
        wanted = [Fraction(scale).limit_denominator(1000) for scale in scales or ()]
    found: list[list[Taps | None]] = [[{h: 1} for h in range(length)] for length in shape]
    for k, axis in enumerate(which):
        start, end = (Fraction(0), Fraction(1)) if roi is None else (Fraction(roi[k]), Fraction(roi[len(which) + k]))
        length, scale = shape[axis], wanted[k]
        if sizes is None:
            size = math.floor(length * scale * (end - start))
        else:
            size = math.floor(length * scale + Fraction(1, 2))
        if scale != 1 or size != length or start != 0 or end != 1:
            found[axis] = [cell_taps(i, length, size, scale, start, end, **settings) for i in range(size)]
    return found


def cell_taps(i: int, length: int, size: int, scale: Fraction, start: Fraction, end: Fraction, *,
              mode: str = "nearest", coordinates: str = "half_pixel", nearest: str = "round_prefer_floor",
              cubic_a: float = -0.75, exclude_outside: bool = False, antialias: bool = False) -> Taps | None:
    """Return the input cells that output cell i is made of, and their weights."""
    where = place(coordinates, i, length, size, scale, start, end)
    if coordinates == "tf_crop_and_resize" and not 0 <= where <= length - 1:
        return None
    stretch = max(Fraction(1), 1 / scale) if antialias else Fraction(1)
    reach = math.ceil(2 * stretch) + 1
    cells = range(math.floor(where) - reach, math.floor(where) + reach + 1)
    if mode == "nearest":
        choose = {"floor": lambda h: (h > where, -h), "ceil": lambda h: (h < where, h),
                  "round_prefer_floor": lambda h: (abs(h - where), h),
                  "round_prefer_ceil": lambda h: (abs(h - where), -h)}[nearest]
        weights: Taps = {min(cells, key=choose): 1}
    else:
        distances = {h: float(abs(h - where) / stretch) for h in cells}
        weights = {h: kernel(mode, t, cubic_a) for h, t in distances.items() if t < 2}
    if exclude_outside and mode != "nearest":
        weights = {h: weight for h, weight in weights.items() if 0 <= h < length}
    total = math.fsum(weights.values()) if mode != "nearest" and (exclude_outside or antialias) else 1
    taps: Taps = {}
    for h, weight in weights.items():
        inside = min(max(h, 0), length - 1)  # the edge, repeated
        taps[inside] = taps.get(inside, 0) + (weight if total == 1 else weight / total)
    return taps


def place(coordinates: str, i: int, length: int, size: int, scale: Fraction, start: Fraction,
          end: Fraction) -> Fraction:
    """Where output cell i lies among the input's, whose first centre is 0: ONNX' formulas, exact."""
    half = Fraction(1, 2)
    if coordinates == "asymmetric":
        return i / scale
    if coordinates == "align_corners":
        return Fraction(0) if length * scale == 1 else i * (length - 1) / (length * scale - 1)
    if coordinates == "tf_half_pixel_for_nn":
        return (i + half) / scale
    if coordinates == "tf_crop_and_resize":
        if size == 1:
            return half * (start + end) * (length - 1)
        return start * (length - 1) + i * (end - start) * (length - 1) / (size - 1)
    if coordinates == "pytorch_half_pixel" and size == 1:
        return Fraction(0)
    if coordinates == "half_pixel_symmetric":
        adjustment = size / (length * scale)
        return Fraction(length, 2) * (1 - adjustment) + (i + half) / scale - half
    return (i + half) / scale - half


def kernel(mode: str, t: float, a: float) -> float:
    """How much a cell counts at distance t < 2 (cubic: Keys 1981, equation 4)."""
    if mode == "linear":
        return max(0.0, 1 - t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
