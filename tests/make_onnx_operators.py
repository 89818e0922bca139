"""ONNX operators in PyTorch, for recording only: each is `(graph, settings, *inputs) -> output`."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from make_onnx_windows import average_pool, conv, conv_transpose, depth_to_space, max_pool, pad_last, resize, upsample
from onnx import helper, numpy_helper

BOUNDARY = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def whole(x):
    return [int(v) for v in (x.tolist() if isinstance(x, torch.Tensor) else x)]


def batch_norm(g, s, x, scale, bias, mean, variance):
    column = lambda v: v.reshape(-1, *[1] * (x.ndim - 2))  # noqa: E731
    if s.get("training_mode", 0):
        axes = [a for a in range(x.ndim) if a != 1]
        mean, variance = x.mean(axes), x.var(axes, unbiased=False)
    return (x - column(mean)) / torch.sqrt(column(variance) + s.get("epsilon", 1e-5)) * column(scale) + column(bias)


def layer_norm(g, s, x, scale, bias=None):
    axis = s.get("axis", -1)
    axes = list(range(axis % x.ndim, x.ndim))
    centred = x - x.mean(axes, keepdim=True)
    y = centred / torch.sqrt((centred**2).mean(axes, keepdim=True) + s.get("epsilon", 1e-5)) * scale
    return y if bias is None else y + bias


def gemm(g, s, a, b, c=None):
    a, b = a.T if s.get("transA", 0) else a, b.T if s.get("transB", 0) else b
    y = s.get("alpha", 1.0) * (a @ b)
    return y if c is None else y + s.get("beta", 1.0) * c


def reduce(f):
    def reduced(g, s, x, axes=None):
        axes = s.get("axes") if axes is None else whole(axes)
        if not axes and s.get("noop_with_empty_axes", 0):
            return x
        return f(x, axes or list(range(x.ndim)), bool(s.get("keepdims", 1)))
    return reduced


def clip(g, s, x, low=None, high=None):
    low, high = s.get("min", low), s.get("max", high)
    x = x if low is None else torch.maximum(x, torch.as_tensor(low).to(x))
    return x if high is None else torch.minimum(x, torch.as_tensor(high).to(x))


def softmax(f):
    def normalised(g, s, x):
        if g.opset >= 13:
            return f(x, s.get("axis", -1))
        axis = s.get("axis", 1) % x.ndim
        return f(x.flatten(axis), axis).reshape(x.shape)
    return normalised


def slice_(g, s, x, starts=None, ends=None, axes=None, steps=None):
    starts, ends = whole(s.get("starts", starts)), whole(s.get("ends", ends))
    axes = whole(s["axes"]) if "axes" in s else whole(axes) if axes is not None else range(len(starts))
    steps = whole(steps) if steps is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        n = x.shape[axis]
        kept = range(n)[slice(start, end if end > -(2**31) else None, step)]
        x = x.index_select(axis, torch.tensor(list(kept), dtype=torch.int64))
    return x


def split(g, s, x, sizes=None):
    axis, count = s.get("axis", 0), s["count"]
    sizes = s.get("split", sizes)
    if sizes is None:
        each = math.ceil(x.shape[axis] / count)
        sizes = [min(each, x.shape[axis] - i * each) for i in range(count)]
    return tuple(torch.split(x, whole(sizes), axis))


def reshape(g, s, x, shape=None):
    shape = whole(s.get("shape", shape))
    return x.reshape([x.shape[i] if n == 0 and not s.get("allowzero", 0) else n for i, n in enumerate(shape)])


def unsqueeze(g, s, x, axes=None):
    axes = whole(s.get("axes", axes))
    for axis in sorted(a % (x.ndim + len(axes)) for a in axes):
        x = x.unsqueeze(axis)
    return x


def squeeze(g, s, x, axes=None):
    axes = s.get("axes", axes)
    axes = [a for a, n in enumerate(x.shape) if n == 1] if axes is None else whole(axes)
    return x.squeeze(tuple(a % x.ndim for a in axes)) if axes else x


def pad(g, s, x, pads=None, value=None, axes=None):
    pads = whole(s.get("pads", pads))
    axes = list(range(x.ndim)) if axes is None else [a % x.ndim for a in whole(axes)]
    mode, value = s.get("mode", b"constant").decode(), float(s.get("value", 0.0) if value is None else value)
    for i, axis in enumerate(axes):
        before, after = pads[i], pads[i + len(axes)]
        if mode == "constant":
            x = pad_last(x.movedim(axis, -1), [before], [after], value).movedim(-1, axis)
        else:
            index = np.pad(np.arange(x.shape[axis]), (before, after), BOUNDARY[mode])
            x = x.index_select(axis, torch.from_numpy(index))
    return x


def gather(g, s, x, index):
    axis = s.get("axis", 0) % x.ndim
    index = index % x.shape[axis]
    y = x.index_select(axis, index.reshape(-1))
    return y.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1:]))


def constant(g, s):
    (name, value), = s.items()
    if name == "value":
        return g.tensor(numpy_helper.to_array(value))
    return g.tensor(np.array(value, np.float32 if name.startswith("value_float") else np.int64))


def constant_of_shape(g, s, shape):
    value = g.tensor(numpy_helper.to_array(s["value"])) if "value" in s else torch.zeros(1, dtype=g.dtype)
    return value.expand(whole(shape)).clone()


def cast(g, s, x):
    kind = helper.tensor_dtype_to_np_dtype(s["to"])
    return x.to(g.dtype) if kind.kind == "f" else x.to(torch.from_numpy(np.zeros(1, kind)).dtype)


def div(g, s, a, b):
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def instance_norm(g, s, x, scale, bias):
    axes = list(range(2, x.ndim))
    variance = x.var(axes, unbiased=False, keepdim=True)
    y = (x - x.mean(axes, keepdim=True)) / torch.sqrt(variance + s.get("epsilon", 1e-5))
    return y * scale.reshape(-1, *[1] * len(axes)) + bias.reshape(-1, *[1] * len(axes))


def group_norm(g, s, x, scale, bias):
    count = s["num_groups"]
    scale, bias = (v.repeat_interleave(x.shape[1] // count) if len(v) == count else v for v in (scale, bias))
    return F.group_norm(x, count, scale, bias, s.get("epsilon", 1e-5))


def gelu(g, s, x):
    return F.gelu(x, approximate=s.get("approximate", b"none").decode())


def lrn(g, s, x):
    return F.local_response_norm(x, s["size"], s.get("alpha", 1e-4), s.get("beta", 0.75), s.get("bias", 1.0))


def each(f):
    return lambda g, s, *xs: f(*xs)


def chain(f):
    def folded(g, s, *xs):
        y = xs[0]
        for x in xs[1:]:
            y = f(y, x)
        return y
    return folded


OPERATORS = {
    "Conv": conv, "ConvTranspose": conv_transpose, "MaxPool": max_pool, "AveragePool": average_pool, "Gemm": gemm,
    "BatchNormalization": batch_norm, "InstanceNormalization": instance_norm, "LayerNormalization": layer_norm,
    "GroupNormalization": group_norm, "LRN": lrn, "MatMul": each(torch.matmul), "Clip": clip, "Resize": resize,
    "GlobalAveragePool": each(lambda x: x.mean(list(range(2, x.ndim)), keepdim=True)), "Upsample": upsample,
    "GlobalMaxPool": each(lambda x: x.amax(list(range(2, x.ndim)), keepdim=True)),
    "ReduceMean": reduce(lambda x, a, k: x.mean(a, k)), "ReduceSum": reduce(lambda x, a, k: x.sum(a, k)),
    "ReduceMax": reduce(lambda x, a, k: x.amax(a, k)), "ReduceMin": reduce(lambda x, a, k: x.amin(a, k)),
    "ReduceL2": reduce(lambda x, a, k: torch.sqrt((x * x).sum(a, k))),
    "ReduceProd": reduce(lambda x, a, k: x.prod(a[0], k)),
    "Relu": each(torch.relu), "LeakyRelu": lambda g, s, x: F.leaky_relu(x, s.get("alpha", 0.01)),
    "PRelu": each(lambda x, a: torch.where(x > 0, x, a * x)), "Elu": lambda g, s, x: F.elu(x, s.get("alpha", 1.0)),
    "Selu": each(F.selu), "Celu": lambda g, s, x: F.celu(x, s.get("alpha", 1.0)), "Softplus": each(F.softplus),
    "Softsign": each(F.softsign), "Sigmoid": each(torch.sigmoid), "Tanh": each(torch.tanh), "Erf": each(torch.erf),
    "Gelu": gelu, "Mish": each(F.mish), "Exp": each(torch.exp), "Log": each(torch.log), "Sqrt": each(torch.sqrt),
    "HardSigmoid": lambda g, s, x: (x * s.get("alpha", 0.2) + s.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": each(F.hardswish),
    "Pow": each(torch.pow), "Abs": each(torch.abs), "Neg": each(torch.neg), "Reciprocal": each(torch.reciprocal),
    "Softmax": softmax(torch.softmax), "LogSoftmax": softmax(torch.log_softmax), "Swish": each(F.silu),
    "Add": each(torch.add), "Sub": each(torch.sub), "Mul": each(torch.mul), "Div": div, "Sum": chain(torch.add),
    "Min": chain(torch.minimum), "Max": chain(torch.maximum), "Where": each(torch.where), "Identity": each(lambda x: x),
    "Dropout": each(lambda x, *_: x), "Constant": constant, "ConstantOfShape": constant_of_shape, "Cast": cast,
    "Shape": lambda g, s, x: torch.tensor(list(x.shape)[s.get("start", 0):s.get("end")]), "Gather": gather,
    "Size": each(lambda x: torch.tensor(x.numel())), "Range": each(lambda a, b, c: torch.arange(a, b, c)),
    "Slice": slice_, "Split": split, "Concat": lambda g, s, *xs: torch.cat(xs, s["axis"]), "Reshape": reshape,
    "Flatten": lambda g, s, x: x.reshape(int(np.prod(x.shape[:s.get("axis", 1)])), -1), "Squeeze": squeeze,
    "Unsqueeze": unsqueeze, "Transpose": lambda g, s, x: x.permute(s.get("perm", list(range(x.ndim))[::-1])),
    "Expand": each(lambda x, shape: x.expand(torch.broadcast_shapes(x.shape, whole(shape)))), "Pad": pad,
    "Tile": each(lambda x, n: x.repeat(whole(n))), "DepthToSpace": depth_to_space,
    "Equal": each(torch.eq), "Not": each(torch.logical_not), "And": each(torch.logical_and),
    "Or": each(torch.logical_or),
    "Less": each(torch.lt), "Greater": each(torch.gt), "LessOrEqual": each(torch.le), "GreaterOrEqual": each(torch.ge),
    "Floor": each(torch.floor), "Ceil": each(torch.ceil), "Sign": each(torch.sign),
    "Mod": lambda g, s, a, b: torch.fmod(a, b) if s.get("fmod", 0) else torch.remainder(a, b),
    "CastLike": each(lambda x, y: x.to(y.dtype)),
}
