"""What may go into a network: pictures of its shape and dtype, seeds that fit; and why an output is not finite."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.layers.checking import moved_channels
from npgradcam.topology import Topology
from npgradcam.typing import Array, IntArray


def check_inputs(network: Topology, given: Mapping[str, Array], dtype: str) -> None:
    """Refuse inputs of other names, precisions or shapes than the network's."""
    if set(given) != set(network.inputs):
        raise ShapeError(
            f"expected the inputs {', '.join(network.inputs)}, got {', '.join(given)}; give a dict with one for each"
        )
    for name, x in given.items():
        _check_dtype(name, x, dtype, name in network.whole)
        declared, shape = network.declared.get(name), x.shape
        if declared is None:
            if name not in network.whole and (not shape or 0 in shape):
                raise ShapeError(f"input {name!r}: expected at least one image and one cell, got shape {shape}")
        elif len(declared) != len(shape) or any(d not in (None, n) for d, n in zip(declared, shape, strict=True)):
            wanted = ", ".join("any" if d is None else str(d) for d in declared)
            batch = "it was exported for that batch only" if shape[1:] == declared[1:] else ""
            why = batch or moved_channels(declared, shape)
            raise ShapeError(f"input {name!r}: expected shape ({wanted}), got {shape}{'; ' if why else ''}{why}")
        elif 0 in shape and 0 not in declared:
            raise ShapeError(f"input {name!r}: expected at least one image and one cell, got shape {shape}")


def _check_dtype(name: str, x: Array, dtype: str, whole: bool) -> None:
    """Refuse an input that is not an array of the network's own precision, or of whole numbers where it takes those."""
    got = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
    if whole and (not isinstance(x, np.ndarray) or x.dtype.kind not in "iub"):
        raise ShapeError(f"input {name!r}: expected an array of whole numbers or truth values, got {got}")
    if not whole and (not isinstance(x, np.ndarray) or x.dtype != dtype):
        raise ShapeError(
            f"input {name!r}: expected a {dtype} array, got {got}; preprocess the photograph, or convert with "
            f"x.astype({dtype!r})"
        )


def check_seed(logits: Array, seed: Array, image: IntArray | None) -> IntArray | None:
    """Return which image each row belongs to, or None where the rows are the tape's images (or its only one)."""
    if not logits.ndim or not seed.ndim:
        raise ShapeError("seed: expected an output with the images on axis 0, got a single number; explain another one")
    batch, rows = len(logits), len(seed)
    if seed.shape[1:] != logits.shape[1:] or seed.dtype != logits.dtype:
        raise ShapeError(
            f"seed: expected rows of shape {logits.shape[1:]} and dtype {logits.dtype}, "
            f"got {seed.shape} and {seed.dtype}"
        )
    if image is None:
        if batch not in (1, rows):
            raise ShapeError(f"seed: expected {batch} rows, one per image, got {rows}; say image= for other rows")
        return None
    image = np.asarray(image)
    if image.shape != (rows,) or image.dtype.kind not in "iu" or ((image < 0) | (image >= batch)).any():
        raise ShapeError(f"image: expected {rows} numbers from 0 to {batch - 1}, one per row, got {image}")
    return None if batch == 1 or np.array_equal(image, np.arange(batch)) else image


def why_not_finite(network: Topology) -> str:
    """Say where "NaN or infinity" in an output comes from; asked only then, for it looks at every parameter."""
    for node in network.nodes:
        for name, values in node.layer.arrays.items():
            if not np.isfinite(values).all():
                return f"{name} of layer {node.name!r} holds them already; get the weights anew"
    return "every parameter is finite: check the pictures and their preprocessing, or compute in float64"
