"""Which twin of the kernels is in use, and who may use the processor's threads while it runs.

One pool of threads is ours (Numba's); BLAS runs at one thread inside, because two pools on the same cores fight. The
caller's BLAS setting is restored when the last call leaves.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from time import perf_counter
from types import ModuleType
from typing import Any, Literal, NamedTuple, TypeVar, cast

import numpy as np

from npgradcam.errors import MissingPackageError, NpGradcamError

from . import definition, geometry
from .variables import import_numba

Backend = Literal["auto", "numba", "numpy"]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_in_use: ContextVar[ModuleType] = ContextVar("npgradcam_kernels")
_lock = threading.RLock()
_one_at_a_time = threading.RLock()
_inside = 0
_orphaned = ""  # why no compiled kernel can run in this process, where it was forked too late
_saved: list[tuple[Any, int]] = []  # the caller's number of threads, for each BLAS library


def backend() -> ModuleType:
    """Return the module whose kernels this call uses: `compiled` or `definition`."""
    return _in_use.get(None) or choose("auto")


def in_session(kernel: Kernel) -> Kernel:
    """Let a kernel that is called on its own open a session for itself."""

    @wraps(kernel)
    def called(*arguments: Any, **named: Any) -> Any:
        if _in_use.get(None) is not None:
            return kernel(*arguments, **named)
        with session():
            return kernel(*arguments, **named)

    return cast(Kernel, called)


@cache
def choose(name: Backend) -> ModuleType:
    """Return the kernels of that name; "auto" takes Numba where it is installed and may compile."""
    if name not in ("auto", "numba", "numpy"):
        raise NpGradcamError(f"backend: expected 'auto', 'numba' or 'numpy', got {name!r}")
    if name == "numpy":
        return definition
    try:
        numba = import_numba()
        from . import compiled
    except ImportError as error:
        if name == "auto":
            return definition
        raise MissingPackageError(
            f"backend='numba' needs Numba, which cannot be imported ({error}); install it, or take backend='numpy'"
        ) from None
    return definition if numba.config.DISABLE_JIT and name == "auto" else compiled


def vectorised() -> bool:
    """Whether the kernels in use come with vector code: not where nothing is compiled."""
    if backend() is definition:
        return False
    import numba

    return not numba.config.DISABLE_JIT


@contextmanager
def session(name: Backend = "auto") -> Iterator[None]:
    """Run a block with those kernels and one BLAS thread; sessions nest and overlap across threads.

    Raises
    ------
    NpGradcamError
        If compiled kernels are asked for in a process that was forked when they could not come along.
    """
    kernels = choose(name)
    if _orphaned and kernels is not definition:
        raise NpGradcamError(
            f"this process was forked {_orphaned}, and threads do not survive a fork; start workers with "
            "multiprocessing.get_context('spawn'), fork before the first explanation, or take backend='numpy'"
        )
    token = _in_use.set(kernels)
    try:
        with _one_blas_thread(), _alone_where_needed(kernels):
            yield
    finally:
        _in_use.reset(token)


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
def _one_blas_thread() -> Iterator[None]:
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


@contextmanager
def _alone_where_needed(kernels: ModuleType) -> Iterator[None]:
    """Numba's workqueue pool ends the process when two threads enter it; with it, sessions take turns."""
    if kernels is definition or _threading_layer() in ("omp", "tbb"):
        yield
    else:
        with _one_at_a_time:
            yield


def _threading_layer() -> str | None:
    import numba

    try:
        return str(numba.threading_layer())
    except ValueError:  # no parallel kernel has run yet
        return None


def _forked() -> None:
    """In a forked child: OpenMP's threads are gone and would end it, and another thread's locks stay locked for ever.

    Numba's other pools, TBB and workqueue, start again in a child, and so does BLAS.
    """
    global _inside, _lock, _one_at_a_time, _orphaned
    if _inside:
        _orphaned = "while an explanation was being computed"
    elif "numba.np.ufunc.parallel" in sys.modules and _threading_layer() == "omp":
        _orphaned = _orphaned or "after OpenMP had started its threads"
    _inside, _lock, _one_at_a_time = 0, threading.RLock(), threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forked)


class Warmup(NamedTuple):
    """What `warmup` did.

    Attributes
    ----------
    seconds : float
        Wall time.
    compiled : int
        How many kernels had to be compiled; 0: all came from the cache.
    kept : bool
        Whether the next process finds them in a cache; if not, set NUMBA_CACHE_DIR to a folder that can be written.
    """

    seconds: float
    compiled: int
    kept: bool


def warmup(dtype: str = "float32", name: Backend = "auto") -> Warmup:
    """Load every compiled kernel for one dtype, compiling those that are not in Numba's cache on disk yet."""
    start = perf_counter()
    kernels = choose(name)
    if kernels is definition:
        return Warmup(perf_counter() - start, 0, True)
    before = kernels.cache_misses()
    shapes = ((1, 2, 4, 4), (2, 2, 3, 3), (2, 1, 3, 3), (2, 2, 1, 1))
    x, wide, deep, point = (np.ones(shape, dtype) for shape in shapes)
    pair, sizes = (1, 1), (2, 2)
    with session(name):
        for weight, groups in ((wide, 1), (deep, 2), (point, 1)):
            y = kernels.correlate2d(x, weight, pair, pair, groups, sizes, geometry.Store())
            kernels.correlate2d_adjoint(y, weight, pair, pair, groups, (4, 4))
        kernels.gate(y, y, 0.0, np.inf, True, True)
        y, index = kernels.max_pool2d(x, (3, 3), pair, pair, sizes)
        kernels.max_pool2d_adjoint(y, index, (4, 4))
    return Warmup(perf_counter() - start, kernels.cache_misses() - before, kernels.is_kept())
