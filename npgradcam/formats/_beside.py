"""Weights that lie beside a model, in a file of their own: in its folder, and nowhere else."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import ModelFormatError

from ._source import FLAGS, MAX_BYTES, is_plain, shown, source_of

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
    with source_of(_opened(folder, name), shown(name), MAX_BYTES) as source:
        if os.fstat(source.file.fileno()).st_nlink > 1:
            raise _link(name)
        taken[name] += count
        if taken[name] > 4 * source.size:
            raise ModelFormatError(f"expected at most four times the bytes of {shown(name)}, got {taken[name]}")
        return source.numbers(int(offset), count, "they")


def _opened(folder: Path, name: str) -> int:
    """Return the open file; no link is followed, also none that takes the place of a file at this moment."""
    try:
        if os.open in os.supports_dir_fd:
            return _within(folder, name)
        path = folder / name  # Windows, where making links is a privilege
        if path.resolve(strict=True) != folder.resolve() / name:
            raise _link(name)
        return os.open(path, FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # what O_NOFOLLOW says of a link
            raise _link(name) from None
        raise ModelFormatError(f"no file {shown(name)} beside the model ({error.strerror})") from None


def _within(folder: Path, name: str) -> int:
    """Open each part of a name inside the one before: what was opened is what is looked at, and nothing else."""
    at = os.open(folder, os.O_RDONLY)
    for part in name.split("/"):
        try:
            deeper = os.open(part, FLAGS | os.O_NOFOLLOW, dir_fd=at)
        finally:
            os.close(at)
        at = deeper
    return at


def _link(name: str) -> ModelFormatError:
    return ModelFormatError(f"{shown(name)} is a link; copy the file beside the model")
