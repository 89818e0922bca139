"""Fold what scales and shifts whole channels into the convolution or linear layer before it.

    s (W x + b) + t = (s W) x + (s b + t)

Batch normalisation at inference is such a layer, and so are the Mul and Add with constants that some exporters write
instead. The new weights are computed in float64 and rounded once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from npgradcam.layers import Add, BatchNorm, Conv2d, ConvTranspose2d, Layer, Linear, Mul
from npgradcam.topology import Node, Topology
from npgradcam.typing import Array


def fold(network: Topology, keep: Set[str]) -> Topology:
    """Return the graph without affine layers that follow a linear one; a node that is kept, or read twice, stays."""
    return join(network, keep, _folded)


def join(network: Topology, keep: Set[str], joined: Callable[[Layer, Layer], Layer | None]) -> Topology:
    """Return the graph with one node for two that follow each other wherever `joined` makes one layer of theirs.

    The one takes the name of the second. A first that is kept, or that another node reads as well, stays.
    """
    readers = Counter(name for node in network.nodes for name in node.inputs)
    done: dict[str, Node] = {}
    for node in network.nodes:
        before = done.get(node.inputs[0]) if len(node.inputs) == 1 else None
        if before is not None and before.name not in keep and readers[before.name] == 1:
            layer = joined(before.layer, node.layer)
            if layer is not None:
                del done[before.name]
                node = Node(node.name, layer, before.inputs)
        done[node.name] = node
    return replace_nodes(network, tuple(done.values()))


def replace_nodes(network: Topology, nodes: tuple[Node, ...]) -> Topology:
    """Return a graph of other nodes with the same inputs and outputs; outputs that nobody makes are gone."""
    names = {node.name for node in nodes}
    outputs = tuple(name for name in network.outputs if name in names)
    return Topology(nodes, network.inputs, outputs, declared=network.declared, whole=network.whole)


_done: WeakKeyDictionary[Layer, WeakKeyDictionary[Layer, Layer | None]] = WeakKeyDictionary()


def _folded(linear: Layer, affine: Layer) -> Layer | None:
    """Return the linear layer that does what both do, one after the other; made once, so that plans share it."""
    known = _done.setdefault(linear, WeakKeyDictionary())
    if affine not in known:
        with np.errstate(all="ignore"):  # beyond the largest number lies infinity, as it does without folding
            known[affine] = _fold(linear, affine)
    return known[affine]


def _fold(linear: Layer, affine: Layer) -> Layer | None:
    """Return the linear layer that does what both do, one after the other; None where there is none."""
    if not isinstance(linear, (Conv2d, ConvTranspose2d, Linear)):
        return None
    transposed = isinstance(linear, ConvTranspose2d)
    channels = linear.weight.shape[1] * linear.groups if isinstance(linear, ConvTranspose2d) else linear.weight.shape[0]
    parts = _scale_and_shift(affine, channels, linear.weight.ndim)
    if parts is None:
        return None
    scale, shift = parts
    weight, bias = linear.weight.astype(np.float64), linear.bias
    if transposed:  # (C, O / groups, U, V): the channels of a group lie along axis 1
        groups = linear.groups  # type: ignore[union-attr]
        each = scale.reshape(groups, 1, -1, 1, 1)
        weight = (weight.reshape(groups, -1, *weight.shape[1:]) * each).reshape(weight.shape)
    else:
        weight = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    moved = shift if bias is None else scale * bias + shift
    dtype = linear.weight.dtype
    return replace(linear, weight=weight.astype(dtype), bias=moved.astype(dtype))


def _scale_and_shift(layer: Layer, channels: int, rank: int) -> tuple[Array, Array] | None:
    """Return s and t, (channels,), of a layer y = s x + t that treats every channel alone; None for any other."""
    one, zero = np.ones(channels), np.zeros(channels)
    if isinstance(layer, BatchNorm) and layer.weight.shape == (channels,):
        scale = layer.weight / np.sqrt(layer.variance.astype(np.float64) + layer.epsilon)
        return scale, layer.bias - scale * layer.mean
    if isinstance(layer, Mul) and layer.constant is not None:
        constant = _per_channel(layer.constant, channels, rank)
        return None if constant is None else (constant, zero)
    if isinstance(layer, Add) and layer.constant is not None:
        constant = _per_channel(layer.constant, channels, rank)
        return None if constant is None else (one, constant)
    return None


def _per_channel(constant: Array, channels: int, rank: int) -> Array | None:
    """Return a constant operand as (channels,), if it broadcasts over everything else of (N, channels, ...)."""
    if constant.ndim > rank:
        return None
    shape = (1,) * (rank - constant.ndim) + constant.shape
    if shape[1] not in (1, channels) or any(n != 1 for axis, n in enumerate(shape) if axis != 1):
        return None
    return np.broadcast_to(constant.reshape(-1).astype(np.float64), (channels,))
