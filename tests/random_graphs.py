"""Hypothesis draws small valid ONNX graphs: each step takes the newest array and does something to it.

Operators are written as the drawn version of ONNX wants them: what was an attribute in one version is an input in
the next. Constants come from a seeded generator. Every graph begins with an image and is differentiable almost everywhere.
"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, checker, helper, numpy_helper

OPSETS = (7, 23)
LARGEST = 4000  # no array grows beyond so many numbers


class Maker:
    """A graph that grows; `shape` is the newest array's."""

    def __init__(self, draw, opset):
        self.draw, self.opset = draw, opset
        self.random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.nodes, self.constants, self.shapes = [], [], {}
        self.x = "image"
        self.shapes[self.x] = self.first = tuple(draw(st.tuples(*(st.integers(a, b) for a, b in ((1, 2), (1, 4), (3, 7), (3, 7))))))

    @property
    def shape(self):
        return self.shapes[self.x]

    def pick(self, *values):
        return self.draw(st.sampled_from(values))

    def whole(self, low, high):
        return self.draw(st.integers(low, high))

    def some(self, *values):
        return sorted(self.draw(st.sets(st.sampled_from(values), min_size=1)))

    def numbers(self, *shape, low=-1.0, high=1.0):
        return self.constant(self.random.uniform(low, high, shape).astype(np.float32))

    def constant(self, value):
        value = np.asarray(value, np.int64 if np.asarray(value).dtype.kind == "i" else None)
        name = f"c{len(self.constants)}"
        if self.whole(0, 3) == 0:  # some exporters write a node in place of an initializer
            self.nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name)))
            self.constants.append(None)
        else:
            self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind, *inputs, shape, x=None, outputs=1, **settings):
        """Add a node that reads the newest array and `inputs`, and makes an array of this shape."""
        names = [f"{kind.lower()}{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        read = [self.x, *inputs] if x is None else [*x]
        self.nodes.append(helper.make_node(kind, read, names, name=f"n{len(self.nodes)}", **settings))
        for name in names:
            self.shapes[name] = tuple(shape)
        self.x = names[0]
        return names

    def axes(self, kind, axes, shape, since=13, **settings):
        """Add a node whose axes are an attribute before version `since`, and an input from then on."""
        if self.opset < since:
            return self.node(kind, shape=shape, axes=axes, **settings)
        return self.node(kind, self.constant(np.array(axes)), shape=shape, **settings)


def window(m, kernel, ceil=False):
    """Draw stride, dilation and padding; return attributes and the size of each axis."""
    stride, dilation = [m.whole(1, 2) for _ in kernel], [m.whole(1, 2) if not ceil else 1 for _ in kernel]
    auto = m.pick("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    if auto.startswith("SAME"):
        dilation = [1, 1]  # onnxruntime has no other
    pads = [m.whole(0, (k - 1) // 2) for k in kernel * 2] if auto == "NOTSET" else [0] * 4
    sizes = []
    for i, (n, k, s, d) in enumerate(zip(m.shape[2:], kernel, stride, dilation, strict=True)):
        room = n + pads[i] + pads[i + 2] - (k - 1) * d - 1
        if room < 0:
            return None
        sizes.append(-(-n // s) if auto.startswith("SAME") else room // s + 1)
    settings = {"strides": stride, "dilations": dilation, **({"pads": pads} if auto == "NOTSET" else {"auto_pad": auto})}
    return settings, sizes


def convolution(m):
    kernel = [m.whole(1, 3), m.whole(1, 3)]
    found = window(m, kernel)
    if found is None:
        return
    settings, sizes = found
    groups = m.pick(*[g for g in (1, 2, m.shape[1]) if m.shape[1] % g == 0])
    outputs = groups * m.whole(1, 2)
    weight = m.numbers(outputs, m.shape[1] // groups, *kernel)
    bias = [m.numbers(outputs)] if m.whole(0, 1) else []
    m.node("Conv", weight, *bias, shape=(m.shape[0], outputs, *sizes), kernel_shape=kernel, group=groups, **settings)


def transposed(m):
    kernel, stride = [m.whole(1, 3), m.whole(1, 3)], [m.whole(1, 2), m.whole(1, 2)]
    pads = [m.whole(0, (k - 1) // 2) for k in kernel * 2]
    extra = [m.whole(0, s - 1) for s in stride]
    sizes = [(n - 1) * s + k + e - pads[i] - pads[i + 2]
             for i, (n, k, s, e) in enumerate(zip(m.shape[2:], kernel, stride, extra, strict=True))]
    outputs = m.whole(1, 3)
    if min(sizes) < 1:
        return
    m.node("ConvTranspose", m.numbers(m.shape[1], outputs, *kernel), m.numbers(outputs), shape=(m.shape[0], outputs, *sizes),
           kernel_shape=kernel, strides=stride, pads=pads, output_padding=extra)


def pooling(m):
    kernel = [m.whole(1, 3), m.whole(1, 3)]
    found = window(m, kernel, ceil=True)
    if found is None:
        return
    settings, sizes = found
    settings.pop("dilations")
    kind = m.pick("MaxPool", "AveragePool")
    more = {"count_include_pad": m.whole(0, 1)} if kind == "AveragePool" else {}
    m.node(kind, shape=(*m.shape[:2], *sizes), kernel_shape=kernel, **settings, **more)


def whole_pooling(m):
    m.node(m.pick("GlobalAveragePool", "GlobalMaxPool"), shape=(*m.shape[:2], 1, 1))


def normalisation(m):
    c = m.shape[1]
    kinds = ["BatchNormalization", "InstanceNormalization", "LRN", "PRelu"]
    kinds += ["LayerNormalization"] * (m.opset >= 17) + ["GroupNormalization"] * (m.opset >= 21)
    kind, vector = m.pick(*kinds), lambda low=0.5, high=1.5: m.numbers(c, low=low, high=high)
    if kind == "BatchNormalization":
        m.node(kind, vector(), vector(), vector(-1), vector(), shape=m.shape, epsilon=1e-3)
    elif kind == "InstanceNormalization":
        m.node(kind, vector(), vector(), shape=m.shape, epsilon=0.1)
    elif kind == "LRN":
        m.node(kind, shape=m.shape, size=m.pick(1, 3, 5), alpha=0.1, beta=0.6, bias=1.2)
    elif kind == "PRelu":
        m.node(kind, m.numbers(c, 1, 1, low=0.1, high=0.6), shape=m.shape)
    elif kind == "LayerNormalization":
        axis = m.whole(1, 3)
        shape = m.shape[axis:]
        m.node(kind, m.numbers(*shape, low=0.5, high=1.5), m.numbers(*shape, low=0.5), shape=m.shape, axis=axis, epsilon=0.1)
    else:
        m.node(kind, vector(), vector(), shape=m.shape, num_groups=m.pick(*[g for g in (1, 2, c) if c % g == 0]), epsilon=0.1)


def resize(m):
    scales = [1.0, 1.0, m.pick(1.0, 2.0, 0.5, 1.5), m.pick(1.0, 2.0, 3.0)]
    sizes = tuple(math.floor(n * s) for n, s in zip(m.shape, scales, strict=True))
    if math.prod(sizes) > LARGEST or 0 in sizes:
        return
    if m.opset < 9:
        m.node("Upsample", shape=sizes, scales=[max(s, 1.0) for s in scales], mode="nearest") if min(scales) >= 1 else None
    elif m.opset < 11:
        kind, up = ("Upsample", min(scales) >= 1) if m.opset == 9 else ("Resize", True)
        if up:
            m.node(kind, m.constant(np.float32(scales)), shape=sizes, mode=m.pick("nearest", "linear"))
    else:
        mode, exact = m.pick("nearest", "linear", "cubic"), m.whole(0, 1)
        fits = all(n * s == k for n, s, k in zip(m.shape, scales, sizes, strict=True))
        # where a size was rounded, the specification's reference aligns other corners than onnxruntime
        aligned = ["align_corners"] if fits or exact else []
        coordinates = m.pick("half_pixel", "asymmetric", "pytorch_half_pixel", *aligned)
        last = ["", "", m.constant(np.array(sizes))] if exact else ["", m.constant(np.float32(scales))]
        if m.opset < 13:
            last[0] = m.constant(np.zeros(0, np.float32))
            last[1] = m.constant(np.zeros(0, np.float32)) if exact else last[1]
        m.node("Resize", *last, shape=sizes, mode=mode, coordinate_transformation_mode=coordinates)


def blocks(m):
    n, c, h, w = m.shape
    if c % 4 == 0:
        mode = {"mode": m.pick("DCR", "CRD")} if m.opset >= 11 else {}
        m.node("DepthToSpace", shape=(n, c // 4, 2 * h, 2 * w), blocksize=2, **mode)
    elif h % 2 == w % 2 == 0:
        m.node("SpaceToDepth", shape=(n, 4 * c, h // 2, w // 2), blocksize=2)


def activation(m):
    since = {"Relu": 1, "LeakyRelu": 6, "Elu": 6, "Selu": 6, "Softplus": 1, "Softsign": 1, "Sigmoid": 6, "HardSigmoid": 6, "Tanh": 6,
             "Abs": 6, "Neg": 6, "Identity": 1, "Dropout": 7, "Erf": 9, "ThresholdedRelu": 10, "Celu": 12, "HardSwish": 14,
             "Mish": 18, "Gelu": 20}
    kind = m.pick(*[k for k, v in since.items() if v <= m.opset])
    settings = {"alpha": round(float(m.random.uniform(0.1, 0.6)), 3)} if kind in ("LeakyRelu", "Elu", "Celu", "HardSigmoid") else {}
    m.node(kind, shape=m.shape, **settings)


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
        m.node(m.pick("Add", "Mul", "Sub"), m.pick(*fits), shape=m.shape)


def joined(m):
    fits = [name for name, shape in m.shapes.items() if len(shape) == len(m.shape)]
    axis = m.whole(0, len(m.shape) - 1)
    same = [k for k in fits if all(a == b for i, (a, b) in enumerate(zip(m.shapes[k], m.shape, strict=True)) if i != axis)]
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
    names = (m.node("Split", shape=shape, outputs=2, axis=axis, split=[first, n - first]) if m.opset < 13 else
             m.node("Split", m.constant(np.array([first, n - first])), shape=shape, outputs=2, axis=axis))
    m.shapes[names[1]] = tuple(n - first if i == axis else k for i, k in enumerate(m.shape))
    m.x = m.pick(*names)


def reduction(m):
    axes, keep = m.some(*range(len(m.shape))), m.whole(0, 1)
    kind = m.pick("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2")
    shape = [1 if i in axes else n for i, n in enumerate(m.shape) if keep or i not in axes]
    m.axes(kind, axes, shape, since=13 if kind == "ReduceSum" else 18, keepdims=keep)


def softmax(m):
    m.node(m.pick("Softmax", "LogSoftmax"), shape=m.shape, axis=m.whole(1 if m.opset < 13 else 0, len(m.shape) - 1))


def reshaped(m):
    kind = m.pick("Flatten", "Reshape", "ShapeOf", "Transpose", "Unsqueeze", "Squeeze")
    n, rank = m.shape, len(m.shape)
    if kind == "Flatten":
        axis = m.whole(0, rank)
        m.node(kind, shape=(math.prod(n[:axis]), math.prod(n[axis:])), axis=axis)
    elif kind == "Reshape":
        order = m.draw(st.permutations(n))
        target = [*order]
        target[m.whole(0, rank - 1)] = -1
        m.node(kind, m.constant(np.array(target)), shape=order)
    elif kind == "ShapeOf":  # as exporters write x.view(x.shape[0], -1)
        x = m.x
        m.node("Shape", shape=(rank,))
        m.node("Gather", m.constant(np.array([0])), shape=(1,), axis=0)
        m.node("Concat", m.constant(np.array([-1])), shape=(2,), axis=0)
        m.shapes = {k: v for k, v in m.shapes.items() if not k.startswith(("shape", "gather", "concat")) or k == x or len(v) > 2}
        m.node("Reshape", x=(x, m.x), shape=(n[0], math.prod(n[1:])))
    elif kind == "Transpose":
        perm = m.draw(st.permutations(range(rank)))
        m.node(kind, shape=[n[p] for p in perm], perm=perm)
    elif kind == "Unsqueeze" and rank < 5:
        axis = m.whole(0, rank)
        m.axes(kind, [axis], (*n[:axis], 1, *n[axis:]))
    elif kind == "Squeeze" and 1 in n and rank > 1:
        axis = m.pick(*[i for i, k in enumerate(n) if k == 1])
        m.axes(kind, [axis], n[:axis] + n[axis + 1:])


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
        m.node(kind, m.constant(np.array([2 if i == axis else 1 for i in range(len(m.shape))])), shape=with_length(2 * n))
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


FOR_PICTURES = (convolution, convolution, transposed, pooling, whole_pooling, normalisation, normalisation, resize, blocks)
FOR_ALL = (activation, activation, positive, clip, with_constant, with_constant, with_another, joined, halves, reduction,
           softmax, reshaped, cut, repeated, matrix)


@st.composite
def graphs(draw):
    """Return a model of 2 to 7 steps, and its image."""
    m = Maker(draw, draw(st.integers(*OPSETS)))
    for _ in range(draw(st.integers(2, 7))):
        picture = len(m.shape) == 4 and math.prod(m.shape) <= LARGEST
        draw(st.sampled_from(FOR_PICTURES if picture and draw(st.integers(0, 2)) else FOR_ALL))(m)
        if math.prod(m.shape) > LARGEST:
            break
    if m.x == "image":
        m.node("Relu", shape=m.shape)
    if not m.shape:
        m.node("Reshape", m.constant(np.array([1])), shape=(1,))
    open_batch = draw(st.booleans()) and not any(n.op_type in ("Reshape", "Expand", "Split", "Tile", "Resize") for n in m.nodes)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch" if open_batch else m.first[0], *m.first[1:]])
    output = helper.make_tensor_value_info(m.x, TensorProto.FLOAT, [None] * len(m.shape))
    graph = helper.make_graph(m.nodes, "drawn", [image], [output], [c for c in m.constants if c is not None])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", m.opset)], ir_version=8 if m.opset < 19 else 10)
    checker.check_model(model)
    return model, m.random.uniform(-2, 2, m.first).astype(np.float32)
