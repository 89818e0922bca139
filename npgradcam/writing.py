"""A file that is there whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from npgradcam.errors import NoFolderError, NotWrittenError, NpGradcamError
from npgradcam.unfinished import all_or_nothing


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a hidden file beside `path` to write into; at the end it takes its place, or is gone.

    Nobody ever sees half of it, and two processes that write the same file do not meet. If anything fails, a file
    that was there before is there still.

    Parameters
    ----------
    path : str or Path
        The file; its folder must exist. A file that is there is replaced.

    Yields
    ------
    binary file

    Raises
    ------
    NoFolderError
        If there is no folder for it.
    NotWrittenError
        If the disk is full, or the place may not be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(f"{folder}/a.txt") as file:
    ...         _ = file.write(b"all of it")
    ...     os.listdir(folder)
    ['a.txt']
    """
    path = Path(path)
    _expect_place(path)
    part = path.with_name(f".{uuid4().hex}.part")
    try:
        with all_or_nothing(lambda: part.unlink(missing_ok=True)):
            with part.open("xb") as file:
                yield file
            part.replace(path)
    except OSError as error:
        if isinstance(error, NpGradcamError):
            raise
        raise not_written(path, error) from error


def expect_writable(path: str | os.PathLike[str]) -> None:
    """Raise what `whole_file` would raise, before the work is done and without a trace.

    Parameters
    ----------
    path : str or Path
        The file that is to be written later; a file that is there stays as it is.

    Raises
    ------
    NoFolderError, NotWrittenError
        As `whole_file`.
    """
    from tempfile import TemporaryFile

    path = Path(path)
    _expect_place(path)
    try:
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise not_written(path, error) from error


def _expect_place(path: Path) -> None:
    """Refuse a path where no file can be."""
    try:
        mode = path.stat().st_mode if path.parent.is_dir() else None
    except FileNotFoundError:  # nothing is there yet
        return
    except OSError as error:  # a name that is too long
        raise not_written(path, error) from error
    if mode is None:
        raise NoFolderError(f"{path}: there is no folder {path.parent} to write into; make it first")
    if not stat.S_ISREG(mode):  # a folder, or a device, which must not be replaced either
        raise NotWrittenError(f"{path} is something else than a file; choose another place")


def not_written(path: Path, error: OSError, way_out: str = "choose another place") -> NotWrittenError:
    """Return the sentence for what the system said when a file or folder was to be written."""
    said = error.__cause__ if isinstance(error, NotWrittenError) else error
    number = getattr(said, "errno", None)
    room = "make room, or " if number in (None, ENOSPC, EFBIG, EDQUOT) else ""
    return NotWrittenError(f"cannot write {path}: {getattr(said, 'strerror', None) or said}; {room}{way_out}")
