"""Operators that look at neighbouring cells or whole feature maps: convolutions, poolings, padding, resizing."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgradcam import layers
from npgradcam.layers import Layer

from .registry import Array, Call, operator, whole


class _Window:
    """The sliding window of a convolution or pooling, of one axis or two, in the words of the layers."""

    def __init__(self, call: Call, kernel: tuple[int, ...]) -> None:
        self.axes = len(kernel)
        if self.axes not in (1, 2):
            call.unsupported(f"a window of {self.axes} axes, expected 1 or 2")
        self.call = call
        self.kernel = self.pair(kernel, 1)
        self.stride = self.pair(self.numbers("strides", self.axes, 1), 1)
        self.dilation = self.pair(self.numbers("dilations", self.axes, 1), 1)
        self.ceil = bool(call("ceil_mode", 0))

    def numbers(self, attribute: str, count: int, default: int) -> tuple[int, ...]:
        found: tuple[int, ...] = tuple(self.call(attribute, ())) or (default,) * count
        if len(found) != count:
            self.call.fail(f"expected {count} numbers as {attribute}, got {found}")
        return found

    def pair(self, numbers: tuple[int, ...], missing: int) -> tuple[int, int]:
        """(H, W) of a window that has W only."""
        first, second = (missing,) * (2 - self.axes) + tuple(numbers)
        return first, second

    @property
    def padding(self) -> Any:
        """(top, left, bottom, right), or the rule that makes it."""
        rule = self.call("auto_pad", "NOTSET")
        if rule in ("SAME_UPPER", "SAME_LOWER"):
            return "same" if rule == "SAME_UPPER" else "same_lower"
        if rule not in ("NOTSET", "VALID", ""):
            self.call.fail(f"expected auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER, got {rule}")
        pads = self.numbers("pads", 2 * self.axes, 0) if rule != "VALID" else (0,) * 2 * self.axes
        return (*self.pair(pads[: self.axes], 0), *self.pair(pads[self.axes :], 0))

    def fit(self, layer: Layer) -> Layer:
        """A window of one axis slides over sequences."""
        return layer if self.axes == 2 else layers.OneAxis(layer)

    def wide(self, weight: Array) -> Array:
        """(O, C, V) as (O, C, 1, V)."""
        return weight if self.axes == 2 else weight[:, :, None]


def _kernel(call: Call, weight: Array) -> tuple[int, ...]:
    """The kernel's size as its weights have it; an attribute that says something else is an error."""
    said = tuple(call("kernel_shape", ())) or weight.shape[2:]
    if weight.ndim < 3 or said != weight.shape[2:]:
        call.fail(f"expected weights of a kernel {said}, got shape {weight.shape}")
    return weight.shape[2:]


@operator("Conv", settings=(1, 2))
def conv(call: Call, weight: Array, bias: Array | None = None) -> Layer:
    window = _Window(call, _kernel(call, weight))
    group: int = call("group", 1)
    return window.fit(layers.Conv2d(window.wide(weight), bias, window.stride, window.padding, window.dilation, group))


@operator("ConvTranspose", settings=(1, 2))
def conv_transpose(call: Call, weight: Array, bias: Array | None = None) -> Layer:
    window = _Window(call, _kernel(call, weight))
    extra = window.pair(window.numbers("output_padding", window.axes, 0), 0)
    padding, sizes = window.padding, tuple(call("output_shape", ()))
    if sizes:  # the padding follows from the size that is wanted, and from the input's
        lengths = tuple(call.length(0, 2 + axis, "output_shape") for axis in range(window.axes))
        wanted = window.pair(sizes[-window.axes :], 1)
        padding, extra = _padding_for(call, window, wanted, window.pair(lengths, 1), extra)
    group: int = call("group", 1)
    layer = layers.ConvTranspose2d(window.wide(weight), bias, window.stride, padding, extra, window.dilation, group)
    return window.fit(layer)


