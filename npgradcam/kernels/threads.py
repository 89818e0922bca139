"""How many threads compiled kernels run on, and a block in which they run on fewer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import definition
from .session import Backend, choose


def available(name: Backend = "auto") -> int:
    """Return the most threads that kernels may use; 1 where nothing is compiled."""
    if choose(name) is definition:
        return 1
    from numba import config

    from .jit import threads

    return 1 if config.DISABLE_JIT else threads()


@contextmanager
def on(count: int) -> Iterator[None]:
    """Run a block's kernels on `count` threads, from 1 to `available()`; afterwards on as many as before."""
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        yield
    finally:
        numba.set_num_threads(before)
