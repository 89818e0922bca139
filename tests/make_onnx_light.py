"""The nine `light` models of the official ONNX suite as skeletons: python tests/make_onnx_light.py.

Caffe2 exported them in 2017 and 2018 (opset 9 here). In the package onnx 1.23.2 their weights are constants that a
ConstantOfShape makes; here each of those becomes an initializer, whose numbers `fill` draws by its name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx.backend.test
from onnx import TensorProto, numpy_helper
from onnx_skeletons import DATA, save, strip

LIGHT = Path(onnx.backend.test.__file__).parent / "data" / "light"


def with_weights(model):
    """Return the model with zeros in place of each ConstantOfShape, and no parameter among its inputs."""
    graph = model.graph
    shapes = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    made = [node for node in graph.node if node.op_type == "ConstantOfShape" and node.input[0] in shapes]
    for node in made:
        shape = [int(n) for n in shapes[node.input[0]]]
        weights = TensorProto(name=node.output[0], dims=shape, data_type=TensorProto.FLOAT)
        weights.raw_data = np.zeros(shape, np.float32).tobytes()
        graph.initializer.append(weights)
        graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if t.name not in read]:
        graph.initializer.remove(tensor)
    pictures = [value for value in graph.input if value.name not in shapes]
    del graph.input[:]
    graph.input.extend(pictures)
    model.ir_version = 4  # the first in which a weight need not be an input as well
    return model


def main():
    for path in sorted(LIGHT.glob("*.onnx")):
        skeleton = strip(with_weights(onnx.load(path)))
        out = DATA / "skeletons" / f"{path.stem}-caffe2.onnx.xz"
        save(skeleton, out)
        print(f"{out.name}: {out.stat().st_size} bytes, {len(skeleton.graph.node)} nodes")


if __name__ == "__main__":
    main()
