"""Model files without their weights: `strip` takes them out and notes how to draw them again, `fill` draws them.

A skeleton is an exported file whose float initializers of more than 64 numbers have lost their data. One entry of its
metadata holds, for each of them, the interval it is drawn from; the numbers themselves come from a generator seeded by
its name and shape. So a file of a hundred megabytes is tens of kilobytes here, and anybody can draw the same weights.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

SEED = 20171022
FEW = 64  # a constant of no more numbers stays in the file
NOTE = "drawn weights"
DATA = Path(__file__).parent / "data" / "onnx"
PASSED_ON = ("Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Cast")

# which interval suits a parameter: by the operator that reads it, and as which of its inputs
INTERVALS = {
    ("BatchNormalization", 1): (0.5, 1.5), ("BatchNormalization", 2): (-0.3, 0.3),
    ("BatchNormalization", 3): (-0.3, 0.3), ("BatchNormalization", 4): (0.5, 1.5),
    ("InstanceNormalization", 1): (0.5, 1.5), ("LayerNormalization", 1): (0.5, 1.5),
    ("GroupNormalization", 1): (0.5, 1.5),
    ("Mul", 0): (0.5, 1.5), ("Mul", 1): (0.5, 1.5), ("Div", 1): (0.5, 1.5),
    ("PRelu", 1): (0.05, 0.35), ("Conv", 2): (-0.1, 0.1), ("ConvTranspose", 2): (-0.1, 0.1), ("Gemm", 2): (-0.1, 0.1),
}
WEIGHTS = (("Conv", 1), ("ConvTranspose", 1), ("Gemm", 1), ("MatMul", 1), ("MatMul", 0))


def draw(name: str, shape: tuple[int, ...], low: float, high: float, seed: int = SEED) -> np.ndarray:
    """Return float32 numbers, uniform in [low, high), that depend on nothing but the arguments."""
    key = int.from_bytes(hashlib.sha256(f"{seed} {name} {shape}".encode()).digest()[:8], "little")
    numbers = np.random.default_rng(key).random(shape, np.float32)
    numbers *= np.float32(high - low)
    numbers += np.float32(low)
    return numbers


def readers(model: ModelProto, name: str) -> list[tuple[NodeProto, int]]:
    """Return who reads a tensor and as which input, looking through nodes that only pass it on."""
    found = []
    for node in model.graph.node:
        for i, read in enumerate(node.input):
            if read == name:
                found += readers(model, node.output[0]) if node.op_type in PASSED_ON else [(node, i)]
    return found


def interval(model: ModelProto, tensor: TensorProto) -> tuple[float, float]:
    """Return where a parameter's numbers should lie, from what it is used for."""
    uses = [(node.op_type, i) for node, i in readers(model, tensor.name)]
    for use in uses:
        if use in INTERVALS:
            return INTERVALS[use]
    if any(use in WEIGHTS for use in uses) or len(tensor.dims) > 2:  # He et al. 2015: variance 2 / fan-in
        summed = tensor.dims[0] if ("MatMul", 1) in uses else int(np.prod(tensor.dims[1:]))
        bound = (6 / summed) ** 0.5
        return -bound, bound
    return -0.3, 0.3


def tensors(model: ModelProto) -> list[TensorProto]:
    """Return the float initializers that a skeleton leaves out."""
    floats = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
    return [t for t in model.graph.initializer if t.data_type in floats and int(np.prod(t.dims)) > FEW]


def strip(model: ModelProto) -> ModelProto:
    """Return a copy without large weights, in which every weight that left has its interval."""
    skeleton = ModelProto()
    skeleton.CopyFrom(model)
    intervals = {}
    for tensor in tensors(skeleton):
        intervals[tensor.name] = interval(model, tensor)
        for field in ("raw_data", "float_data", "double_data", "int32_data", "data_location", "external_data"):
            tensor.ClearField(field)
    note(skeleton, intervals)
    return skeleton


def note(skeleton: ModelProto, intervals: dict[str, tuple[float, float]]) -> None:
    """Write the intervals into the file's metadata, with four digits."""
    kept = [entry for entry in skeleton.metadata_props if entry.key != NOTE]
    del skeleton.metadata_props[:]
    rounded = {name: [float(f"{low:.4g}"), float(f"{high:.4g}")] for name, (low, high) in intervals.items()}
    skeleton.metadata_props.extend(kept)
    skeleton.metadata_props.add(key=NOTE, value=json.dumps(rounded))


def noted(skeleton: ModelProto) -> dict[str, tuple[float, float]]:
    """Return the intervals of a skeleton."""
    (text,) = [entry.value for entry in skeleton.metadata_props if entry.key == NOTE]
    return {name: tuple(pair) for name, pair in json.loads(text).items()}


def fill(skeleton: ModelProto, seed: int = SEED) -> ModelProto:
    """Return a copy with all its weights drawn: a model file like any other."""
    model = ModelProto()
    model.CopyFrom(skeleton)
    intervals = noted(model)
    for tensor in model.graph.initializer:
        if tensor.name in intervals:
            numbers = draw(tensor.name, tuple(tensor.dims), *intervals[tensor.name], seed)
            tensor.raw_data = numbers.astype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).tobytes()
    return model


def save(skeleton: ModelProto, path: Path) -> None:
    """Write a skeleton, compressed: node names repeat themselves."""
    path.write_bytes(lzma.compress(skeleton.SerializeToString(deterministic=True), preset=9))


def load(path: Path) -> ModelProto:
    """Read a skeleton that `save` wrote."""
    return onnx.load_model_from_string(lzma.decompress(path.read_bytes()))
