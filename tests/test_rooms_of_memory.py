"""Memory that is used again has its zeros in place, is never lent twice, and does not pile up."""

from __future__ import annotations

import numpy as np
import pytest

from npgradcam.kernels import rooms
from npgradcam.kernels.frames import Frame


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_waiting", {})
    monkeypatch.setattr(rooms, "_held", 0)
    monkeypatch.setattr(rooms, "LARGE", 4 * SMALL.image)


LARGE, SMALL = Frame(32, 40, 40, 1, 1, 1, 1), Frame(32, 30, 38, 2, 1, 3, 1)


def test_the_same_use_gets_the_same_memory_back() -> None:
    first = rooms.picture(LARGE, 1)
    place = first.ctypes.data
    LARGE.cells(first)[...] = 7
    del first
    again = rooms.picture(LARGE, 1)
    assert again.ctypes.data == place
    assert again.shape == LARGE.shape(1)
    assert again.sum() == LARGE.cells(again).sum()  # the zeros around are still there


def test_memory_of_another_use_is_taken_and_its_zeros_are_put_in_place() -> None:
    first = rooms.picture(LARGE, 1)
    place = first.ctypes.data
    LARGE.cells(first)[...] = 7
    del first
    other = rooms.picture(SMALL, 1)
    assert other.ctypes.data == place
    SMALL.cells(other)[...] = 0
    assert not other.any()


def test_little_memory_waits_for_the_same_use() -> None:
    first, tiny = rooms.picture(LARGE, 1), Frame(32, 30, 30)
    place = first.ctypes.data
    del first
    other = rooms.picture(tiny, 1)
    assert other.ctypes.data != place
    assert rooms.picture(LARGE, 1).ctypes.data == place


def test_every_array_begins_where_a_vector_does() -> None:
    held = [rooms.picture(Frame(n, 3, n), 1) for n in range(1, 9)] + [rooms.floats(n) for n in range(1, 9)]
    assert all(x.ctypes.data % 64 == 0 for x in held)


def test_what_is_in_use_is_not_lent_twice() -> None:
    held = [rooms.picture(LARGE, 1) for _ in range(3)] + [rooms.floats(LARGE.image)]
    views = [x[..., 1:] for x in held]  # a view keeps the memory as well
    del held
    places = {rooms.picture(LARGE, 1).ctypes.data for _ in range(1)} | {v.ctypes.data for v in views}
    assert len(places) == 5


def test_no_more_waits_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MOST", 3 * 4 * LARGE.image)
    lent = [rooms.picture(LARGE, n) for n in (1, 1, 2, 5)]
    del lent
    waiting = [memory.numbers.nbytes for pieces in rooms._waiting.values() for memory in pieces]
    assert sum(waiting) == rooms._held <= rooms.MOST
    assert waiting
    assert np.isfinite(rooms.floats(10)).size == 10
