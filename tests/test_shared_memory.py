"""Pictures that lie in the same memory one after the other: nobody finds another's numbers where his own should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam.kernels import rooms
from npgradcam.kernels.frames import Frame
from npgradcam.rewrites.shared_memory import Use, pieces, settled

FRAMES = [Frame(16, 3, 4), Frame(32, 3, 4), Frame(16, 6, 4), Frame(16, 3, 4, 1, 1, 1, 1), Frame(40, 2, 2, 0, 1, 0, 0)]


@st.composite
def histories(draw: st.DrawFn) -> list[Use]:
    """Pictures in the order in which they are made, each read until some later step."""
    count = draw(st.integers(1, 12))
    return [Use(draw(st.sampled_from(FRAMES)), draw(st.integers(1, 2)), draw(st.integers(step + 1, count)))
            for step in range(count)]


@pytest.mark.parametrize("large", [2**22, 4 * 200], ids=["all small", "some large"])
@given(uses=histories())
def test_every_picture_is_there_until_it_is_read_last_in_every_run(large: int, uses: list[Use]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "LARGE", large)
        arrays, taken = settled(uses)
        assert taken == 4 * sum(pieces(uses)[1])
        for run in range(2):
            for step in range(len(uses) + 1):
                for made, (use, x) in enumerate(zip(uses, arrays, strict=True)):
                    if made < step <= use.last:
                        assert (use.frame.cells(x) == 100 * run + made).all()
                        assert x.sum() == use.frame.cells(x).sum()  # zeros around
                if step < len(uses):
                    if uses[step].clears:
                        uses[step].frame.clear_around(arrays[step])
                    uses[step].frame.cells(arrays[step])[...] = 100 * run + step


def test_a_picture_that_grows_takes_the_memory_of_the_one_before_the_last() -> None:
    """As in a dense block: each picture holds the one before and a little more, and only two are there at a time."""
    uses = [Use(Frame(16 * (n + 1), 7, 7), 1, n + 1) for n in range(20)]
    taken, holds = pieces(uses)
    assert taken == [n % 2 for n in range(20)]
    assert holds == [uses[18].numbers, uses[19].numbers]
    arrays, _ = settled(uses)
    assert all(np.shares_memory(arrays[n], arrays[n + 2]) for n in range(18))


@pytest.mark.parametrize("large", [0, 2**22])
def test_what_others_leave_in_shared_memory_is_never_taken_for_the_zeros_around_a_picture(large: int) -> None:
    """Given back, memory may be lent again as a picture whose zeros are in place: then nobody else has used it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "_waiting", {})
        patch.setattr(rooms, "_held", 0)
        patch.setattr(rooms, "LARGE", large)
        uses = [Use(FRAMES[n % len(FRAMES)], 1, n + 1) for n in range(20)]
        arrays, _ = settled(uses)
        for use, x in zip(uses, arrays, strict=True):
            use.frame.cells(x)[...] = np.nan
        del arrays, x
        for frame in FRAMES:
            picture = rooms.picture(frame, 1)
            frame.cells(picture)[...] = 0
            assert not picture.any()
