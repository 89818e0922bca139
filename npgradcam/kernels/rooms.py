"""Memory that is used again: a fresh array of megabytes costs more than the sums that fill it.

The system hands out new memory page by page, at the first touch of each. So an array that nobody refers to any longer
gives its memory back to this room, and the next one of the same size takes it, zeros around pictures included.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from npgradcam.typing import Array

from .frames import Frame

MOST = 2**29  # bytes that wait here at the most; what came back first is given up first

_waiting: OrderedDict[int, list[tuple[Array, object]]] = OrderedDict()
_lock = threading.Lock()
_held = 0


class _Lent:
    """Owns the memory of one array while anybody refers to it."""

    def __init__(self, memory: Array, use: object) -> None:
        self.memory, self.use = memory, use
        self.__array_interface__ = memory.__array_interface__

    def __del__(self, give_back: Any = None) -> None:
        (give_back or _give_back)(self.memory, self.use)


def floats(count: int, use: object = None) -> tuple[Array, bool]:
    """Return room for `count` float32 numbers, and whether it was last lent for the same use."""
    global _held
    with _lock:
        waiting = _waiting.get(count)
        found = None
        if waiting:
            place = next((i for i, (_, last) in enumerate(waiting) if last == use), len(waiting) - 1)
            found = waiting.pop(place)
            _held -= 4 * count
            if not waiting:
                del _waiting[count]
    memory, last = found or (np.empty(count, np.float32), None)
    return np.asarray(_Lent(memory, use)), found is not None and last == use


def picture(frame: Frame, images: int) -> Array:
    """Return an array for pictures in a frame whose zeros are in place and whose cells are not."""
    flat, ready = floats(images * frame.image, (frame, images))
    x = flat.reshape(frame.shape(images))
    if not ready:
        frame.clear_around(x)
    return x


def _give_back(memory: Array, use: object) -> None:
    global _held
    with _lock:
        _waiting.setdefault(memory.size, []).append((memory, use))
        _waiting.move_to_end(memory.size)
        _held += memory.nbytes
        while _held > MOST:
            size, oldest = next(iter(_waiting.items()))
            given_up, _ = oldest.pop(0)
            _held -= given_up.nbytes
            if not oldest:
                del _waiting[size]
