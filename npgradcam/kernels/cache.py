"""Where compiled kernels are kept for the next process: in a folder that is the user's own, or nowhere.

Numba keeps machine code as pickles: whoever can write into that folder decides what the next process runs. So it is
the user's, of mode 0700, no link, and nobody else can put another in its place. NUMBA_CACHE_DIR wins where it is set,
and is not looked at: whoever sets it answers for it.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

_lock = threading.Lock()


def usual_folder() -> Path:
    """Return where this system keeps what a user's programs may compute again."""
    home = Path("~").expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        asked = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(asked) if os.path.isabs(asked) else home / ".cache"
    return base / "npgradcam"


def why_not(folder: Path) -> str:
    """Make a folder where there is none; return why machine code must not be kept there, or "" where it may be."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        found, above = folder.lstat(), folder.parent.resolve(strict=True)
        around = {place: place.stat() for place in (above, *above.parents)}
    except (OSError, RuntimeError) as error:
        return f"{folder} cannot be made ({getattr(error, 'strerror', None) or error})"
    if stat.S_ISLNK(found.st_mode):
        return f"{folder} is a link"
    if not hasattr(os, "geteuid"):  # Windows: the user's profile is the user's by its access list
        return ""
    me = os.geteuid()
    if found.st_uid != me:
        return f"{folder} belongs to another user"
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"{folder} is open to others (chmod 700 closes it)"
    for place, about in around.items():
        if about.st_mode & stat.S_IWOTH:
            return f"{folder} lies in {place}, where everybody may write"
        if about.st_uid not in (0, me):
            return f"{folder} lies in {place}, which belongs to another user"
    return ""


@cache
def own_folder() -> Path | None:
    """Return the user's folder, or nothing where it cannot be trusted, which is said once."""
    folder = usual_folder()
    return None if _said(why_not(folder)) else folder


@cache
def given_folder(name: str) -> Path | None:
    """Return the folder of NUMBA_CACHE_DIR, or nothing where it cannot be written: Numba would take the package's."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        _said(f"NUMBA_CACHE_DIR={name!r} cannot be written ({error.strerror or error})")
        return None


def optional_cache(function: Callable[..., None]) -> Any:
    """Return Numba's cache of a function; where it fails, by a full disk or a damaged file, the run goes on without."""
    from numba.core.caching import FunctionCache

    class OptionalCache(FunctionCache):  # type: ignore[misc]
        """Its path is None once something could not be kept."""

        failed = False

        def load_overload(self, *asked: Any) -> Any:
            try:
                return super().load_overload(*asked)
            except Exception:  # a pickle that is damaged may raise anything: forget it, so that it is written anew
                with suppress(OSError):
                    self.flush()
                return None

        def save_overload(self, *compiled: Any) -> None:
            try:
                super().save_overload(*compiled)
            except Exception as error:
                self.failed = True
                _said_once(f"the cache {Path(self._cache_path).parent} failed ({_brief(error)})")

        @property
        def cache_path(self) -> str | None:
            return None if self.failed else self._cache_path

    return OptionalCache(function)


def _brief(error: Exception) -> str:
    return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"


def _said(why: str) -> bool:
    """Say why nothing is kept, if there is a reason."""
    if why:
        import logging

        logging.getLogger("npgradcam").warning(
            "npgradcam: %s, so compiled kernels are not kept and every process compiles them; "
            "set NUMBA_CACHE_DIR to a folder that only you can write", why)
    return bool(why)


_said_once = cache(_said)


@contextmanager
def kept() -> Iterator[bool]:
    """Whether Numba keeps the functions that are decorated in this block; it then keeps them in that folder.

    Code that checks its indices has a folder inside: Numba does not tell it from code that does not.
    """
    from numba import config

    with _lock:
        given = config.CACHE_DIR  # the user's NUMBA_CACHE_DIR
        folder = given_folder(given) if given else own_folder()
        if folder is None:
            yield False
            return
        # read when a function is decorated; other people's functions are not moved
        config.CACHE_DIR = str(folder / "checked" if config.BOUNDSCHECK else folder)
        try:
            yield True
        finally:
            config.CACHE_DIR = given
