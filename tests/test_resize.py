"""Resizing: where cells lie, which neighbours count, what the modes reproduce; errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam.errors import ShapeError
from npgradcam.layers import Resize
from npgradcam.layers.interpolation import _cubic, _linear, centres, matrix

ROW = np.array([1.0, 10, 100, 1000])


def line(x, **settings):  # type: ignore[no-untyped-def]
    """The output for one row of numbers, and what comes back for 1, 2, 3, ..."""
    layer = Resize(**{"axes": (1,), **settings})
    y, cache = layer.forward(np.array([x], float))
    return y[0], layer.backward(np.arange(1.0, y.size + 1)[None], cache)[0][0]


@pytest.mark.parametrize(("coordinates", "length", "size", "scale", "expected"), [
    ("half_pixel", 4, 2, (1, 2), [0.5, 2.5]),
    ("half_pixel", 2, 4, (2, 1), [-0.25, 0.25, 0.75, 1.25]),
    ("half_pixel", 3, 1, (1, 3), [1]),
    ("pytorch_half_pixel", 4, 2, (1, 2), [0.5, 2.5]),
    ("pytorch_half_pixel", 3, 1, (1, 3), [0]),
    ("half_pixel_symmetric", 4, 2, (1, 2), [0.5, 2.5]),
    ("half_pixel_symmetric", 5, 2, (1, 2), [1, 3]),  # half_pixel: 0.5, 2.5, whose middle is not the picture's
    ("tf_half_pixel_for_nn", 4, 2, (1, 2), [1, 3]),
    ("asymmetric", 4, 2, (1, 2), [0, 2]),
    ("asymmetric", 3, 7, (7, 3), [0, 3 / 7, 6 / 7, 9 / 7, 12 / 7, 15 / 7, 18 / 7]),
    ("align_corners", 4, 2, (1, 2), [0, 3]),
    ("align_corners", 4, 1, (1, 4), [0]),
    ("align_corners", 4, 2, (3, 5), [0, 3 / 1.4]),  # 4 * 3/5 = 2.4 is not rounded
    ("align_corners", 6, 4, (2, 3), [0, 5 / 3, 10 / 3, 5]),
    ("asymmetric", 4, 1024, (2**54, 2**54), range(1024)),  # no product of whole numbers that runs over
])
def test_output_cells_lie_here(coordinates, length, size, scale, expected) -> None:  # type: ignore[no-untyped-def]
    np.testing.assert_array_equal(centres(coordinates, length, size, *scale, (0, 1)), expected)


def test_a_crop_begins_and_ends_at_its_region_and_one_cell_is_its_middle() -> None:
    np.testing.assert_allclose(centres("tf_crop_and_resize", 5, 3, 3, 5, (0.25, 0.75)), [1, 2, 3])
    np.testing.assert_allclose(centres("tf_crop_and_resize", 5, 1, 1, 5, (0.25, 1)), [2.5])
    np.testing.assert_allclose(centres("tf_crop_and_resize", 5, 2, 2, 5, (0.25, 0.75)), [1, 3])
    np.testing.assert_allclose(centres("tf_crop_and_resize", 5, 3, 3, 5, (1, 0)), [4, 2, 0])


@pytest.mark.parametrize(("nearest", "cells"), [
    ("round_prefer_floor", [0, 2]), ("round_prefer_ceil", [1, 3]), ("floor", [0, 2]), ("ceil", [1, 3]),
])
def test_halfway_between_two_cells_the_rule_decides(nearest, cells) -> None:  # type: ignore[no-untyped-def]
    y, dx = line(ROW, sizes=(2,), nearest=nearest)  # centres at 0.5 and 2.5
    np.testing.assert_array_equal(y, ROW[cells])
    np.testing.assert_array_equal(dx[cells], [1, 2])
    assert dx.sum() == 3


@pytest.mark.parametrize(("nearest", "cells"), [
    ("round_prefer_floor", [0, 0, 1, 1]), ("round_prefer_ceil", [0, 0, 1, 1]), ("floor", [0, 0, 0, 1]),
    ("ceil", [0, 1, 1, 1]),
])
def test_off_halfway_the_rules_choose_these_cells_and_the_edge_is_repeated(nearest, cells) -> None:  # type: ignore
    y, _ = line(ROW[:2], sizes=(4,), nearest=nearest)  # centres at -0.25, 0.25, 0.75, 1.25
    np.testing.assert_array_equal(y, ROW[cells])


def test_linear_known_answers_both_ways() -> None:
    y, dx = line([0, 4], mode="linear", sizes=(4,))
    np.testing.assert_array_equal((*y, *dx), (0, 1, 3, 4, 1 + 2 * 0.75 + 3 * 0.25, 2 * 0.25 + 3 * 0.75 + 4))
    y, dx = line([0, 3, 9], mode="linear", sizes=(5,), coordinates="align_corners")
    np.testing.assert_array_equal((*y, *dx), (0, 1.5, 3, 6, 9, 2, 6, 7))
    y, dx = line([8, 2, 4, 6], mode="linear", sizes=(2,))
    np.testing.assert_array_equal((*y, *dx), (5, 5, 0.5, 0.5, 1, 1))


def test_antialiasing_looks_at_every_cell_that_a_smaller_one_covers() -> None:
    """Scale 1/2: the triangle reaches 2 cells to each side of 0.5: weights 1/8, 3/8, 3/8, 1/8, rescaled at the edge."""
    y, dx = line(ROW, mode="linear", sizes=(2,), antialias=True, exclude_outside=True)
    np.testing.assert_allclose(y, [(3 * 1 + 3 * 10 + 100) / 7, (10 + 3 * 100 + 3 * 1000) / 7], rtol=1e-14)
    np.testing.assert_allclose(dx, [3 / 7, (3 + 2) / 7, (1 + 6) / 7, 6 / 7], rtol=1e-14)
    y, _ = line(ROW, mode="linear", sizes=(2,), antialias=True)  # the edge repeated
    np.testing.assert_allclose(y, [(1 + 3 * 1 + 3 * 10 + 100) / 8, (10 + 3 * 100 + 3 * 1000 + 1000) / 8], rtol=1e-14)
    plain, _ = line(ROW[:2], mode="linear", sizes=(5,))
    larger, _ = line(ROW[:2], mode="linear", sizes=(5,), antialias=True)
    np.testing.assert_array_equal(larger, plain)


def test_cubic_passes_through_the_cells_and_continues_parabolas_with_keys_own_number() -> None:
    x = np.arange(10.0)
    y, _ = line(x**2 - 3 * x, mode="cubic", sizes=(37,), coordinates="align_corners", cubic_a=-0.5)
    where = np.arange(37) / 4
    inside = (where >= 1) & (where <= 8)
    np.testing.assert_allclose(y[inside], (where**2 - 3 * where)[inside], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(y[::4], x**2 - 3 * x)


@given(
    length=st.integers(1, 6), size=st.integers(1, 9), mode=st.sampled_from(("nearest", "linear", "cubic")),
    exclude=st.booleans(), antialias=st.booleans(), coordinates=st.sampled_from(("half_pixel", "align_corners")),
)
def test_a_constant_stays_that_constant(length, size, mode, exclude, antialias, coordinates) -> None:  # type: ignore
    shrunk = min(1.0, size / length) if antialias else 1.0
    where = centres(coordinates, length, size, size, length, (0, 1))
    weights = matrix(where, length, mode, "floor", -0.75, shrunk, exclude)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    if mode != "nearest" and (size > 1 or coordinates == "half_pixel"):
        np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-12)  # left as right


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_every_cell_that_a_stretched_kernel_reaches_counts(mode, size) -> None:  # type: ignore[no-untyped-def]
    where, shrunk = centres("half_pixel", 9, size, size, 9, (0, 1)), size / 9
    t = np.abs(where[:, None] - np.arange(9)) * shrunk
    weights = _linear(t) if mode == "linear" else _cubic(t, -0.75)
    expected = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(matrix(where, 9, mode, "floor", -0.75, shrunk, True), expected, atol=1e-14)


@given(height=st.integers(1, 3), width=st.integers(1, 3), shape=st.tuples(*(st.integers(1, 3),) * 4))
def test_a_whole_scale_repeats_cells(height, width, shape) -> None:  # type: ignore[no-untyped-def]
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    expected = x.repeat(height, axis=2).repeat(width, axis=3)
    scales = (1.0, 1.0, float(height), float(width))
    for layer in (Resize(scales=scales), Resize(scales=scales, coordinates="asymmetric", nearest="floor"),
                  Resize(sizes=expected.shape[2:], axes=(-2, -1)), Resize(sizes=expected.shape[:1:-1], axes=(3, 2))):
        y, cache = layer.forward(x)
        np.testing.assert_array_equal(y, expected, strict=True)
        (dx,) = layer.backward(np.ones((2, *y.shape[1:]), np.float32), ((1, *shape[1:])))
        np.testing.assert_array_equal(dx, np.full((2, *shape[1:]), height * width, np.float32), strict=True)
        assert layer.keeps_batch(x.shape)
        assert cache == x.shape


@pytest.mark.parametrize("scale", [0.7, float(np.float32(0.7))])
def test_a_scale_is_the_fraction_that_it_stands_for_in_any_precision(scale: float) -> None:
    """0.7 as a float32 is a little less than 7/10: 10 cells become 7 all the same, and cell 7 of 20 lies at 10."""
    assert Resize(scales=(scale,), axes=(1,)).output_shape((1, 10)) == (1, 7)
    y, _ = line(np.arange(20), scales=(scale,), coordinates="asymmetric", nearest="floor")
    np.testing.assert_array_equal(y, [0, 1, 2, 4, 5, 7, 8, 10, 11, 12, 14, 15, 17, 18])
    y, _ = line(np.arange(20), scales=(scale,), coordinates="asymmetric", nearest="ceil")
    assert (y[0], y[7]) == (0, 10)


def test_a_scale_that_is_no_simple_fraction_is_taken_as_it_is() -> None:
    y, _ = line([0, 1e6], mode="linear", scales=(np.pi,), coordinates="asymmetric")
    np.testing.assert_allclose(y[1:4], [1e6 / np.pi, 2e6 / np.pi, 3e6 / np.pi], rtol=1e-12)


@pytest.mark.parametrize(("keep", "expected"), [
    ("stretch", (1, 1, 7, 8)), ("not_larger", (1, 1, 7, 4)), ("not_smaller", (1, 1, 16, 8)),
])
def test_keeping_the_aspect_takes_one_scale_for_both_axes(keep, expected) -> None:  # type: ignore[no-untyped-def]
    layer = Resize(sizes=(7, 8), axes=(2, 3), keep_aspect=keep)
    assert layer.output_shape((1, 1, 4, 2)) == expected  # scales 7/4 and 4: 3.5 cells are rounded up to 4


def test_a_crop_fills_what_lies_outside_and_pays_nothing_there() -> None:
    crop = {"coordinates": "tf_crop_and_resize", "mode": "linear", "extrapolation": -7.0}
    y, dx = line(ROW, sizes=(4,), roi=(-1 / 3, 2 / 3), **crop)
    np.testing.assert_allclose(y, [-7, 1, 10, 100], atol=1e-12)  # centres at -1, 0, 1, 2
    np.testing.assert_allclose(dx, [2, 3, 4, 0], atol=1e-12)
    y, _ = line([1.0, 2.0, 3.0, 4.0], sizes=(4,), roi=(0.0, 4 / 3), **crop)  # the last lies one cell beyond the last
    assert y[3] == -7
    y, _ = line(ROW, sizes=(4,), roi=(-2.0, -1.0), exclude_outside=True, **crop)  # where no neighbour is inside either
    np.testing.assert_array_equal(y, -7)
    layer = Resize(scales=(2.0,), axes=(1,), coordinates="tf_crop_and_resize", roi=(0.5, 1.0))
    assert layer.output_shape((1, 6)) == (1, 6)  # half of it, twice as large
    assert layer.forward(np.arange(6.0)[None])[0].tolist() == [[2, 3, 3, 4, 4, 5]]  # at 2.5, 3, 3.5, 4, 4.5, 5


def test_a_region_matters_to_a_crop_alone() -> None:
    np.testing.assert_array_equal(line(ROW, scales=(1.5,), roi=(0.5, 1.0))[0], line(ROW, scales=(1.5,))[0])


def test_the_batch_can_be_resized_and_says_so() -> None:
    layer = Resize(sizes=(4,), axes=(0,))
    x = np.array([[1.0], [5]])
    assert not layer.keeps_batch(x.shape)
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, [[1], [1], [5], [5]])
    np.testing.assert_array_equal(layer.backward(np.arange(4.0)[:, None], cache)[0], [[1], [5]])


def test_nothing_changes_where_every_axis_keeps_its_length() -> None:
    x = np.arange(6.0).reshape(1, 2, 3)
    for settings in ({"mode": "cubic"}, {"mode": "linear", "antialias": True}, {"nearest": "ceil"}):
        np.testing.assert_array_equal(Resize(sizes=(1, 2, 3), **settings).forward(x)[0], x)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_cell_that_is_not_finite_spoils_only_what_looks_at_it(bad: float) -> None:
    y, _ = line([0, 1, bad, 3, 4], sizes=(10,))
    assert np.flatnonzero(~np.isfinite(y)).tolist() == [4, 5]
    with np.errstate(invalid="ignore"):
        y, _ = line([0, 1, bad, 3, 4], sizes=(10,), mode="linear")
        first, _ = line([bad, 1, 2, 3, 4], sizes=(10,), mode="linear")
    assert np.flatnonzero(~np.isfinite(y)).tolist() == [3, 4, 5, 6]
    assert np.flatnonzero(~np.isfinite(first)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Resize(), "sizes or scales, one of them"),
    (lambda: Resize(sizes=(2,), scales=(2.0,)), "sizes or scales, one of them"),
    (lambda: Resize(sizes=(0,)), "sizes or scales > 0"),
    (lambda: Resize(scales=(float("nan"),)), "sizes or scales > 0"),
    (lambda: Resize(sizes=(2, 2), axes=(1,)), "for each of the axes"),
    (lambda: Resize(sizes=(2,), mode="area"), "mode among nearest, linear, cubic"),  # type: ignore[arg-type]
    (lambda: Resize(sizes=(2,), coordinates="corners"), "expected coordinates among half_pixel"),  # type: ignore[arg-type]
    (lambda: Resize(sizes=(2,), nearest="round"), "expected nearest among"),  # type: ignore[arg-type]
    (lambda: Resize(sizes=(2,), keep_aspect="yes"), "expected keep_aspect among stretch"),  # type: ignore[arg-type]
    (lambda: Resize(sizes=(2,), coordinates="tf_crop_and_resize"), "expected roi of 2 numbers"),
    (lambda: Resize(sizes=(2, 2)).forward(np.ones((1, 2, 3))), "expected 2 axes"),
    (lambda: Resize(sizes=(2,), axes=(3,)).forward(np.ones((1, 2, 3))), "to resize, got shape"),
    (lambda: Resize(sizes=(2, 2), axes=(1, 3)).forward(np.ones((1, 2, 3))), "to resize, got shape"),
    (lambda: Resize(scales=(0.25,), axes=(1,)).forward(np.ones((1, 3))), "leaves nothing of axis 1"),
])
def test_a_resize_that_cannot_be_is_refused_with_the_reason(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match=words):
        make()
