"""Convolve with Winograd's tiles where that is faster: 3 x 3 kernels at stride 1, one group, in float32.

    y = A^T ( sum_c (G w G^T) * (B^T x B) ) A + b        for each tile of m x m cells of y, see `kernels.winograd`

F(4, 3) multiplies 4 times less than the direct sum, F(2, 3) 2.25 times less, and both pay for transforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from npgradcam import kernels
from npgradcam.kernels import winograd
from npgradcam.layers import Conv2d, Layer
from npgradcam.topology import Node, Topology
from npgradcam.typing import Array, Shape

from .fold import replace_nodes


@dataclass(frozen=True, eq=False, repr=False)
class WinogradConv2d(Conv2d):
    """A convolution of 3 x 3 cells whose kernels are transformed already.

    Parameters
    ----------
    weight, bias, padding
        As in `Conv2d`.
    transformed : ndarray of shape ((m + 2)^2, O, C)
        G w G^T, from `kernels.winograd.transform`; m = 4 or 2 follows from its length.
    """

    transformed: Array | None = None

    @classmethod
    def of(cls, conv: Conv2d, m: int) -> WinogradConv2d:
        """Return a convolution with its kernels transformed for tiles of m x m cells."""
        return cls(conv.weight, conv.bias, padding=conv.padding, transformed=winograd.transform(conv.weight, m))

    @property
    def matrices(self) -> Array:
        """The transformed kernels, as (m + 2)^2 matrices (O, C)."""
        return winograd.transform(self.weight, 4) if self.transformed is None else self.transformed

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays that training changes, by name."""
        return {name: array for name, array in self.arrays.items() if name != "transformed"}

    def correlate(self, x: Array, store: kernels.Store) -> Array:  # (N, C, H, W) -> (N, O, I, J)
        """Return the sum as `store` says, tile by tile."""
        # y = min(max(A^T (sum_c U * (B^T x B)) A + bias, low), high)
        self.output_shape(x.shape)
        return winograd.correlate(x, self.matrices, self._padding(x.shape), store)

    def backward(self, signal: Array, x_shape: Shape) -> tuple[Array]:  # (R, O, I, J) -> (R, C, H, W)
        """Return the signal at x: the same kernel with other weights."""
        # a correlation too, with the kernels turned around and the channels exchanged
        return (winograd.correlate_adjoint(signal, turned(self), self._padding(x_shape), x_shape),)


_turned: WeakKeyDictionary[WinogradConv2d, Array] = WeakKeyDictionary()
_lock = Lock()


def turned(layer: WinogradConv2d) -> Array:
    """Return the transformed kernels of a layer's adjoint; made when first asked for, forgotten with the layer."""
    with _lock:
        if layer not in _turned:
            m = 4 if len(layer.matrices) == 36 else 2
            _turned[layer] = winograd.transform(winograd.adjoint_weight(layer.weight), m)
        return _turned[layer]


def choose(network: Topology, shapes: Mapping[str, Shape]) -> Topology:
    """Return the graph with Winograd's convolution wherever it is faster.

    Parameters
    ----------
    network : Topology
    shapes : mapping of str to tuple
        The shape of every input and node, as from `Topology.shapes`.
    """
    return replace_nodes(network, tuple(
        Node(node.name, _faster(node.layer, shapes[node.inputs[0]]), node.inputs) if node.inputs else node
        for node in network.nodes
    ))


def _faster(layer: Layer, x: Shape) -> Layer:
    """Return a layer, or the convolution in it, with Winograd's tiles where `tile` has an answer."""
    if isinstance(layer, Conv2d):
        m = tile(layer, x)
        return layer if m is None else WinogradConv2d.of(layer, m)
    conv = getattr(layer, "conv", None)  # a convolution fused with what follows it
    if not isinstance(conv, Conv2d):
        return layer
    faster = _faster(conv, x)
    return layer if faster is conv else replace(layer, conv=faster)  # type: ignore[type-var]


# Milliseconds of the direct sum over those of F(2, 3) and F(4, 3); one picture, C = O, 2 cores of an EPYC with AVX2:
#
#     C = O     7 x 7         14 x 14       28 x 28       56 x 56       112 x 112
#        8      1.4   1.3     1.4   1.4     1.3   1.2     1.0   1.3     0.5   0.7
#       16      1.2   1.2     1.3   1.4     1.3   1.6     1.1   1.4     1.3   1.1
#       32      1.3   1.2     1.5   1.4     1.3   1.8     1.4   1.9     1.3   1.8
#       64      1.5   1.4     1.8   1.9     2.2   3.3     1.7   1.7     1.5   2.3
#      128      1.7   1.3     1.9   2.0     2.8   3.9     1.6   1.9     1.7   2.2
#      256      1.6   1.1     1.8   1.9     2.8   3.9     1.7   2.8
#      512      1.4   1.0     2.1   2.0     2.8   3.9     1.8   2.9
#
# and with 3 channels, 64 kernels and 224 x 224 cells 0.4 and 0.6. Between 14 and 28, at 20 x 20 cells (25 tiles of
# F(4, 3)), F(4, 3) wins from 16 channels on; F(2, 3) rounds less, so it is taken where both take the same time.
FEWEST = 16  # channels: with fewer, the transforms cost more than the products that they save
TILES = 20  # of F(4, 3): with fewer, its matrix products are too narrow and its 36 matrices too many


def tile(conv: Conv2d, x: Shape) -> int | None:
    """Return the m of the fastest F(m, 3) for an input of shape (N, C, H, W); None where the direct sum is faster."""
    O, C = conv.weight.shape[:2]
    fits = conv.weight.shape[2:] == (3, 3) and conv.stride == conv.dilation == (1, 1) and conv.groups == 1
    if not fits or type(conv) is not Conv2d or conv.weight.dtype != np.float32 or min(O, C) < FEWEST:
        return None
    images, _, rows, columns = conv.output_shape(x)
    return 4 if images * -(-rows // 4) * -(-columns // 4) >= TILES else 2
