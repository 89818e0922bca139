"""Operators that make, cut, join and turn arrays, and those that compute with their shapes."""

from __future__ import annotations

import numpy as np

from npgradcam import layers
from npgradcam.layers import Layer

from .registry import Array, Call, operator, whole


@operator("Identity")
def identity(call: Call) -> list[str]:
    return [call.operation.inputs[0] or call.fail("expected an input, got none")]


@operator("Dropout")
def dropout(call: Call) -> list[str]:
    """At inference nothing is dropped, whatever the ratio; the mask says so of every number."""
    x, training = call.operation.inputs[0] or call.fail("expected an input, got none"), (*call.constants, None, None)[2]
    if len(call.operation.inputs) > 2 and call.operation.inputs[2] and (training is None or training.any()):
        call.unsupported("dropout as it is in training")
    if not call.uses(1):
        return [x]
    return [x, call.add(layers.ConstantOfShape(np.array([True])), call.add(layers.Shape(), x))]


@operator("Constant")
def constant(call: Call) -> Layer:
    given = {name: value for name, value in call.operation.attributes.items() if name.startswith("value")}
    if len(given) != 1:
        call.fail(f"expected one value, got {', '.join(given) or 'none'}")
    ((name, value),) = given.items()
    if name not in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        call.unsupported(f"a constant of the kind {name}")
    dtype = np.float32 if "float" in name else np.int64
    return layers.Constant(np.asarray(value, None if name == "value" else dtype))


@operator("ConstantOfShape")
def constant_of_shape(call: Call) -> Layer:
    value = call.operation.attributes.get("value", np.zeros(1, np.float32))
    return layers.ConstantOfShape(np.asarray(value).reshape(-1)[:1])


@operator("Shape")
def shape(call: Call) -> Layer:
    end = call.operation.attributes.get("end")
    return layers.Shape(call("start", 0), end if isinstance(end, int) else None)


@operator("Size")
def size(call: Call) -> Layer:
    return layers.Size()


@operator("Range")
def range_(call: Call) -> Layer:
    return layers.Range()


@operator("Reshape", settings=(1,))
def reshape(call: Call, target: Array) -> Layer:
    return layers.Reshape(whole(target) or (), bool(call("allowzero", 0)))


@operator("Flatten")
def flatten(call: Call) -> Layer:
    return layers.Flatten(call("axis", 1))


@operator("Squeeze")
def squeeze_1(call: Call) -> Layer:
    return layers.Squeeze(tuple(call("axes", ())) or None)


@operator("Squeeze", since=13, settings=(1,))
def squeeze(call: Call, axes: Array | None = None) -> Layer:
    return layers.Squeeze(whole(axes))


@operator("Unsqueeze")
def unsqueeze_1(call: Call) -> Layer:
    return layers.Unsqueeze(tuple(call("axes", ())))


@operator("Unsqueeze", since=13, settings=(1,))
def unsqueeze(call: Call, axes: Array) -> Layer:
    return layers.Unsqueeze(whole(axes) or ())


@operator("Transpose")
def transpose(call: Call) -> Layer:
    order = tuple(call("perm", ()))
    return layers.Transpose(order or tuple(reversed(range(call.rank(0, 2)))))


@operator("Expand", settings=(1,))
def expand(call: Call, sizes: Array) -> Layer:
    return layers.Expand(whole(sizes) or ())


@operator("Tile", settings=(1,))
def tile(call: Call, repeats: Array) -> Layer:
    return layers.Tile(whole(repeats) or ())


@operator("Concat")
def concat(call: Call) -> Layer:
    return layers.Concat(call("axis", 1))


@operator("Gather", settings=(1,))
def gather(call: Call, indices: Array) -> Layer:
    return layers.Gather(indices, call("axis", 0))


@operator("Slice")
def slice_1(call: Call) -> Layer:
    axes = tuple(call("axes", ())) or None
    return layers.Slice(tuple(call("starts", ())), tuple(call("ends", ())), axes)


@operator("Slice", since=10, settings=(1, 2, 3, 4))
def slice_(call: Call, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None) -> Layer:
    return layers.Slice(whole(starts) or (), whole(ends) or (), whole(axes), whole(steps))


@operator("Split")
def split_2(call: Call) -> list[Layer]:
    return _split(call, tuple(call("split", ())))


@operator("Split", since=13, settings=(1,))
def split(call: Call, sizes: Array | None = None) -> list[Layer]:
    return _split(call, whole(sizes) or ())


def _split(call: Call, sizes: tuple[int, ...]) -> list[Layer]:
    """One slice for each output; equal parts (the last one smaller) where nobody says how large they are."""
    axis, count = call("axis", 0), len(call.operation.outputs)
    if not sizes:
        length = call.length(0, axis, "equal parts")
        part = -(-length // count)
        sizes = tuple(min(part, length - n * part) for n in range(count))
    if len(sizes) != count or min(sizes) < 0:
        call.fail(f"expected {count} sizes, got {sizes}")
    ends = np.cumsum(sizes).tolist()
    return [layers.Slice((end - n,), (end,), (axis,)) for end, n in zip(ends, sizes, strict=True)]
