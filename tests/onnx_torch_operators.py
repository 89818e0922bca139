"""ONNX operators in PyTorch, for recording only: each `(graph, settings, *inputs) -> output`, from the operators' pages."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper

BOUNDARY = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def whole(x):
    return [int(v) for v in (x.tolist() if isinstance(x, torch.Tensor) else x)]


def window(s, shape, kernel):
    """Return (before, after, stride, dilation) of a window that slides over the last axes."""
    rank = len(kernel)
    stride, dilation = s.get("strides", [1] * rank), s.get("dilations", [1] * rank)
    pads, auto = s.get("pads", [0] * 2 * rank), s.get("auto_pad", b"NOTSET").decode()
    if auto.startswith("SAME"):
        total = [max((math.ceil(n / t) - 1) * t + (k - 1) * d + 1 - n, 0)
                 for n, t, k, d in zip(shape, stride, kernel, dilation, strict=True)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = small + large if auto == "SAME_UPPER" else large + small
    return pads[:rank], pads[rank:], stride, dilation


def pad_last(x, before, after, value=0.0):
    flat = [p for pair in zip(reversed(before), reversed(after), strict=True) for p in pair]
    return F.pad(x, flat, value=value)


def conv(g, s, x, w, b=None):
    before, after, stride, dilation = window(s, x.shape[2:], w.shape[2:])
    f = (F.conv1d, F.conv2d, F.conv3d)[x.ndim - 3]
    return f(pad_last(x, before, after), w, b, tuple(stride), 0, tuple(dilation), s.get("group", 1))


def conv_transpose(g, s, x, w, b=None):
    rank = x.ndim - 2
    stride, dilation = s.get("strides", [1] * rank), s.get("dilations", [1] * rank)
    extra = s.get("output_padding", [0] * rank)
    full = [(n - 1) * t + (k - 1) * d + 1 + e
            for n, t, k, d, e in zip(x.shape[2:], stride, w.shape[2:], dilation, extra, strict=True)]
    auto, pads = s.get("auto_pad", b"NOTSET").decode(), s.get("pads", [0] * 2 * rank)
    if auto.startswith("SAME") or "output_shape" in s:
        wanted = s.get("output_shape") or [n * t for n, t in zip(x.shape[2:], stride, strict=True)]
        total = [f - n for f, n in zip(full, wanted, strict=True)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = small + large if auto == "SAME_UPPER" else large + small
    f = (F.conv_transpose1d, F.conv_transpose2d)[rank - 1]
    y = f(x, w, None, tuple(stride), 0, 0, s.get("group", 1), tuple(dilation))
    y = pad_last(y, [-p for p in pads[:rank]], [e - p for e, p in zip(extra, pads[rank:], strict=True)])
    return y if b is None else y + b.reshape(-1, *[1] * rank)


def pooled(s, x):
    """Return (before, after, stride, dilation, cells beyond the padding that a rounded-up size looks at)."""
    kernel = s["kernel_shape"]
    before, after, stride, dilation = window(s, x.shape[2:], kernel)
    beyond = [0] * len(kernel)
    if s.get("ceil_mode", 0):
        for i, (n, k, t, d) in enumerate(zip(x.shape[2:], kernel, stride, dilation, strict=True)):
            room = n + before[i] + after[i] - (k - 1) * d - 1
            steps = math.ceil(room / t)
            steps -= steps * t >= n + before[i]  # no window begins in the padding at the end
            beyond[i] = max(steps * t - room, 0)
    return before, after, stride, dilation, beyond


def max_pool(g, s, x):
    before, after, stride, dilation, beyond = pooled(s, x)
    after = [a + b for a, b in zip(after, beyond, strict=True)]
    f = F.max_pool1d if x.ndim == 3 else F.max_pool2d
    return f(pad_last(x, before, after, -math.inf), tuple(s["kernel_shape"]), tuple(stride), 0, tuple(dilation))


def average_pool(g, s, x):
    before, after, stride, dilation, beyond = pooled(s, x)
    if set(dilation) != {1}:
        raise NotImplementedError("dilated AveragePool")
    counted = torch.ones_like(x[:1, :1])
    counted = pad_last(counted, before, after, float(s.get("count_include_pad", 0)))
    x, counted = pad_last(x, before, after), pad_last(counted, [0] * len(beyond), beyond)
    x = pad_last(x, [0] * len(beyond), beyond)
    kernel = tuple(s["kernel_shape"])
    if x.ndim == 3:
        return F.avg_pool1d(x, kernel, tuple(stride)) / F.avg_pool1d(counted, kernel, tuple(stride))
    total = lambda z: F.avg_pool2d(z, kernel, tuple(stride), divisor_override=1)  # noqa: E731
    return total(x) / total(counted)


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


def split(g, s, x, sizes=None, count=1):
    axis = s.get("axis", 0)
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


def sources(n, size, scale, s, length):
    """Return for each output cell the coordinate that it reads."""
    kind = s.get("coordinate_transformation_mode", b"half_pixel").decode()
    i = np.arange(size, dtype=np.float64)
    if kind == "asymmetric":
        return i / scale
    if kind == "align_corners":
        return i * (n - 1) / (size - 1) if size > 1 else i * 0
    if kind == "pytorch_half_pixel" and size <= 1:
        return i * 0
    if kind not in ("half_pixel", "pytorch_half_pixel"):
        raise NotImplementedError(kind)
    return (i + 0.5) / scale - 0.5


def interpolation(n, size, scale, s):
    """Return the matrix (size, n) that resizes one axis."""
    mode, matrix = s.get("mode", b"nearest").decode(), np.zeros((size, n))
    rounding = {"floor": np.floor, "ceil": np.ceil, "round_prefer_floor": lambda v: np.ceil(v - 0.5),
                "round_prefer_ceil": lambda v: np.floor(v + 0.5)}[s.get("nearest_mode", b"round_prefer_floor").decode()]
    a = s.get("cubic_coeff_a", -0.75)
    for row, at in zip(matrix, sources(n, size, scale, s, n), strict=True):
        if mode == "nearest":
            row[int(np.clip(rounding(at), 0, n - 1))] = 1
            continue
        low = math.floor(at)
        for cell in range(low - 1, low + 3):
            d = abs(at - cell)
            if mode == "linear":
                weight = max(1 - d, 0)
            else:
                near, far = (a + 2) * d**3 - (a + 3) * d**2 + 1, a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
                weight = near if d <= 1 else far if d < 2 else 0
            row[min(max(cell, 0), n - 1)] += weight
    return torch.from_numpy(matrix)


def resize(g, s, x, *rest):
    roi, scales, sizes = (None, rest[0], None) if g.opset < 11 else (*rest, *[None] * (3 - len(rest)))
    if g.opset < 11:
        s = {"coordinate_transformation_mode": b"asymmetric", "nearest_mode": b"floor", **s}
    for axis in range(x.ndim):
        size = int(sizes[axis]) if sizes is not None and len(sizes) else int(math.floor(x.shape[axis] * float(scales[axis])))
        scale = size / x.shape[axis] if sizes is not None and len(sizes) else float(scales[axis])
        if size != x.shape[axis] or scale != 1:
            matrix = interpolation(x.shape[axis], size, scale, s).to(x)
            x = torch.tensordot(x, matrix, ([axis], [1])).movedim(-1, axis)
    return x


def upsample(g, s, x, scales=None):
    s = {k: v for k, v in {**s, "mode": s.get("mode", b"nearest")}.items() if k != "scales"} | {"_": s.get("scales")}
    return resize(g, s, x, s["_"] if scales is None else scales)


def depth_to_space(g, s, x):
    n, c, h, w = x.shape
    b = s["blocksize"]
    if s.get("mode", b"DCR") == b"DCR":
        return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)
    return x.reshape(n, c // b**2, b, b, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // b**2, h * b, w * b)


def instance_norm(g, s, x, scale, bias):
    axes = list(range(2, x.ndim))
    y = (x - x.mean(axes, keepdim=True)) / torch.sqrt(x.var(axes, unbiased=False, keepdim=True) + s.get("epsilon", 1e-5))
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
    "HardSigmoid": lambda g, s, x: (x * s.get("alpha", 0.2) + s.get("beta", 0.5)).clamp(0, 1), "HardSwish": each(F.hardswish),
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
    "Equal": each(torch.eq), "Not": each(torch.logical_not), "And": each(torch.logical_and), "Or": each(torch.logical_or),
    "Less": each(torch.lt), "Greater": each(torch.gt), "LessOrEqual": each(torch.le), "GreaterOrEqual": each(torch.ge),
    "Floor": each(torch.floor), "Ceil": each(torch.ceil), "Sign": each(torch.sign),
    "Mod": lambda g, s, a, b: torch.fmod(a, b) if s.get("fmod", 0) else torch.remainder(a, b),
    "CastLike": each(lambda x, y: x.to(y.dtype)),
}
