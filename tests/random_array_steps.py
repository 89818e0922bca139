"""What a drawn graph may do next to arrays of any shape: each step adds nodes to a `Maker` (random_graphs.py)."""

from __future__ import annotations

import math

import numpy as np


def activation(m):
    since = {
        "Relu": 1, "LeakyRelu": 6, "Elu": 6, "Selu": 6, "Softplus": 1, "Softsign": 1, "Sigmoid": 6, "HardSigmoid": 6,
        "Tanh": 6, "Abs": 6, "Neg": 6, "Identity": 1, "Dropout": 7, "Erf": 9, "ThresholdedRelu": 10, "Celu": 12,
        "HardSwish": 14, "Mish": 18, "Gelu": 20,
    }
    kind = m.pick(*[k for k, v in since.items() if v <= m.opset])
    bent = kind in ("LeakyRelu", "Elu", "Celu", "HardSigmoid")
    m.node(kind, shape=m.shape, **({"alpha": round(float(m.random.uniform(0.1, 0.6)), 3)} if bent else {}))


def positive(m):
    """Functions that want a positive number: after a softplus of it."""
    m.node("Softplus", shape=m.shape)
    kind = m.pick("Log", "Sqrt", "Reciprocal", "Pow", "Exp")
    if kind in ("Log", "Reciprocal"):
        m.node("Add", m.constant(np.float32(0.5)), shape=m.shape)
    if kind == "Exp":
        m.node("Neg", shape=m.shape)
    m.node(kind, *([m.constant(np.float32(m.pick(0.5, 1.5, 2.0)))] if kind == "Pow" else []), shape=m.shape)


def clip(m):
    low, high = m.pick((0.0, 6.0), (0.0, 0.7), (-0.5, 0.5))
    if m.opset < 11:
        m.node("Clip", shape=m.shape, min=low, max=high)
    else:
        m.node("Clip", m.constant(np.float32(low)), m.constant(np.float32(high)), shape=m.shape)


def with_constant(m):
    shape = [n if m.whole(0, 1) else 1 for n in m.shape][m.whole(0, len(m.shape)):]
    kinds = ["Add", "Sub", "Mul", "Div"] + ["Min", "Max"] * (m.opset >= 8) + ["Where"] * (m.opset >= 9)
    kind = m.pick(*kinds)
    value = m.numbers(*shape, low=0.5 if kind == "Div" else -1.0)
    if kind == "Where":
        chosen = m.constant(m.random.random(m.shape[-1]) < 0.5)
        m.node(kind, x=(chosen, m.x, value), shape=m.shape)
    elif kind == "Sub" and m.whole(0, 1):
        m.node(kind, x=(value, m.x), shape=m.shape)
    else:
        m.node(kind, value, shape=m.shape)


def with_another(m):
    """Combine with an earlier array of the same shape, or one that spreads over this one."""
    fits = [name for name, shape in m.shapes.items() if name != m.x and len(shape) == len(m.shape)
            and all(a in (1, b) for a, b in zip(shape, m.shape, strict=True))]
    if fits:
        m.node(m.pick("Add", "Mul", "Sub", *["Sum", "Mean"] * (m.opset >= 8)), m.pick(*fits), shape=m.shape)


def joined(m):
    fits = [name for name, shape in m.shapes.items() if len(shape) == len(m.shape)]
    axis = m.whole(0, len(m.shape) - 1)
    others = [i for i in range(len(m.shape)) if i != axis]
    same = [name for name in fits if all(m.shapes[name][i] == m.shape[i] for i in others)]
    other = m.pick(*same)
    shape = list(m.shape)
    shape[axis] += m.shapes[other][axis]
    m.node("Concat", other, shape=shape, axis=axis - m.pick(0, len(shape)) if m.opset >= 11 else axis)


def halves(m):
    axis = m.pick(*[i for i, n in enumerate(m.shape)])
    n = m.shape[axis]
    if n < 2:
        return
    first = m.whole(1, n - 1)
    shape = [first if i == axis else k for i, k in enumerate(m.shape)]
    sizes = [first, n - first]
    if m.opset < 13:
        names = m.node("Split", shape=shape, outputs=2, axis=axis, split=sizes)
    else:
        names = m.node("Split", m.constant(np.array(sizes)), shape=shape, outputs=2, axis=axis)
    m.shapes[names[1]] = tuple(n - first if i == axis else k for i, k in enumerate(m.shape))
    m.x = m.pick(*names)


def reduction(m):
    axes, keep = m.some(*range(len(m.shape))), m.whole(0, 1)
    kind = m.pick("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2")
    shape = [1 if i in axes else n for i, n in enumerate(m.shape) if keep or i not in axes]
    m.axes(kind, axes, shape, since=13 if kind == "ReduceSum" else 18, keepdims=keep)


