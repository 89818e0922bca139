"""Graphs that contradict themselves or ask for the impossible, each a few hundred bytes; and what is said of them.

REFUSED: name -> (a part of the message, the model). ODD: name -> a model that may load, as no picture has come yet.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx_graphs import model, n, numbers, whole

K, V = numbers(3, 3, 3, 3, seed=1), numbers(3, seed=2)
HUGE, FIXED = 2**40, {"x": (1, 3, 8, 8)}
CALLS = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]


def function(name, *nodes):
    return helper.make_function("own", name, ["a"], ["b"], list(nodes), CALLS)


def call(name, inputs="a", outputs="b"):
    return n(name, inputs, outputs, domain="own")


def laughs(count):
    """Each function calls the one before it twice: 2**count nodes from count short lines."""
    return [function("F0", n("Relu", "a", "b")), *(
        function(f"F{i}", call(f"F{i - 1}", "a", "c"), call(f"F{i - 1}", "c", "b")) for i in range(1, count))]


def tensor(**fields):
    return onnx.TensorProto(name="a", **fields)


def held(proto):
    return model(n("Add", "x a"), a=proto)


def outside(**said):
    made = tensor(data_type=1, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, text in said.items():
        made.external_data.add(key=key, value=text)
    return held(made)


def nested(depth):
    """Graphs in graphs in graphs."""
    graph = helper.make_graph([n("Relu", "x", "y")], "g", [], [])
    for _ in range(depth):
        graph = helper.make_graph([n("If", "x", "y", then_branch=graph)], "g", [], [])
    return model(*graph.node)


def untyped():
    made = model(n("Relu", "x"))
    made.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1
    return made


def sparse():
    made = model(n("Relu", "x"))
    made.graph.sparse_initializer.add().values.name = "s"
    return made


def twice_given():
    made = model(n("Relu", "x"))
    made.graph.input.append(made.graph.input[0])
    return made


def folded(*nodes, **weights):
    """What the nodes make of constants alone, added to the picture."""
    return model(*nodes, n("Cast", "v", "w", to=1), n("Add", "x w"), **weights)


def doubling(count):
    names = ["a", *(f"c{i}" for i in range(count)), "v"]
    return [n("Concat", f"{a} {a}", b, axis=0) for a, b in pairwise(names)]


ROOM = r"expected (constants of )?at most .* numbers"
REFUSED = {
    # the graph
    "circle": ("before it", model(n("Relu", "b", "a"), n("Relu", "a", "b"), outputs="b")),
    "itself": ("before it", model(n("Add", "x y", "y"))),
    "out of order": ("before it", model(n("Relu", "a", "y"), n("Relu", "x", "a"))),
    "nobody's input": ("before it", model(n("Relu", "nobody"))),
    "two of one name": ("there already", model(n("Relu", "x"), n("Neg", "x"))),
    "over an input": ("there already", model(n("Relu", "x", "x"), outputs="x")),
    "over a weight": ("there already", model(n("Relu", "x", "a"), outputs="a", a=V)),
    "one output twice": ("there already", model(n("Split", "x", "y y", axis=1))),
    "no such output": ("no node makes", model(n("Relu", "x"), outputs="z")),
    "no output": ("at least one output", model(n("Relu", "x"), outputs="")),
    "no input": ("constants only", model(n("Constant", "", "y", value_float=1.0), inputs={})),
    "one input twice": ("twice", twice_given()),
    "nothing": ("no graph", onnx.ModelProto(ir_version=8)),
    "opset 0": ("got 0", model(n("Relu", "x"), opset=0)), "opset 999": ("got 999", model(n("Relu", "x"), opset=999)),
    "a sequence": ("sequence", untyped()), "sparse": ("sparse", sparse()),
    "texts in": ("STRING", model(n("Relu", "x"), types={"x": TensorProto.STRING})),
    "complex in": ("COMPLEX64", model(n("Relu", "x"), types={"x": TensorProto.COMPLEX64})),
    "type 99 in": ("99", model(n("Relu", "x"), types={"x": 99})),
    "a name with a line in it": ("readable name", model(n("Relu", "x", name="a\nb"))),
    "a very long name": ("1024", model(n("Relu", "x", name="a" * 5000))),
    "nested graphs": ("If", nested(20)), "Loop": ("Loop", model(n("Loop", "- - x", "y"))),
    "Scan": ("Scan", model(n("Scan", "x"))), "another domain": ("far", model(n("Conv", "x", domain="far"))),
    "foreign and opset 0": ("far", model(n("Conv", "x", "a", domain="far"), n("Relu", "a"), opset=0)),
    "a function of itself": ("call one another", model(call("F", "x", "y"), functions=[function("F", call("F"))])),
    "a million laughs": ("unfold", model(call("F39", "x", "y"), functions=laughs(40))),
    # weights
    "texts": ("STRING", held(tensor(data_type=8, dims=[1], string_data=[b"a"]))),
    "complex": ("COMPLEX64", held(tensor(data_type=14, dims=[1], float_data=[1, 2]))),
    "type 0": ("UNDEFINED", held(tensor(dims=[1], float_data=[1]))),
    "type 99": ("99", held(tensor(data_type=99, dims=[1], raw_data=b"1234"))),
    "four bits": ("INT4", held(tensor(data_type=22, dims=[2], raw_data=b"1"))),
    "a length below 0": ("at most", held(tensor(data_type=1, dims=[-1], float_data=[1]))),
    "lengths that overflow": ("expected", held(tensor(data_type=1, dims=[2**31 - 1] * 8, raw_data=b""))),
    "nine axes": ("at most 8 axes", held(tensor(data_type=1, dims=[1] * 9, float_data=[1]))),
    "too few bytes": ("12 bytes", held(tensor(data_type=1, dims=[3], raw_data=b"12345678"))),
    "half a number": ("4 bytes", held(tensor(data_type=1, dims=[1], raw_data=b"123"))),
    "too many numbers": ("4 bytes", held(tensor(data_type=1, dims=[1], float_data=[1, 2]))),
    "numbers of another kind": ("4 bytes", held(tensor(data_type=1, dims=[1], int32_data=[1]))),
    "terabytes": ("bytes", held(tensor(data_type=1, dims=[2**20, 2**20], float_data=[1]))),
    # weights elsewhere (the folder is that of the test)
    **{f"elsewhere: {why}": ("beside the model|from an offset|readable name", outside(**said)) for why, said in {
        "no place": {}, "up": {"location": "../secret"}, "up later": {"location": "a/../../secret"},
        "absolute": {"location": "/etc/hostname"}, "backslash": {"location": "..\\secret"}, "here": {"location": "."},
        "drive": {"location": "C:/secret"}, "fragment": {"location": "#../secret"}, "line": {"location": "a\nb"},
        "NUL": {"location": "a\0b"}, "double slash": {"location": "a//b"}, "long": {"location": "a/" * 2000},
        "missing": {"location": "nowhere"}, "unknown key": {"location": "data", "colour": "red"},
        "offset below 0": {"location": "data", "offset": "-1"}, "offset in words": {"location": "data",
                                                                                    "offset": "one"},
        "offset in hex": {"location": "data", "offset": "0x0"}, "offset and sign": {"location": "data", "offset": "+1"},
        "huge length": {"location": "data", "length": "9" * 30}, "short length": {"location": "data", "length": "4"},
        "other digits": {"location": "data", "offset": "\u0664"}}.items()},
    "elsewhere: past the end": ("needs 12 bytes", outside(location="data", offset="8")),
    "elsewhere: far past the end": ("needs 12 bytes", outside(location="data", offset="9" * 18)),
    "elsewhere: a folder": ("regular file", outside(location="folder")),
    "elsewhere: a link": ("link", outside(location="link")),
    "elsewhere: a hard link": ("link", outside(location="hard")),
    "elsewhere: through a linked folder": ("link", outside(location="linked/data")),
    "elsewhere: a pipe": ("regular file", outside(location="pipe")),
    # nodes
    "no inputs": ("1 inputs, got none", model(n("Relu", ""))), "an empty input": ("1 inputs", model(n("Relu", "-"))),
    "one operand": ("2 inputs", model(n("Add", "x"))), "three operands": ("2 inputs", model(n("Add", "x x x"))),
    "Sum of nothing": ("1 or more", model(n("Sum", ""))), "Mean of nothing": ("1 or more", model(n("Mean", ""))),
    "no kernel": ("attribute kernel_shape", model(n("MaxPool", "x"))), "no axis": ("axis", model(n("Concat", "x x"))),
    "an empty weight": ("Conv", model(n("Conv", "x -"))), "a product of nothing": ("MatMul", model(n("MatMul", "x -"))),
    "Where of one": ("Where", model(n("Where", "x"))), "Gemm of one": ("Gemm", model(n("Gemm", "x"))),
    "no weight": ("Conv", model(n("Conv", "x"))), "no norm": ("Batch", model(n("BatchNormalization", "x"))),
    "no scale": ("Layer", model(n("LayerNormalization", "x"))), "CastLike of one": ("Cast", model(n("CastLike", "x"))),
    "Identity of nothing": ("Identity", model(n("Identity", "-"))), "Dropout of none": ("Drop", model(n("Dropout"))),
    "a constant of nothing": ("one value", folded(n("Constant", "", "v"))),
    "bounds of two": ("Clip", model(n("Clip", "x a"), a=V[:2])),
    "group 0": ("groups", model(n("Conv", "x a", group=0), a=K)), "group -3": ("groups", model(n("Conv", "x a",
                                                                                                 group=-3), a=K)),
    "stride 0": ("stride", model(n("Conv", "x a", strides=[0, 1]), a=K)),
    "stride below 0": ("stride", model(n("MaxPool", "x", kernel_shape=[2, 2], strides=[-1, 1]))),
    "stride of 2**62": ("below 2", model(n("Conv", "x a", strides=[1, 2**62]), a=K)),
    "pads below 0": ("padding", model(n("Conv", "x a", pads=[-1, 0, 0, 0]), a=K)),
    "kernel 0": ("kernel", model(n("AveragePool", "x", kernel_shape=[0, 2]))),
    "kernel as large as a number": ("below 2", model(n("MaxPool", "x", kernel_shape=[2**62] * 2), inputs=FIXED)),
    "kernel that is none": ("kernel", model(n("Conv", "x a", kernel_shape=[5, 5]), a=K)),
    "dilation": ("below 2", model(n("Conv", "x a", dilations=[2**62, 1]), a=K, inputs=FIXED)),
    "weights of more axes than the input": ("axes", model(n("Conv", "x a"), a=K, inputs={"x": (1, 3, 8)})),
    "weights without a window": ("kernel", model(n("Conv", "x a"), a=V)),
    "channels": ("channels", model(n("Conv", "x a"), a=numbers(3, 4, 3, 3), inputs=FIXED)),
    "auto_pad": ("auto_pad", model(n("Conv", "x a", auto_pad="SOMEHOW"), a=K)),
    "groups of 0": ("Group", model(n("GroupNormalization", "x a a", num_groups=0), a=V, opset=18)),
    "-1 twice": ("one -1", model(n("Reshape", "x a"), a=whole(-1, -1))),
    "-2": ("Reshape", model(n("Reshape", "x a"), a=whole(-2, 3))),
    "a shape of floats": ("whole numbers", model(n("Reshape", "x a"), a=V)),
    "out of range": ("indices", folded(n("Gather", "a b", "v"), a=V, b=whole(7))),
    "half an index": ("whole", model(n("Gather", "x a"), a=V)),
    "step 0": ("step", model(n("Slice", "x a b b a"), a=whole(0), b=whole(1))),
    "starts without ends": ("starts", model(n("Slice", "x a b"), a=whole(0), b=whole(1, 2))),
    "one axis twice": ("once", model(n("Transpose", "x", perm=[0, 0, 1, 2]))),
    "Concat of other lengths": ("differ", model(n("Concat", "x a", axis=1), a=V, inputs=FIXED)),
    "more parts than cells": ("sizes|Split", model(n("Split", "x a", "y z", axis=1), a=whole(-1, 4))),
    "block 0": ("block", model(n("DepthToSpace", "x", blocksize=0))), "LRN of 0": ("size", model(n("LRN", "x",
                                                                                                   size=0))),
    "scale below 0": ("scales > 0", model(n("Resize", "x - a"), a=np.array([1, 1, -2, 1], np.float32), inputs=FIXED)),
    "scale NaN": ("scales > 0", model(n("Resize", "x - a"), a=np.array([1, 1, np.nan, 1], np.float32), inputs=FIXED)),
    "neither scales nor sizes": ("neither", model(n("Resize", "x"))),
    "a mode of its own": ("mode", model(n("Resize", "x - a", mode="odd"), a=np.ones(4, np.float32))),
    "axis in words": ("axis", model(n("Softmax", "x", axis="one"))),
    "minus a truth value": ("Neg", folded(n("Neg", "a", "v"), a=np.array([True]))),
    "a whole number to the power of -1": ("Pow", folded(n("Pow", "a b", "v"), a=whole(2), b=whole(-1))),
    "the largest of nothing": ("ArgMax", folded(n("ArgMax", "a", "v"), a=np.zeros(0, np.float32))),
    # a few bytes that ask for terabytes
    "ConstantOfShape": (ROOM, folded(n("ConstantOfShape", "a", "v"), a=whole(HUGE))),
    "ConstantOfShape in many axes": (ROOM, folded(n("ConstantOfShape", "a", "v"), a=whole(*[64] * 7))),
    "ConstantOfShape below 0": ("Constant", folded(n("ConstantOfShape", "a", "v"), a=whole(-1))),
    "ConstantOfShape of what is declared": (
        ROOM, model(n("Shape", "x", "s"), n("ConstantOfShape", "s", "v"), n("Add", "x v"),
                    inputs={"x": (2**30, 2**30)})),
    "Range": (ROOM, folded(n("Range", "a b c", "v"), a=np.array(0), b=np.array(HUGE), c=np.array(1))),
    "Range by 0": ("delta", folded(n("Range", "a b a", "v"), a=np.array(0), b=np.array(HUGE))),
    "Expand": (ROOM, folded(n("Expand", "a b", "v"), a=V, b=whole(HUGE, 3))),
    "Tile": (ROOM, folded(n("Tile", "a b", "v"), a=V, b=whole(HUGE))),
    "Tile below 0": ("repeats", folded(n("Tile", "a b", "v"), a=V, b=whole(-1))),
    "Pad": (ROOM, folded(n("Pad", "a b", "v"), a=V, b=whole(HUGE, 0))),
    "Pad of the picture": (ROOM, model(n("Pad", "x a"), a=whole(0, 0, HUGE, 0, 0, 0, 0, 0), inputs=FIXED)),
    "Resize": (ROOM, folded(n("Resize", "a - b", "v"), a=K, b=np.array([1, 1, 1e9, 1e9], np.float32))),
    "MatMul": (ROOM, folded(n("MatMul", "a b", "v"), a=numbers(40_000, 1), b=numbers(1, 40_000))),
    "Add": (ROOM, folded(n("Add", "a b", "v"), a=numbers(40_000, 1), b=numbers(1, 40_000))),
    "doubled forty times": (ROOM, folded(*doubling(40), a=V)),
}
ODD = {
    "pads as large as a number": model(n("Conv", "x a", pads=[2**62, 0, 0, 0]), a=K),
    "stride as large as a number": model(n("ConvTranspose", "x a", strides=[HUGE, 1]), a=K),
    "kernel as large as a number": model(n("MaxPool", "x", kernel_shape=[2**62] * 2)),
    "one axis of a window": model(n("MaxPool", "x", kernel_shape=[2])),
    "index out of range": model(n("Gather", "x a", axis=1), a=whole(7)), "axis 9": model(n("Softmax", "x", axis=9)),
    "Gather on axis 9": model(n("Gather", "x a", axis=9), a=whole(0)), "ArgMax on axis 9": model(n("ArgMax", "x",
                                                                                                   axis=9)),
    "Flatten at 9": model(n("Flatten", "x", axis=9)), "Concat on 9": model(n("Concat", "x x", axis=9)),
    "ReduceMean of 9": model(n("ReduceMean", "x", axes=[9])), "Squeeze of 9": model(n("Squeeze", "x a"), a=whole(9)),
    "Unsqueeze at 9": model(n("Unsqueeze", "x a"), a=whole(9)), "slopes": model(n("PRelu", "x a"),
                                                                                a=numbers(2, 2, 2, 2, 2)),
    "Transpose of 6": model(n("Transpose", "x", perm=[5, 4, 3, 2, 1, 0])), "Add of 2": model(n("Add", "x a"),
                                                                                             a=numbers(2)),
    "MatMul of 2": model(n("MatMul", "x a"), a=numbers(2, 2)), "Gemm of 2": model(n("Gemm", "x a"), a=numbers(2, 2)),
    "upsampled to terabytes": model(n("Upsample", "x", scales=[1.0, 1.0, 1e9, 1e9]), opset=7),
    "resized to nothing": model(n("Resize", "x - a"), a=np.array([1, 1, 1e-9, 1e-9], np.float32)),
    "roots below 0": model(n("BatchNormalization", "x a a a b"), a=V, b=np.zeros(3, np.float32), opset=15),
    "comparisons": model(n("And", "x x", "t"), n("Cast", "t", to=1)), "Where of floats": model(n("Where", "x x x")),
    "no axes": model(n("Relu", "x"), inputs={"x": ()}), "lengths below 0": model(n("Relu", "x"),
                                                                                 inputs={"x": (-1, -5)}),
    "whole weights": model(n("Conv", "x a"), a=np.ones((3, 3, 3, 3), np.int64)),
    "truths for weights": model(n("BatchNormalization", "x a a a a"), a=np.ones(3, bool), opset=15),
    "NaN for weights": model(n("Conv", "x a"), a=K * np.float32(np.nan)), "NonZero": model(n("NonZero", "x", "s"),
                                                                                      n("Cast", "s", to=1)),
    "no cells": model(n("Slice", "x a a b"), a=whole(0), b=whole(2)), "Tile of the picture": model(n("Tile", "x a"),
                                                                                               a=whole(1, 1, HUGE, 1)),
    "Expand of the picture": model(n("Expand", "x a"), a=whole(HUGE, 1, 1, 1)), "of one": model(n("Identity", "x x")),
    "a shape of the picture": model(n("Cast", "x", "i", to=7), n("Reshape", "i a", "s"), n("ConstantOfShape", "s"),
                                    a=whole(-1)),
    "a scale for each group": model(n("GroupNormalization", "x a a", num_groups=3), a=V, opset=18),
    "five groups": model(n("GroupNormalization", "x a a", num_groups=5), a=V, opset=21),
    "blocks": model(n("SpaceToDepth", "x", blocksize=5)), "no outputs": model(n("Relu", "x", ""), n("Relu", "x")),
    "only empty outputs": model(n("Split", "x", "- -", axis=1), n("Relu", "x")),
    "more outputs": model(n("Relu", "x", "y z")), "more inputs": model(n("Conv", "x a b b"), a=K, b=V),
    "LSTM": model(n("LSTM", "x")), "deep shapes": model(*(n("Shape", "x", f"s{i}") for i in range(99)), n("Relu", "x")),
    "one name for all": model(n("Relu", "x", "t0", name="a"), *(
        n("Relu", f"t{i}", f"t{i + 1}", name="a") for i in range(500)), n("Relu", "t500", name="a")),
}
