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

from npgradcam.typing import Array, Shape

from .frames import Frame, empty

MOST = 2**29  # bytes that wait here at the most
LARGE = 2**22  # bytes from which on memory is rather taken from another use than asked for

_waiting: dict[object, list[_Memory]] = {}  # by what it was used for; every piece is at least as large as that needs
_lock = threading.RLock()
_held = 0


class _Memory:
    """A piece of memory, what it was lent for, and the array that it is then, in NumPy's own words."""

    __slots__ = ("array", "numbers", "use")

    def __init__(self, numbers: Array, use: object, shape: Shape) -> None:
        self.numbers, self.use = numbers, use
        self.array = numbers[: int(np.prod(shape))].reshape(shape).__array_interface__


class _Lent:
    """Owns the memory of one array while anybody refers to it."""

    __slots__ = ("__array_interface__", "memory")

    def __init__(self, memory: _Memory) -> None:
        self.memory, self.__array_interface__ = memory, memory.array

    def __del__(self, give_back: Any = None) -> None:
        (give_back or _give_back)(self.memory)


def picture(frame: Frame, images: int) -> Array:
    """Return an array for pictures in a frame whose zeros are in place and whose cells are not."""
    use = (frame, images)
    memory = _take(use)
    if memory is not None:
        return np.asarray(_Lent(memory))
    x = _lend(use, frame.shape(images))
    frame.clear_around(x)
    return x


def floats(count: int) -> Array:
    """Return room for `count` float32 numbers."""
    memory = _take(count)
    return _lend(count, (count,)) if memory is None else np.asarray(_Lent(memory))


def _lend(use: object, shape: Shape) -> Array:
    """Return an array for a use for which no memory waits; a large one takes the smallest that fits it, of another."""
    need = int(np.prod(shape))
    with _lock:
        sizes = {each: pieces[-1].numbers.size for each, pieces in _waiting.items()} if is_large(need) else {}
        fits = {each: size for each, size in sizes.items() if need <= size <= 2 * need}
        found = _take(min(fits, key=fits.__getitem__)) if fits else None
    return np.asarray(_Lent(_Memory(empty(need) if found is None else found.numbers, use, shape)))


def _take(use: object) -> _Memory | None:
    """Return memory that was last lent for a use."""
    global _held
    with _lock:
        pieces = _waiting.get(use)
        if not pieces:
            return None
        memory = pieces.pop()
        if not pieces:
            del _waiting[use]
        _held -= memory.numbers.nbytes
    return memory


def is_large(need: int) -> bool:
    """Whether so many numbers rather take the memory of another use than memory of their own."""
    return 4 * need >= LARGE


def _give_back(memory: _Memory) -> None:
    global _held
    size = memory.numbers.nbytes
    with _lock:
        while _waiting and _held + size > MOST:  # what has waited longest is given up
            oldest = next(iter(_waiting))
            _held -= _waiting[oldest].pop(0).numbers.nbytes
            if not _waiting[oldest]:
                del _waiting[oldest]
        if _held + size <= MOST:
            _waiting.setdefault(memory.use, []).append(memory)
            _held += size


def _forked() -> None:
    """In a forked child: another thread may hold the lock for ever, and have left the shelves in disorder."""
    global _lock, _held
    _lock, _held = threading.RLock(), 0
    _waiting.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forked)
