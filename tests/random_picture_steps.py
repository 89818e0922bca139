"""What a drawn graph may do next to maps (N, C, H, W): each step adds nodes to a `Maker` (random_graphs.py)."""

from __future__ import annotations

import math

import numpy as np

LARGEST = 4000  # no array grows beyond so many numbers


def window(m, kernel, ceil=False):
    """Draw stride, dilation and padding; return attributes and the size of each axis."""
    stride, dilation = [m.whole(1, 2) for _ in kernel], [m.whole(1, 2) if not ceil else 1 for _ in kernel]
    auto = m.pick("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    if auto.startswith("SAME"):
        stride, dilation = [min(pair) for pair in zip(stride, kernel, strict=True)], [1, 1]  # onnxruntime has no others
    pads = [m.whole(0, (k - 1) // 2) for k in kernel * 2] if auto == "NOTSET" else [0] * 4
    sizes = []
    for i, (n, k, s, d) in enumerate(zip(m.shape[2:], kernel, stride, dilation, strict=True)):
        room = n + pads[i] + pads[i + 2] - (k - 1) * d - 1
        if room < 0:
            return None
        sizes.append(-(-n // s) if auto.startswith("SAME") else room // s + 1)
    edges = {"pads": pads} if auto == "NOTSET" else {"auto_pad": auto}
    return {"strides": stride, "dilations": dilation, **edges}, sizes


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
    weight, bias = m.numbers(m.shape[1], outputs, *kernel), m.numbers(outputs)
    settings = {"kernel_shape": kernel, "strides": stride, "pads": pads, "output_padding": extra}
    m.node("ConvTranspose", weight, bias, shape=(m.shape[0], outputs, *sizes), **settings)


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
    if m.whole(0, 2) == 0:  # seldom: it ends all maps
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
        weight, bias = (m.numbers(*m.shape[axis:], low=0.5, high=1.5) for _ in range(2))
        m.node(kind, weight, bias, shape=m.shape, axis=axis, epsilon=0.1)
    else:
        groups = m.pick(*[g for g in (1, 2, c) if c % g == 0])
        m.node(kind, vector(), vector(), shape=m.shape, num_groups=groups, epsilon=0.1)


def resize(m):
    scales = [1.0, 1.0, m.pick(1.0, 2.0, 0.5, 1.5), m.pick(1.0, 2.0, 3.0)]
    sizes = tuple(math.floor(n * s) for n, s in zip(m.shape, scales, strict=True))
    if math.prod(sizes) > LARGEST or 0 in sizes:
        return
    if m.opset < 9:
        if min(scales) >= 1:
            m.node("Upsample", shape=sizes, scales=scales, mode="nearest")
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


FOR_PICTURES = (
    convolution, convolution, transposed, pooling, whole_pooling, normalisation, normalisation, resize, blocks,
)
