"""A file that is not trusted: opened once, and read only where it has bytes."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import ModelFormatError

MAX_BYTES = 4 * 2**30  # of a file; the caller may choose another limit
# Opened so, a named pipe or a device does not wait for anybody; what it is, the open descriptor tells.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_POINTER = b"version https://git-lfs"  # what a checkout has in place of a large file that was not fetched


@dataclass(frozen=True)
class Source:
    """An open regular file with its name, for error messages, and its size in bytes."""

    name: str
    size: int
    file: io.BufferedReader

    def fail(self, text: str) -> NoReturn:
        """Raise the one error of this room, with the file's name in front."""
        raise ModelFormatError(f"{self.name}: {text}")

    def read(self, offset: int, count: int, what: str) -> bytes:
        """Return exactly `count` bytes from `offset`."""
        return self.numbers(offset, count, what).tobytes()

    def numbers(self, offset: int, count: int, what: str) -> NDArray[np.uint8]:
        """Return the same as a new array; the bounds are checked before anything is allocated."""
        if offset < 0 or count < 0 or offset + count > self.size:
            self.fail(f"{what} needs {count} bytes at byte {offset} of {self.size}; is the file complete?")
        self.file.seek(offset)
        data = np.empty(count, np.uint8)
        if self.file.readinto(data.data) != count:
            self.fail(f"{what} could not be read whole; did the file change meanwhile?")
        return data


@contextmanager
def open_source(path: str | os.PathLike[str], max_bytes: int) -> Iterator[Source]:
    """Open `path` for the length of a `with` block; a failing disk or memory becomes a ModelFormatError."""
    name = os.fspath(path)
    try:
        descriptor = os.open(path, FLAGS)
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise ModelFormatError(f"{name}: there is no such file; check the path") from error
        raise ModelFormatError(
            f"{name!r}: expected a file that can be read, got {_reason(error)}; check its path and permissions"
        ) from error
    with source_of(descriptor, name, max_bytes) as source:
        yield source


@contextmanager
def source_of(descriptor: int, name: str, max_bytes: int) -> Iterator[Source]:
    """Do the same with what is open already; the descriptor is closed after the block."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        folder = stat.S_ISDIR(status.st_mode)
        got = "a folder; name a file in it" if folder else "a device or a pipe; write it to a file first"
        raise ModelFormatError(f"{name}: expected a regular file, got {got}")
    try:
        with open(descriptor, "rb") as file:
            size = status.st_size
            if size > max_bytes:
                raise ModelFormatError(f"{name}: expected at most {max_bytes} bytes (max_bytes), got {size}")
            if file.peek(len(_POINTER)).startswith(_POINTER):
                raise ModelFormatError(f"{name}: this is a Git LFS pointer, not the file that it points to; fetch it "
                                       "with git lfs pull, or download it")
            yield Source(name, size, file)
    except OSError as error:
        said = f"{name}: the file could not be read: {_reason(error)}; is its disk in order?"
        raise ModelFormatError(said) from error
    except MemoryError as error:
        said = f"{name}: the arrays of this file do not fit into memory; free some, or take a smaller model"
        raise ModelFormatError(said) from error


def read_text(path: str | os.PathLike[str], max_bytes: int) -> str:
    """Return a file of UTF-8 text whole: a `ModelFormatError` where it is none, is larger, or never ends."""
    with open_source(path, max_bytes) as source:
        try:
            return source.read(0, source.size, "the text").decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError:
            source.fail("expected a text in UTF-8, got something that is not text")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def shown(text: str) -> str:
    """Return text from a file as it may appear in a message: short, quoted, without control characters."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def is_plain(name: str) -> bool:
    """Say whether a name is short and readable, and could not be taken for a path to somewhere else."""
    strange = any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name or ":" in name
    return len(name) <= 1024 and name.isprintable() and not strange
