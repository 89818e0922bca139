"""What the docstrings state about kinks, ties, NaN, infinity and the windows of a pool, as recorded answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    Clip,
    Conv2d,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Softmax,
)

pytestmark = pytest.mark.usefixtures("warm")
NAN, INF = math.nan, math.inf
COUNTED = np.arange(20.0).reshape(1, 1, 4, 5)  # row h, column w holds 5 h + w
backends = pytest.mark.parametrize("backend", ["auto", "numpy"])


def both(layer, x, signal=None):  # type: ignore[no-untyped-def]
    """The output, and what comes back for a signal of ones."""
    y, cache = layer.forward(x)
    return y, layer.backward(np.ones_like(y) if signal is None else signal, cache)[0]


# ------------------------------------------------------------------------------------------- rectifiers


def test_relu_is_closed_at_its_kink_and_nan_stays_nan() -> None:
    x = np.array([[-1.0, -0.0, 0.0, 5e-324, 2.0, INF, -INF, NAN]])
    y, dx = both(ReLU(), x)
    np.testing.assert_array_equal(y, [[0, 0, 0, 5e-324, 2, INF, 0, NAN]])
    np.testing.assert_array_equal(dx, [[0, 0, 0, 1, 1, 1, 0, 0]])


@pytest.mark.parametrize("layer", [ReLU6(), Clip(0.0, 6.0)])
def test_relu6_is_closed_at_0_and_at_6_and_nan_stays_nan(layer: Clip) -> None:
    x = np.array([[-1.0, 0.0, 1e-9, 3.0, np.nextafter(6.0, 0), 6.0, 7.0, INF, NAN]])
    y, dx = both(layer, x)
    np.testing.assert_array_equal(y, [[0, 0, 1e-9, 3, np.nextafter(6.0, 0), 6, 6, 6, NAN]])
    np.testing.assert_array_equal(dx, [[0, 0, 1, 1, 1, 0, 0, 0, 0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_clip_is_closed_at_ends_that_the_dtype_cannot_hold_exactly(dtype: str) -> None:
    x = np.array([[0.05, 0.1, 0.3, 0.7, 0.8]], dtype)  # 0.1 and 0.7 are the ends, rounded as the input is
    y, dx = both(Clip(0.1, 0.7), x)
    np.testing.assert_array_equal(y, np.array([[0.1, 0.1, 0.3, 0.7, 0.7]], dtype), strict=True)
    np.testing.assert_array_equal(dx, np.array([[0, 0, 1, 0, 0]], dtype), strict=True)


# ------------------------------------------------------------------------------------------- max pooling


# Each row: settings (kernel, stride, padding, ceil, dilation), then which rows and columns of COUNTED win, since
# COUNTED grows along both axes: a window's largest cell is its last row's last column inside the picture.
WINDOWS = [
    # rows 0-1, 2-3; columns 0-1, 2-3; column 4 is left over
    (((2, 2), (2, 2), (0, 0, 0, 0), False), [1, 3], [1, 3]),
    # ceil: column 4 gets a window of its own, columns 4-5
    (((2, 2), (2, 2), (0, 0, 0, 0), True), [1, 3], [1, 3, 4]),
    # rows -1..1, 1..3; columns -1..1, 1..3, 3..5
    (((3, 3), (2, 2), (1, 1, 1, 1), False), [1, 3], [1, 3, 4]),
    # ceil: row 4 is unread padding, so a third window of rows 3..5 begins, inside the picture (3 < 4): it is kept
    (((3, 3), (2, 2), (1, 1, 1, 1), True), [1, 3, 3], [1, 3, 4]),
    # rows -1..0, 2..3, and row 4 (padding) is unread: a third window would begin at row 5, beyond the picture: dropped;
    # columns -1..0, 2..3, and columns 4, 5 are unread: the third would begin at column 5, beyond the picture: dropped
    (((2, 2), (3, 3), (1, 1, 1, 1), True), [0, 3], [0, 3]),
    # as "same" at stride 2 in TensorFlow: nothing above, one cell below; rows 0-2, 2-4; cols 0-2, 2-4
    (((3, 3), (2, 2), (0, 0, 1, 0), False), [2, 3], [2, 4]),
    # padding above and left only: rows -1..1, 1..3; columns -1..1, 1..3
    (((3, 3), (2, 2), (1, 1, 0, 0), False), [1, 3], [1, 3]),
    # dilation 2: rows {0, 2}, {1, 3}; columns {0, 2, 4}
    (((2, 3), (1, 1), (0, 0, 0, 0), False, (2, 2)), [2, 3], [4]),
]


@backends
@pytest.mark.parametrize(("settings", "rows", "columns"), WINDOWS)
def test_max_pool_reads_these_windows(settings, rows, columns, backend) -> None:  # type: ignore[no-untyped-def]
    with kernels.session(backend):
        y, dx = both(MaxPool2d(*settings), COUNTED)
    np.testing.assert_array_equal(y[0, 0], COUNTED[0, 0][np.ix_(rows, columns)])
    paid = np.zeros((4, 5))
    np.add.at(paid, np.ix_(rows, columns), 1)  # a cell that wins twice is paid twice
    np.testing.assert_array_equal(dx[0, 0], paid)


@backends
def test_a_tied_max_pool_pays_the_first_cell_in_row_major_order(backend) -> None:  # type: ignore[no-untyped-def]
    x = np.zeros((1, 1, 4, 6))
    x[0, 0, :2, 2:4] = [[1, 2], [2, 0]]  # two 2s: the one above comes first, though it stands further right
    x[0, 0, 2:, 4:] = [[-1, -3], [-1, -3]]
    with kernels.session(backend):
        _, dx = both(MaxPool2d((2, 2), (2, 2)), x)
    np.testing.assert_array_equal(dx[0, 0], [[1, 0, 0, 1, 1, 0], [0] * 6, [1, 0, 1, 0, 1, 0], [0] * 6])


@backends
def test_overlapping_windows_pay_their_common_winner_once_each(backend) -> None:  # type: ignore[no-untyped-def]
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 5
    with kernels.session(backend):
        _, dx = both(MaxPool2d((2, 2), (1, 1)), x, signal=np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    np.testing.assert_array_equal(dx[0, 0], [[0, 0, 0], [0, 10, 0], [0, 0, 0]])


@backends
def test_padding_never_wins_a_max_pool_even_over_minus_infinity(backend) -> None:  # type: ignore[no-untyped-def]
    pool = MaxPool2d((2, 2), (2, 2), (1, 1, 1, 1))
    with kernels.session(backend):
        y, dx = both(pool, np.full((1, 1, 2, 2), -9.0))
        np.testing.assert_array_equal((y, dx), (np.full((1, 1, 2, 2), -9.0), np.ones((1, 1, 2, 2))))
        y, dx = both(pool, np.full((1, 1, 2, 2), -INF))
        np.testing.assert_array_equal((y, dx), (np.full((1, 1, 2, 2), -INF), np.ones((1, 1, 2, 2))))
        y, dx = both(MaxPool2d((2, 2), (1, 2), (0, 1, 0, 0), dilation=(1, 3)), np.full((1, 1, 2, 4), -INF))
    np.testing.assert_array_equal(dx[0, 0], [[0, 0, 1, 0], [0, 0, 0, 0]])  # columns {-1, 2}; the next needs column 4


def test_a_max_pool_window_that_would_see_only_padding_is_refused() -> None:
    pool = MaxPool2d((2, 2), (1, 1), (1, 1, 1, 1), dilation=(2, 2))
    with pytest.raises(ShapeError, match="sees only padding"):
        pool.forward(np.ones((1, 1, 1, 1)))
    assert pool.forward(np.ones((1, 1, 2, 2)))[0].shape == (1, 1, 2, 2)


@backends
def test_nan_wins_a_max_pool_and_takes_its_signal(backend) -> None:  # type: ignore[no-untyped-def]
    x = COUNTED.copy()
    x[0, 0, 0, 1] = x[0, 0, 1, 0] = x[0, 0, 3, 3] = NAN
    with kernels.session(backend):
        y, dx = both(MaxPool2d((2, 2), (2, 2)), x)
    np.testing.assert_array_equal(y[0, 0], [[NAN, 8], [16, NAN]])
    assert np.argwhere(dx[0, 0]).tolist() == [[0, 1], [1, 3], [3, 1], [3, 3]]  # the first NaN of two


# ------------------------------------------------------------------------------------------- averages


# A picture of ones: the mean of a window is (cells of the picture) / (cells counted), rows times columns.
AVERAGES = [
    # rows -1..1, 1..3: 2 and 3 of 3; columns -1..1, 1..3, 3..5: 2, 3 and 2 of 3
    (((3, 3), (2, 2), (1, 1, 1, 1), False, True), [2 / 3, 1], [2 / 3, 1, 2 / 3]),
    # ceil: a third window of rows 3..5: 1 cell of the picture, 1 of the padding, row 5 is beyond both: 1 of 2
    (((3, 3), (2, 2), (1, 1, 1, 1), True, True), [2 / 3, 1, 1 / 2], [2 / 3, 1, 2 / 3]),
    # padding not counted: a mean of ones is one
    (((3, 3), (2, 2), (1, 1, 1, 1), True, False), [1, 1, 1], [1, 1, 1]),
    # ceil without padding: columns 4-5 hold one cell, and only that counts
    (((2, 2), (2, 2), (0, 0, 0, 0), True, True), [1, 1], [1, 1, 1]),
    # padding below and right only: rows 0-2, 2-4: the last has 2 of 3; columns 0-2, 2-4
    (((3, 3), (2, 2), (0, 0, 1, 0), False, True), [1, 2 / 3], [1, 1]),
]


@backends
@pytest.mark.parametrize(("settings", "rows", "columns"), AVERAGES)
def test_avg_pool_divides_by_these_counts(settings, rows, columns, backend) -> None:  # type: ignore[no-untyped-def]
    with kernels.session(backend):
        y, dx = both(AvgPool2d(*settings), np.ones((1, 1, 4, 5)))
    np.testing.assert_allclose(y[0, 0], np.outer(rows, columns), rtol=1e-15)
    np.testing.assert_allclose(dx.sum(), y.sum(), rtol=1e-15)  # <J^T 1, 1> = <1, J 1>


def test_adaptive_average_windows_overlap_where_sizes_do_not_divide() -> None:
    x = np.arange(5.0).reshape(1, 1, 1, 5)
    y, dx = both(AdaptiveAvgPool2d((1, 3)), x)  # columns 0-1, 1-3, 3-4
    np.testing.assert_array_equal(y[0, 0, 0], [0.5, 2, 3.5])
    np.testing.assert_allclose(dx[0, 0, 0], [1 / 2, 1 / 2 + 1 / 3, 1 / 3, 1 / 3 + 1 / 2, 1 / 2], rtol=1e-15)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize(("layer", "seen"), [
    (AvgPool2d((2, 2), (2, 2)), [[0, 0]]),
    (AdaptiveAvgPool2d((2, 2)), [[0, 0]]),
    (AdaptiveAvgPool2d((4, 4)), [[1, 1]]),
    (GlobalAvgPool2d(), [[0, 0]]),
    (Conv2d(np.ones((1, 1, 2, 2)), np.ones(1)), [[0, 0], [0, 1], [1, 0], [1, 1]]),
    (Conv2d(np.ones((1, 1, 1, 1)), np.ones(1), stride=(2, 2)), []),
    (Conv2d(np.ones((1, 1, 3, 3)), np.ones(1), stride=(3, 3), padding="same"), [[0, 0]]),
])
@backends
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_cell_that_is_not_finite_spoils_only_what_looks_at_it(layer, seen, bad, backend) -> None:  # type: ignore
    x = np.ones((1, 1, 4, 4))
    x[0, 0, 1, 1] = bad
    with kernels.session(backend):
        y, _ = layer.forward(x)
    assert np.argwhere(~np.isfinite(y[0, 0])).tolist() == seen
    assert np.array_equal(y[~np.isfinite(y)], [bad] * len(seen), equal_nan=True)


# ------------------------------------------------------------------------------------------- softmax, linear


def test_softmax_of_huge_scores_does_not_overflow_and_nan_stays_nan() -> None:
    y, _ = Softmax().forward(np.array([[1e4, 0.0], [-1e307, 1e307], [NAN, 0.0]]))
    np.testing.assert_array_equal(y, [[1, 0], [0, 1], [NAN, NAN]])


def test_linear_known_answer() -> None:
    layer = Linear(np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([10.0, 20]))
    y, dx = both(layer, np.array([[1.0, 0, -1]]), signal=np.array([[1.0, -1.0]]))
    np.testing.assert_array_equal((*y[0], *dx[0]), (8, 18, -3, -3, -3))
    assert {k: v.tolist() for k, v in layer.parameter_gradients(np.array([[1.0, -1]]), np.array([[1.0, 0, -1]])).items()
            } == {"weight": [[1, 0, -1], [-1, 0, 1]], "bias": [1, -1]}


@backends
def test_convolution_known_answer_with_an_odd_same_padding(backend) -> None:  # type: ignore[no-untyped-def]
    """A 3 x 3 kernel at stride 2 on 4 x 5: the rows are padded below only, the columns on both sides."""
    weight = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    x = np.zeros((1, 1, 4, 5))
    x[0, 0, 2, 2] = 1  # output (0, 0) sees it nowhere: columns -1..1; (0, 1) at u=2, v=1; (1, 1) at u=0, v=1
    with kernels.session(backend):
        y, dx = both(Conv2d(weight, np.zeros(1), (2, 2), "same"), x, signal=np.array([[[[0.0, 1, 0], [0, 0, 0]]]]))
    np.testing.assert_array_equal(y[0, 0], [[0, 8, 0], [0, 2, 0]])
    np.testing.assert_array_equal(dx[0, 0], [[0, 1, 2, 3, 0], [0, 4, 5, 6, 0], [0, 7, 8, 9, 0], [0, 0, 0, 0, 0]])
