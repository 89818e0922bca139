"""The parts of an ONNX message as plain values, each checked: names, shapes, attributes, arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import ModelFormatError, UnsupportedOperatorError

from ._beside import read_beside
from ._source import shown

MAX_RANK = 8
MAX_LENGTH = 2**31 - 1  # of one axis
_LISTS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_HALVES = {"FLOAT16", "BFLOAT16"}  # computed in float32
DTYPES = {
    "FLOAT": "f4", "DOUBLE": "f8", "FLOAT16": "f2", "BFLOAT16": "f4", "INT64": "i8", "INT32": "i4", "INT16": "i2",
    "INT8": "i1", "UINT64": "u8", "UINT32": "u4", "UINT16": "u2", "UINT8": "u1", "BOOL": "?",
}
Array = NDArray[Any]
Bytes = NDArray[np.uint8]
Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | Array


@dataclass(frozen=True)
class Operation:
    """A node of the file: what it does, what it is called, and what flows in and out; "" where nothing does."""

    kind: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute]

    def alone(self) -> Operation:
        """Return the same without the names that only its graph understands."""
        return replace(self, inputs=tuple("x" * bool(name) for name in self.inputs))


@dataclass(frozen=True)
class Declared:
    """A graph's input or output: its name, its type ("FLOAT", "INT64", ...) and its shape; None: any length."""

    name: str
    type: str
    shape: tuple[int | None, ...] | None


class Reader:
    """Turns the parts of a protobuf message into plain values, and complains with the file's name."""

    def __init__(self, onnx: Any, source: str, folder: Path | None, max_bytes: int) -> None:
        self.onnx, self.source, self.folder, self.room = onnx, source, folder, max_bytes
        self.taken = Counter[str]()  # bytes of each file beside it

    def fail(self, text: str) -> ModelFormatError:
        """Return the error, with the file's name in front."""
        return ModelFormatError(f"{self.source}: {text}")

    def plain(self, name: str | bytes) -> str:
        """Return a name, if it can be shown; what is no UTF-8 comes as bytes."""
        if not isinstance(name, str) or len(name) > 1024 or not name.isprintable():
            raise self.fail(f"expected a readable name of at most 1024 characters, got {shown(str(name))}")
        return name

    def pairs(self, entries: Any) -> dict[str, str]:
        """Return keys and values; a key that is there twice could be read in two ways."""
        found = {entry.key: entry.value for entry in entries}
        if len(found) < len(entries):
            raise self.fail(f"expected each key once, got one of {shown(', '.join(map(str, found)))} twice")
        return found

    def declared(self, value: Any) -> Declared:
        """Return an input or output with its shape; a name instead of a length means any."""
        types = self.onnx.TensorProto.DataType
        tensor = value.type.tensor_type
        if value.type.WhichOneof("value") not in ("tensor_type", None):
            raise UnsupportedOperatorError(
                f"{self.source}: {shown(str(value.name))}: expected an array, got a sequence, a map or an optional"
            )
        kind = types.Name(tensor.elem_type) if tensor.elem_type in types.values() else str(tensor.elem_type)
        shape = None
        if tensor.HasField("shape"):
            lengths = tensor.shape.dim
            shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else None for d in lengths)
        return Declared(self.plain(value.name), kind, shape)

    def operation(self, node: Any) -> Operation:
        """Return a node with its attributes."""
        attributes = {self.plain(a.name): self.attribute(node, a) for a in node.attribute}
        if len(attributes) < len(node.attribute):
            raise self.fail(f"node {shown(str(node.name or node.op_type))}: expected each attribute once")
        inputs, outputs = (tuple(map(self.plain, names)) for names in (node.input, node.output))
        domain = "" if node.domain == "ai.onnx" else self.plain(node.domain)
        return Operation(self.plain(node.op_type), domain, self.plain(node.name), inputs, outputs, attributes)

    def attribute(self, node: Any, a: Any) -> Any:
        """Return an attribute's value: a number, a text, an array, or lists of numbers; graphs are only named."""
        if a.ref_attr_name:
            raise self.fail(f"node {shown(str(node.name or node.op_type))}: expected a value as {shown(a.name)}, got a "
                            "reference to a function's, around no function; export it again")
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

    def array(self, tensor: Any, large: Callable[[], Bytes] | None = None) -> Array:
        """Return a tensor's numbers, after its sizes were found to fit its bytes; halves become float32."""
        types = self.onnx.TensorProto.DataType
        kind = types.Name(tensor.data_type) if tensor.data_type in types.values() else str(tensor.data_type)
        where, shape = f"weights {shown(self.plain(tensor.name))}", tuple(tensor.dims)
        if kind not in DTYPES:
            raise UnsupportedOperatorError(f"{self.source}: {where}: expected numbers or truth values, got {kind}")
        if len(shape) > MAX_RANK or any(not 0 <= n <= MAX_LENGTH for n in shape):
            raise self.fail(f"{where}: expected at most {MAX_RANK} axes of at most {MAX_LENGTH}, got {shape[:12]}")
        count, size = math.prod(shape), 2 if kind in _HALVES else np.dtype(DTYPES[kind]).itemsize
        places = [name for name in _LISTS if len(getattr(tensor, name))]
        places += ["raw_data"] * (large is not None or tensor.HasField("raw_data"))
        places += ["another file"] * (tensor.data_location == self.onnx.TensorProto.EXTERNAL)
        if len(places) > 1:
            raise self.fail(f"{where}: expected its numbers in one place, got {' and '.join(places)}; export it again")
        if large is not None:
            data = large()
        elif tensor.data_location == self.onnx.TensorProto.EXTERNAL:
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

    def beside(self, tensor: Any, count: int) -> Bytes:
        """Return the bytes of weights that are kept in another file."""
        self.room -= count
        if self.room < 0:
            raise self.fail("the weights beside it are larger than max_bytes")
        said = self.pairs(tensor.external_data)
        try:
            return read_beside(self.folder, said, count, self.taken)
        except ModelFormatError as error:
            raise self.fail(f"weights {shown(tensor.name)}: {error}") from None
