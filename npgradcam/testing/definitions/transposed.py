"""Transposed convolution, its adjoint, and its derivative by the weights: cells that pay into windows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from ...typing import Pair, Shape
from .numbers import Numbers, wide, zeros
from .windows import Padding, Window


def conv_transpose2d(x: Numbers, weight: Numbers, bias: Numbers | None = None, stride: Pair = (1, 1),
                     padding: Padding = (0, 0, 0, 0), output_padding: Pair = (0, 0), dilation: Pair = (1, 1),
                     groups: int = 1) -> Numbers:
    """y[n, o, s h + d u - p, s w + d v - p] += weight[c,o,u,v] x[n,c,h,w], by group, over a ground of bias[o]."""
    outs, kernel = weight.shape[1], (weight.shape[2], weight.shape[3])
    size = _sizes(x.shape, kernel, stride, padding, output_padding, dilation)
    y = zeros((len(x), outs * groups, *size), x, weight, *([] if bias is None else [bias]))
    x, weight = wide(x), wide(weight)
    if bias is not None:
        y += wide(bias)[:, None, None]
    for i, j, u, v, h, w in pays(x.shape, kernel, size, stride, padding, dilation):
        for n, c, o in product(range(len(x)), range(x.shape[1]), range(outs)):
            y[n, c // (x.shape[1] // groups) * outs + o, i, j] += weight[c, o, u, v] * x[n, c, h, w]
    return y


def conv_transpose2d_adjoint(signal: Numbers, weight: Numbers, shape: Shape, stride: Pair = (1, 1),
                             padding: Padding = (0, 0, 0, 0), dilation: Pair = (1, 1), groups: int = 1) -> Numbers:
    """dx[n,c,h,w] = sum_{o,u,v} weight[c,o,u,v] signal[n, o, s h + d u - p, s w + d v - p]; `shape` is that of x."""
    outs, kernel, size = weight.shape[1], (weight.shape[2], weight.shape[3]), (signal.shape[2], signal.shape[3])
    dx = zeros((len(signal), *shape[1:]), signal, weight)
    signal, weight = wide(signal), wide(weight)
    for i, j, u, v, h, w in pays(shape, kernel, size, stride, padding, dilation):
        for n, c, o in product(range(len(signal)), range(shape[1]), range(outs)):
            dx[n, c, h, w] += weight[c, o, u, v] * signal[n, c // (shape[1] // groups) * outs + o, i, j]
    return dx


def conv_transpose2d_weight_gradient(signal: Numbers, x: Numbers, kernel: Pair, stride: Pair = (1, 1),
                                     padding: Padding = (0, 0, 0, 0), dilation: Pair = (1, 1),
                                     groups: int = 1) -> Numbers:
    """dweight[c,o,u,v] += x[n,c,h,w] signal[n, o, s h + d u - p, s w + d v - p]."""
    outs, size = signal.shape[1] // groups, (signal.shape[2], signal.shape[3])
    dweight = zeros((x.shape[1], outs, *kernel), signal, x)
    signal, x = wide(signal), wide(x)
    for i, j, u, v, h, w in pays(x.shape, kernel, size, stride, padding, dilation):
        for n, c, o in product(range(len(x)), range(x.shape[1]), range(outs)):
            dweight[c, o, u, v] += x[n, c, h, w] * signal[n, c // (x.shape[1] // groups) * outs + o, i, j]
    return dweight


def pays(shape: Shape, kernel: Pair, size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Iterator[Window]:
    """Yield (i, j, u, v, h, w): cell (h, w) of x pays by the kernel's cell (u, v) into cell (i, j) that y has."""
    top, left = (_cut(shape[2 + axis], kernel[axis], stride[axis], padding, dilation[axis], axis) for axis in (0, 1))
    for h, w, u, v in product(range(shape[2]), range(shape[3]), range(kernel[0]), range(kernel[1])):
        i, j = stride[0] * h + dilation[0] * u - top, stride[1] * w + dilation[1] * v - left
        if 0 <= i < size[0] and 0 <= j < size[1]:
            yield i, j, u, v, h, w


def _sizes(shape: Shape, kernel: Pair, stride: Pair, padding: Padding, output_padding: Pair, dilation: Pair) -> Pair:
    if padding in ("same", "same_lower"):
        return stride[0] * shape[2], stride[1] * shape[3]
    height, width = (1 + max(stride[axis] * h + dilation[axis] * u for h in range(shape[2 + axis])
                             for u in range(kernel[axis])) for axis in (0, 1))
    top, left, bottom, right = (int(side) for side in padding)
    return height + output_padding[0] - top - bottom, width + output_padding[1] - left - right


def _cut(length: int, kernel: int, stride: int, padding: Padding, dilation: int, axis: int) -> int:
    """How many cells are cut off at the beginning of an axis."""
    if padding != "same" and padding != "same_lower":
        return padding[axis]
    total = 0
    while stride * (length - 1) + dilation * (kernel - 1) + 1 - total > stride * length:
        total += 1
    return total // 2 if padding == "same" else total - total // 2
