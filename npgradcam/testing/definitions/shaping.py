"""Layers that add up or move numbers: linear, concat, pad, and their adjoints."""

from __future__ import annotations

from itertools import product

import numpy as np

from ...typing import Quad, Shape
from .numbers import Numbers, wide, zeros


def linear(x: Numbers, weight: Numbers, bias: Numbers) -> Numbers:
    """y[n,o] = bias[o] + sum_c weight[o,c] x[n,c]."""
    y = zeros((len(x), len(weight)), x, weight, bias)
    x, weight, bias = wide(x), wide(weight), wide(bias)
    for n, o in product(range(len(x)), range(len(weight))):
        y[n, o] = bias[o] + sum(weight[o, c] * x[n, c] for c in range(x.shape[1]))
    return y


def linear_adjoint(signal: Numbers, weight: Numbers) -> Numbers:
    """dx[n,c] = sum_o weight[o,c] signal[n,o]."""
    dx = zeros((len(signal), weight.shape[1]), signal, weight)
    signal, weight = wide(signal), wide(weight)
    for n, c in product(range(len(signal)), range(weight.shape[1])):
        dx[n, c] = sum(weight[o, c] * signal[n, o] for o in range(len(weight)))
    return dx


def linear_weight_gradient(signal: Numbers, x: Numbers) -> Numbers:
    """dweight[o,c] = sum_n signal[n,o] x[n,c]."""
    dweight = zeros((signal.shape[1], x.shape[1]), signal, x)
    signal, x = wide(signal), wide(x)
    for o, c in product(range(signal.shape[1]), range(x.shape[1])):
        dweight[o, c] = sum(signal[n, o] * x[n, c] for n in range(len(x)))
    return dweight


def concat(*xs: Numbers, axis: int = 1) -> Numbers:
    """All inputs along one axis, cell by cell."""
    axis = axis + xs[0].ndim if axis < 0 else axis
    cells = [(x, k) for x in xs for k in range(x.shape[axis])]
    y = zeros((*xs[0].shape[:axis], len(cells), *xs[0].shape[axis + 1 :]), *xs)
    for place in np.ndindex(*y.shape):
        x, k = cells[place[axis]]
        y[place] = wide(x[(*place[:axis], k, *place[axis + 1 :])])
    return y


def concat_adjoint(signal: Numbers, lengths: list[int], axis: int = 1) -> tuple[Numbers, ...]:
    """Each input gets back its own cells; `lengths` says how many it had."""
    axis = axis + signal.ndim if axis < 0 else axis
    parts = [zeros((*signal.shape[:axis], n, *signal.shape[axis + 1 :]), signal) for n in lengths]
    owners = [(part, k) for part, n in zip(parts, lengths, strict=True) for k in range(n)]
    for place, value in np.ndenumerate(wide(signal)):
        part, k = owners[place[axis]]
        part[(*place[:axis], k, *place[axis + 1 :])] = value
    return tuple(parts)


def pad(x: Numbers, padding: Quad, value: float = 0) -> Numbers:
    """y[n, c, top + h, left + w] = x[n,c,h,w]; `value` elsewhere. `padding` is (top, left, bottom, right)."""
    top, left, bottom, right = padding
    y = zeros((*x.shape[:2], top + x.shape[2] + bottom, left + x.shape[3] + right), x, value)
    y[...] = value
    for (n, c, h, w), number in np.ndenumerate(wide(x)):
        y[n, c, top + h, left + w] = number
    return y


def pad_adjoint(signal: Numbers, shape: Shape, padding: Quad) -> Numbers:
    """dx[n,c,h,w] = signal[n, c, top + h, left + w]; `shape` is that of x."""
    dx = zeros((len(signal), *shape[1:]), signal)
    signal = wide(signal)
    for n, c, h, w in np.ndindex(*dx.shape):
        dx[n, c, h, w] = signal[n, c, padding[0] + h, padding[1] + w]
    return dx
