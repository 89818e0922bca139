"""An array whose axes are the right ones in the other order: the sentence names the transpose that mends it."""

from __future__ import annotations

import pytest

from npgradcam.errors import ShapeError
from npgradcam.layers.checking import moved_channels
from npgradcam.layers.layer import expect_channels
from npgradcam.typing import Shape

FIRST = "the channels come first, (N, C, H, W): give x.transpose(0, 3, 1, 2)"
LAST = "the channels come last, (N, H, W, C): give x.transpose(0, 2, 3, 1)"


@pytest.mark.parametrize(("wanted", "got", "said"), [
    ((None, 3, None, None), (2, 7, 8, 3), FIRST),
    ((2, 3, 7, 8), (2, 7, 8, 3), FIRST),
    ((2, 3, 7, 8), (2, 8, 7, 3), ""),  # rows and columns are exchanged too
    ((2, 3, 7, 8), (3, 7, 8, 2), ""),
    ((5, 3, 7, 8), (2, 7, 8, 3), ""),  # another batch
    ((2, 7, 8, 3), (2, 3, 7, 8), LAST),
    ((None, 7, 8, None), (2, 3, 7, 8), LAST),
    ((2, 7, 8, 3), (2, 3, 8, 7), ""),
    ((2, 7, 8, 9), (2, 9, 7, 8), ""),  # so many channels of so few cells are none
    ((2, 7, 7, 7), (2, 7, 7, 7), FIRST),
    ((None, 7, 8, None), (2, 7, 7, 8), ""),  # as many as rows
    ((None, 7, 9, None), (2, 8, 7, 9), ""),  # more than rows, fewer than columns
    ((None, 9, 7, None), (2, 8, 9, 7), ""),
    ((None, 3, None), (2, 7, 3), ""),
    ((None, 3, None, None, None), (2, 7, 8, 9, 3), ""),
    ((None, 3, None), (2, 7, 8, 3), ""),
    ((None, 4, None, None), (2, 7, 8, 3), ""),
])
def test_the_transpose_that_mends_it_is_named(wanted: tuple[int | None, ...], got: Shape, said: str) -> None:
    assert moved_channels(wanted, got) == said


def test_a_layer_names_it_or_asks_for_a_layer() -> None:
    expect_channels((2, 3, 7, 8), 3)
    for x, channels, way_out in (((2, 7, 8, 3), 3, FIRST), ((2, 7, 8, 3), 4, "is a layer missing before it?"),
                                 ((2, 7), 3, "is a layer missing before it?")):
        with pytest.raises(ShapeError) as caught:
            expect_channels(x, channels)
        assert str(caught.value) == f"expected {channels} channels on axis 1, got shape {x}; {way_out}"
