"""Files of the safetensors format: a JSON header that says where each array lies, and the arrays.

The package `safetensors` reads the arrays. The header is checked here first, and more strictly: each name and each
field once, whole numbers only, and the arrays one after the other from the first byte to the last.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import MissingPackageError

from ._source import MAX_BYTES, Source, open_source, shown
from ._torch import MAX_LENGTH, MAX_NAME, MAX_RANK
from .strict_json import read_json

Array = NDArray[Any]

INSTALL = "pip install 'npgradcam[safetensors]'"
MAX_HEADER = 16 * 2**20
MAX_TENSORS = 100_000
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|u1",
}


def read_safetensors(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> dict[str, Array]:
    """Read the arrays of a .safetensors file.

    Parameters
    ----------
    path : path
    max_bytes : int
        The largest file to read.

    Returns
    -------
    dict of str to array
        C-contiguous, in native byte order, writeable. float16 and bfloat16 become float32.

    Raises
    ------
    ModelFormatError
        If the file is damaged, says something twice, leaves bytes unsaid, or holds types that NumPy does not have.
    MissingPackageError
        If the package `safetensors` is not installed; the message holds the command.
    """
    with open_source(path, max_bytes) as source:
        header = _header(source)
        try:
            from safetensors import SafetensorError, deserialize
        except ImportError:
            raise MissingPackageError(f"{source.name}: reading it needs the package safetensors; {INSTALL}") from None
        try:
            read = dict(deserialize(source.read(0, source.size, "the file")))
        except SafetensorError as error:
            source.fail(f"expected a safetensors file, got an error: {error}")
        return {name: _array(read[name]["data"], about["dtype"], about["shape"]) for name, about in header.items()}


def _header(source: Source) -> dict[str, dict[str, Any]]:
    """Return what the header says of each array, all of it checked, in the order of the file."""
    length = int.from_bytes(source.read(0, 8, "the length of the header"), "little")
    if length > min(MAX_HEADER, source.size - 8):
        source.fail(f"expected a header of at most {min(MAX_HEADER, source.size - 8)} bytes, got {length}")
    text = source.read(8, length, "the header")
    if not text.startswith(b"{"):
        source.fail(f"expected a safetensors file, got a header that begins with {text[:8]!r}")
    try:
        header = read_json(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        source.fail(f"the header is not the JSON that it should be: {str(error)[:100]}")
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, Mapping) or not all(isinstance(note, str) for note in notes.values()):
        source.fail("expected __metadata__ to hold texts")
    if len(header) > MAX_TENSORS:
        source.fail(f"expected at most {MAX_TENSORS} arrays, got {len(header)}")
    _check_arrays(source, header, source.size - 8 - length)
    return dict(sorted(header.items(), key=lambda item: item[1]["data_offsets"]))


def _check_arrays(source: Source, header: dict[str, Any], total: int) -> None:
    """Each array has a type, a shape, and as many bytes as these need; together they fill the file."""
    parts = []
    for name, about in header.items():
        if len(name) > MAX_NAME or "\0" in name:
            source.fail(f"expected a short name for an array, got {shown(name)}")
        if not isinstance(about, dict) or set(about) != {"dtype", "shape", "data_offsets"}:
            source.fail(f"{shown(name)}: expected dtype, shape and data_offsets, got {shown(str(about))}")
        dtype, shape, offsets = about["dtype"], about["shape"], about["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            source.fail(f"{shown(name)}: expected one of the types {', '.join(DTYPES)}, got {shown(str(dtype))}")
        if not _are_whole(shape, MAX_LENGTH) or len(shape) > MAX_RANK:
            source.fail(f"{shown(name)}: expected a shape of at most {MAX_RANK} axes, got {shown(str(shape))}")
        need = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
        if not _are_whole(offsets, total) or len(offsets) != 2 or offsets[1] - offsets[0] != need:
            source.fail(f"{shown(name)}: expected {need} bytes for its shape, got offsets {shown(str(offsets))}")
        parts.append(offsets)
    at = 0
    for begin, end in sorted(parts):
        if begin != at:
            source.fail(f"the arrays overlap or leave bytes unsaid at byte {min(begin, at)}")
        at = end
    if at != total:
        source.fail(f"expected {at} bytes of arrays, got {total}; is the file complete?")


def _array(data: bytes | bytearray, dtype: str, shape: list[int]) -> Array:
    stored: Array = np.frombuffer(data, DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":  # the upper half of a float32
        wide: Array = (stored.astype(np.uint32) << 16).view(np.float32)
        return wide
    if dtype == "BOOL":
        return np.asarray(stored != 0)
    target = np.dtype(np.float32) if dtype == "F16" else stored.dtype.newbyteorder("=")
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        return np.require(stored.astype(target, copy=False), None, ["C", "A", "W"])


def _are_whole(values: object, most: int) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v <= most for v in values)
