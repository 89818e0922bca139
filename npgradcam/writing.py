"""A file that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from npgradcam.errors import NoFolderError


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
    if not path.parent.is_dir():
        raise NoFolderError(f"{path}: there is no folder {path.parent} to write into; make it first")
    part = path.with_name(f".{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
