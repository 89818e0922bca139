"""Layers that move, reduce and multiply along axes: known answers, ties, whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam.layers import (
    DepthToSpace,
    Expand,
    Flatten,
    Gather,
    GlobalMaxPool2d,
    MatMul,
    PadAxes,
    ReduceL2,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
    Reshape,
    Slice,
    SpaceToDepth,
    Tile,
    Unsqueeze,
)
from npgradcam.testing import check_adjoint, check_parameter_gradients, slow_backward, slow_forward
from npgradcam.testing.strategies.axes import layers as cases

NAN, FAR = np.nan, 2**63 - 1
WHOLE = cases("whole")


def both(layer, *xs, signal=None):
    """Forward and the backward of ones, or of `signal`, each checked against the slow definition."""
    y, cache = layer.forward(*xs)
    signal = np.ones(y.shape) if signal is None else signal
    down = layer.backward(signal, cache)
    np.testing.assert_allclose(y, slow_forward(layer, *xs), rtol=1e-15)
    for part, expected in zip(down, slow_backward(layer, signal, *xs), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-15)
    return y, *down


# ------------------------------------------------------------------------------------------- known answers


LINE = np.arange(6)
SLICES = [  # of 0 1 2 3 4 5, as ONNX's specification of Slice says, clamping included
    ((1, 4, 1), [1, 2, 3]), ((-2, FAR, 1), [4, 5]), ((0, -1, 1), [0, 1, 2, 3, 4]), ((-100, 2, 1), [0, 1]),
    ((0, 100, 4), [0, 4]), ((4, 1, 1), []), ((100, 200, 1), []), ((5, 0, -2), [5, 3, 1]),
    ((-1, -FAR - 1, -1), LINE[::-1]),
    ((FAR, -FAR, -3), [5, 2]), ((-100, -200, -1), [0]), ((2, 4, -1), []), ((0, FAR, FAR), [0]), ((5, -FAR, -FAR), [5]),
    ((3, 0, -1), [3, 2, 1]),
]


@pytest.mark.parametrize(("bounds", "cells"), SLICES)
def test_slice_walks_these_cells(bounds, cells) -> None:  # type: ignore[no-untyped-def]
    start, end, step = bounds
    layer = Slice((start,), (end,), (-1,), (step,))
    y, cache = layer.forward(LINE)
    np.testing.assert_array_equal(y, np.array(cells, int), strict=True)
    assert layer.output_shape((6,)) == y.shape
    dx, = layer.backward(np.ones(len(cells)), cache)
    assert np.flatnonzero(dx).tolist() == sorted(cells)


PADDED = [  # of 1 2 3, two cells before and three after
    ("constant", [7, 7, 1, 2, 3, 7, 7, 7], [1, 1, 1]), ("edge", [1, 1, 1, 2, 3, 3, 3, 3], [3, 1, 4]),
    ("reflect", [3, 2, 1, 2, 3, 2, 1, 2], [2, 4, 2]), ("wrap", [2, 3, 1, 2, 3, 1, 2, 3], [2, 3, 3]),
]


@pytest.mark.parametrize(("mode", "cells", "paid"), PADDED)
def test_padding_holds_these_cells(mode, cells, paid) -> None:  # type: ignore[no-untyped-def]
    y, dx = both(PadAxes((2,), (3,), 7.0, mode), np.array([1.0, 2, 3]))
    np.testing.assert_array_equal(y, cells)
    np.testing.assert_array_equal(dx, paid)


def test_negative_padding_takes_cells_away() -> None:
    y, dx = both(PadAxes((-1, 1), (0, -2), 9.0), np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(y, [[9, 3]])
    np.testing.assert_array_equal(dx, [[0, 0, 0], [1, 0, 0]])


def test_a_reflected_array_of_one_cell_repeats_it() -> None:
    assert both(PadAxes((2,), (1,), mode="reflect"), np.array([5.0]))[0].tolist() == [5, 5, 5, 5]


def test_depth_to_space_takes_channels_in_these_orders() -> None:
    x = np.arange(8.0).reshape(1, 8, 1, 1)  # two output channels of 2 x 2 cells
    np.testing.assert_array_equal(both(DepthToSpace(2), x)[0][0], [[[0, 2], [4, 6]], [[1, 3], [5, 7]]])
    np.testing.assert_array_equal(both(DepthToSpace(2, "CRD"), x)[0][0], [[[0, 1], [2, 3]], [[4, 5], [6, 7]]])
    np.testing.assert_array_equal(both(SpaceToDepth(2), DepthToSpace(2).forward(x)[0])[0], x)


def test_gather_pays_a_cell_as_often_as_it_was_taken() -> None:
    y, dx = both(Gather(np.array([2, 0, -1]), 1), np.array([[1.0, 2, 3]]), signal=np.array([[1.0, 10, 100]]))
    np.testing.assert_array_equal(y, [[3, 1, 3]])
    np.testing.assert_array_equal(dx, [[10, 0, 101]])


def test_reshape_copies_infers_and_with_allowzero_means_zero() -> None:
    assert Reshape((0, -1, 2)).output_shape((3, 4, 5)) == (3, 10, 2)
    assert Reshape((2, 0, 1, -1)).output_shape((2, 3, 4)) == (2, 3, 1, 4)
    assert Reshape((3, 4, 0), allowzero=True).output_shape((0, 4, 3)) == (3, 4, 0)
    assert Reshape(()).forward(np.ones((1, 1)))[0].shape == ()
    assert Flatten(0).output_shape((2, 3)) == (1, 6)
    assert Flatten(2).output_shape((2, 3)) == (6, 1)


# ------------------------------------------------------------------------------------------- ties and kinks


TIED = np.array([[3.0, 1, 3], [1, 3, 1]])


@pytest.mark.parametrize(("layer", "value", "winner"), [(ReduceMax, 3, (0, 0)), (ReduceMin, 1, (0, 1))])
def test_a_tied_reduction_pays_the_first_cell_in_row_major_order(layer, value, winner) -> None:  # type: ignore
    for axes in (None, (1, 0)):
        y, dx = both(layer(axes), TIED)
        assert (y.item(), np.argwhere(dx).tolist()) == (value, [list(winner)])
    y, dx = both(ReduceMax((0,), False), TIED)
    np.testing.assert_array_equal(dx, [[1, 0, 1], [0, 1, 0]])
    y, dx = both(GlobalMaxPool2d(), TIED[None, None])
    np.testing.assert_array_equal(dx[0, 0], [[1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("layer", [ReduceMax, ReduceMin])
def test_nan_wins_a_reduction_and_stays(layer) -> None:  # type: ignore[no-untyped-def]
    y, dx = both(layer((1,)), np.array([[1.0, NAN, 9, NAN]]))
    assert np.isnan(y).all()
    np.testing.assert_array_equal(dx, [[0, 1, 0, 0]])


@pytest.mark.parametrize(("dtype", "largest", "smallest"), [
    ("float32", -np.inf, np.inf), (bool, False, True), (np.int8, -128, 127),
])
def test_the_largest_of_no_cells_is_the_smallest_number_there_is(dtype, largest, smallest) -> None:  # type: ignore
    x = np.zeros((2, 0, 3), dtype)
    for layer, value in ((ReduceMax((1,)), largest), (ReduceMin((1,)), smallest)):
        y, cache = layer.forward(x)
        np.testing.assert_array_equal(y, np.full((2, 1, 3), value, dtype), strict=True)
        assert layer.backward(np.ones((2, 1, 3)), cache)[0].shape == (2, 0, 3)


def test_the_norm_of_nothing_but_zeros_has_derivative_zero() -> None:
    y, dx = both(ReduceL2((1,)), np.array([[0.0, 0], [3, -4]]))
    np.testing.assert_array_equal(y, [[0], [5]])
    np.testing.assert_allclose(dx, [[0, 0], [0.6, -0.8]], rtol=1e-15)


# ------------------------------------------------------------------------------------------- a single number


def test_a_single_number_goes_both_ways() -> None:
    x = np.arange(1.0, 7).reshape(2, 3)
    for layer, paid in ((ReduceSum(None, False), x**0), (ReduceMean((0, 1), False), x**0 / 6),
                        (ReduceMax(None, False), x == 6), (ReduceL2(None, False), x / np.sqrt(91))):
        y, cache = layer.forward(x)
        assert (type(y), y.shape, layer.output_shape(x.shape)) == (np.ndarray, (), ())
        np.testing.assert_allclose(layer.backward(np.asarray(1.0), cache)[0], paid)
    for layer in (Unsqueeze((0,)), Reshape((1,)), Expand((1,)), Flatten(0), Slice((), ()), PadAxes((), ()), Tile(())):
        y, cache = layer.forward(np.asarray(3.0))
        assert y.ravel().tolist() == [3]
        assert layer.backward(y, cache)[0].shape == ()
    y, cache = MatMul().forward(np.array([1.0, 2]), np.array([3.0, 4]))
    assert (type(y), y.shape, y.item()) == (np.ndarray, (), 11)
    assert [part.tolist() for part in MatMul().backward(np.asarray(2.0), cache)] == [[6, 8], [2, 4]]


# ------------------------------------------------------------------------------------------- products


@pytest.mark.parametrize("held", ["first", "second"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_backward_of_a_held_product_is_its_adjoint(held: str, dtype: str) -> None:
    random = np.random.default_rng(0)
    for a, b in (((2, 5, 3), (2, 3, 4)), ((5, 3), (2, 3, 4)), ((2, 5, 3), (3, 4)), ((1, 3), (3, 4)), ((3,), (2, 3, 4))):
        operands = {"first": random.standard_normal(a).astype(dtype), "second": random.standard_normal(b).astype(dtype)}
        layer = MatMul(**{held: operands.pop(held)})
        x, = operands.values()
        assert layer.inputs == 1
        check_adjoint(layer, x)
        check_parameter_gradients(layer, x, directions=2)


def test_a_held_matrix_serves_many_rows_from_one_image() -> None:
    random = np.random.default_rng(0)
    layer = MatMul(second=random.standard_normal((3, 4)))
    check_adjoint(layer, random.standard_normal((1, 6, 5, 3)), rows=7)
    view = random.standard_normal((1, 3, 6, 5)).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(layer.forward(view)[0], np.matmul(view, layer.second), rtol=1e-12)


# ------------------------------------------------------------------------------------------- whole numbers


@pytest.mark.parametrize("name", sorted(set(WHOLE) - {"ReduceMean"}))
@given(data=st.data())
def test_whole_numbers_stay_whole(name: str, data: st.DataObject) -> None:
    case = data.draw(WHOLE[name])
    for dtype in (np.int64, np.int32):
        layer = case.layer
        if isinstance(layer, MatMul):
            layer = MatMul(*(None if w is None else w.astype(dtype) for w in (layer.first, layer.second)))
        xs = [x.astype(dtype) for x in case.xs]
        expected = slow_forward(layer, *xs)
        assert expected.dtype == np.int64 or name == "PadAxes"  # whose value is a float
        np.testing.assert_array_equal(layer.forward(*xs)[0], expected.astype(dtype), strict=True)


def test_the_mean_of_whole_numbers_loses_its_fraction() -> None:
    y, _ = ReduceMean((1,)).forward(np.array([[1, 2], [-1, -2]]))
    assert (y.dtype, y.tolist()) == (np.int64, [[1], [-1]])
