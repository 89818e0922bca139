"""Memory that is used again: a fresh array of megabytes costs more than the sums that fill it.

The system hands out new memory page by page, at the first touch of each. So an array that nobody refers to any longer
gives its memory back to this room, and the next one for the same use takes it, zeros around pictures included.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npgradcam.typing import Array

from .frames import Frame

MOST = 2**29  # bytes that wait here at the most

_waiting: dict[object, list[Array]] = {}
_held = 0


class _Lent:
    """Owns the memory of one array while anybody refers to it."""

    __slots__ = ("__array_interface__", "memory", "use")

    def __init__(self, memory: Array, use: object) -> None:
        self.memory, self.use = memory, use
        self.__array_interface__ = memory.__array_interface__

    def __del__(self, give_back: Any = None) -> None:
        (give_back or _give_back)(self.memory, self.use)


def picture(frame: Frame, images: int) -> Array:
    """Return an array for pictures in a frame whose zeros are in place and whose cells are not."""
    memory = _take((frame, images))
    if memory is None:
        memory = np.empty(frame.shape(images), np.float32)
        frame.clear_around(memory)
    return np.asarray(_Lent(memory, (frame, images)))


def floats(count: int) -> Array:
    """Return room for `count` float32 numbers."""
    memory = _take(count)
    return np.asarray(_Lent(np.empty(count, np.float32) if memory is None else memory, count))


def _take(use: object) -> Array | None:
    global _held
    try:
        memory = _waiting[use].pop()  # one step, so that no other thread takes the same
    except (KeyError, IndexError):
        return None
    _held -= memory.nbytes
    return memory


def _give_back(memory: Array, use: object) -> None:
    global _held
    if _held + memory.nbytes > MOST:  # what other sizes of picture have left is given up
        _waiting.clear()
        _held = 0
    _waiting.setdefault(use, []).append(memory)
    _held += memory.nbytes