def softmax(m):
    m.node(m.pick("Softmax", "LogSoftmax"), shape=m.shape, axis=m.whole(0, len(m.shape) - 1))


def reshaped(m):
    kind = m.pick("Flatten", "Reshape", "ShapeOf", "Unsqueeze", "Squeeze")
    n, rank = m.shape, len(m.shape)
    if kind == "Flatten":
        axis = m.whole(0, rank)
        m.node(kind, shape=(math.prod(n[:axis]), math.prod(n[axis:])), axis=axis)
    elif kind == "Reshape":
        order = m.shuffled(n)
        target = [*order]
        target[m.whole(0, rank - 1)] = -1
        m.node(kind, m.constant(np.array(target)), shape=order)
    elif kind == "ShapeOf":  # as exporters write x.view(x.shape[0], -1)
        x, known = m.x, dict(m.shapes)
        m.node("Shape", shape=(rank,))
        m.node("Gather", m.constant(np.array([0])), shape=(1,), axis=0)
        m.node("Concat", m.constant(np.array([-1])), shape=(2,), axis=0)
        m.shapes = known  # whole numbers are nothing to go on with
        m.node("Reshape", x=(x, m.x), shape=(n[0], math.prod(n[1:])))
    elif kind == "Unsqueeze" and rank < 5:
        axis = m.whole(0, rank)
        m.axes(kind, [axis], (*n[:axis], 1, *n[axis:]))
    elif kind == "Squeeze" and 1 in n and rank > 1:
        axis = m.pick(*[i for i, k in enumerate(n) if k == 1])
        m.axes(kind, [axis], n[:axis] + n[axis + 1:])


def permuted(m):
    perm = m.shuffled(range(len(m.shape)))
    m.node("Transpose", shape=[m.shape[p] for p in perm], perm=perm)


def cut(m):
    axis = m.whole(0, len(m.shape) - 1)
    n = m.shape[axis]
    start, step = m.whole(0, n - 1), m.pick(1, 1, 2, -1) if m.opset >= 10 else 1
    kept = range(n)[start::step]
    shape = [len(kept) if i == axis else k for i, k in enumerate(m.shape)]
    if m.opset < 10:
        m.node("Slice", shape=shape, axes=[axis], starts=[start], ends=[2**31 - 1])
    else:
        end = -(2**63) + 1 if step < 0 else 2**63 - 1
        m.node("Slice", *(m.constant(np.array([v])) for v in (start, end, axis, step)), shape=shape)


def repeated(m):
    kind = m.pick("Gather", "Tile", "Pad", "Expand")
    axis = m.whole(0, len(m.shape) - 1)
    n = m.shape[axis]
    with_length = lambda k: [k if i == axis else v for i, v in enumerate(m.shape)]  # noqa: E731
    if kind == "Gather":
        index = [m.whole(-n if m.opset >= 11 else 0, n - 1) for _ in range(m.whole(1, 3))]
        m.node(kind, m.constant(np.array(index)), shape=with_length(len(index)), axis=axis)
    elif kind == "Tile":
        counts = [2 if i == axis else 1 for i in range(len(m.shape))]
        m.node(kind, m.constant(np.array(counts)), shape=with_length(2 * n))
    elif kind == "Expand" and n == 1 and m.opset >= 8:
        m.node(kind, m.constant(np.array(with_length(3))), shape=with_length(3))
    elif kind == "Pad":
        mode = m.pick("constant", "reflect", "edge")
        high = 2 if mode != "reflect" else min(2, n - 1)
        before, after = m.whole(0, high), m.whole(0, high)
        pads = with_length(0)[:0] + [before if i == axis else 0 for i in range(len(m.shape))]
        pads += [after if i == axis else 0 for i in range(len(m.shape))]
        if m.opset < 11:
            m.node(kind, shape=with_length(n + before + after), pads=pads, mode=mode, value=0.3)
        else:
            value = [m.constant(np.float32(0.3))] if mode == "constant" else []
            m.node(kind, m.constant(np.array(pads)), *value, shape=with_length(n + before + after), mode=mode)


def matrix(m):
    k = m.whole(1, 4)
    if len(m.shape) == 2 and m.whole(0, 1):
        transposed = m.whole(0, 1)
        weight = m.numbers(*((k, m.shape[1]) if transposed else (m.shape[1], k)))
        m.node("Gemm", weight, m.numbers(k), shape=(m.shape[0], k), transB=transposed, alpha=0.5)
    elif len(m.shape) >= 2:
        m.node("MatMul", m.numbers(m.shape[-1], k), shape=(*m.shape[:-1], k))


FOR_ALL = (
    activation, activation, positive, clip, with_constant, with_constant, with_another, joined, halves, reduction,
    softmax, reshaped, reshaped, permuted, cut, repeated, matrix,
)
