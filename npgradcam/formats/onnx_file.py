"""An ONNX file as plain Python: nodes, names and NumPy arrays. The package `onnx` reads the bytes, and does no more.

What a file claims is checked before it is believed: sizes before anything is allocated, names and order before a graph
is built. Weights that lie beside the file are read from its own folder only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from npgradcam.errors import MissingPackageError, ModelFormatError, UnsupportedOperatorError

from ._functions import without_functions
from ._payloads import without_payloads
from ._source import MAX_BYTES, open_source, shown
from .onnx_values import DTYPES, Array, Bytes, Declared, Operation, Reader

INSTALL = "pip install 'npgradcam[onnx]'"
OPSETS = (6, 28)  # the first and the last whose operators were read in the specification
FORMATS = (3, 20)  # of the file (ir_version): operator sets came with 3; newer ones have added, and changed nothing
MAX_NODES = 100_000


__all__ = ["DTYPES", "Declared", "OnnxFile", "Operation", "onnx_file", "read_onnx"]


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
    onnx = package()
    with open_source(path, max_bytes) as source:
        message, payloads = without_payloads(source)
        model = onnx.ModelProto()
        try:
            model.ParseFromString(message)
        except Exception as error:  # protobuf's DecodeError; its text says where, not what
            raise ModelFormatError(f"{source.name}: expected an ONNX model, got something else or a part of one "
                                   f"({error}); download or export it again") from None
        del message
        large = {n: partial(source.numbers, offset, count, "a weight") for n, (offset, count) in payloads.items()}
        return onnx_file(model, source.name, Path(os.fspath(path)).parent, max_bytes, large)


def onnx_file(model: Any, source: str = "model", folder: Path | None = None, max_bytes: int = MAX_BYTES,
              large: Mapping[int, Callable[[], Bytes]] | None = None) -> OnnxFile:
    """Return what a parsed `onnx.ModelProto` says.

    Parameters
    ----------
    model : onnx.ModelProto
    source : str
        What it is called in messages.
    folder : Path, optional
        Where weights may lie beside it; nowhere where nothing is said.
    max_bytes : int
        The most that weights beside it may take.
    large : mapping of int to function, optional
        What returns the bytes of those initializers that were left out of the message, by their position.
    """
    onnx = package()
    graph = model.graph
    _check_versions(source, model)
    reader = Reader(onnx, source, folder, max_bytes)
    constants = {}
    for n, tensor in enumerate(graph.initializer):
        if (name := reader.plain(tensor.name)) in constants:
            raise ModelFormatError(f"{source}: expected weights of different names, got {shown(name)} twice")
        constants[name] = reader.array(tensor, (large or {}).get(n))
        tensor.ClearField("raw_data")  # its numbers are in the array now
    if graph.sparse_initializer:
        raise ModelFormatError(f"{source}: expected dense weights, got sparse ones; export it without them")
    model = without_functions(onnx, source, model, MAX_NODES)
    graph = model.graph
    given = [reader.declared(value) for value in graph.input if value.name not in constants]
    operations = tuple(reader.operation(node) for node in graph.node)
    outputs = tuple(reader.declared(value) for value in graph.output)
    _check_names(source, operations, constants, given, [value.name for value in outputs])
    metadata = reader.pairs(model.metadata_props)
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return OnnxFile(source, _opset(model), operations, constants, tuple(given), outputs, metadata, producer)


def _opset(model: Any) -> int:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    return int(versions.get("", versions.get("ai.onnx", 1 if model.ir_version < 3 else 0)))


def _check_versions(source: str, model: Any) -> None:
    """Refuse a message without a graph, and operators of versions that nobody read here."""
    graph, opset = model.graph, _opset(model)
    if not model.HasField("graph") or not (graph.node or graph.input):
        raise ModelFormatError(f"{source}: expected an ONNX model, got no graph in it; download or export it again")
    foreign = {node.domain for node in graph.node} - {"", "ai.onnx", *(f.domain for f in model.functions)}
    if not OPSETS[0] <= opset <= OPSETS[1] and not foreign:  # what is foreign is listed node by node
        raise UnsupportedOperatorError(
            f"{source}: expected operators of version {OPSETS[0]} to {OPSETS[1]} (opset), got {opset}; export it again"
        )
    if not FORMATS[0] <= model.ir_version <= FORMATS[1]:
        raise ModelFormatError(f"{source}: expected a file of version {FORMATS[0]} to {FORMATS[1]} (ir_version), got "
                               f"{model.ir_version}; export it again")
    if len(graph.node) > MAX_NODES:
        raise ModelFormatError(f"{source}: expected at most {MAX_NODES} nodes, got {len(graph.node)}")
    if len(graph.initializer) > MAX_NODES:
        raise ModelFormatError(f"{source}: expected at most {MAX_NODES} weights, got {len(graph.initializer)}")
    domains = [entry.domain.removeprefix("ai.onnx") or "" for entry in model.opset_import]
    if len(set(domains)) < len(domains):
        raise ModelFormatError(f"{source}: expected one version of each set of operators (opset), got two of one")


def package() -> Any:
    """Return the package `onnx`, or say how to install it."""
    try:
        import onnx
        import onnx.inliner
    except ImportError as error:
        raise MissingPackageError(f"ONNX files need the package onnx; install it: {INSTALL}") from error
    return onnx


def _check_names(source: str, operations: tuple[Operation, ...], constants: dict[str, Array],
                 inputs: list[Declared], outputs: list[str]) -> None:
    """Refuse a graph whose nodes are out of order, or give two values one name."""
    known = {"", *constants}
    for value in inputs:
        if value.name in known:
            raise ModelFormatError(f"{source}: expected inputs of different names, got {shown(value.name)} twice")
        known.add(value.name)
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
