"""Cases of layers that look around in pictures: transposed convolutions, sequences, normalisations, resizing."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...layers import (
    LRN,
    BatchNorm,
    ConvTranspose2d,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    OneAxis,
    Resize,
)
from ...typing import Quad, Shape
from .cases import Case, Kind, avg_pool2d, batch_norm2d, conv2d, max_pool2d, pairs, shapes, sizes, values


@st.composite
def conv_transpose2d(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Strides, dilations, output paddings, paddings by sides or by name, groups, with or without bias."""
    groups, ins, outs = draw(sizes()), draw(sizes(1, 2)), draw(sizes(1, 2))
    kernel, stride, dilation = draw(pairs()), draw(pairs()), draw(pairs(1, 2))
    size, output_padding = draw(pairs(1, 4)), draw(pairs(0, 3))
    whole = [s * (n - 1) + d * (u - 1) + 1 + more
             for s, n, d, u, more in zip(stride, size, dilation, kernel, output_padding, strict=True)]
    top, left = (draw(sizes(0, min(3, length - 1))) for length in whole)
    bottom, right = (draw(sizes(0, min(3, length - 1 - cut))) for length, cut in zip(whole, (top, left), strict=True))
    sides: Quad = (top, left, bottom, right)
    padding: Any = draw(st.sampled_from((sides, sides, "same", "same_lower")))
    kind: Kind = "whole" if numbers == "whole" else "real"
    weight = draw(values((groups * ins, outs, *kernel), kind))
    bias = draw(st.one_of(st.none(), values((groups * outs,), kind)))
    x = draw(values((draw(sizes(1, 2)), groups * ins, *size), numbers))
    return Case(ConvTranspose2d(weight, bias, stride, padding, output_padding, dilation, groups), (x,))


