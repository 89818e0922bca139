"""BLAS runs at one thread while our kernels do: one pool of threads is ours (Numba's), and two on the same cores fight.

The caller's setting is restored when the last call leaves.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.RLock()
_inside = 0
_saved: list[tuple[Any, int]] = []  # the caller's number of threads, for each BLAS library


@cache
def load_blas() -> None:
    """Load the BLAS that compiled matrix products use: SciPy's, which costs 0.1 s that other kernels can do without.

    Kernels with such a product call this first, so that from its first product on it runs at one thread as well.
    """
    import scipy.linalg  # noqa: F401

    with _lock:
        limited = [library.filepath for library, _ in _saved]
        new = [library for library in _blas(True) if library.filepath not in limited] if _inside else []
        _saved.extend((library, library.get_num_threads()) for library in new)
        for library in new:
            _set_threads(library, 1)


@cache
def _blas(scipy: bool) -> list[Any]:
    """The BLAS libraries in this process, whether or not SciPy's is one of them by now."""
    from threadpoolctl import ThreadpoolController

    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]


@contextmanager
def one_thread() -> Iterator[None]:
    """First in saves the setting and sets one thread, last out restores it."""
    global _inside
    with _lock:
        if _inside == 0:
            _saved[:] = [(library, library.get_num_threads()) for library in _blas("scipy.linalg" in sys.modules)]
            for library, _ in _saved:
                _set_threads(library, 1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside = max(0, _inside - 1)
            if _inside == 0:
                for library, threads in _saved:
                    _set_threads(library, threads)


def _set_threads(library: Any, threads: int) -> None:
    """Set it from any thread: threadpoolctl 3.8 lets only the first one, but here sessions count themselves."""
    getattr(library, "_real_set_num_threads", library.set_num_threads)(threads)


def forked() -> bool:
    """Begin anew in a forked child, where another thread's lock stays locked for ever; whether a call was running."""
    global _inside, _lock
    was_running = _inside > 0
    _inside, _lock = 0, threading.RLock()
    return was_running
