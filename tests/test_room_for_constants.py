"""How many numbers a graph may compute from its constants: all are counted before they are made, to the last one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from npgradcam.layers import Computed, ConstantOfShape, Expand, Layer, NonZero, Range, Reshape
from npgradcam.layers.room import SPARE, TIMES, NoRoomError, Room

ZEROS = ConstantOfShape(np.zeros(1, np.float32))


def left(layer: Layer, *values: Any, held: int = 0) -> int:
    """How many numbers fit after these."""
    room = Room(held)
    room.ask(layer, [np.asarray(value) for value in values])
    return room.left


def test_a_graph_may_compute_the_numbers_of_a_vgg_16_and_eight_times_its_own() -> None:
    assert (SPARE, TIMES) == (160_000_000, 8)
    assert Room(0).left == Room(0).most == 160_000_000
    assert Room(1000).most == 160_008_000


@pytest.mark.parametrize(("layer", "values", "count"), [
    (ZEROS, ([3, 4],), 12),
    (ZEROS, ([[3], [5]],), 15),
    (ZEROS, (7,), 7),
    (ZEROS, ([],), 1),
    (ZEROS, ([3, 0],), 0),
    (ZEROS, ([-2, -3],), 0),
    (Range(), (0, 10, 1), 10),
    (Range(), (2.0, 3.0, 0.4), 3),
    (Range(), (10, 0, -3), 4),
    (Range(), (3, 0, 1), 0),
    (Range(), (0, 5, 0), 0),  # refused elsewhere
    (NonZero(), ([[1, 0, 2], [0, 0, 0]],), 12),
    (Reshape((3, -1)), (np.zeros((2, 6)),), 12),
    (Computed(lambda shape: Expand(tuple(map(int, shape))), 1, "Expand"), (np.zeros((1, 5)), [4, 5]), 20),
])
def test_each_layer_is_counted_by_what_it_would_make(layer: Layer, values: tuple[Any, ...], count: int) -> None:
    assert left(layer, *values) == SPARE - count
    assert left(layer, *values, held=3) == SPARE + 3 * TIMES - count


def test_the_last_number_that_fits_is_made_and_the_next_refused() -> None:
    room = Room(1)
    room.ask(ZEROS, [np.array([SPARE])])
    room.ask(ZEROS, [np.array([TIMES])])
    assert room.left == 0
    with pytest.raises(NoRoomError, match="of at most 160,000,008 numbers in all, got more; simplify the graph, "):
        room.ask(ZEROS, [np.array([1])])
