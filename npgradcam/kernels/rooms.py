"""Memory that is used again: a fresh array of megabytes costs more than the sums that fill it.

The system hands out new memory page by page, at the first touch of each. So an array that nobody refers to any longer
gives its memory back to this room. The next one for the same use takes it, zeros around pictures included; where there
is none, one for another use that is large enough.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from npgradcam.typing import Array

from .frames import Frame

MOST = 2**29  # bytes that wait here at the most

_waiting: dict[object, list[Array]] = {}  # by what it was used for; every piece is at least as large as that needs
_lock = threading.RLock()
_held = 0


class _Lent:
    """Owns the memory of one array while anybody refers to it."""

    __slots__ = ("__array_interface__", "memory", "use")

    def __init__(self, memory: Array, use: object, array: Array) -> None:
        self.memory, self.use = memory, use
        self.__array_interface__ = array.__array_interface__

    def __del__(self, give_back: Any = None) -> None:
        (give_back or _give_back)(self.memory, self.use)


def picture(frame: Frame, images: int) -> Array:
    """Return an array for pictures in a frame whose zeros are in place and whose cells are not."""
    use, need = (frame, images), images * frame.image
    memory, ready = _take(use, need)
    x = memory[:need].reshape(frame.shape(images))
    if not ready:
        frame.clear_around(x)
    return np.asarray(_Lent(memory, use, x))


def floats(count: int) -> Array:
    """Return room for `count` float32 numbers."""
    memory, _ = _take(count, count)
    return np.asarray(_Lent(memory, count, memory[:count]))


def _take(use: object, need: int) -> tuple[Array, bool]:
    """Return memory for so many numbers, and whether it was last lent for the same use."""
    global _held
    with _lock:
        same = use in _waiting
        found = use if same else _fitting(need)
        if found is None:
            return np.empty(need, np.float32), False
        memory = _waiting[found].pop()
        if not _waiting[found]:
            del _waiting[found]
        _held -= memory.nbytes
    return memory, same


def _fitting(need: int) -> object | None:
    """Return another use whose memory is large enough, and no more than twice as large; the smallest of them."""
    sizes = [(pieces[-1].size, n) for n, pieces in enumerate(_waiting.values()) if need <= pieces[-1].size <= 2 * need]
    return list(_waiting)[min(sizes)[1]] if sizes and 4 * need > 2**16 else None


def _give_back(memory: Array, use: object) -> None:
    global _held
    with _lock:
        while _waiting and _held + memory.nbytes > MOST:  # what has waited longest is given up
            oldest = next(iter(_waiting))
            _held -= _waiting[oldest].pop(0).nbytes
            if not _waiting[oldest]:
                del _waiting[oldest]
        if _held + memory.nbytes <= MOST:
            _waiting.setdefault(use, []).append(memory)
            _held += memory.nbytes


def _forked() -> None:
    """In a forked child: another thread may hold the lock for ever, and have left the shelves in disorder."""
    global _lock, _held
    _lock, _held = threading.RLock(), 0
    _waiting.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forked)