def _padding_for(call: Call, window: _Window, sizes: tuple[int, int], lengths: tuple[int, int],
                 extra: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Total = s (H - 1) + output_padding + d (U - 1) + 1 - size; the odd cell at the end, but for SAME_UPPER.

    A negative total is padding that is added at the end. Returned are both paddings.
    """
    befores, afters, added = [], [], []
    for axis in (0, 1):
        reach = (lengths[axis] - 1) * window.stride[axis] + window.dilation[axis] * (window.kernel[axis] - 1) + 1
        total = reach + extra[axis] - sizes[axis]
        half = max(0, total) // 2 if call("auto_pad", "NOTSET") == "SAME_UPPER" else -(-max(0, total) // 2)
        befores.append(half)
        afters.append(max(0, total) - half)
        added.append(extra[axis] + max(0, -total))
    return (*befores, *afters), (added[0], added[1])


@operator("MaxPool")
def max_pool(call: Call) -> Layer:
    window = _Window(call, tuple(call("kernel_shape", ())))
    if call.uses(1):
        call.unsupported("the places of the largest cells (Indices)")
    if call.kinds[0] not in (None, "float"):
        call.unsupported("the largest of whole numbers")
    return window.fit(layers.MaxPool2d(window.kernel, window.stride, window.padding, window.ceil, window.dilation))


@operator("AveragePool")
def average_pool(call: Call) -> Layer:
    window, counted = _Window(call, tuple(call("kernel_shape", ()))), bool(call("count_include_pad", 0))
    layer = layers.AvgPool2d(window.kernel, window.stride, window.padding, window.ceil, counted, window.dilation)
    return window.fit(layer)


@operator("GlobalAveragePool")
def global_average_pool(call: Call) -> Layer:
    rank = call.rank(0, 4)
    if rank == 4:
        return layers.GlobalAvgPool2d()
    return layers.ReduceMean(tuple(range(2, rank)), True)


@operator("GlobalMaxPool")
def global_max_pool(call: Call) -> Layer:
    rank = call.rank(0, 4)
    if rank == 4:
        return layers.GlobalMaxPool2d()
    return layers.ReduceMax(tuple(range(2, rank)), True)


@operator("DepthToSpace")
def depth_to_space(call: Call) -> Layer:
    block, mode = call("blocksize", 1), call("mode", "DCR")
    return layers.DepthToSpace(block, mode)


@operator("SpaceToDepth")
def space_to_depth(call: Call) -> Layer:
    block, mode = call("blocksize", 1), call("mode", "DCR")
    return layers.SpaceToDepth(block, mode)


@operator("Pad")
def pad_2(call: Call) -> Layer:
    pads: tuple[int, ...] = tuple(call("pads", ()))
    return _pad(call, pads, float(call("value", 0.0)))


@operator("Pad", since=11, settings=(1, 2, 3))
def pad(call: Call, pads: Array, value: Array | None, axes: Array | None = None) -> Layer:
    sides = whole(pads) or ()
    chosen = whole(axes)
    if chosen is not None:
        rank, full = call.rank(0, 4), [0] * 2 * call.rank(0, 4)
        if len(sides) != 2 * len(chosen) or not all(-rank <= a < rank for a in chosen):
            call.fail(f"expected two numbers for each of the axes {chosen}, got {sides}")
        for n, axis in enumerate(chosen):
            full[axis % rank], full[axis % rank + rank] = sides[n], sides[n + len(chosen)]
        sides = tuple(full)
    return _pad(call, sides, 0.0 if value is None or not value.size else float(value.item()))


def _pad(call: Call, sides: tuple[int, ...], value: float) -> Layer:
    half = len(sides) // 2
    if len(sides) % 2:
        call.fail(f"expected as many pads after as before, got {sides}")
    mode: Any = call("mode", "constant")
    return layers.PadAxes(sides[:half], sides[half:], value, mode)


def _resize(call: Call, sizes: Array | None, scales: Array | None, roi: Array | None, **settings: Any) -> Layer:
    numbers = whole(sizes) if sizes is not None and sizes.size else None
    factors = tuple(float(f) for f in scales) if scales is not None and scales.size and numbers is None else None
    if numbers is None and factors is None:
        call.fail("expected scales or sizes, got neither")
    part = tuple(float(r) for r in roi) if roi is not None and roi.size else None
    if settings.get("coordinates") != "tf_crop_and_resize":
        part = None
    return layers.Resize(numbers, factors, tuple(call("axes", ())) or None, **settings, roi=part)


@operator("Upsample")
def upsample_7(call: Call) -> Layer:
    scales = np.array(call("scales", ()))
    return _upsample(call, scales)


@operator("Upsample", since=9, settings=(1,))
def upsample_9(call: Call, scales: Array) -> Layer:
    return _upsample(call, scales)


@operator("Resize", since=10, settings=(1,))
def resize_10(call: Call, scales: Array) -> Layer:
    return _upsample(call, scales)


def _upsample(call: Call, scales: Array) -> Layer:
    mode = {"bilinear": "linear"}.get(call("mode", "nearest"), call("mode", "nearest"))
    return _resize(call, None, scales, None, mode=mode, coordinates="asymmetric", nearest="floor")


@operator("Resize", since=11, settings=(1, 2, 3))
def resize(call: Call, roi: Array | None, scales: Array | None = None, sizes: Array | None = None) -> Layer:
    return _resize(
        call, sizes, scales, roi,
        mode=call("mode", "nearest"),
        coordinates=call("coordinate_transformation_mode", "half_pixel"),
        nearest=call("nearest_mode", "round_prefer_floor"),
        cubic_a=call("cubic_coeff_a", -0.75),
        exclude_outside=bool(call("exclude_outside", 0)),
        antialias=bool(call("antialias", 0)),
        keep_aspect=call("keep_aspect_ratio_policy", "stretch"),
        extrapolation=call("extrapolation_value", 0.0),
    )
