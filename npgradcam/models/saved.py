"""A model as one file: `save` writes an .npz with graph, weights, preprocessing and labels; `load` reads it.

The file holds named arrays and one text, "npgradcam": JSON that says what each array is for. NumPy alone can open it.
Nothing in it is run, and nothing that it names is looked up anywhere but among the layers of this package.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from npgradcam.errors import ModelFormatError
from npgradcam.formats import read_npz, write_npz
from npgradcam.formats.graph import network_of_record, record_of
from npgradcam.formats.strict_json import read_json
from npgradcam.images import Preprocess
from npgradcam.kernels import Backend
from npgradcam.network import Network

from .labels import Labels
from .model import Model, network_of

RECORD = "npgradcam"  # the text among the arrays
FORMAT = 1
FIELDS = {"format", "name", "source", "layout", "preprocess", "labels", "network"}


def save(net: Model | Network, path: str | os.PathLike[str]) -> None:
    """Write a model to one .npz file, from which `load` gives it back bit by bit.

    Parameters
    ----------
    net : Model or Network
        Graph, weights, and for a model its preprocessing and labels as well.
    path : path
        Where to write; it must end in .npz. The file appears whole or not at all, and replaces an older one.

    Raises
    ------
    ModelFormatError
        If a layer cannot travel; the message names the node.

    Examples
    --------
    >>> import tempfile
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ng.save(net, f"{folder}/mine.npz")
    ...     again = ng.load(f"{folder}/mine.npz")
    >>> again.label(0) == net.label(0), again.preprocessing == net.preprocessing
    (True, True)
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ModelFormatError(f"{path}: expected a name that ends in .npz, by which load knows what it reads")
    model = net if isinstance(net, Model) else Model("", network_of(net))
    network, arrays = record_of(model.network)
    record = {
        "format": FORMAT,
        "name": model.name,
        "source": model.source,
        "layout": model.layout,
        "preprocess": model.preprocessing.as_dict() if model.preprocessing else None,
        "labels": model.labels.names if model.labels else None,
        "network": network,
    }
    write_npz(path, {RECORD: json.dumps(record, allow_nan=False), **arrays})


def read_model(path: str | os.PathLike[str], dtype: str = "float32", backend: Backend = "auto") -> Model:
    """Read a file that `save` wrote.

    Raises
    ------
    ModelFormatError
        If the file is anything else.
    """
    path = Path(path)
    arrays = read_npz(path)
    text = arrays.pop(RECORD, None)
    if text is None or text.dtype.kind != "U" or text.ndim:
        raise ModelFormatError(
            f"{path}: expected a model that save(net, path) wrote, got arrays; weights of a named architecture are "
            f"loaded with load(NAME, {str(path)!r})"
        )
    try:
        record = read_json(str(text))
        return _model(record, arrays, path, dtype, backend)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path}: expected a record in JSON, got {str(error)[:100]}") from None


def _model(record: Any, arrays: Any, path: Path, dtype: str, backend: Backend) -> Model:
    if isinstance(record, dict) and (got := record.get("format")) != FORMAT:
        raise ModelFormatError(f"expected format {FORMAT}, got {str(got)[:20]!r}; is this npgradcam too old for it?")
    if not isinstance(record, dict) or set(record) != FIELDS:
        raise ModelFormatError(f"expected a record of {', '.join(sorted(FIELDS))}")
    name, source, layout = (record[key] for key in ("name", "source", "layout"))
    if not all(isinstance(text, str) for text in (name, source, layout)) or sorted(layout) != sorted("NCHW"):
        raise ModelFormatError("expected texts as name, source and layout, and the layout an order of N, C, H, W")
    network = network_of_record(record["network"], arrays, dtype, backend)
    preprocessing, labels = _preprocessing(record["preprocess"]), _labels(record["labels"])
    return Model(name or path.stem, network, preprocessing, labels, source, layout)


def _preprocessing(record: Any) -> Preprocess | None:
    if record is None:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        raise ModelFormatError("expected a preprocessing with a name")
    return Preprocess.from_dict(record)


def _labels(record: Any) -> Labels | None:
    if record is None:
        return None
    if not isinstance(record, list) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in record
    ):
        raise ModelFormatError("expected labels as a list with a list of names for each class")
    return Labels(tuple(tuple(names) for names in record))
