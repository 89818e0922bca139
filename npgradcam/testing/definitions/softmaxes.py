"""Softmax and its logarithm: numbers that compete along an axis, or along it and all axes after it."""

from __future__ import annotations

import math

import numpy as np

from ...typing import Shape
from .numbers import Numbers


def rivals(shape: Shape, axis: int, onward: bool) -> list[list[Shape]]:
    """Return the places that compete with one another, group by group."""
    axes = range(axis % len(shape), len(shape)) if onward else [axis % len(shape)]
    groups: dict[Shape, list[Shape]] = {}
    for place in np.ndindex(*shape):
        groups.setdefault(tuple(k for a, k in enumerate(place) if a not in axes), []).append(place)
    return list(groups.values())


def softmax(x: Numbers, axis: int = 1, onward: bool = False) -> Numbers:
    """y[c] = exp(x[c]) / sum_d exp(x[d]), where d competes with c."""
    y = np.zeros(x.shape)
    for places in rivals(x.shape, axis, onward):
        largest = max(float(x[d]) for d in places)
        powers = [math.exp(float(x[d]) - largest) for d in places]
        for c, power in zip(places, powers, strict=True):
            y[c] = power / math.fsum(powers)
    return y


def softmax_adjoint(signal: Numbers, x: Numbers, axis: int = 1, onward: bool = False) -> Numbers:
    """dx[c] = sum_d signal[d] dy[d]/dx[c], where that is y[d] (1 if c = d else 0) - y[d] y[c]."""
    dx, y = np.zeros(signal.shape), np.broadcast_to(softmax(x, axis, onward), signal.shape)
    for places in rivals(signal.shape, axis, onward):
        for c in places:
            dx[c] = math.fsum(float(signal[d]) * y[d] * ((c == d) - y[c]) for d in places)
    return dx


def log_softmax(x: Numbers, axis: int = 1, onward: bool = False) -> Numbers:
    """y[c] = x[c] - ln(sum_d exp(x[d])), where d competes with c."""
    y = np.zeros(x.shape)
    for places in rivals(x.shape, axis, onward):
        largest = max(float(x[d]) for d in places)
        total = math.fsum(math.exp(float(x[d]) - largest) for d in places)
        for c in places:
            y[c] = float(x[c]) - largest - math.log(total)
    return y


def log_softmax_adjoint(signal: Numbers, x: Numbers, axis: int = 1, onward: bool = False) -> Numbers:
    """dx[c] = sum_d signal[d] dy[d]/dx[c], where that is (1 if c = d else 0) - softmax(x)[c]."""
    dx, share = np.zeros(signal.shape), np.broadcast_to(softmax(x, axis, onward), signal.shape)
    for places in rivals(signal.shape, axis, onward):
        for c in places:
            dx[c] = math.fsum(float(signal[d]) * ((c == d) - share[c]) for d in places)
    return dx
