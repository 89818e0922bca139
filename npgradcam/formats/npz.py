"""Arrays in .npz and .npy files: read without trust, written so that the same arrays give the same bytes."""

from __future__ import annotations

import math
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npgradcam.errors import ModelFormatError
from npgradcam.writing import whole_file

from ._source import MAX_BYTES, Source, is_plain, open_source, shown
from ._zip import read_directory, read_member

Array = NDArray[Any]

MAX_ARRAYS = 10_000
MAX_RATIO = 100  # of unpacked to packed bytes, beyond _SPARE
_SPARE = 64 * 2**20
_MAGIC = b"\x93NUMPY\1\0"
_DTYPE = r"\|[biu]1|[<>](?:[iu][248]|f[248]|U[1-9][0-9]{0,6})"
_SHAPE = r"|[0-9]{1,10},|[0-9]{1,10}(?:, [0-9]{1,10}){1,31}"
# The header is the text of a dictionary. It is matched, never evaluated, so it can be no other dictionary.
_HEADER = re.compile(
    rf"\{{'descr': '({_DTYPE})', 'fortran_order': (True|False), 'shape': \(({_SHAPE})\), \}} *\n".encode()
)


def read_npz(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> dict[str, Array]:
    """Read the arrays of an .npz file; numbers, truth values and texts only, and never a pickle.

    Parameters
    ----------
    path : path
        A file written by `write_npz`, or by NumPy's ``savez`` or ``savez_compressed``.
    max_bytes : int
        The largest file to read, and the most that its arrays may take.

    Returns
    -------
    dict of str to array
        In the order of the file; C-contiguous, native byte order, writeable. A text is an array of shape ()
        and kind "U", and ``str(array)`` is the text.

    Raises
    ------
    ModelFormatError
        If the file is damaged, holds objects, says two different things about a size, or unpacks to far more
        than its size. The message names the file.
    """
    with open_source(path, max_bytes) as source:
        members = read_directory(source)
        total = sum(member.size for member in members.values())
        if total > max_bytes or total > MAX_RATIO * source.size + _SPARE or len(members) > MAX_ARRAYS:
            source.fail(f"{len(members)} arrays of {total} bytes are too much for a file of {source.size}")
        arrays: dict[str, Array] = {}
        for name, member in members.items():
            if not name.endswith(".npy") or not is_plain(name[:-4]):
                source.fail(f"expected arrays (names that end in .npy), got {shown(name)}")
            arrays[name[:-4]] = _decode(source, shown(name), read_member(source, member))
        return arrays


def read_npy(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Array:
    """Read the one array of an .npy file, as `read_npz` reads those of an .npz file.

    Raises
    ------
    ModelFormatError
        If the file is damaged or holds anything but numbers, truth values or a text. The message names the file.
    """
    with open_source(path, max_bytes) as source:
        return _decode(source, "its array", source.numbers(0, source.size, "the array"))


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, ArrayLike]) -> None:
    """Write named arrays (or texts) to an .npz file that `read_npz` and NumPy read.

    Equal arrays in equal order give equal bytes on every machine: nothing is compressed, and every date is
    1980-01-01. The file appears whole or not at all, and replaces an older one.

    Parameters
    ----------
    path : path
        Where to write. The name is taken as it is; nothing is appended to it.
    arrays : mapping of str to array, number or str
        What to write: integers and floats of up to 8 bytes, truth values, texts.

    Raises
    ------
    ModelFormatError
        If a name could be taken for a path, or `read_npz` would refuse a value.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_npz(f"{folder}/a.npz", {"weight": np.arange(3.0), "note": "three numbers"})
    ...     str(read_npz(f"{folder}/a.npz")["note"])
    'three numbers'
    """
    target = Path(path)
    if len(arrays) > MAX_ARRAYS:
        raise ModelFormatError(f"{target}: expected at most {MAX_ARRAYS} arrays, got {len(arrays)}")
    try:
        with whole_file(target) as file:
            with zipfile.ZipFile(file, "w", allowZip64=False) as archive:
                for name, value in arrays.items():
                    entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980-01-01
                    entry.create_system, entry.external_attr = 3, 0o644 << 16
                    archive.writestr(entry, _encode(str(target), name, value))
            file.flush()
            os.fsync(file.fileno())
    except zipfile.LargeZipFile as error:
        raise ModelFormatError(f"{target}: expected less than 2 GiB an array and 4 GiB in all") from error


