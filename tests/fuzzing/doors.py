"""What is done with a file of each kind: it is read as a user reads it, and a model that loads is run and explained."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

import npgradcam as ng
from npgradcam.cli.network import _preprocess
from npgradcam.errors import NpGradcamError
from npgradcam.formats import read_checkpoint, read_npz, read_safetensors
from npgradcam.images import read_image
from npgradcam.models import Model
from npgradcam.models.load import _labels

ENOUGH = 500_000  # numbers in all arrays of a network that is run


def onnx(path: Path) -> str:
    return explained(ng.load(path, backend="numpy"))


def compiled(path: Path) -> str:
    return explained(ng.load(path))


def npz(path: Path) -> str:
    if "npgradcam" in whole(read_npz(path)):
        return explained(ng.load(path, backend="numpy"))
    return "read"


def checkpoint(path: Path) -> str:
    whole(read_checkpoint(path))
    return "read"


def safetensors(path: Path) -> str:
    whole(read_safetensors(path))
    return "read"


def picture(path: Path) -> str:
    image = read_image(path, max_pixels=1_000_000)
    assert image.mode == "RGB"
    assert len(image.tobytes()) == 3 * image.width * image.height
    return "read"


def labels(path: Path) -> str:
    _labels(path)
    return "read"


def record(path: Path) -> str:
    _preprocess(str(path))
    return "read"


def whole(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays that are read are what the documentation says, every number of them."""
    for array in arrays.values():
        assert type(array) is np.ndarray
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.dtype.isnative
        array.tobytes()
    return arrays


def explained(model: Model) -> str:
    """Explain a small picture; a model that loaded may refuse the picture, in words."""
    network = model.network
    declared = {name: network.declared.get(name, (None, 3, None, None)) for name in network.inputs}
    shapes = {name: tuple((8 if axis else 1) if length is None else length for axis, length in enumerate(lengths or ()))
              for name, lengths in declared.items()}
    try:
        if sum(math.prod(shape) for shape in network.shapes(shapes).values()) > ENOUGH:
            return "read"
        x = {name: np.ones(shape, np.int64) if name in network.whole else
             np.linspace(-1, 1, math.prod(shape), dtype=network.dtype).reshape(shape) for name, shape in shapes.items()}
        ng.backprop(model, x, target=0)
        ng.grad_cam(model, x, target=0)
    except NpGradcamError as error:
        sentence(error)
        return "read"
    return "explained"


def sentence(error: NpGradcamError) -> str:
    """Return what an error says, after a look at its form: one line, that says something, and not a page."""
    text = str(error)
    assert text.isprintable(), "the message has control characters"
    assert 20 < len(text) < 2500, f"the message has {len(text)} characters"
    return text


DOORS: dict[str, tuple[str, Callable[[Path], str]]] = {  # how a file's name ends, and what reads it
    "onnx": (".onnx", onnx), "safetensors": (".safetensors", safetensors), "zip": (".pth", checkpoint),
    "stream": (".pth", checkpoint), "npz": (".npz", npz), "picture": (".png", picture),
    "compiled": (".onnx", compiled), "labels": (".txt", labels), "record": (".json", record),
}
