"""Numba's environment variables: what it would stumble over later, or ignore after a page of warnings, is refused."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from importlib import import_module
from types import ModuleType

from npgradcam.errors import NpGradcamError

MOST_THREADS = 4096  # with some more than that, starting them ends the process
POOLS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}  # what Numba's pools are called in it
LAYERS = {"default": "", "threadsafe": "", "forksafe": "", "safe": "tbb", **{name: name for name in POOLS}}
_lock = threading.Lock()  # the list of warning filters is one per process


def import_numba() -> ModuleType:
    """Return Numba, if its environment variables say what it can do.

    Raises
    ------
    NpGradcamError
        With the variable's name and value.
    ImportError
        If there is no Numba.
    """
    threads = os.environ.get("NUMBA_NUM_THREADS", "1").strip()
    if not (threads.isdecimal() and len(threads) < 9 and 1 <= int(threads) <= MOST_THREADS):
        raise _refused("NUMBA_NUM_THREADS", f"expected a whole number of threads from 1 to {MOST_THREADS}")
    layer = os.environ.get("NUMBA_THREADING_LAYER", "default").lower()
    if layer not in LAYERS:
        raise _refused("NUMBA_THREADING_LAYER", f"expected one of {', '.join(LAYERS)}")
    order = os.environ.get("NUMBA_THREADING_LAYER_PRIORITY", " ".join(POOLS)).split()
    if sorted(order) != sorted(POOLS):
        raise _refused("NUMBA_THREADING_LAYER_PRIORITY", f"expected {', '.join(POOLS)} in some order")
    with _lock:
        numba = sys.modules.get("numba") or _imported()
    if pool := LAYERS[layer]:
        try:
            import_module(f"numba.np.ufunc.{POOLS[pool]}")
        except ImportError as error:
            raise _refused("NUMBA_THREADING_LAYER", f"{pool} cannot be loaded here ({error}); install it") from None
    return numba


def _imported() -> ModuleType:
    """Import Numba; a value that it cannot read is a sentence, not a warning with a traceback in it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Environment variable", RuntimeWarning)
            return import_module("numba")
    except RuntimeWarning as error:
        raise _refused(str(error).split("'")[1], "expected a value that Numba can read") from None


def _refused(name: str, why: str) -> NpGradcamError:
    return NpGradcamError(f"{name}={os.environ.get(name, '')!r} in the environment: {why}, or unset it")
