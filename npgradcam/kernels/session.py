"""Which twin of the kernels is in use, and who may use the processor's threads while it runs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from types import ModuleType
from typing import Any, Literal, TypeVar, cast

import numpy as np

from npgradcam.errors import MissingPackageError, NpGradcamError

from . import blas, definition
from .variables import import_numba

Backend = Literal["auto", "numba", "numpy"]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_in_use: ContextVar[ModuleType] = ContextVar("npgradcam_kernels")
_one_at_a_time = threading.RLock()
_orphaned = ""  # why no compiled kernel can run in this process, where it was forked too late


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

    Overflow and 0 / 0 become infinity and NaN without a warning from NumPy, as in compiled loops: what is not finite is
    refused where it would be an answer.

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
        with np.errstate(all="ignore"), blas.one_thread(), _alone_where_needed(kernels):
            yield
    finally:
        _in_use.reset(token)


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
    global _one_at_a_time, _orphaned
    if blas.forked():
        _orphaned = "while an explanation was being computed"
    elif "numba.np.ufunc.parallel" in sys.modules and _threading_layer() == "omp":
        _orphaned = _orphaned or "after OpenMP had started its threads"
    _one_at_a_time = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forked)
