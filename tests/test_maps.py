"""What happens to a map after the paper ends: every value against a slow definition or by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npgradcam import maps
from npgradcam.errors import ImageError, ShapeError
from npgradcam.preprocess import Prepared, Preprocess

SIDES = st.integers(1, 9)
SIZES = st.tuples(SIDES, SIDES)
VALUES = st.floats(-100, 100, allow_subnormal=False)
MAPS = hnp.arrays(np.float64, SIZES, elements=VALUES)


def upsampled_slowly(cam, size):
    """Pixel by pixel: where its centre falls in the map, clamped to the centres of the outer cells."""
    (rows, columns), (height, width) = cam.shape, size
    out = np.empty(size)
    for h in range(height):
        for w in range(width):
            y = min(max((h + 0.5) * rows / height - 0.5, 0), rows - 1)
            x = min(max((w + 0.5) * columns / width - 0.5, 0), columns - 1)
            i, j = int(y), int(x)
            below, right = min(i + 1, rows - 1), min(j + 1, columns - 1)
            t, u = y - i, x - j
            upper = (1 - u) * cam[i, j] + u * cam[i, right]
            lower = (1 - u) * cam[below, j] + u * cam[below, right]
            out[h, w] = (1 - t) * upper + t * lower
    return out


# ---------------------------------------------------------------------------------------------------------- upsample


@given(MAPS, st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_upsample_is_the_slow_definition_up_and_down(cam, size):
    scale = max(1, np.abs(cam).max())
    np.testing.assert_allclose(maps.upsample(cam, size), upsampled_slowly(cam, size), rtol=0, atol=1e-14 * scale)


def test_upsample_known_values():
    # recorded with torch.nn.functional.interpolate(mode="bilinear", align_corners=False), PyTorch 2.14, float64
    cam = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    expected = [
        [1.0, 1.4, 2.0, 3.2, 4.0],
        [2.75, 3.85, 5.5, 8.8, 11.0],
        [6.25, 8.75, 12.5, 20.0, 25.0],
        [8.0, 11.2, 16.0, 25.6, 32.0],
    ]
    np.testing.assert_allclose(maps.upsample(cam, (4, 5)), expected, rtol=1e-15)
    assert maps.upsample(np.array([[0.0, 1.0]]), (1, 4)).tolist() == [[0, 0.25, 0.75, 1]]
    assert maps.upsample(np.array([[0.0], [1.0]]), (4, 1)).tolist() == [[0], [0.25], [0.75], [1]]
    assert maps.upsample(np.arange(8.0)[None], (1, 2)).tolist() == [[1.5, 5.5]]  # smaller: read, not averaged


@given(hnp.arrays(np.float32, st.tuples(st.just(2), SIDES, SIDES), elements=VALUES.map(np.float32)))
def test_upsample_to_the_same_size_is_the_identity_exactly(cam):
    same = maps.upsample(cam, cam.shape[1:])
    assert same.dtype == cam.dtype
    assert same is not cam
    assert not np.shares_memory(same, cam)
    np.testing.assert_array_equal(same, cam)


@given(VALUES, SIZES, SIZES)
def test_upsample_of_a_constant_is_that_constant_exactly(value, size, to):
    np.testing.assert_array_equal(maps.upsample(np.full(size, value), to), np.full(to, value))


@given(MAPS, SIZES, VALUES)
def test_upsample_is_linear(cam, to, factor):
    other = np.cos(np.arange(cam.size)).reshape(cam.shape)
    together = maps.upsample(factor * cam + other, to)
    apart = factor * maps.upsample(cam, to) + maps.upsample(other, to)
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-10)


@given(MAPS, SIZES)
def test_upsample_never_leaves_the_range_and_keeps_order(cam, to):
    out = maps.upsample(cam, to)
    assert out.min() >= cam.min()
    assert out.max() <= cam.max()
    rising = np.sort(cam, axis=1)
    assert (np.diff(maps.upsample(rising, to), axis=1) >= -1e-12).all()


@given(MAPS, SIZES)
def test_upsample_treats_rows_like_columns_and_each_map_alone(cam, to):
    out = maps.upsample(cam, to)
    assert out.shape == to
    np.testing.assert_allclose(maps.upsample(cam.T, to[::-1]), out.T, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(maps.upsample(cam[::-1], to), maps.upsample(cam[::-1].copy(), to))
    stack = np.stack([cam, -cam, cam * 0])
    np.testing.assert_array_equal(maps.upsample(stack, to), [out, maps.upsample(-cam, to), np.zeros(to)])


def test_height_and_width_are_never_swapped():
    cam = np.zeros((2, 3))
    cam[0, 2] = 1  # upper right
    out = maps.upsample(cam, (20, 60))
    assert out.shape == (20, 60)
    assert np.unravel_index(out.argmax(), out.shape) == (0, 50)
    assert out[10:].max() < 0.5
    assert out[:, :20].max() == 0


def test_integers_become_float64_and_floats_stay():
    for dtype, expected in (("?", "f8"), ("i4", "f8"), ("u1", "f8"), ("f2", "f2"), ("f4", "f4"), ("f8", "f8")):
        assert maps.upsample(np.ones((2, 2), dtype), (3, 3)).dtype == expected
    assert maps.normalise(np.array([[0, 2]])).tolist() == [[0, 1]]


@pytest.mark.parametrize("function", [lambda a: maps.upsample(a, (2, 2)), maps.normalise, maps.is_zero])
def test_what_is_not_a_map_is_refused(function):
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ImageError, match="1 of 4 places"):
            function(np.array([[0, bad], [1, 2]]))
    for wrong in (np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2), complex), np.array([["a", "b"]]), 3.0):
        with pytest.raises(ShapeError):
            function(wrong)


@pytest.mark.parametrize("size", [(2,), (2, 3, 4), (0, 2), (2.0, 2), (-1, 2)])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ShapeError, match="height comes first"):
        maps.upsample(np.zeros((2, 2)), size)


# -------------------------------------------------------------------------------------------------- normalise, is_zero


@given(hnp.arrays(np.float64, (3, 4, 5), elements=st.floats(-1e300, 1e300)))
def test_normalise_divides_each_map_by_its_largest_magnitude(stack):
    before = stack.copy()
    out = maps.normalise(stack)
    np.testing.assert_array_equal(stack, before)
    for one, normal, zero in zip(stack, out, maps.is_zero(stack), strict=True):
        largest = np.abs(one).max()
        assert zero == (largest == 0)
        np.testing.assert_array_equal(normal, one / largest if largest else 0 * one)
        assert np.abs(normal).max() == (largest > 0)


def test_normalise_has_no_epsilon_and_no_offset():
    tiny = np.array([[1e-300, 2e-300]])
    assert maps.normalise(tiny).tolist() == [[0.5, 1]]
    assert maps.normalise(np.array([[5e-324]])).tolist() == [[1]]
    assert maps.normalise(np.array([[3.0, 4.0]])).tolist() == [[0.75, 1]]  # the minimum does not become 0
    assert maps.normalise(np.array([[-4.0, 2.0]])).tolist() == [[-1, 0.5]]
    assert maps.normalise(np.float32([[3, 4]])).dtype == np.float32


def test_all_zero_stays_zero_and_says_so():
    assert maps.normalise(np.zeros((2, 3))).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert maps.is_zero(np.zeros((2, 3)))
    assert maps.is_zero(np.stack([np.zeros((2, 2)), np.eye(2), -np.eye(2)])).tolist() == [True, False, False]


# ------------------------------------------------------------------------------------------------------ place, inside


def prepared(photograph, box):
    pixels = np.zeros((*photograph, 3), np.uint8)
    return Prepared(np.zeros((1, 3, 4, 4)), pixels, box, Preprocess("test", (4, 4)))


def test_place_draws_in_the_crop_and_nowhere_else():
    cam = np.random.default_rng(0).normal(size=(2, 3, 5))
    where = prepared((20, 30), (7, 4, 22, 16))
    out = maps.place(cam, where)
    np.testing.assert_array_equal(out[:, 4:16, 7:22], maps.upsample(cam, (12, 15)))
    inside = maps.inside(where)
    assert inside.shape == (20, 30)
    assert inside.sum() == 12 * 15
    assert inside[4:16, 7:22].all()
    assert (out[:, ~inside] == 0).all()


@given(MAPS, st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_place_of_an_uncropped_photograph_is_upsample(cam, size):
    where = prepared(size, (0, 0, size[1], size[0]))
    np.testing.assert_allclose(maps.place(cam, where), maps.upsample(cam, size), rtol=0, atol=1e-12)
    assert maps.inside(where).all()


def test_place_through_a_crop_between_pixels():
    where = prepared((4, 8), (0.75, 0.0, 6.75, 4.0))
    out = maps.place(np.arange(6.0)[None], where)  # cell k covers 0.75 + k to 1.75 + k, its value is at its middle
    np.testing.assert_allclose(out[0], [0, 0.25, 1.25, 2.25, 3.25, 4.25, 5, 0])
    assert maps.inside(where)[0].tolist() == [False, True, True, True, True, True, True, False]


def test_place_follows_the_photograph_through_a_real_crop():
    photograph = np.zeros((60, 90, 3), np.uint8)
    photograph[26:36, 51:61] = 255
    seen = Preprocess("test", (24, 24), crop=0.8, interpolation="box").prepare(photograph)
    assert seen.box == (21, 6, 69, 54)
    out = maps.place(seen.x[0, 0], seen)
    rows, columns = np.indices(out.shape)
    assert (rows * out).sum() / out.sum() == pytest.approx(30.5)
    assert (columns * out).sum() / out.sum() == pytest.approx(55.5)
    assert math.isclose(out.max(), 255)
