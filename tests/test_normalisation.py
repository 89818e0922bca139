"""Normalisations: what they do not see, their neighbours, their parameters, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam.errors import ShapeError
from npgradcam.layers import LRN, BatchNorm, BatchNorm2d, GroupNorm, InstanceNorm, LayerNorm
from npgradcam.testing import check_parameter_gradients
from npgradcam.testing.strategies.spatial import layers as cases

REAL = cases("real")
TWO = np.ones(2)


def both(layer, x, signal=None):  # type: ignore[no-untyped-def]
    """The output, and what comes back for a signal of ones."""
    y, cache = layer.forward(x)
    return y, layer.backward(np.ones_like(y) if signal is None else signal, cache)[0]


@pytest.mark.parametrize(("layer", "axes"), [
    (InstanceNorm(np.array([2.0, -3]), np.array([1.0, 4]), 0.0), 2), (GroupNorm(1, TWO, np.zeros(2), 0.0), (1, 2)),
    (LayerNorm(np.ones(5), None, 2, 0.0), 2), (LayerNorm(np.ones((2, 1)), np.ones(5), -2, 0.0), (1, 2)),
])
def test_normalisation_does_not_see_shift_and_scale_and_nothing_flows_back_along_them(layer, axes) -> None:  # type: ignore
    random = np.random.default_rng(2)
    x = random.standard_normal((3, 2, 5))
    y, dx = both(layer, x, random.standard_normal(x.shape))
    np.testing.assert_allclose(layer.forward(7 * x - 30)[0], y, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose((dx.sum(axis=axes), (dx * x).sum(axis=axes)), 0, atol=1e-12)


def test_a_map_of_one_value_normalises_to_the_shift_and_gets_no_gradient() -> None:
    y, dx = both(InstanceNorm(np.array([2.0]), np.array([5.0])), np.full((1, 1, 3, 3), 8.0))
    np.testing.assert_array_equal(y, 5)
    np.testing.assert_allclose(dx, 0, atol=1e-12)


def test_groups_of_one_channel_are_instances_and_one_group_is_the_whole_image() -> None:
    random = np.random.default_rng(3)
    x, (weight, bias) = random.standard_normal((2, 4, 3, 5)), random.standard_normal((2, 4))
    instance, _ = InstanceNorm(weight, bias).forward(x)
    np.testing.assert_allclose(GroupNorm(4, weight, bias).forward(x)[0], instance, rtol=1e-12)
    whole, _ = LayerNorm(weight[:, None, None], bias[:, None, None], 1).forward(x)
    np.testing.assert_allclose(GroupNorm(1, weight, bias).forward(x)[0], whole, rtol=1e-12)


def test_layer_norm_from_axis_0_mixes_the_images_and_says_so() -> None:
    layer = LayerNorm(np.ones(3), None, 0)
    assert not layer.keeps_batch((2, 3))
    assert not LayerNorm(np.ones(3), None, -2).keeps_batch((2, 3))
    assert LayerNorm(np.ones(3), None, -2).keeps_batch((2, 3, 3))
    np.testing.assert_allclose(layer.forward(np.array([[1.0, 1, 1], [3, 3, 3]]))[0], [[-1] * 3, [1] * 3], rtol=1e-4)


def test_lrn_divides_by_these_neighbours() -> None:
    """Squares 1, 4, 9, 16; alpha = size, beta = 1 and bias = 0: y = x / (sum of the squares in the window)."""
    x = np.array([1.0, 2, 3, 4]).reshape(1, 4, 1, 1)
    windows = {1: [1, 4, 9, 16], 2: [5, 13, 25, 16], 3: [5, 14, 29, 25], 4: [14, 30, 29, 25], 9: [30] * 4, 13: [30] * 4}
    for size, sums in windows.items():  # an even window reaches one further up
        y, _ = LRN(size, size, 1.0, 0.0).forward(x)
        np.testing.assert_allclose(y.ravel(), x.ravel() / sums, rtol=1e-15)


def test_batch_norm_takes_any_rank_and_batch_norm2d_pictures_only() -> None:
    four = [np.array([2.0, 3]), np.array([1.0, 1]), np.array([0.0, 5]), np.array([4.0, 1])]
    y, dx = both(BatchNorm(*four, 0.0), np.array([[2.0, 6]]))
    np.testing.assert_array_equal((*y[0], *dx[0]), (3, 4, 1, 3))
    with pytest.raises(ShapeError, match="expected 4 axes"):
        BatchNorm2d(*four).forward(np.ones((1, 2)))
    with pytest.raises(ShapeError, match="channels on axis 1"):
        BatchNorm(*four).forward(np.ones(2))


@pytest.mark.parametrize("name", ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm"])
@given(data=st.data())
def test_parameter_gradients_are_derivatives(name: str, data: st.DataObject) -> None:
    case = data.draw(REAL[name])
    check_parameter_gradients(case.layer, *case.xs, directions=2)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: InstanceNorm(np.ones(2), np.ones(3)), "InstanceNorm: expected weight and bias of one shape"),
    (lambda: InstanceNorm(TWO, TWO).forward(np.ones((1, 2))), "at least 3 axes"),
    (lambda: InstanceNorm(TWO, TWO).forward(np.ones((1, 3, 4))), "expected 2 channels"),
    (lambda: GroupNorm(3, TWO, TWO), "groups that divide 2"),
    (lambda: GroupNorm(0, TWO, TWO), "groups that divide 2"),
    (lambda: LayerNorm(TWO, None, 2).forward(np.ones((1, 2))), "an array with axis 2"),
    (lambda: LayerNorm(TWO).forward(np.ones((1, 3))), "weight that broadcasts"),
    (lambda: LayerNorm(np.ones(3), np.ones((2, 1, 3))).forward(np.ones((2, 3))), "bias that broadcasts"),
    (lambda: LRN(0), "size >= 1"),
    (lambda: LRN(2).forward(np.ones(3)), "channels on axis 1"),
])
def test_a_normalisation_that_cannot_be_is_refused_with_the_reason(make, words: str) -> None:  # type: ignore
    with pytest.raises(ShapeError, match=words):
        make()
