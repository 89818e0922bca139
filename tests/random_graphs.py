"""Hypothesis draws small valid ONNX graphs: each step takes the newest array and does something to it.

Operators are written as the drawn version of ONNX wants them: what was an attribute in one version is an input in the
next. Hypothesis draws the version, a seed and how many steps there are; the rest follows from the seed, so a failing
graph shrinks to its shortest beginning. A graph begins with an image and has a derivative almost everywhere.
"""

from __future__ import annotations

import math
from random import Random

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, checker, helper, numpy_helper
from random_array_steps import FOR_ALL
from random_picture_steps import FOR_PICTURES, LARGEST

OPSETS = (7, 23)


class Maker:
    """A graph that grows; `shape` is the newest array's."""

    def __init__(self, opset, seed):
        self.opset, self.chance, self.random = opset, Random(seed), np.random.default_rng(seed)  # noqa: S311
        self.nodes, self.constants, self.shapes = [], [], {}
        self.x = "image"
        self.first = tuple(self.whole(low, high) for low, high in ((1, 2), (1, 4), (3, 7), (3, 7)))
        self.shapes[self.x] = self.first

    @property
    def shape(self):
        return self.shapes[self.x]

    def pick(self, *values):
        return self.chance.choice(values)

    def whole(self, low, high):
        return self.chance.randint(low, high)

    def some(self, *values):
        return sorted(self.chance.sample(values, self.whole(1, len(values))))

    def shuffled(self, values):
        return self.chance.sample(list(values), len(values))

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


def grown(opset, seed, steps):
    """Return a graph of so many steps, and its image."""
    m = Maker(opset, seed)
    for _ in range(steps):
        m.pick(*(FOR_PICTURES if len(m.shape) == 4 and m.whole(0, 1) else FOR_ALL))(m)
        if not m.shape or math.prod(m.shape) > LARGEST:
            break
    if m.x == "image":
        m.node("Relu", shape=m.shape)
    if not m.shape:
        m.node("Reshape", m.constant(np.array([1])), shape=(1,))
    fixed = any(n.op_type in ("Reshape", "Expand", "Split", "Tile", "Resize") for n in m.nodes)
    batch = m.first[0] if fixed or m.whole(0, 1) else "batch"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, *m.first[1:]])
    output = helper.make_tensor_value_info(m.x, TensorProto.FLOAT, [None] * len(m.shape))
    graph = helper.make_graph(m.nodes, "drawn", [image], [output], [c for c in m.constants if c is not None])
    opsets = [helper.make_opsetid("", m.opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8 if m.opset < 19 else 10)
    checker.check_model(model)
    return model, m.random.uniform(-2, 2, m.first).astype(np.float32)


@st.composite
def graphs(draw):
    """Return a model of 5 to 16 steps, and its image."""
    return grown(draw(st.integers(*OPSETS)), draw(st.integers(0, 2**32 - 1)), draw(st.integers(5, 16)))
