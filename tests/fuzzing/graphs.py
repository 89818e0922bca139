"""Valid ONNX files of many kinds of fields, and damage to their meaning: the message is whole, what it says is not."""

from __future__ import annotations

from functools import cache
from random import Random

import numpy as np
import onnx
from onnx import TensorProto
from onnx_graphs import model, n, numbers, whole
from random_graphs import OPSETS, grown

NASTY = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 2**15, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1)


def hand_written():
    """A few small graphs."""
    k, v, half = numbers(2, 3, 3, 3, seed=1), numbers(4, 2, seed=2), numbers(2, seed=3).astype(np.float16)
    typed = type(model(n("Relu", "x")).graph.initializer.add())(name="a", data_type=1, dims=[2], float_data=[1, 2])
    tail = (n("GlobalAveragePool", "r", "p"), n("Flatten", "p", "f"), n("Gemm", "f v", "y", transB=1))
    return [
        model(n("Conv", "x k h", "c", name="conv", pads=[1] * 4), n("Relu", "c", "r"), *tail, k=k, h=half, v=v),
        model(n("Conv", "x k a", "c", strides=[2, 2]), n("Clip", "c", "r", min=0.0, max=6.0), *tail[:2],
              n("Gemm", "f v e", "y", transB=1),
              n("Softmax", "y", "z"),
              outputs="z", opset=6, k=k, v=v, a=typed, e=numbers(4, seed=4),
              metadata={"npgradcam.labels": '["a", "b", "c", "d"]',
                        "npgradcam.preprocess": '{"name": "m", "size": [9, 9]}'}),
        model(n("Shape", "x", "s"), n("Gather", "s i", "b"), n("Unsqueeze", "b z", "u"),
              n("Concat", "u l", "t", axis=0),
              n("Reshape", "x t", "q"), n("ReduceMean", "q", "m", axes=[1]), i=np.array(0), z=whole(0), l=whole(-1),
              outputs="m"),
        model(n("Transpose", "x", "t", perm=[0, 3, 1, 2]), n("MaxPool", "t", "m", kernel_shape=[2, 2]),
              n("Resize", "m - e", "y", mode="linear"), e=np.array([1, 1, 2, 2], np.float32),
              inputs={"x": ("N", 8, 8, 3)}),
        model(n("Constant", "", "c", value=TensorProto(data_type=7, dims=[2], int64_data=[1, 2])),
              n("Cast", "c", "d", to=1),
              n("Split", "x", "a b -", axis=1), n("Mul", "a b", "y"), outputs="y d", inputs={"x": (1, 3, 4, 4)}),
    ]


@cache
def onnx_seeds() -> tuple[bytes, ...]:
    """Return the graphs above, and drawn ones of every version."""
    drawn = [grown(opset, 3 * opset, 12)[0] for opset in range(OPSETS[0], OPSETS[1] + 1)]
    return tuple(made.SerializeToString() for made in (*hand_written(), *drawn))


def damaged_graph(data: bytes, chance: Random, other: bytes) -> bytes:
    """Return a graph of which one to three things were changed."""
    made, second = onnx.ModelProto.FromString(data), onnx.ModelProto.FromString(other)
    for _ in range(chance.choice((1, 1, 2, 3))):
        chance.choice(CHANGES)(made.graph, chance, second.graph)
    return bytes(made.SerializeToString())


def _number(graph, chance, other):
    """A whole number of an attribute."""
    found = [a for node in graph.node for a in node.attribute if a.type in (2, 7)]
    if not found:
        return
    a = chance.choice(found)
    if a.type == 2:
        a.i = chance.choice(NASTY)
    elif a.ints and chance.random() < 0.7:
        a.ints[chance.randrange(len(a.ints))] = chance.choice(NASTY)
    else:
        a.ints.append(chance.choice(NASTY))


def _fraction(graph, chance, other):
    found = [a for node in graph.node for a in node.attribute if a.type == 1]
    if found:
        chance.choice(found).f = chance.choice((0.0, -1.0, 1e38, -1e38, float("inf"), float("nan"), 1e-45))


def _weight(graph, chance, other):
    """A number among the weights: shapes, axes, indices and scales are such."""
    if not graph.initializer:
        return
    held = chance.choice(graph.initializer)
    try:
        array = onnx.numpy_helper.to_array(held).copy()
    except ValueError:  # its lengths were changed before
        return
    if array.size and array.dtype.kind in "if":
        values = NASTY if array.dtype.kind == "i" else (0, -1, 1e9, 3e38, np.inf, np.nan)
        with np.errstate(all="ignore"):
            array.reshape(-1)[chance.randrange(array.size)] = np.array(chance.choice(values)).astype(array.dtype)
        held.CopyFrom(onnx.numpy_helper.from_array(array, held.name))


def _lengths(graph, chance, other):
    """A weight of another shape, with as many bytes as it had, or as it needs."""
    if not graph.initializer:
        return
    held = chance.choice(graph.initializer)
    if chance.random() < 0.5:
        held.dims[:] = [chance.choice((0, 1, 2, 3, *NASTY)) for _ in range(chance.randrange(7))]
    else:
        shape = [chance.randrange(4) for _ in range(chance.randrange(6))]
        held.CopyFrom(onnx.numpy_helper.from_array(np.ones(shape, chance.choice("fdil")), held.name))


def _wire(graph, chance, other):
    """Some node reads another array."""
    node = chance.choice(graph.node)
    names = [name for one in graph.node for name in (*one.input, *one.output)] + [""]
    if node.input and chance.random() < 0.8:
        node.input[chance.randrange(len(node.input))] = chance.choice(names)
    else:
        node.input.append(chance.choice(names))


def _operator(graph, chance, other):
    chance.choice(graph.node).op_type = chance.choice([*(node.op_type for node in other.node), *(
        "Conv", "ConvTranspose", "MaxPool", "AveragePool", "Gather", "Pad", "Resize", "Slice", "Expand", "Tile",
        "Split", "Concat", "Reshape", "Gemm", "MatMul", "BatchNormalization", "DepthToSpace", "Where",
    )])


def _borrow(graph, chance, other):
    """An attribute of another node."""
    found = [a for node in (*other.node, *graph.node) for a in node.attribute]
    if found:
        chance.choice(graph.node).attribute.append(chance.choice(found))


def _drop(graph, chance, other):
    parts = chance.choice((graph.node, graph.initializer, graph.output, chance.choice(graph.node).attribute,
                           chance.choice(graph.node).input))
    if len(parts):
        del parts[chance.randrange(len(parts))]
    if not graph.node:
        graph.node.append(other.node[0])


def _twice(graph, chance, other):
    parts = chance.choice((graph.node, graph.initializer, graph.output, graph.input))
    if len(parts):
        parts.append(chance.choice(parts))


def _input(graph, chance, other):
    """The picture's shape or type."""
    tensor = graph.input[0].type.tensor_type if graph.input else None
    if tensor is None or chance.random() < 0.2:
        return
    if chance.random() < 0.3:
        tensor.elem_type = chance.randrange(25)
    elif tensor.shape.dim:
        chance.choice(tensor.shape.dim).dim_value = chance.choice((*NASTY, 4, 5, 8))


CHANGES = (_number, _number, _fraction, _weight, _weight, _lengths, _wire, _operator, _borrow, _drop, _twice, _input)
