"""A model from an ONNX file: its network, and what else the file says of photographs and classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from npgradcam import layout
from npgradcam.errors import ModelFormatError, NpGradcamError
from npgradcam.formats.onnx import load_onnx
from npgradcam.formats.onnx_file import OnnxFile
from npgradcam.formats.strict_json import read_json
from npgradcam.images import Preprocess
from npgradcam.kernels import Backend
from npgradcam.network import Network

from .labels import Labels
from .model import Model

PREPROCESS, LABELS = "npgradcam.preprocess", "npgradcam.labels"  # keys of a file's metadata, in JSON


def read_onnx_model(path: str | os.PathLike[str], dtype: str = "float32", backend: Backend = "auto") -> Model:
    """Return the model in an ONNX file.

    Parameters
    ----------
    path : path
    dtype : {"float32", "float64"}
        Weights of other precisions are converted.
    backend : {"auto", "numba", "numpy"}

    Returns
    -------
    Model
        With preprocessing and labels where the file's metadata hold them ("npgradcam.preprocess", the record that
        `Preprocess.as_dict` makes, and "npgradcam.labels", a list with one text a class), else without.

    Raises
    ------
    MissingPackageError, UnsupportedOperatorError, ModelFormatError
    """
    network, file = load_onnx(path, dtype, backend)
    record, names = (_metadata(file, key) for key in (PREPROCESS, LABELS))
    try:
        preprocessing = None if record is None else Preprocess.from_dict(record)
    except (NpGradcamError, TypeError, AttributeError) as error:
        raise ModelFormatError(f"{file.source}: metadata {PREPROCESS}: {error}") from None
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ModelFormatError(f"{file.source}: metadata {LABELS}: expected a list with one text a class")
    try:
        labels = None if names is None else Labels.parse(names)
    except ModelFormatError as error:
        raise ModelFormatError(f"{file.source}: metadata {LABELS}: {error}") from None
    return Model(Path(path).stem, network, preprocessing, labels, Path(path).name, _layout(network))


def _layout(network: Network) -> str:
    """Return the order of the axes of the first input that is one of pictures, "NCHW" where none is."""
    shapes = {name: _likely(network.declared.get(name)) for name in network.inputs}
    picture = next((name for name, shape in shapes.items() if len(shape) == 4), network.inputs[0])
    try:
        letters = layout.input_axes(network, shapes, picture)
    except NpGradcamError:  # no picture of a likely size fits: the axes' lengths alone tell
        letters = "NHWC" if (shapes[picture][-1:] or (0,))[0] in (1, 3) else layout.FIRST
    return letters if letters and layout.channels_first(letters) else layout.FIRST


def _likely(declared: tuple[int | None, ...] | None) -> tuple[int, ...]:
    """Return a shape that an input may have: 1 image, and 224 cells where an axis may be of any length."""
    shape = (None, 3, None, None) if declared is None else declared
    return tuple((224 if axis else 1) if length is None else length for axis, length in enumerate(shape))


def _metadata(file: OnnxFile, key: str) -> Any:
    text = file.metadata.get(key)
    try:
        return None if text is None else read_json(text)
    except (ValueError, RecursionError):
        raise ModelFormatError(f"{file.source}: metadata {key}: expected JSON, got {str(text)[:60]!r}") from None
