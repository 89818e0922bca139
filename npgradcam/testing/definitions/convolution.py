"""Convolution (cross-correlation, as every CNN means it), its adjoint, and its derivative by the weights."""

from __future__ import annotations

from itertools import product

from ...typing import Pair, Shape
from .numbers import Numbers, wide, zeros
from .windows import Padding, looks, sizes


def conv2d(x: Numbers, weight: Numbers, bias: Numbers | None = None, stride: Pair = (1, 1),
           padding: Padding = (0, 0, 0, 0), dilation: Pair = (1, 1), groups: int = 1) -> Numbers:
    """y[n,o,i,j] = bias[o] + sum_{c,u,v} weight[o,c,u,v] x[n, c, s i + d u - p, s j + d v - p], by group."""
    outs, ins, kernel = *weight.shape[:2], (weight.shape[2], weight.shape[3])
    added = [] if bias is None else [bias]
    y = zeros((len(x), outs, *sizes(x.shape, kernel, stride, padding, dilation)), x, weight, *added)
    x, weight = wide(x), wide(weight)
    if bias is not None:
        y += wide(bias)[:, None, None]
    for i, j, u, v, h, w in looks(x.shape, kernel, stride, padding, dilation):
        for n, o, c in product(range(len(x)), range(outs), range(ins)):
            y[n, o, i, j] += weight[o, c, u, v] * x[n, o // (outs // groups) * ins + c, h, w]
    return y


def conv2d_adjoint(signal: Numbers, weight: Numbers, shape: Shape, stride: Pair = (1, 1),
                   padding: Padding = (0, 0, 0, 0), dilation: Pair = (1, 1), groups: int = 1) -> Numbers:
    """dx[n, c, s i + d u - p, s j + d v - p] += weight[o,c,u,v] signal[n,o,i,j]; `shape` is that of x."""
    outs, ins, kernel = *weight.shape[:2], (weight.shape[2], weight.shape[3])
    dx = zeros((len(signal), *shape[1:]), signal, weight)
    signal, weight = wide(signal), wide(weight)
    for i, j, u, v, h, w in looks(shape, kernel, stride, padding, dilation):
        for n, o, c in product(range(len(signal)), range(outs), range(ins)):
            dx[n, o // (outs // groups) * ins + c, h, w] += weight[o, c, u, v] * signal[n, o, i, j]
    return dx


def conv2d_weight_gradient(signal: Numbers, x: Numbers, kernel: Pair, stride: Pair = (1, 1),
                           padding: Padding = (0, 0, 0, 0), dilation: Pair = (1, 1), groups: int = 1) -> Numbers:
    """dweight[o,c,u,v] += signal[n,o,i,j] x[n, c, s i + d u - p, s j + d v - p]."""
    outs, ins = signal.shape[1], x.shape[1] // groups
    dweight = zeros((outs, ins, *kernel), signal, x)
    signal, x = wide(signal), wide(x)
    for i, j, u, v, h, w in looks(x.shape, kernel, stride, padding, dilation):
        for n, o, c in product(range(len(x)), range(outs), range(ins)):
            dweight[o, c, u, v] += signal[n, o, i, j] * x[n, o // (outs // groups) * ins + c, h, w]
    return dweight
