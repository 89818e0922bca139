"""Constants and layers whose settings are computed on the way: what arrives, what is asked, what goes back."""

from __future__ import annotations

import numpy as np
import pytest

from npgradcam.errors import ShapeError
from npgradcam.layers import Computed, Constant, Mul, Reshape
from npgradcam.layers.checking import NoShapeYetError

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def reshape(*lengths: np.ndarray) -> Reshape:
    return Reshape(tuple(int(length) for length in lengths))


def test_a_constant_is_its_value_for_nobody_and_pays_nobody_back() -> None:
    constant = Constant(np.array([1.0, 2.0]))
    assert constant.forward() == (constant.value, None)
    assert constant.backward(np.ones(2), None) == ()
    assert constant.output_shape() == (2,)
    assert constant.parameters == {}
    assert constant.inputs == 0
    assert Constant(np.array([1e300])).astype("float32").value == np.inf  # and warns nobody


def test_settings_that_arrive_make_the_layer_and_get_no_signal() -> None:
    layer = Computed(reshape, 2)
    y, cache = layer.forward(X, np.array(3), np.array(2))
    np.testing.assert_array_equal(y, X.reshape(3, 2), strict=True)
    dx, *rest = layer.backward(y, cache)
    np.testing.assert_array_equal(dx, X, strict=True)
    assert rest == [None, None]
    assert layer.output_shape((2, 3), np.array(3), np.array(2)) == (3, 2)


@pytest.mark.parametrize("settings", [((), np.array(2)), (np.array(3), ()), ((), ())])
def test_without_all_settings_there_is_no_shape_yet_and_the_sentence_says_which_layer(settings) -> None:  # type: ignore
    with pytest.raises(NoShapeYetError, match="settings of this Reshape depend on the picture's numbers"):
        Computed(reshape, 2, "Reshape").output_shape((2, 3), *settings)
    with pytest.raises(ShapeError, match="settings of this layer"):
        Computed(reshape, 2).output_shape((2, 3), *settings)


def scaled(factor: np.ndarray) -> Mul:
    return Mul(np.asarray(factor, np.float64))


@pytest.mark.parametrize(("x", "made"), [(X, "float32"), (X.astype(np.float64), "float64"), (np.arange(3), "float64")])
def test_what_is_made_has_the_precision_of_what_goes_through_it_not_of_its_settings(x, made: str) -> None:  # type: ignore
    layer, through = Computed(scaled, 1).settled(x, np.float32([2]))
    assert (layer.arrays["constant"].dtype, through) == (made, 1)


def test_a_layer_made_for_several_arrays_gets_all_but_the_settings() -> None:
    layer = Computed(scaled, 1)
    y, cache = layer.forward(np.arange(3), X, np.array([2.0]))
    np.testing.assert_array_equal(y, 2 * np.arange(3) * X)
    assert [None if part is None else part.shape for part in layer.backward(np.ones_like(X), cache)] == [
        (3,), (2, 3), None]
    assert layer.output_shape((3,), (2, 3), np.array([2.0])) == (2, 3)
    assert layer.settled(np.arange(3), X, np.array([2.0]))[0].arrays["constant"].dtype == np.float32
