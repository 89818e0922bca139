"""ONNX files that are damaged as bytes, or say something twice, or lie in their metadata; and what is said of each."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import onnx
from onnx_graphs import model, n, numbers
from onnx_hostile_models import held, outside, tensor

PREPROCESS = {"name": "m", "size": [9, 9]}
NO_MODEL = "expected an ONNX model|no graph|version"


def field(number: int, body: bytes) -> bytes:
    """A field of bytes, with its tag and its length."""
    length, size = b"", len(body)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body


def nested(depth: int) -> bytes:
    """Graphs in attributes of nodes of graphs, deeper than any stack."""
    graph = b""
    for _ in range(depth):
        graph = field(1, field(5, field(6, graph)))  # a node, an attribute, a graph
    return b"\x08\x08" + field(7, graph)


def twice(part: str) -> bytes:
    made = model(n("Conv", "x a", strides=[1, 1]), a=numbers(3, 3, 1, 1, seed=1), metadata={"key": "value"})
    parts = {"weight": made.graph.initializer, "attribute": made.graph.node[0].attribute, "key": made.metadata_props,
             "opset": made.opset_import}[part]
    parts.add().CopyFrom(parts[0])
    return bytes(made.SerializeToString())


def other_opset() -> bytes:
    made = onnx.ModelProto.FromString(twice("opset"))
    made.opset_import[1].domain = "ai.onnx"
    return bytes(made.SerializeToString())


def two_places() -> bytes:
    made = outside(location="data")
    made.graph.initializer[0].external_data.add(key="location", value="../secret")
    return bytes(made.SerializeToString())


def shared(count: int) -> bytes:
    """A dozen bytes beside the model, as the weights of many."""
    made = model(*(n("Add", f"x a{i}", f"y{i}") for i in range(count)), outputs="y0")
    for i in range(count):
        one = outside(location="data").graph.initializer[0]
        one.name = f"a{i}"
        made.graph.initializer.append(one)
    return bytes(made.SerializeToString())


def described(**metadata: object) -> bytes:
    names = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    return bytes(model(n("Relu", "x"), inputs={"x": ("N", 3, 9, 9)},
                       metadata={f"npgradcam.{key}": text for key, text in names.items()}).SerializeToString())


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("model.onnx", twice("key"))
    return buffer.getvalue()


def enlarged() -> bytes:
    """Forty maps of 4 GB from a picture whose size is declared."""
    scale = np.array([1, 1, 2300, 2300], np.float32)
    chain = [n("Sigmoid", f"c{i}", f"c{i + 1}") for i in range(40)]
    made = model(n("Resize", "x - a", "c0"), *chain, n("ReduceMean", "c40"), inputs={"x": (1, 3, 8, 8)}, a=scale)
    return bytes(made.SerializeToString())


def dated(version: int) -> bytes:
    made = onnx.ModelProto.FromString(GOOD)
    made.ir_version = version
    return bytes(made.SerializeToString())


def referring() -> bytes:
    made = model(n("Softmax", "x", axis=1))
    made.graph.node[0].attribute[0].ref_attr_name = "a"
    return bytes(made.SerializeToString())


def two_fields(size: int) -> bytes:
    """Two answers to what a weight is; a large one is read another way than a small one."""
    made = model(n("Add", "x a"), a=numbers(size, seed=1))
    made.graph.initializer[0].float_data.extend([1.0] * size)
    return bytes(made.SerializeToString())


GOOD = bytes(model(n("Add", "x a"), a=numbers(3, seed=1)).SerializeToString())
SHADOWED = model(n("Add", "x a"), inputs={"x": (1, 3, 8, 8), "a": (8,)}, a=numbers(8, seed=1))
BYTES: dict[str, tuple[str | None, bytes]] = {
    "nothing": (NO_MODEL, b""), "a text": (NO_MODEL, b"hello\n" * 9), "zeros": (NO_MODEL, bytes(99)),
    "zip": (NO_MODEL, archive()),
    "pickle": (NO_MODEL, b"\x80\x02cos\nsystem\n(X\x04\0\0\0truetR."),
    "a varint of 11 bytes": (NO_MODEL, b"\x08" + b"\xff" * 11),
    "a group, which is skipped": (None, b"\x0b\x08\x01\x0c" + GOOD),
    "a group that never ends": (NO_MODEL, GOOD + b"\x0b"),
    "wire type 7": (NO_MODEL, GOOD + b"\x0f\0"), "field 0": (NO_MODEL, GOOD + b"\x02\0"),
    "a length past the end": (NO_MODEL, field(7, b"")[:1] + b"\xff\xff\xff\xff\x0f" + GOOD),
    "a length of 2**63": (NO_MODEL, b"\x3a" + b"\xff" * 8 + b"\x7f"), "cut in packed lengths": (NO_MODEL, held(
        tensor(data_type=1, dims=[3] * 8, float_data=[1])).SerializeToString()[:-30]),
    "graphs 90 deep": ("expected", nested(90)), "graphs 100,000 deep": (NO_MODEL, nested(10_000)),
    "a name of no text": (NO_MODEL, field(7, field(1, field(4, b"\xff\xfe"))) + b"\x08\x08"),
    "100,001 weights": ("100000 weights", b"\x08\x08" + field(8, b"\x10\x11") + field(7, field(1, field(4, b"Relu")) + (
        field(5, b"") * 100_001))),
    "a weight twice": ("twice", twice("weight")), "an attribute twice": ("once", twice("attribute")),
    "a key twice": ("twice", twice("key")), "an opset twice": ("one version", twice("opset")),
    "an opset by two names": ("one version", other_opset()), "two places": ("twice", two_places()),
    **{f"version {version}": ("version 3 to 20", dated(version)) for version in (-5, 0, 2, 21, 999)},
    "version 3": (None, dated(3)), "version 20": (None, dated(20)),
    "a reference to nothing": ("no function", referring()),
    "bytes and numbers": ("one place", two_fields(3)), "many bytes and numbers": ("one place", two_fields(2**15)),
    "numbers here and beside it": ("one place", bytes(held(tensor(
        data_type=1, dims=[3], raw_data=bytes(12), data_location=1)).SerializeToString())),
    "the same bytes for four": (None, shared(4)), "the same bytes for five": ("four times", shared(5)),
    "a weight that is an input too": (None, bytes(SHADOWED.SerializeToString())),
    "a picture whose maps take 155 GB": ("GiB of activations", enlarged()),
    "labels that command a terminal": ("can be printed", described(labels=["a\x1b[2J", "b", "c"])),
    "labels that are numbers": ("one text a class", described(labels=[1, 2])),
    "labels nested": ("JSON|one text", described(labels="[" * 100_000)),
    "labels twice": ("JSON", described(labels='{"a": 1, "a": 2}')),
    "labels of NaN": ("JSON", described(labels="[NaN]")),
    "preprocess nested": ("JSON", described(preprocess="[" * 100_000)),
    "preprocess list": ("metadata", described(preprocess=[1])),
    "preprocess of terapixels": ("size", described(preprocess=PREPROCESS | {"size": [2**31, 2**31]})),
    "preprocess of gigapixels": ("size", described(preprocess=PREPROCESS | {"size": [99_999, 99_999]})),
    "a name that is none": ("name", described(preprocess=PREPROCESS | {"name": [1]})),
    "a mean of 400 digits": ("mean", described(preprocess=PREPROCESS | {"mean": [10**400, 0, 0]})),
    "a crop of 400 digits": ("crop", described(preprocess=PREPROCESS | {"crop": 10**400})),
    "a deviation of nearly 0": ("std", described(preprocess=PREPROCESS | {"std": [1e-320, 1, 1]})),
    "shorter than can be": ("shorter", described(preprocess=PREPROCESS | {"shorter": 2**62})),
    "an unknown field": ("eval", described(preprocess=PREPROCESS | {"eval": "1"})),
}
