"""One question of the kit: a network as ONNX bytes, images, a class for each, and a layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from npgradcam.formats.onnx_writing import onnx_bytes
from npgradcam.layers import Clip
from npgradcam.network import Network
from npgradcam.typing import Array


@dataclass(frozen=True, eq=False)
class Case:
    """What is explained.

    Attributes
    ----------
    name : str
        What it looks at, in a few words.
    network : Network
        float64; every number in it fits float32, in which `model` has it.
    images : ndarray float32 (N, C, H, W)
    target : tuple of int
        One class for each image.
    layer : str
        Whose maps are meant; a node of the network, and node and tensor of the file.
    exact : bool
        Whether numbers are so small that an epsilon would decide, which no method's equation has.
    pooled : bool
        Whether the layer's global average and one linear layer end the network, as CAM wants it.
    """

    name: str
    network: Network
    images: Array
    target: tuple[int, ...]
    layer: str
    exact: bool = False
    pooled: bool = False

    @cached_property
    def model(self) -> bytes:
        """The network as an ONNX file, float32."""
        (_, C, H, W) = self.images.shape
        return onnx_bytes(replace(self.network, dtype="float32"), C, (H, W))

    @property
    def x(self) -> Array:
        """The images in float64, as the truth is computed."""
        return self.images.astype(np.float64)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the images."""
        return self.images.shape[2], self.images.shape[3]

    @property
    def classes(self) -> int:
        """How many scores the network gives."""
        return self.network.shapes(self.images.shape)[self.network.outputs[0]][1]

    @property
    def rectifiers(self) -> list[str]:
        """The nodes at which a rule acts."""
        return self.network.rectifiers(self.network.outputs[0], self.network.inputs[0])

    def rectifier(self, name: str) -> str:
        """Say which rectifier a node is, as "Clip(0, 6) 'relu2'"."""
        layer = self.network[name].layer
        if isinstance(layer, Clip):
            return f"Clip({layer.low:g}, {layer.high:g}) {name!r}"
        return f"{type(layer).__name__} {name!r}"

    def with_images(self, which: slice) -> Case:
        """Return the case of some of the images."""
        return replace(self, images=self.images[which], target=self.target[which])

    def __str__(self) -> str:
        """Return the graph and the image in one line."""
        steps = " - ".join(type(n.layer).__name__ for n in self.network.nodes)
        return f"{steps}, images {self.images.shape}, layer {self.layer!r}"


def in_float32(network: Network) -> Network:
    """Return the network in float64 with every number rounded to float32, computed by plain NumPy."""
    return replace(replace(network, dtype="float32"), dtype="float64", backend="numpy")

