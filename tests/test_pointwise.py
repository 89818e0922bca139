"""Activations, leaky rectifiers, softmax: huge numbers, kinks and ties, rules, errors, what a cache keeps."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam import rules
from npgradcam.errors import ShapeError
from npgradcam.layers import (
    Abs,
    Add,
    Celu,
    Div,
    Elu,
    Erf,
    Exp,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    Log,
    LogSoftmax,
    Maximum,
    Minimum,
    Mish,
    Mul,
    Neg,
    Pow,
    PReLU,
    Reciprocal,
    Selu,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Sqrt,
    Sub,
    Tanh,
    ThresholdedReLU,
)
from npgradcam.testing import check_parameter_gradients, slow_forward
from npgradcam.testing.strategies import values
from npgradcam.testing.strategies.pointwise import stretched

NAN, INF = math.nan, math.inf
SMOOTH = [Sigmoid(), SiLU(), HardSigmoid(), HardSwish(), Mish(), Tanh(), Gelu(), Gelu("tanh"), Softplus(), Softsign(),
          Elu(0.5), Selu(), Celu(0.5), Erf(), Exp(), Abs(), Neg(), LeakyReLU(), ThresholdedReLU()]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def both(layer, *xs):  # type: ignore[no-untyped-def]
    """The output, and what comes back for a signal of ones."""
    y, cache = layer.forward(*xs)
    return y, *layer.backward(np.ones_like(y), cache)


# ------------------------------------------------------------------------------------------- numbers of any size


@dtypes
@pytest.mark.parametrize("layer", SMOOTH, ids=repr)
def test_numbers_of_any_size_give_the_limit_without_a_warning(layer, dtype) -> None:  # type: ignore[no-untyped-def]
    far = 80 if isinstance(layer, Exp) else 1e4
    x = np.array([[-far, -far / 7, -104, -88.8, -30.5, -1e-30, 0, 1e-30, 30.5, 60, far / 7, far]], dtype)
    y, dx = both(layer, x)
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    expected = slow_forward(layer, x).astype(dtype)
    np.testing.assert_allclose(y, expected, rtol=1e-6 if dtype == "float32" else 1e-14, atol=1e-36)


@dtypes
@pytest.mark.parametrize("layer", [*SMOOTH, Log(), Sqrt(), Reciprocal(), Softmax(), LogSoftmax()],
                         ids=repr)
def test_nan_stays_nan_and_nothing_is_lost_with_no_axis_or_no_cell(layer, dtype) -> None:  # type: ignore
    x = np.array([[NAN, 0.5]], dtype)
    y, dx = both(layer, x)
    assert y.dtype == dx.dtype == dtype
    assert np.isnan(y[0, 0])
    assert np.isnan(y[0, 1]) == isinstance(layer, (Softmax, LogSoftmax))
    if not layer.rectifies and not isinstance(layer, (Softmax, LogSoftmax)):
        for shape in ((), (1, 0)):
            y, dx = both(layer, np.full(shape, 0.5, dtype))
            assert (type(y), y.shape, y.dtype) == (np.ndarray, shape, dtype)
            assert (type(dx), dx.shape, dx.dtype) == (np.ndarray, shape, dtype)


def test_infinity_and_poles_without_a_warning() -> None:
    np.testing.assert_array_equal(both(Exp(), np.array([1e4, -1e4, -INF])), [[INF, 0, 0], [INF, 0, 0]])
    np.testing.assert_array_equal(both(Log(), np.array([0.0, -1.0, INF])), [[-INF, NAN, INF], [INF, -1, 0]])
    np.testing.assert_array_equal(both(Sqrt(), np.array([0.0, -1.0, 4.0])), [[0, NAN, 2], [INF, NAN, 0.25]])
    np.testing.assert_array_equal(both(Reciprocal(), np.array([0.0, -INF, 4.0])), [[INF, 0, 0.25], [-INF, 0, -0.0625]])
    for layer in (Sigmoid(), Tanh(), Erf(), HardSigmoid()):
        y, dx = both(layer, np.array([-INF, INF]))
        np.testing.assert_array_equal((y[1], *dx), (1, 0, 0))
    y, da, _ = both(Div(), np.array([1.0, 0.0, -1.0]), np.array([0.0, 0.0, INF]))
    np.testing.assert_array_equal(y, [INF, NAN, 0])
    np.testing.assert_array_equal(da, [INF, INF, 0])


@pytest.mark.parametrize(("layer", "score"), [(Softmax(), 0), (LogSoftmax(), 2e4)])
def test_softmax_of_huge_scores_in_float32(layer, score) -> None:  # type: ignore[no-untyped-def]
    y, dx = both(layer, np.array([[1e4, -1e4]], np.float32))
    np.testing.assert_array_equal(y, np.array([[1 if not score else 0, -score]], np.float32), strict=True)
    np.testing.assert_array_equal(dx, np.array([[-1, 1] if score else [0, 0]], np.float32), strict=True)


def test_the_scores_of_one_image_do_not_meet_those_of_another() -> None:
    x = np.array([[0, 0], [1e4, 1e4]])
    np.testing.assert_allclose(LogSoftmax().forward(x)[0], np.full((2, 2), -math.log(2)), rtol=1e-15)
    np.testing.assert_array_equal(Softmax().forward(x)[0], np.full((2, 2), 0.5))


# ------------------------------------------------------------------------------------------- kinks and ties


@pytest.mark.parametrize(("layer", "x", "y", "slope"), [
    (LeakyReLU(0.25), [-4, -0.0, 0, 4], [-1, 0, 0, 4], [0.25, 0.25, 0.25, 1]),
    (LeakyReLU(-0.5), [-4, 0, 4], [2, 0, 4], [-0.5, -0.5, 1]),
    (PReLU(np.array([[0.5], [-2.0]])), [[-4, 0, 4], [-4, 0, 4]], [[-2, 0, 4], [8, 0, 4]], [[0.5, 0.5, 1], [-2, -2, 1]]),
    (ThresholdedReLU(1.0), [-2, 0, 1, 1.5], [0, 0, 0, 1.5], [0, 0, 0, 1]),
    (ThresholdedReLU(-1.0), [-2, -1, -0.5, 0], [0, 0, -0.5, 0], [0, 0, 1, 1]),
    (Abs(), [-2, -0.0, 0, 3], [2, 0, 0, 3], [-1, 0, 0, 1]),
    (HardSigmoid(0.25, 0.5), [-3, -2, -1, 2, 3], [0, 0, 0.25, 1, 1], [0, 0, 0.25, 0, 0]),
    (HardSwish(), [-4, -3, 0, 3, 4], [0, 0, 0, 3, 4], [0, 0, 0.5, 1, 1]),
    (Elu(0.5), [0, 2], [0, 2], [0.5, 1]),
    (Celu(0.5), [0, 2], [0, 2], [1, 1]),
    (Celu(2**-10), [0, 2], [0, 2], [1, 1]),  # exp(2 / alpha) would run over
    (Selu(2.0, 3.0), [0, 2], [0, 6], [6, 3]),
    (Softsign(), [-1, 0, 1], [-0.5, 0, 0.5], [0.25, 1, 0.25]),
], ids=repr)
@dtypes
def test_the_value_at_every_kink(layer, x, y, slope, dtype) -> None:  # type: ignore[no-untyped-def]
    got = both(layer.astype(dtype), np.array([x], dtype))
    np.testing.assert_array_equal(got[0], np.array([y], dtype), strict=True)
    np.testing.assert_array_equal(got[1], np.array([slope], dtype), strict=True)


def test_a_tie_goes_to_the_first_that_arrives_and_nan_wins() -> None:
    a, b = np.array([1.0, 2.0, NAN, 3.0, NAN]), np.array([1.0, 1.0, 5.0, NAN, NAN])
    y, da, db = both(Maximum(), a, b)
    np.testing.assert_array_equal((y, da, db), ([1, 2, NAN, NAN, NAN], [1, 1, 1, 0, 1], [0, 0, 0, 1, 0]))
    y, da, db = both(Minimum(), a, b)
    np.testing.assert_array_equal((y, da, db), ([1, 1, NAN, NAN, NAN], [1, 0, 1, 0, 1], [0, 1, 0, 1, 0]))
    for kind in (Maximum, Minimum):
        np.testing.assert_array_equal(both(kind(np.zeros(1)), np.array([0.0, -0.0]))[1], [1, 1])  # ties with a constant
        assert [part.item() for part in both(kind(), *np.ones((3, 1)))[1:]] == [1, 0, 0]
        assert both(kind(), np.ones(3))[1].tolist() == [1, 1, 1]


def test_powers_at_0_and_of_negative_numbers() -> None:
    a, b = np.array([0.0, 0.0, 0.0, -2.0, -2.0, -8.0]), np.array([0.0, 2.0, 0.5, 2.0, 0.0, 1 / 3])
    y, da, db = both(Pow(), a, b)
    np.testing.assert_array_equal(y, [1, 0, 0, 4, 1, NAN])
    np.testing.assert_array_equal(da, [0, 0, INF, -4, 0, NAN])
    np.testing.assert_array_equal(db, [0, 0, 0, NAN, NAN, NAN])
    assert both(Pow(), np.float32([2]), np.array([3]))[1:] == (np.float32(12), None)  # a whole number as an exponent
    assert Pow().forward(np.float32([2]), np.array([3]))[0].dtype == np.float32
    assert Pow().forward(np.array([5]), np.float32([2]))[0].tolist() == [25]
    assert Pow().forward(np.array([5]), np.float32([2]))[0].dtype == np.int64


# ------------------------------------------------------------------------------------------- rules at leaky rectifiers


@pytest.mark.parametrize("layer", [LeakyReLU(0.25), PReLU(np.array([0.25])), ThresholdedReLU(0.0)], ids=repr)
def test_the_rules_act_on_leaky_rectifiers_with_their_own_slope(layer) -> None:  # type: ignore[no-untyped-def]
    assert layer.rectifies
    leak = 0 if isinstance(layer, ThresholdedReLU) else 0.25
    x, signal = np.array([[-1.0, 2.0, -1.0, 2.0]]), np.array([[4.0, 4.0, -4.0, -4.0]])
    _, cache = layer.forward(x)
    np.testing.assert_array_equal(layer.backward(signal, cache)[0], [[4 * leak, 4, -4 * leak, -4]])
    np.testing.assert_array_equal(layer.backward(signal, cache, rules.guided)[0], [[4 * leak, 4, 0, 0]])
    np.testing.assert_array_equal(layer.backward(signal, cache, rules.deconvnet)[0], [[4, 4, 0, 0]])


def test_no_rule_acts_on_a_smooth_activation() -> None:
    assert [layer for layer in SMOOTH if layer.rectifies and not isinstance(layer, (LeakyReLU, ThresholdedReLU))] == []


@given(shape=st.tuples(*(st.integers(1, 3),) * 3), data=st.data())
def test_a_learnt_slope_has_its_gradient(shape, data) -> None:  # type: ignore[no-untyped-def]
    layer = PReLU(data.draw(values(data.draw(stretched(shape, 0)))))
    check_parameter_gradients(layer, data.draw(values(shape, "apart")), directions=2)


# ------------------------------------------------------------------------------------------- softmax


@given(data=st.data())
def test_onward_is_a_softmax_of_all_later_axes_laid_out_as_one(data) -> None:  # type: ignore[no-untyped-def]
    x = data.draw(values((2, 3, 2, 2)))
    axis = data.draw(st.integers(0, 3))
    flat = x.reshape(*x.shape[:axis], -1)
    for kind in (Softmax, LogSoftmax):
        y, dx = both(kind(axis, onward=True), x)
        y2, dx2 = both(kind(axis), flat)
        np.testing.assert_allclose(y.reshape(flat.shape), y2, rtol=1e-14)
        np.testing.assert_allclose(dx.reshape(flat.shape), dx2, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(np.exp(LogSoftmax(axis).forward(x)[0]), Softmax(axis).forward(x)[0], rtol=1e-14)


# ------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Add().forward(np.ones((2, 3)), np.ones((2, 2))), r"alike on each axis.*\(2, 3\), \(2, 2\)"),
    (lambda: Mul(np.ones(4)).forward(np.ones((2, 3))), r"alike on each axis.*\(2, 3\), \(4,\)"),
    (lambda: Sub().forward(np.ones(2)), "expected 2 operands to arrive, got 1"),
    (lambda: Div(second=np.ones(2)).forward(np.ones(2), np.ones(2)), "expected 1 operand to arrive, got 2"),
    (lambda: PReLU(np.ones(3)).forward(np.ones((2, 4))), r"slopes of shape \(3,\).*got shape \(2, 4\)"),
    (lambda: PReLU(np.ones((2, 1, 1))).forward(np.ones((2, 4))), r"slopes of shape \(2, 1, 1\)"),
    (lambda: Softmax(2).forward(np.ones((2, 4))), r"classes on axis 2, got shape \(2, 4\)"),
    (lambda: LogSoftmax().forward(np.ones(4)), "add the batch axis"),
    (lambda: Gelu("sigmoid"), "'none' or 'tanh', got 'sigmoid'"),
    (lambda: Celu(0.0), "alpha > 0, got 0.0"),
])
def test_what_cannot_be_is_refused_with_the_reason(make, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match=words):
        make()


def test_a_cache_keeps_no_more_than_backward_reads() -> None:
    x, kept = np.ones((2, 3)), lambda layer, *xs: copy.copy(layer.forward(*xs)[1])
    assert not [part for part in kept(Add(), x, x) if isinstance(part, np.ndarray)]
    assert kept(Mul(np.ones(3)), x)[-1] == ()  # a constant is at hand
    assert kept(Div(second=np.ones(3)), x)[-2:] == (None, None)
    assert kept(Neg(), x) is None
    for layer in (Sigmoid(), Tanh(), Exp(), Sqrt(), Reciprocal(), HardSigmoid()):
        y, cache = layer.forward(x)
        assert cache is y
