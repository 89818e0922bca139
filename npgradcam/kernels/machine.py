"""Facts about the machine that speed depends on, as Numba and BLAS see it; `npgradcam doctor` judges them.

Each function looks at one thing, and raises whatever a broken installation makes it raise.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .session import session
from .variables import import_numba

VECTORS = ("avx512f", "avx2", "avx", "sve", "neon", "fma")  # what speed hangs on, by LLVM's names


class Processor(NamedTuple):
    """What kernels are compiled for.

    Attributes
    ----------
    name : str
        LLVM's name of this processor.
    vectors : tuple of str
        Those of `VECTORS` that it has.
    asked : str or None
        The processor that NUMBA_CPU_NAME names instead.
    features : str or None
        What NUMBA_CPU_FEATURES adds and takes away.
    """

    name: str
    vectors: tuple[str, ...]
    asked: str | None
    features: str | None


def processor() -> Processor:
    """Return what Numba compiles for."""
    from llvmlite import binding

    config = import_numba().config
    has = binding.get_host_cpu_features()
    asked = None if config.CPU_NAME == "host" else config.CPU_NAME
    return Processor(binding.get_host_cpu_name(), tuple(v for v in VECTORS if has.get(v)), asked, config.CPU_FEATURES)


class Threads(NamedTuple):
    """Numba's pool of threads.

    Attributes
    ----------
    layer : str
        What starts a parallel loop: "omp", "tbb" or "workqueue"; nothing where Numba is switched off.
    launch : float
        Median microseconds that starting one costs.
    threads, cores : int
        How many there are; how many cores this process may use.
    """

    layer: str
    launch: float
    threads: int
    cores: int


def threads(launches: int = 300) -> Threads:
    """Start a parallel loop that has next to nothing to do, many times, and return what that costs."""
    numba = import_numba()
    if numba.config.DISABLE_JIT:
        return Threads("", 0.0, 1, cores())
    loop, x = _parallel_loop(), np.zeros(numba.get_num_threads(), np.float32)
    took = []
    with session("numba"):
        for _ in range(launches + 1):
            start = perf_counter()
            loop(x)
            took.append(perf_counter() - start)
    return Threads(numba.threading_layer(), 1e6 * median(took[1:]), numba.get_num_threads(), cores())


def _parallel_loop() -> Callable[..., None]:
    from numba import prange

    from .jit import compiled

    @compiled
    def nothing(x):  # type: ignore[no-untyped-def]
        for i in prange(len(x)):
            x[i] = i

    return nothing


def cores() -> int:
    """Return how many cores this process may use: a container or a batch system may allow fewer than there are."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # "max 100000" where there is no limit
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text().split())
        allowed = min(allowed, max(1, -(-quota // period)))
    return allowed


class Pool(NamedTuple):
    """A library in this process that has threads of its own: `api` is "blas" or "openmp"."""

    api: str
    name: str
    version: str | None
    threads: int
    built_on: str | None
    file: str


def pools() -> list[Pool]:
    """Return the BLAS and OpenMP libraries that are loaded once NumPy, SciPy and Numba's pool are."""
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    return [Pool(found["user_api"], found["internal_api"], found["version"], found["num_threads"],
                 found.get("threading_layer"), found["filepath"]) for found in threadpool_info()]


class Cache(NamedTuple):
    """Where machine code is kept: a folder (None: nowhere), whether it can be written, and what is in it."""

    folder: str | None
    writable: bool
    kernels: int
    bytes: int


def kernel_cache() -> Cache:
    """Return where the kernels of this package are kept for the next process."""
    import_numba()
    stats: Any = getattr(_parallel_loop(), "stats", None)
    if stats is None or stats.cache_path is None:
        return Cache(None, False, 0, 0)
    folder = Path(stats.cache_path)
    files = [path.stat().st_size for path in folder.glob("*.nbc")]
    try:
        with TemporaryFile(dir=folder):
            return Cache(str(folder), True, len(files), sum(files))
    except OSError:
        return Cache(str(folder), False, len(files), sum(files))


def switches() -> dict[str, bool | int]:
    """Return Numba's settings that make kernels slow, where they are set: how it would compile now."""
    config = import_numba().config
    usual = {"DISABLE_JIT": 0, "BOUNDSCHECK": None, "OPT": 3, "DEBUG": 0, "DEBUGINFO_DEFAULT": 0, "LOOP_VECTORIZE": 1}
    found = {f"NUMBA_{name}": getattr(config, name) for name in usual}
    return {name: int(value) for name, value in found.items()
            if value is not None and int(value) != usual[name.removeprefix("NUMBA_")]}
