"""The drawn networks as ONNX bytes too, so that any framework can compute them, with images and classes to explain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from ...formats.onnx_writing import onnx_bytes
from ...network import Network
from ...typing import Array
from .cases import Kind, values
from .graphs import Drawn, networks


@dataclass(frozen=True, eq=False, repr=False)
class DrawnModel(Drawn):
    """A network whose numbers all fit float32, and the same as bytes.

    Attributes
    ----------
    network : Network
        In float64.
    images : ndarray float32 (N, C, H, W)
    maps : tuple of str
        Nodes with maps; in the file, node and tensor of a layer both have its name here.
    model : bytes
        The file: float32, opset 13, any number of images.
    target : tuple of int
        One class for each image.
    """

    model: bytes
    target: tuple[int, ...]


@st.composite
def models(draw: st.DrawFn, numbers: Kind = "real", softmax: bool = False) -> DrawnModel:
    """Draw what `networks` draws, with the same network as an ONNX file and a class for each image.

    Raises
    ------
    MissingPackageError
        If the package `onnx` is not installed.
    """
    drawn = draw(networks(numbers, softmax))
    single, x = replace(drawn.network, dtype="float32"), drawn.images.astype(np.float32)
    model = onnx_bytes(single, x.shape[1], (x.shape[2], x.shape[3]))
    target = draw(targets(len(x), classes_of(single, x)))
    return DrawnModel(replace(single, dtype="float64"), x, drawn.maps, model, target)


def classes_of(network: Network, images: Array) -> int:
    """How many scores a network gives."""
    return network.shapes(images.shape)[network.outputs[0]][1]


@st.composite
def images(draw: st.DrawFn, channels: int = 3, numbers: Kind = "real") -> Array:
    """Draw images (N, C, H, W), float32, of 1 to 3, with H and W apart."""
    shape = draw(st.integers(1, 3)), channels, draw(st.integers(2, 8)), draw(st.integers(5, 9))
    return draw(values(shape, numbers)).astype(np.float32)


def targets(count: int, classes: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw one class for each of `count` images."""
    return st.tuples(*(st.integers(0, classes - 1),) * count)
