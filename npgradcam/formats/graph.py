"""A network as one JSON record and named arrays, and back: every node as the kind of its layer, settings and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import ModelFormatError, NpGradcamError
from npgradcam.kernels import Backend
from npgradcam.network import Network, Node
from npgradcam.topology import Topology

from ._source import shown
from .activations import check_activations
from .settings import Unfit, decode, decode_layer, encode

Array = NDArray[Any]

MAX_NODES = 100_000
# What a graph says beside its nodes: the names of what goes in and comes out, and whatever else it will come to say.
ABOUT = {name: hint for name, hint in get_type_hints(Topology).items()
         if name in {field.name for field in fields(Topology)} - {"nodes"}}


def record_of(network: Network) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return a network as JSON, and the arrays that it speaks of: "12.weight" is the weight of node 12.

    Raises
    ------
    ModelFormatError
        If a layer is not one of npgradcam's, or holds a function; the message names the node.
    """
    arrays: dict[str, Array] = {}
    nodes = []
    for i, node in enumerate(network.nodes):
        try:
            layer = encode(node.layer, str(i), arrays)
        except ModelFormatError as error:
            raise ModelFormatError(f"node {node.name!r} cannot be saved: {error}") from None
        nodes.append({"name": node.name, **layer, "inputs": list(node.inputs)})
    about = {name: encode(getattr(network, name), name, arrays) for name in ABOUT}
    return {**about, "nodes": nodes}, arrays


def network_of_record(record: Any, arrays: Mapping[str, Array], dtype: str, backend: Backend) -> Network:
    """Return the network that a record describes; every array must be spoken of.

    Raises
    ------
    ModelFormatError
        If the record says anything else than `record_of` would.
    """
    if not isinstance(record, dict) or set(record) != {*ABOUT, "nodes"} or not isinstance(record["nodes"], list):
        raise ModelFormatError(f"expected a network ({', '.join(ABOUT)}, nodes), got {shown(str(record))}")
    if len(record["nodes"]) > MAX_NODES:
        raise ModelFormatError(f"expected at most {MAX_NODES} nodes, got {len(record['nodes'])}")
    take = _Taken(arrays)
    nodes = tuple(_node(node, take) for node in record["nodes"])
    try:
        about = {name: decode(record[name], hint, take) for name, hint in ABOUT.items()}
    except Unfit as error:
        raise ModelFormatError(f"network: {error}") from None
    lengths = [length for shape in about["declared"].values() for length in shape or () if length is not None]
    if any(not 0 <= length < 2**31 for length in lengths):
        raise ModelFormatError("network: expected declared lengths from 0 to 2**31 - 1, or null where any fits")
    if unread := sorted(set(arrays) - take.names):
        raise ModelFormatError(f"no layer speaks of the array {shown(unread[0])}")
    try:
        network = Network(nodes, **about, dtype=dtype, backend=backend)
        check_activations(network)
    except NpGradcamError as error:
        raise ModelFormatError(f"network: {error}") from None
    return network


def _node(record: Any, take: Mapping[str, Array]) -> Node:
    if not isinstance(record, dict) or set(record) != {"name", "layer", "settings", "inputs"}:
        raise ModelFormatError(f"expected a node (name, layer, settings, inputs), got {shown(str(record))}")
    try:
        name, inputs = decode(record["name"], str, take), decode(record["inputs"], tuple[str, ...], take)
        layer = decode_layer({key: record[key] for key in ("layer", "settings")}, take)
    except Unfit as error:
        raise ModelFormatError(f"node {shown(str(record['name']))}: {error}") from None
    return Node(name, layer, inputs)


class _Taken(Mapping[str, Array]):
    """The arrays of a file, and which of them were asked for."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays, self.names = arrays, set[str]()

    def __getitem__(self, name: str) -> Array:
        array = self.arrays[name]
        self.names.add(name)
        return np.asarray(array)

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)
