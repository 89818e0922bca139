"""How a loop becomes machine code, and how many threads run it at the most."""

from __future__ import annotations

from collections.abc import Callable

from numba import config, njit

from .cache import kept


def compiled(loops: Callable[..., None]) -> Callable[..., None]:
    """Compile when first called; keep the machine code on disk for the next run where there is a folder for it.

    With NUMBA_BOUNDSCHECK set it runs on one thread: Numba checks no index in parallel code.
    """
    parallel = not config.BOUNDSCHECK
    with kept() as keep:
        try:
            made: Callable[..., None] = njit(parallel=parallel, nogil=True, cache=keep)(loops)
        except RuntimeError:  # the folder cannot be written: compile anew in every process
            made = njit(parallel=parallel, nogil=True)(loops)
    return made


def threads() -> int:
    """Return the most threads that may run a loop: each has a number below."""
    return int(config.NUMBA_NUM_THREADS)
