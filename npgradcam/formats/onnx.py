"""From an ONNX file to a network of ordinary layers."""

from __future__ import annotations

import os

from npgradcam.errors import ModelFormatError, UnsupportedOperatorError
from npgradcam.kernels import Backend, session
from npgradcam.network import Network, Node

from ._source import MAX_BYTES
from .activations import check_activations
from .onnx_file import DTYPES, OnnxFile, read_onnx
from .onnx_graph import GraphInMaking


def network_of(file: OnnxFile, dtype: str = "float32", backend: Backend = "auto") -> Network:
    """Return the network that a file describes.

    Parameters
    ----------
    file : OnnxFile
        From `read_onnx`.
    dtype : {"float32", "float64"}
        Weights of other precisions are converted.
    backend : {"auto", "numba", "numpy"}

    Raises
    ------
    UnsupportedOperatorError
        If operators have no layer; all of them are listed.
    ModelFormatError
        If the graph contradicts itself, or needs more memory for its declared input than `check_activations` allows.
    """
    strange = ", ".join(f"{value.name} of type {value.type}" for value in file.inputs if value.type not in DTYPES)
    if strange:
        raise UnsupportedOperatorError(f"{file.source}: expected inputs of numbers or truth values, got {strange}")
    if not file.inputs:
        raise UnsupportedOperatorError(f"{file.source}: expected a graph with an input, got constants only")
    graph = GraphInMaking(file, dtype)
    with session(backend):  # what constants alone decide is computed now
        for operation in file.operations:
            graph.translate(operation)
        graph.complain()
        outputs = tuple(graph.output(value.name) for value in file.outputs)
    nodes = _needed(graph.nodes, outputs)
    kept = {node.name for node in nodes} | {value.name for value in file.inputs}
    network = Network(
        nodes,
        inputs=tuple(value.name for value in file.inputs),
        outputs=outputs,
        aliases={tensor: name for tensor, name in graph.names.items() if name in kept and tensor != name},
        declared={value.name: value.shape for value in file.inputs if value.shape is not None},
        whole=frozenset(value.name for value in file.inputs if "INT" in value.type or value.type == "BOOL"),
        dtype=dtype,
        backend=backend,
    )
    try:
        check_activations(network)
    except ModelFormatError as error:
        raise ModelFormatError(f"{file.source}: {error}") from None
    return network


def _needed(nodes: list[Node], outputs: tuple[str, ...]) -> tuple[Node, ...]:
    """Drop what no output depends on."""
    needed = set(outputs)
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return tuple(node for node in nodes if node.name in needed)


def load_onnx(path: str | os.PathLike[str], dtype: str = "float32", backend: Backend = "auto",
              max_bytes: int = MAX_BYTES) -> tuple[Network, OnnxFile]:
    """Read an ONNX file and return its network, and what else the file says (its weights are the network's now)."""
    file = read_onnx(path, max_bytes)
    network = network_of(file, dtype, backend)
    file.constants.clear()
    return network, file
