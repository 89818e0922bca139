"""How a loop becomes machine code, and how many threads run it at the most."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from numba import config, njit

from .cache import kept, optional_cache


def compiled(loops: Callable[..., None]) -> Callable[..., None]:
    """Compile when first called; keep the machine code on disk for the next run where there is a folder for it.

    With NUMBA_BOUNDSCHECK set it runs on one thread: Numba checks no index in parallel code.
    """
    parallel = not config.BOUNDSCHECK
    made = njit(parallel=parallel, nogil=True)(loops)
    with kept() as keep, suppress(RuntimeError):  # the folder cannot be written: compile anew in every process
        if keep:
            made._cache = optional_cache(loops)  # as njit(cache=True) does, with a cache that may fail
    kernel: Callable[..., None] = made
    return kernel


def threads() -> int:
    """Return the most threads that may run a loop: each has a number below."""
    return int(config.NUMBA_NUM_THREADS)
