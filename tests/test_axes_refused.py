"""Layers that move, reduce and multiply along axes: what a hostile file, or a wrong one, may ask for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam.errors import ShapeError
from npgradcam.layers import (
    Concat,
    DepthToSpace,
    Expand,
    Flatten,
    Gather,
    GlobalMaxPool2d,
    MatMul,
    PadAxes,
    ReduceMax,
    ReduceMean,
    ReduceSum,
    Reshape,
    Slice,
    SpaceToDepth,
    Squeeze,
    Tile,
    Transpose,
    Unsqueeze,
)
from npgradcam.layers.checking import expect_room

HUGE = 2**62
REFUSED = [  # the layer, the shapes that arrive, and what the error says
    (lambda: Reshape((-1, -1)), [(2, 3)], "at most one -1"),
    (lambda: Reshape((-2, 3)), [(2, 3)], "lengths >= 0"),
    (lambda: Reshape((2.0, 3)), [(2, 3)], "whole numbers"),
    (lambda: Reshape((4, 2)), [(2, 3)], "6 numbers"),
    (lambda: Reshape((HUGE, HUGE)), [(2, 3)], "6 numbers"),
    (lambda: Reshape((4, -1)), [(2, 3)], "6 numbers"),
    (lambda: Reshape((0, 0, 0)), [(2, 3)], "axis 2 to copy"),
    (lambda: Reshape((0, -1), allowzero=True), [(0, 3)], "0 numbers"),
    (lambda: Reshape((1,) * 100), [(1,)], "at most 32 axes"),
    (lambda: Flatten(3), [(2, 3)], "axis 3"),
    (lambda: Squeeze((0,)), [(2, 3)], "length 1"),
    (lambda: Squeeze((2,)), [(2, 3)], "axis 2"),
    (lambda: Squeeze((1, -1)), [(2, 1)], "each axis once"),
    (lambda: Unsqueeze((0, 0)), [(2, 3)], "each axis once"),
    (lambda: Unsqueeze((3,)), [(2, 3)], "axis 3"),
    (lambda: Unsqueeze(tuple(range(90))), [(2, 3)], "at most 32 axes"),
    (lambda: Transpose((0, 0)), [(2, 3)], "each axis from 0 on once"),
    (lambda: Transpose((0, 1, 2)), [(2, 3)], "3 axes"),
    (lambda: DepthToSpace(0), [(1, 4, 2, 2)], "block >= 1"),
    (lambda: DepthToSpace(HUGE), [(1, 4, 2, 2)], "divides"),
    (lambda: DepthToSpace(2), [(4, 2, 2)], "4 axes"),
    (lambda: DepthToSpace(2, "RCD"), [(1, 4, 2, 2)], "DCR or CRD"),
    (lambda: SpaceToDepth(2), [(1, 4, 2, 3)], "2 divides"),
    (lambda: SpaceToDepth(0), [(1, 4, 2, 2)], "block >= 1"),
    (lambda: SpaceToDepth(2, "RCD"), [(1, 4, 2, 2)], "DCR or CRD"),
    (lambda: Slice((0,), (1, 2)), [(2, 3)], "as many starts"),
    (lambda: Slice((0,), (1,), (0,), (0,)), [(2, 3)], "no step of 0"),
    (lambda: Slice((0,), (1,), (2,)), [(2, 3)], "axis 2"),
    (lambda: Slice((0, 0), (1, 1), (1, -1)), [(2, 3)], "each axis once"),
    (lambda: Gather(np.array([0, 2])), [(2, 3)], "from -2 to 1 on axis 0, got 0 to 2"),
    (lambda: Gather(np.array([-3])), [(2, 3)], "from -2 to 1"),
    (lambda: Gather(np.array([0.5])), [(2, 3)], "whole numbers"),
    (lambda: Gather(np.array([0]), 5), [(2, 3)], "axis 5"),
    (lambda: Gather(np.zeros(2**16, int)), [(2, 2**15)], "at most 1,073"),
    (lambda: Expand((2, 4)), [(2, 3)], "alike, or 1"),
    (lambda: Expand((-1, 3)), [(1, 3)], "alike, or 1"),
    (lambda: Expand((HUGE, 3)), [(1, 3)], "at most 1,073,741,824 numbers"),
    (lambda: Tile((2,)), [(2, 3)], "1 axes"),
    (lambda: Tile((-1, 1)), [(2, 3)], "repeats >= 0"),
    (lambda: Tile((0, HUGE)), [(2, 3)], "at most 1,073,741,824 numbers"),
    (lambda: DepthToSpace(2**40), [(1, 0, 2, 2)], "expected cells"),
    (lambda: Tile((HUGE, HUGE)), [(2, 3)], "at most 1,073,741,824 numbers"),
    (lambda: Tile((2**29,)), [(3,)], "at most 1,073,741,824 numbers"),
    (lambda: Tile((2**30 + 1,)), [(0,)], "at most 1,073,741,824 numbers"),
    (lambda: PadAxes((1,), (1, 1)), [(2, 3)], "as many numbers before as after"),
    (lambda: PadAxes((1,), (1,)), [(2, 3)], "1 axes"),
    (lambda: PadAxes((-2, 0), (-2, 0)), [(2, 3)], "no more cells taken away"),
    (lambda: PadAxes((-1, 0), (0, 0), mode="edge"), [(2, 3)], "padding >= 0"),
    (lambda: PadAxes((1,), (0,), mode="wrap"), [(0,)], "cells to repeat"),
    (lambda: PadAxes((0,), (0,), mode="mirror"), [(2,)], "known mode"),
    (lambda: PadAxes((0, HUGE), (0, 0), mode="reflect"), [(2, 3)], "at most 1,073,741,824 numbers"),
    (lambda: Concat(2), [(2, 3), (2, 3)], "axis 2"),
    (lambda: Concat(1), [(2, 3), (3, 3)], "axis 1 only"),
    (lambda: Concat(0), [(2, 3), (2, 3, 1)], "axis 0 only"),
    (lambda: Concat(0), [(2, 3), (2, 4)], "axis 0 only"),
    (lambda: Concat(0), [(), ()], "axis 0"),
    (lambda: ReduceMean((2,)), [(2, 3)], "axis 2"),
    (lambda: ReduceMax((0, -2)), [(2, 3)], "each axis once"),
    (lambda: ReduceMean((1,)), [(2, 0)], "at least one cell"),
    (lambda: ReduceMean(), [(0,)], "at least one cell"),
    (lambda: ReduceSum(1), [(2, 3)], "whole numbers"),
    (lambda: GlobalMaxPool2d(), [(2, 3, 4)], "4 axes"),
    (lambda: MatMul(np.ones(2), np.ones(2)), [], "at most one held"),
    (lambda: MatMul(), [(2, 3), (2, 3)], "as many columns"),
    (lambda: MatMul(), [(), (2, 3)], "as many columns"),
    (lambda: MatMul(), [(2, 2, 3), (3, 3, 3)], "leading axes that are alike"),
    (lambda: MatMul(second=np.ones((3, 4))), [(2, 5)], "as many columns"),
]


@pytest.mark.parametrize(("make", "shapes", "words"), REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(make, shapes, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match=words) as refused:
        make().output_shape(*shapes)
    assert "\n" not in str(refused.value)
    xs = [np.broadcast_to(np.float32(1), shape) for shape in shapes]
    with pytest.raises(ShapeError, match=words):
        make().forward(*xs)


@pytest.mark.parametrize(("make", "name"), [
    (Expand, "shape"), (Tile, "repeats"), (Reshape, "target"), (Squeeze, "axes"), (Unsqueeze, "axes"),
    (Transpose, "perm"), (ReduceSum, "axes"), (lambda v: PadAxes(v, (1,)), "before"),
    (lambda v: PadAxes((1,), v), "after"), (lambda v: Slice(v, (1,)), "starts"), (lambda v: Slice((0,), v), "ends"),
    (lambda v: Slice((0,), (1,), v), "axes"), (lambda v: Slice((0,), (1,), (0,), v), "steps"),
])
@pytest.mark.parametrize("value", [(0.5,), (0, 0.5), [1], 1])
def test_settings_are_tuples_of_whole_numbers_and_the_sentence_names_them(make, name, value):
    with pytest.raises(ShapeError, match=f"^{name}: expected a tuple of whole numbers"):
        make(value)


def test_an_axis_of_one_cell_may_become_one_of_none():
    assert Expand((0, 3)).forward(np.ones((1, 3)))[0].shape == (0, 3)
    assert Expand((1, 3)).forward(np.ones((0, 3)))[0].shape == (0, 3)


numbers = st.one_of(st.integers(-2, 4), st.sampled_from((2**31, HUGE, -HUGE, 2**63 - 1, -(2**63), 10**30)))
settings = st.lists(numbers, max_size=4).map(tuple)
MADE = [
    (Reshape, settings, st.booleans()), (Flatten, numbers), (Squeeze, settings), (Unsqueeze, settings),
    (Transpose, settings), (DepthToSpace, numbers), (SpaceToDepth, numbers), (Slice, settings, settings),
    (Slice, settings, settings, settings, settings), (Expand, settings), (Tile, settings), (Concat, numbers),
    (PadAxes, settings, settings, st.just(1.0), st.sampled_from(("constant", "reflect", "edge", "wrap"))),
    (Gather, st.lists(st.sampled_from((-2, 0, 1, HUGE)), max_size=3).map(lambda k: np.array(k, int)), numbers),
    (ReduceMean, settings, st.booleans()), (ReduceMax, settings, st.booleans()), (ReduceSum, settings, st.booleans()),
]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made[0].__name__)
@given(data=st.data())
def test_hostile_settings_are_refused_or_give_the_shape_that_was_promised(made, data) -> None:  # type: ignore
    x = np.ones(data.draw(st.lists(st.integers(0, 3), max_size=4).map(tuple)))
    try:
        layer = made[0](*map(data.draw, made[1:]))
        shape = layer.output_shape(x.shape)
    except ShapeError:
        return
    if np.prod(shape, dtype=float) < 1e4:
        y, cache = layer.forward(x)
        assert y.shape == shape
        assert layer.backward(np.ones(shape), cache)[0].shape == x.shape


def test_the_largest_array_is_allowed_and_the_next_is_not():
    for shape in ((2**30,), (0, 2**30), (2**15, 1, 2**15), (1,) * 32):
        assert expect_room(shape) == shape
    assert Tile((2**30,)).output_shape((0,)) == (0,)
    for shape, words in (((2**30 + 1,), "1,073,741,824"), ((0, 2**31), "1,073,741,824"), ((1,) * 33, "32 axes")):
        with pytest.raises(ShapeError, match=words):
            expect_room(shape)