@st.composite
def one_axis(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Convolutions and poolings of one row: kernel, stride and padding of the rows are 1, 1 and 0."""
    case = draw(st.sampled_from((conv2d, conv_transpose2d, max_pool2d, avg_pool2d)).flatmap(lambda kind: kind(numbers)))
    settings = dict(vars(case.layer))
    for name in ("kernel", "stride", "dilation"):
        if name in settings:
            settings[name] = (1, settings[name][1])
    if "output_padding" in settings:
        settings["output_padding"] = (0, settings["output_padding"][1])
    if "weight" in settings:
        settings["weight"] = settings["weight"][:, :, :1]
    if not isinstance(settings["padding"], str):
        settings["padding"] = (0, settings["padding"][1], 0, settings["padding"][3])
    return Case(OneAxis(type(case.layer)(**settings)), (case.xs[0][:, :, 0],))


@st.composite
def batch_norm(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Rows of channels, sequences, pictures, and pictures with one more axis."""
    case = draw(batch_norm2d(numbers))
    (x,), rank = case.xs, draw(sizes(2, 5))
    places: dict[int, Any] = {2: (..., 0, 0), 3: (..., 0), 4: (), 5: (..., None)}
    return Case(BatchNorm(**vars(case.layer)), (np.ascontiguousarray(x[places[rank]]),))


def _spread() -> st.SearchStrategy[float]:
    return st.sampled_from((0.01, 0.5))  # large enough for finite differences where two numbers lie near each other


@st.composite
def instance_norm(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Sequences and pictures, also of a single cell."""
    shape = draw(shapes(largest=5))[: draw(sizes(3, 4))]
    weight, bias, x = draw(values((shape[1],))), draw(values((shape[1],))), draw(values(shape))
    return Case(InstanceNorm(weight, bias, draw(_spread())), (x,))


@st.composite
def group_norm(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """One to three groups of one or two channels, sequences and pictures."""
    groups, each = draw(sizes()), draw(sizes(1, 2))
    shape = draw(shapes(groups * each, largest=4))[: draw(sizes(3, 4))]
    weight, bias, x = draw(values((shape[1],))), draw(values((shape[1],))), draw(values(shape))
    return Case(GroupNorm(groups, weight, bias, draw(_spread())), (x,))


@st.composite
def layer_norm(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Any first axis, also the batch's; a scale and shift of the axes from it on, or of a part that broadcasts."""
    shape = draw(st.tuples(*(sizes(),) * draw(sizes(2, 4))))
    axis = draw(sizes(-len(shape), len(shape) - 1))
    scaled = shape[axis % len(shape) :][draw(sizes(0, len(shape) - axis % len(shape) - 1)) :]
    weight, x = draw(values(tuple(draw(st.sampled_from((n, n, 1))) for n in scaled))), draw(values(shape))
    bias = draw(st.one_of(st.none(), values(scaled)))
    return Case(LayerNorm(weight, bias, axis, draw(_spread())), (x,))


@st.composite
def lrn(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Windows even and odd, narrower and wider than the channels, with an effect that is felt."""
    shape = draw(shapes(draw(sizes(1, 6)), largest=3))[: draw(sizes(2, 4))]
    alpha, beta, bias = (draw(st.sampled_from(some)) for some in ((0.1, 2.0), (0.75, 1.5), (1.0, 2.0)))
    return Case(LRN(draw(sizes(1, 5)), alpha, beta, bias), (draw(values(shape)),))


@st.composite
def resize(draw: st.DrawFn, numbers: Kind = "real") -> Case:
    """Every mode and setting; any axes, also the batch's; for "whole" those whose weights are whole, or quarters."""
    shape: Shape = draw(st.tuples(*(sizes(1, 4),) * draw(sizes(2, 4))))
    rank, quarters = len(shape), numbers == "whole" and draw(st.booleans())
    axes = draw(st.one_of(st.none(), st.lists(sizes(0, rank - 1), min_size=1, max_size=2, unique=True)))
    which = list(range(rank)) if axes is None else axes
    coordinates: Any = draw(st.sampled_from((
        "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric",
        "tf_half_pixel_for_nn", "tf_crop_and_resize")))
    mode = "nearest" if numbers == "whole" else draw(st.sampled_from(("nearest", "linear", "cubic")))
    settings: dict[str, Any] = {"mode": mode}
    if quarters:
        coordinates, settings = draw(st.sampled_from(("half_pixel", "asymmetric"))), {"mode": "linear"}
    elif coordinates == "tf_half_pixel_for_nn":
        settings = {"mode": "nearest"}
    elif coordinates == "tf_crop_and_resize":
        settings |= {"roi": tuple(draw(st.sampled_from((0.0, 0.0, 0.25, -0.5))) for _ in which)
                     + tuple(draw(st.sampled_from((1.0, 1.0, 0.75, 1.5))) for _ in which),
                     "extrapolation": draw(st.sampled_from((0.0, 7.0)))}
    if settings["mode"] != "nearest":
        settings |= {"exclude_outside": draw(st.booleans()) and not quarters}
        settings |= {"antialias": draw(st.booleans()) and not quarters, "cubic_a": draw(st.sampled_from((-0.75, -0.5)))}
    else:
        settings["nearest"] = draw(st.sampled_from(("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")))
    if quarters or (coordinates != "tf_crop_and_resize" and draw(st.booleans())):
        some = (0.5, 1.0, 2.0) if quarters else (0.5, 0.6, float(np.float32(0.6)), 0.7, 1 / 3, 1.0, 1.5, 2.0, 2.4, 3.0)
        factors = [draw(st.sampled_from(some)) for _ in which]
        settings["scales"] = tuple(f if f >= 1 or (axis and f * shape[axis] >= 1.01) else 2.0
                                   for f, axis in zip(factors, which, strict=True))
    else:
        settings["sizes"] = tuple(draw(sizes(1, 6)) for _ in which)
        scales = [size / shape[axis] for size, axis in zip(settings["sizes"], which, strict=True)]
        if 0 not in which and min(scales) * min(shape[axis] for axis in which) > 0.51:  # so that each axis keeps a cell
            settings["keep_aspect"] = draw(st.sampled_from(("stretch", "not_larger", "not_smaller")))
    signs = draw(st.booleans())
    fixed = None if axes is None else tuple(axis - rank if signs else axis for axis in axes)
    return Case(Resize(axes=fixed, coordinates=coordinates, **settings), (draw(values(shape, numbers)),))


def layers(numbers: Kind) -> dict[str, st.SearchStrategy[Case]]:
    """Return a strategy for each of these layers, by its name; "whole" leaves out those that take roots."""
    linear: dict[str, Any] = {
        "BatchNorm": batch_norm, "ConvTranspose2d": conv_transpose2d, "OneAxis": one_axis, "Resize": resize,
    }
    bent: dict[str, Any] = {
        "GroupNorm": group_norm, "InstanceNorm": instance_norm, "LRN": lrn, "LayerNorm": layer_norm,
    }
    drawn = linear if numbers == "whole" else linear | bent
    return {name: strategy(numbers) for name, strategy in drawn.items()}
