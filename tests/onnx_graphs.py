"""Small ONNX graphs for the tests: a line a node, an array a weight; and what onnxruntime says of them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import npgradcam as ng
from npgradcam.formats.onnx import network_of
from npgradcam.formats.onnx_file import onnx_file

ANY = ("N", 3, "H", "W")  # a length that is a name is open
CASTS = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL, "d": TensorProto.DOUBLE}
R = np.random.default_rng(11)


def numbers(*shape, seed=None):
    """Seeded float32 numbers of a shape."""
    random = R if seed is None else np.random.default_rng(seed)
    return random.standard_normal(shape).astype(np.float32)


def whole(*values):
    return np.array(values, np.int64)


def n(kind, inputs="", outputs="y", name="", **attributes):
    """A node; its inputs and outputs are words, and "-" is one that is left out."""
    words = [["" if word == "-" else word for word in text.split()] for text in (inputs, outputs)]
    return helper.make_node(kind, *words, name=name, **attributes)


def tensor(name, array):
    return array if isinstance(array, onnx.TensorProto) else numpy_helper.from_array(np.array(array, order="C"), name)


def value(name, shape, kind="f"):
    return helper.make_tensor_value_info(name, CASTS.get(kind, kind), shape)


def model(*nodes, inputs=None, outputs="y", opset=17, metadata=None, functions=(), domains=(), types=None, **weights):
    """A model of these nodes; `inputs` maps names to shapes, `weights` are initializers, `types` are inputs' types."""
    inputs = {"x": ANY} if inputs is None else inputs
    types = types or {}
    graph = helper.make_graph(
        list(nodes), "graph",
        [value(name, shape, types.get(name, "f")) for name, shape in inputs.items()],
        [value(name, None, types.get(name, "f")) for name in outputs.split()],
        [tensor(name, array) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    made = helper.make_model(graph, opset_imports=opsets, functions=list(functions), producer_name="tests")
    made.ir_version = 10
    if metadata:
        helper.set_model_props(made, metadata)
    return made


def network(made, dtype="float64", backend="numpy"):
    """The network of a model, from its bytes."""
    return network_of(onnx_file(onnx.ModelProto.FromString(made.SerializeToString())), dtype, backend)


def load(made, folder, name="model.onnx", **settings):
    """The same as a file that somebody loads."""
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return ng.load(path, **{"dtype": "float64", "backend": "numpy", **settings})


def answers(net, x):
    """What comes out, whatever it is called."""
    return net.forward(x, output=net.outputs[0]).logits


def alone(net, x, **settings):
    """Grad-CAM of one image at a time, row upon row."""
    return [ng.grad_cam(net, x[i : i + 1], **settings) for i in range(len(x))]