def _decode(source: Source, what: str, data: NDArray[np.uint8]) -> Array:
    """Return the array that the bytes of an .npy file describe."""
    start = 10 + int.from_bytes(data[8:10].tobytes(), "little")
    head = data[:start].tobytes()
    header = _HEADER.fullmatch(head, 10) if head.startswith(_MAGIC) and len(head) == start else None
    if header is None:
        source.fail(f"expected numbers or text as {what}, got {_other(head)}; save plain real numbers with "
                    "numpy.save or numpy.savez")
    described, fortran, sizes = (part.decode("ascii") for part in header.groups())
    shape = tuple(int(size) for size in sizes.split(",") if size)
    dtype = np.dtype(described)
    # NumPy measures an empty array by its axes that are not, and so is this one measured.
    most = math.prod(max(size, 1) for size in shape) * dtype.itemsize
    if math.prod(shape) * dtype.itemsize != len(data) - start or most > MAX_BYTES:
        source.fail(f"{what} has {len(data) - start} bytes for {dtype} of shape {shape}; is the file complete?")
    if 0 in shape:
        return np.empty(shape, dtype.newbyteorder("="))
    if dtype.kind == "b" and np.frombuffer(data, np.uint8, offset=start).max() > 1:
        source.fail(f"{what} has truth values other than 0 and 1")
    if dtype.kind == "U" and not _is_text(np.frombuffer(data, f"{described[0]}u4", offset=start)):
        source.fail(f"{what} has text that is not Unicode")
    view: Array = np.ndarray(shape, dtype, data, start, order="F" if fortran == "True" else "C")
    return np.require(view, dtype.newbyteorder("="), ["C", "ALIGNED", "WRITEABLE"])  # a copy only if it must


def _other(head: bytes) -> str:
    """Return what the bytes of an .npy file are instead of numbers or text."""
    if not head:
        return "an empty file"
    if not head.startswith(_MAGIC[:6]):
        return f"no array but bytes that begin {head[:8]!r}"
    described = re.match(rb"\{'descr': '([<>|=][a-zA-Z][0-9]{0,9})'", head[10:])
    kind = described[1].decode("ascii") if described else ""
    kinds = {"O": "Python objects, which only code could read", "c": "complex numbers", "M": "dates", "m": "times"}
    return kinds.get(kind[1:2], f"{head[10:80]!r}")


def _encode(where: str, name: str, value: ArrayLike) -> bytes:
    """Return an array as the bytes of an .npy file: little-endian, C order."""
    if not is_plain(name):
        raise ModelFormatError(f"{where}: expected a plain name for an array, got {shown(name)}")
    array = np.asarray(value)
    little = array.dtype.newbyteorder("<")
    if not re.fullmatch(_DTYPE, little.str):
        raise ModelFormatError(f"{where}: expected numbers or text as {shown(name)}, got {array.dtype}")
    data = array.astype(little).tobytes()
    if array.dtype.kind == "U" and (
        not _is_text(np.frombuffer(data, "<u4")) or (isinstance(value, str) and str(array) != value)
    ):
        raise ModelFormatError(f"{where}: expected Unicode text that does not end in a zero as {shown(name)}")
    header = f"{{'descr': '{little.str}', 'fortran_order': False, 'shape': {array.shape}, }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"  # so that the numbers begin at a multiple of 64
    return _MAGIC + len(header).to_bytes(2, "little") + header.encode("ascii") + data


def _is_text(points: Array) -> bool:
    """Say whether numbers are code points; NumPy would believe any, and fail when the text is used."""
    return not bool(((points > 0x10FFFF) | ((points >= 0xD800) & (points < 0xE000))).any())
