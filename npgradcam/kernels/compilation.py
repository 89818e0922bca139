"""What Numba compiles in a block of code, as Numba itself announces it: no list of kernels is kept for it anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from . import definition
from .session import Backend, choose


@dataclass
class Compilation:
    """The kernels that no cache on disk had.

    Attributes
    ----------
    names : list of str
        Each kernel that was compiled, as its function is called; one that is compiled for two dtypes is there twice.
    seconds : float
        Wall time of compiling alone.
    kept : bool
        Whether the next process finds all of them in a cache, as known at the end of the block; if not, set
        NUMBA_CACHE_DIR to a folder that can be written.
    """

    names: list[str] = field(default_factory=list)
    seconds: float = 0.0
    kept: bool = True


@contextmanager
def compilation(name: Backend = "auto", begun: Callable[[str], object] = str) -> Iterator[Compilation]:
    """Watch what is compiled while a block runs, in any thread; NumPy's kernels need no compiling.

    Parameters
    ----------
    name : {"auto", "numba", "numpy"}
    begun : function of str, optional
        Is told each kernel's name when compiling it begins.

    Yields
    ------
    Compilation
        It grows while the block runs.
    """
    done = Compilation()
    if choose(name) is definition:
        yield done
        return
    from numba.core.event import Listener, install_listener

    kernels: list[Any] = []

    class Watch(Listener):  # type: ignore[misc]
        """A kernel that is compiled compiles what it calls: only the outermost one counts."""

        depth, start = 0, 0.0

        def on_start(self, event: Any) -> None:
            self.depth += 1
            if self.depth == 1:
                self.start = perf_counter()
                begun(event.data["dispatcher"].py_func.__name__)

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if self.depth == 0:
                kernels.append(event.data["dispatcher"])
                done.names.append(kernels[-1].py_func.__name__)
                done.seconds += perf_counter() - self.start

    with install_listener("numba:compile", Watch()):  # holds Numba's compiler lock: one kernel at a time
        yield done
    done.kept = all(kernel.stats.cache_path is not None for kernel in kernels)  # written after it was compiled
