"""An ONNX file as plain Python: nodes, names and NumPy arrays. The package `onnx` reads the bytes, and does no more.

What a file claims is checked before it is believed: sizes before anything is allocated, names and order before a graph
is built. Weights that lie beside the file are read from its own folder only.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import MissingPackageError, ModelFormatError, UnsupportedOperatorError

from ._beside import read_beside
from ._source import MAX_BYTES, open_source, shown

INSTALL = "pip install 'npgradcam[onnx]'"
OPSETS = (6, 28)  # the first and the last whose operators were read in the specification
MAX_NODES = 100_000
MAX_RANK = 8
MAX_LENGTH = 2**31 - 1  # of one axis
_HALVES = {"FLOAT16", "BFLOAT16"}  # computed in float32
DTYPES = {
    "FLOAT": "f4", "DOUBLE": "f8", "FLOAT16": "f2", "BFLOAT16": "f4", "INT64": "i8", "INT32": "i4", "INT16": "i2",
    "INT8": "i1", "UINT64": "u8", "UINT32": "u4", "UINT16": "u2", "UINT8": "u1", "BOOL": "?",
}
Array = NDArray[Any]


@dataclass(frozen=True)
class Operation:
    """A node of the file: what it does, what it is called, and what flows in and out; "" where nothing does."""

    kind: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Declared:
    """A graph's input or output: its name, its type ("FLOAT", "INT64", ...) and its shape; None: any length."""

    name: str
    type: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class OnnxFile:
    """Everything that a file says, and nothing that it could make us do."""

    source: str
    opset: int
    operations: tuple[Operation, ...]
    constants: dict[str, Array]
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]
    metadata: dict[str, str]
    producer: str


