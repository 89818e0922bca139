"""What slides and what resizes, in PyTorch, for recording only: the other half of make_onnx_operators.py."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F


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
    _, scales, sizes = (None, rest[0], None) if g.opset < 11 else (*rest, *[None] * (3 - len(rest)))
    exact = sizes is not None and len(sizes)
    if g.opset < 11:
        s = {"coordinate_transformation_mode": b"asymmetric", "nearest_mode": b"floor", **s}
    for axis in range(x.ndim):
        size = int(sizes[axis]) if exact else math.floor(x.shape[axis] * float(scales[axis]))
        scale = size / x.shape[axis] if exact else float(scales[axis])
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
