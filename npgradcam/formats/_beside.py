"""Weights that lie beside a model, in a file of their own: in its folder, and nowhere else."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import ModelFormatError

from ._source import MAX_BYTES, is_plain, open_source, shown

_KNOWN = {"location", "offset", "length", "checksum"}


def read_beside(folder: Path | None, said: Mapping[str, str], count: int, taken: Counter[str]) -> NDArray[np.uint8]:
    """Return `count` bytes of the file that a model names.

    Parameters
    ----------
    folder : Path or None
        Where the model lies; None where it came without a path, and then nothing is read.
    said : mapping of str to str
        What the model says of it: "location", and perhaps "offset", "length".
    count : int
        How many bytes are needed.
    taken : Counter
        How many bytes were read of each file before; these are added. Weights may share bytes, but a small file that is
        read again and again would fill the memory.

    Raises
    ------
    ModelFormatError
        For a name that could lead elsewhere, a link (also a hard one), other lengths than are needed, or four times
        as much as the file holds.
    """
    if folder is None:
        raise ModelFormatError("they lie in another file; load the model by its path")
    name = said.get("location", "").removeprefix("./")
    if not is_plain(name) or "#" in name or set(said) - _KNOWN:
        raise ModelFormatError(f"expected a file beside the model, got {shown(name)}")
    offset, length = said.get("offset", "0"), said.get("length", str(count))
    whole = all(text.isascii() and text.isdigit() and len(text) < 19 for text in (offset, length))
    if not whole or int(length) != count:
        raise ModelFormatError(f"expected {count} bytes from an offset, got {shown(length)} from {shown(offset)}")
    path = folder
    for part in name.split("/"):
        path = path / part
        try:
            status = path.lstat()
        except OSError as error:
            raise ModelFormatError(f"no file {shown(name)} beside the model ({error.strerror})") from None
        if stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1):
            raise ModelFormatError(f"{shown(name)} is a link; copy the file beside the model")
    with open_source(path, MAX_BYTES) as source:
        taken[name] += count
        if taken[name] > 4 * source.size:
            raise ModelFormatError(f"expected at most four times the bytes of {shown(name)}, got {taken[name]}")
        return source.numbers(int(offset), count, "they")