def read_onnx(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> OnnxFile:
    """Read an ONNX file.

    Parameters
    ----------
    path : path
    max_bytes : int
        The largest file to read, and the most that weights beside it may take.

    Raises
    ------
    MissingPackageError
        If the package `onnx` is not installed.
    ModelFormatError
        If the file is damaged, contradicts itself, or wants something from outside its folder.
    """
    onnx = _package()
    with open_source(path, max_bytes) as source:
        model = onnx.ModelProto()
        try:
            model.ParseFromString(source.file.read(source.size))  # one copy here, one in the message: never three
        except Exception as error:  # protobuf's DecodeError; its text says where, not what
            raise ModelFormatError(f"{source.name}: expected an ONNX model, got something else ({error})") from None
        return onnx_file(model, source.name, Path(os.fspath(path)).parent, max_bytes)


def onnx_file(model: Any, source: str = "model", folder: Path | None = None, max_bytes: int = MAX_BYTES) -> OnnxFile:
    """Return what a parsed `onnx.ModelProto` says; weights beside the file are read where its folder is known."""
    onnx = _package()
    graph = model.graph
    if not model.HasField("graph") or not (graph.node or graph.input):
        raise ModelFormatError(f"{source}: expected an ONNX model, got no graph in it")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx", 1 if model.ir_version < 3 else 0))
    foreign = sorted({node.domain for node in graph.node} - {"", "ai.onnx", *(f.domain for f in model.functions)})
    if not OPSETS[0] <= opset <= OPSETS[1] and not foreign:
        raise UnsupportedOperatorError(
            f"{source}: expected operators of version {OPSETS[0]} to {OPSETS[1]} (opset), got {opset}; export it again"
        )
    if len(graph.node) > MAX_NODES:
        raise ModelFormatError(f"{source}: expected at most {MAX_NODES} nodes, got {len(graph.node)}")
    if model.functions:  # functions of the file's own become their nodes
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as error:
            raise ModelFormatError(f"{source}: the functions in this file could not be resolved ({error})") from None
        graph = model.graph
    reader = _Reader(onnx, source, folder, max_bytes)
    constants = {}
    for tensor in graph.initializer:
        constants[reader.plain(tensor.name)] = reader.array(tensor)
        tensor.ClearField("raw_data")  # its numbers are in the array now
    if graph.sparse_initializer:
        raise ModelFormatError(f"{source}: expected dense weights, got sparse ones; export it without them")
    given = [reader.declared(value) for value in graph.input if value.name not in constants]
    operations = tuple(reader.operation(node) for node in graph.node)
    _check_names(source, operations, constants, given, [value.name for value in graph.output])
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    producer = f"{model.producer_name} {model.producer_version}".strip()
    outputs = tuple(reader.declared(value) for value in graph.output)
    return OnnxFile(source, opset, operations, constants, tuple(given), outputs, metadata, producer)


def _package() -> Any:
    try:
        import onnx
        import onnx.inliner
    except ImportError as error:
        raise MissingPackageError(f"ONNX files need the package onnx; install it: {INSTALL}") from error
    return onnx


def _check_names(source: str, operations: tuple[Operation, ...], constants: dict[str, Array],
                 inputs: list[Declared], outputs: list[str]) -> None:
    """Refuse a graph whose nodes are out of order, or give two values one name."""
    known = {"", *constants, *(value.name for value in inputs)}
    for operation in operations:
        where = f"{source}: node {shown(operation.name or operation.kind)}"
        for name in operation.inputs:
            if name not in known:
                raise ModelFormatError(f"{where}: nothing before it makes its input {shown(name)}")
        for name in operation.outputs:
            if name and name in known:
                raise ModelFormatError(f"{where}: its output {shown(name)} is there already")
            known.add(name)
    for name in outputs:
        if name not in known or not name:
            raise ModelFormatError(f"{source}: no node makes the output {shown(name)}")
    if not outputs:
        raise ModelFormatError(f"{source}: expected at least one output, got none")


class _Reader:
    """Turns the parts of a protobuf message into plain values, and complains with the file's name."""

    def __init__(self, onnx: Any, source: str, folder: Path | None, max_bytes: int) -> None:
        self.onnx, self.source, self.folder, self.room = onnx, source, folder, max_bytes

    def fail(self, text: str) -> ModelFormatError:
        return ModelFormatError(f"{self.source}: {text}")

    def plain(self, name: str) -> str:
        if len(name) > 1024 or not name.isprintable():
            raise self.fail(f"expected a readable name of at most 1024 characters, got {shown(name)}")
        return name

    def declared(self, value: Any) -> Declared:
        """Return an input or output with its shape; a name instead of a length means any."""
        types = self.onnx.TensorProto.DataType
        tensor = value.type.tensor_type
        if value.type.WhichOneof("value") not in ("tensor_type", None):
            raise UnsupportedOperatorError(
                f"{self.source}: {shown(value.name)}: expected an array, got a sequence, a map or an optional"
            )
        kind = types.Name(tensor.elem_type) if tensor.elem_type in types.values() else str(tensor.elem_type)
        shape = None
        if tensor.HasField("shape"):
            lengths = tensor.shape.dim
            shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else None for d in lengths)
        return Declared(self.plain(value.name), kind, shape)

    def operation(self, node: Any) -> Operation:
        attributes = {a.name: self.attribute(node, a) for a in node.attribute}
        inputs, outputs = (tuple(map(self.plain, names)) for names in (node.input, node.output))
        domain = "" if node.domain == "ai.onnx" else node.domain
        return Operation(self.plain(node.op_type), domain, self.plain(node.name), inputs, outputs, attributes)

    def attribute(self, node: Any, a: Any) -> Any:
        """Return an attribute's value: a number, a text, an array, or lists of numbers; graphs are only named."""
        kind = self.onnx.AttributeProto.AttributeType.Name(a.type)
        if kind in ("FLOAT", "INT"):
            return a.f if kind == "FLOAT" else a.i
        if kind == "STRING":
            return a.s.decode("utf-8", "replace")
        if kind == "TENSOR":
            return self.array(a.t)
        if kind in ("FLOATS", "INTS"):
            return tuple(a.floats if kind == "FLOATS" else a.ints)
        if kind == "STRINGS":
            return tuple(s.decode("utf-8", "replace") for s in a.strings)
        return kind  # GRAPH and the like: an operator that has one is not supported, and says so

    def array(self, tensor: Any) -> Array:
        """Return a tensor's numbers, after its sizes were found to fit its bytes; halves become float32."""
        types = self.onnx.TensorProto.DataType
        kind = types.Name(tensor.data_type) if tensor.data_type in types.values() else str(tensor.data_type)
        where, shape = f"weights {shown(tensor.name)}", tuple(tensor.dims)
        if kind not in DTYPES:
            raise self.fail(f"{where}: expected numbers or truth values, got {kind}")
        if len(shape) > MAX_RANK or any(not 0 <= n <= MAX_LENGTH for n in shape):
            raise self.fail(f"{where}: expected at most {MAX_RANK} axes of at most {MAX_LENGTH}, got {shape[:12]}")
        count, size = math.prod(shape), 2 if kind in _HALVES else np.dtype(DTYPES[kind]).itemsize
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            data = self.beside(tensor, count * size)
        elif tensor.HasField("raw_data"):
            data = np.frombuffer(tensor.raw_data, np.uint8).copy()  # a layer takes it over without another copy
        else:  # numbers one by one, in a list of their kind
            field = self.onnx.helper.tensor_dtype_to_field(tensor.data_type)
            held = np.array(getattr(tensor, field), np.dtype(DTYPES[kind]) if kind not in _HALVES else np.uint16)
            data = held.view(np.uint8).reshape(-1)
        if len(data) != count * size:
            raise self.fail(f"{where}: expected {count * size} bytes for {kind} of shape {shape}, got {len(data)}")
        if kind == "BFLOAT16":  # the upper half of a float32
            return (data.view("<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
        array = data.view(f"<{DTYPES[kind]}" if size > 1 else DTYPES[kind]).reshape(shape)
        return array.astype(np.float32) if kind == "FLOAT16" else array

    def beside(self, tensor: Any, count: int) -> NDArray[np.uint8]:
        """Return the bytes of weights that are kept in another file."""
        self.room -= count
        if self.room < 0:
            raise self.fail("the weights beside it are larger than max_bytes")
        said = {entry.key: entry.value for entry in tensor.external_data}
        try:
            return read_beside(self.folder, said, count)
        except ModelFormatError as error:
            raise self.fail(f"weights {shown(tensor.name)}: {error}") from None
