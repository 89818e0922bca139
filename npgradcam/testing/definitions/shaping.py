"""Layers that add up or move numbers: linear, add, concat, pad, flatten, and their adjoints."""

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


def add(*xs: Numbers) -> Numbers:
    """Return y = x1 + x2 + ..."""
    y = zeros(xs[0].shape, *xs)
    for x in xs:
        y += wide(x)
    return y


def add_adjoint(signal: Numbers, count: int) -> tuple[Numbers, ...]:
    """dx1 = dx2 = ... = signal."""
    return tuple(wide(signal) for _ in range(count))


def concat(*xs: Numbers) -> Numbers:
    """The channels of all inputs, one after the other."""
    channels = [(x, c) for x in xs for c in range(x.shape[1])]
    y = zeros((len(xs[0]), len(channels), *xs[0].shape[2:]), *xs)
    for k, (x, c) in enumerate(channels):
        y[:, k] = wide(x)[:, c]
    return y


def concat_adjoint(signal: Numbers, channels: list[int]) -> tuple[Numbers, ...]:
    """Each input gets back its own channels; `channels` says how many it had."""
    parts, k = [], 0
    for count in channels:
        part = zeros((len(signal), count, *signal.shape[2:]), signal)
        for c in range(count):
            part[:, c] = wide(signal)[:, k]
            k += 1
        parts.append(part)
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


def flatten(x: Numbers) -> Numbers:
    """y[n, (c H + h) W + w] = x[n,c,h,w]."""
    y = zeros((len(x), x[0].size), x)
    for (n, c, h, w), number in np.ndenumerate(wide(x)):
        y[n, (c * x.shape[2] + h) * x.shape[3] + w] = number
    return y


def flatten_adjoint(signal: Numbers, shape: Shape) -> Numbers:
    """dx[n,c,h,w] = signal[n, (c H + h) W + w]."""
    dx = zeros((len(signal), *shape[1:]), signal)
    signal = wide(signal)
    for n, c, h, w in np.ndindex(*dx.shape):
        dx[n, c, h, w] = signal[n, (c * shape[2] + h) * shape[3] + w]
    return dx
