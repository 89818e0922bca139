"""Operators that sum over axes: reductions, matrix products, softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgradcam import layers
from npgradcam.layers import Layer

from .registry import Array, Call, operator, whole

_REDUCTIONS = {
    "ReduceMean": layers.ReduceMean, "ReduceSum": layers.ReduceSum, "ReduceMax": layers.ReduceMax,
    "ReduceMin": layers.ReduceMin, "ReduceL2": layers.ReduceL2,
}


@operator(*_REDUCTIONS)
def reduce_1(call: Call) -> Layer:
    axes = tuple(call("axes", ())) or None
    made: Layer = _REDUCTIONS[call.operation.kind](axes, bool(call("keepdims", 1)))
    return made


# the axes became an input: of ReduceSum earlier than of the others
@operator("ReduceSum", since=13, settings=(1,))
@operator("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", since=18, settings=(1,))
def reduce_18(call: Call, axes: Array | None = None) -> Layer:
    numbers = whole(axes) or None
    if numbers is None and call("noop_with_empty_axes", 0):
        return layers.Identity()
    made: Layer = _REDUCTIONS[call.operation.kind](numbers, bool(call("keepdims", 1)))
    return made


@operator("MatMul", holds=True)
def matmul(call: Call, first: Array | None, second: Array | None) -> Layer:
    return layers.MatMul(first, second)


@operator("Gemm", holds=True)
def gemm(call: Call, a: Array | None, b: Array | None, c: Array | None = None) -> Any:
    """Y = alpha A B + beta C, with A and B transposed where the attributes say so."""
    alpha, beta = call("alpha", 1.0), call("beta", 1.0)
    flips = (call("transA", 0), call("transB", 0))
    names = (*call.operation.inputs, "")[:3]
    if a is None and b is not None and not flips[0] and (c is not None or not names[2]):
        weight = b if flips[1] else b.T
        weight = weight if alpha == 1 else weight * b.dtype.type(alpha)
        if b.ndim == 2 and (c is None or c.shape in ((), (1,), (1, 1), weight.shape[:1], (1, weight.shape[0]))):
            bias = np.zeros(weight.shape[0], weight.dtype) if c is None else c.reshape(-1) * c.dtype.type(beta)
            return layers.Linear(np.ascontiguousarray(weight), np.broadcast_to(bias, weight.shape[:1]).copy())
    held = [value if value is None or not flip else value.T for value, flip in zip((a, b), flips, strict=True)]
    arriving = [
        call.add(layers.Transpose((1, 0)), name) if flip else name
        for name, value, flip in zip(names, (a, b), flips, strict=False) if value is None
    ]
    y = call.add(layers.MatMul(*held), *arriving)
    if alpha != 1:
        y = call.add(layers.Mul(np.array(alpha)), y)
    if c is not None:
        return [call.add(layers.Add(c * c.dtype.type(beta)), y)]
    if names[2]:
        scaled = names[2] if beta == 1 else call.add(layers.Mul(np.array(beta)), names[2])
        return [call.add(layers.Add(), y, scaled)]
    return [y]


_SOFTMAX = {"Softmax": layers.Softmax, "LogSoftmax": layers.LogSoftmax}


@operator("Softmax", "LogSoftmax")
def softmax_1(call: Call) -> Layer:
    made: Layer = _SOFTMAX[call.operation.kind](call("axis", 1), True)
    return made


@operator("Softmax", "LogSoftmax", since=13)
def softmax(call: Call) -> Layer:
    made: Layer = _SOFTMAX[call.operation.kind](call("axis", -1), False)
    return made


@operator("ArgMax")
def argmax(call: Call) -> Layer:
    return layers.ArgMax(call("axis", 0), bool(call("keepdims", 1)), bool(call("select_last_index", 0)))


@operator("NonZero")
def nonzero(call: Call) -> Layer:
    return layers.NonZero()
