"""Arithmetic: operands that stretch, arrive or are held, whole numbers, and constants in a network."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam import layers
from npgradcam.layers import (
    Abs,
    Add,
    Clip,
    Div,
    LeakyReLU,
    Maximum,
    Minimum,
    Mul,
    Neg,
    Pow,
    PReLU,
    Softmax,
    Sub,
    ThresholdedReLU,
    Where,
)
from npgradcam.network import Network, Node
from npgradcam.testing import check_adjoint, check_completeness
from npgradcam.testing.strategies import values
from npgradcam.testing.strategies.pointwise import layers as cases

BROADCASTING = ["Add", "Sub", "Mul", "Div", "Pow", "Minimum", "Maximum", "Where"]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def both(layer, *xs):  # type: ignore[no-untyped-def]
    """The output, and what comes back for a signal of ones."""
    y, cache = layer.forward(*xs)
    return y, *layer.backward(np.ones_like(y), cache)


# ------------------------------------------------------------------------------------------- broadcasting


@pytest.mark.parametrize("name", BROADCASTING)
@given(data=st.data())
def test_a_constant_and_an_operand_that_arrives_give_the_same(name, data) -> None:  # type: ignore[no-untyped-def]
    case = data.draw(cases("real")[name])
    held = case.layer.arrays
    if not held:
        return
    free = type(case.layer)()
    if name in ("Add", "Mul", "Minimum", "Maximum"):
        xs = (*case.xs, *held.values())
        own = list(range(len(case.xs)))
    else:
        names = ("condition", "first", "second") if name == "Where" else ("first", "second")
        arriving = iter(case.xs)
        xs = tuple(held[n] if n in held else next(arriving) for n in names)
        own = [k for k, n in enumerate(names) if n not in held]
    y, *down = both(case.layer, *case.xs)
    y2, *down2 = both(free, *xs)
    np.testing.assert_array_equal(y, y2, strict=True)
    assert len(down) == len(own)
    for part, k in zip(down, own, strict=True):
        np.testing.assert_allclose(part.sum(), down2[k].sum(), rtol=1e-12, atol=1e-12)
        if len(y) > 1 and case.layer.keeps_batch(*(x.shape for x in case.xs)):
            np.testing.assert_allclose(part, down2[k], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", [*BROADCASTING, "PReLU", "Softmax", "LogSoftmax"])
@given(data=st.data())
def test_where_the_batch_is_kept_every_image_is_alone(name, data) -> None:  # type: ignore[no-untyped-def]
    case = data.draw(cases("real")[name])
    if not case.layer.keeps_batch(*(x.shape for x in case.xs)):
        return
    y, *down = both(case.layer, *case.xs)
    for n in range(len(y)):
        one, *parts = both(case.layer, *(x[n : n + 1] for x in case.xs))
        assert np.array_equal(one, y[n : n + 1])
        assert all(np.array_equal(part, whole[n : n + 1]) for part, whole in zip(parts, down, strict=True))


@pytest.mark.parametrize(("layer", "shapes", "kept"), [
    (Add(), [(2, 3), (2, 1)], True),
    (Add(), [(2, 3), (1, 3)], False),
    (Add(), [(2, 3), (3,)], False),
    (Add(), [(), ()], False),
    (Mul(np.ones(3)), [(2, 3)], True),
    (Mul(np.ones((1, 3))), [(2, 3)], True),
    (Mul(np.ones((2, 3))), [(2, 3)], False),
    (Mul(np.ones((1, 1, 3))), [(2, 3)], False),
    (Sub(first=np.ones((2, 1))), [(2, 3)], False),
    (Where(np.array(True), np.ones(3)), [(2, 3)], True),
    (Where(np.array([[True], [False]])), [(2, 3), (2, 3)], False),
    (PReLU(np.ones((3, 1))), [(2, 3, 4)], True),
    (PReLU(np.ones((2, 1, 1))), [(2, 3, 4)], False),
    (Softmax(1), [(2, 3)], True),
    (Softmax(-2), [(2, 3)], False),
    (Softmax(0, onward=True), [(2, 3)], False),
], ids=repr)
def test_what_mixes_images_says_so(layer, shapes, kept) -> None:  # type: ignore[no-untyped-def]
    assert layer.keeps_batch(*shapes) is kept


def test_each_operand_gets_the_sum_over_the_axes_along_which_it_was_stretched() -> None:
    signal = np.arange(12.0).reshape(2, 3, 2)
    for shape, expected in [((), 66), ((2,), [30, 36]), ((3, 1), [[14], [22], [30]]), ((2, 3, 2), signal),
                            ((2, 1, 2), [[[6, 9]], [[24, 27]]]), ((1, 3, 2), [[[6, 8], [10, 12], [14, 16]]])]:
        y, cache = Add().forward(np.zeros((2, 3, 2)), np.ones(shape))
        np.testing.assert_array_equal(y, np.ones((2, 3, 2)))
        whole, part = Add().backward(signal, cache)
        np.testing.assert_array_equal(whole, signal)
        np.testing.assert_array_equal(part, np.array(expected, float), strict=True)


@pytest.mark.parametrize("layer", [
    Add(np.ones((3, 1))), Sub(second=np.ones(3)), Sub(first=np.ones(3)), Mul(np.array([[2.0], [-3.0]])),
    Mul(np.array(7.0)), Div(second=np.array([2.0, -0.3])), Where(np.array([True, False]), second=np.ones(2)), Neg(),
], ids=repr)
@given(data=st.data())
def test_with_a_constant_a_product_is_affine(layer, data) -> None:  # type: ignore[no-untyped-def]
    lengths = next((held.shape for held in layer.arrays.values()), ())
    shape = (data.draw(st.integers(1, 2)), *lengths, data.draw(st.integers(1, 3)))[: 4]
    if lengths and lengths[-1] != 1:
        shape = shape[:-1]
    rows = data.draw(st.integers(1, 3)) if shape[0] == 1 and layer.keeps_batch(shape) else None
    check_adjoint(layer, np.ones(shape), rows=rows, seed=data.draw(st.integers(0, 99)))


def test_a_condition_that_arrives_gets_no_signal() -> None:
    condition = np.array([[True], [False]])
    y, *down = both(Where(), condition, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array(9.0))
    np.testing.assert_array_equal(y, [[1, 2], [9, 9]])
    assert down[0] is None
    np.testing.assert_array_equal(down[1], [[1, 1], [0, 0]])
    np.testing.assert_array_equal(down[2], 2)


# ------------------------------------------------------------------------------------------- whole numbers, constants


@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize(("layer", "expected"), [
    (Add(), [-4, 4]), (Sub(), [-10, 10]), (Mul(), [-21, -21]), (Div(), [-2, -2]), (Minimum(), [-7, -3]),
    (Maximum(), [3, 7]), (Pow(), None),
], ids=repr)
def test_whole_numbers_stay_whole(layer, expected, dtype) -> None:  # type: ignore[no-untyped-def]
    a, b = np.array([-7, 7], dtype), np.array([3, -3], dtype)
    if expected is None:
        b, expected = np.array([3, 2], dtype), [-343, 49]
    np.testing.assert_array_equal(layer.forward(a, b)[0], np.array(expected, dtype), strict=True)


def test_division_of_whole_numbers_truncates_toward_zero() -> None:
    a = np.array([7, -7, 7, -7, 2**62 + 1, 0])
    assert Div().forward(a, np.array([2, 2, -2, -2, 1, 5]))[0].tolist() == [3, -3, -3, 3, 2**62 + 1, 0]
    for clip in (Clip(-math.inf, 3.0), Clip(0.0, math.inf)):
        assert clip.forward(np.array([-5, 5], np.int8))[0].dtype == np.int8
    assert Abs().forward(a)[0].tolist() == [7, 7, 7, 7, 2**62 + 1, 0]
    assert Neg().forward(a)[0].tolist() == [-7, 7, -7, 7, -(2**62) - 1, 0]
    assert Where().forward(a > 0, a, np.array(0))[0].tolist() == [7, 0, 7, 0, 2**62 + 1, 0]


def test_constants_are_not_parameters_and_change_their_precision_with_the_layer() -> None:
    layer = Mul(np.ones(3)).astype("float32")
    assert layer.parameters == {}
    assert layer.constant.dtype == np.float32
    assert layer.forward(np.ones((2, 3), np.float32))[0].dtype == np.float32
    assert Add(np.array([1, 2])).astype("float32").constant.dtype == np.int64
    assert Where(np.array(True)).astype("float32").condition.dtype == bool


@dtypes
@pytest.mark.parametrize("name", BROADCASTING)
def test_single_numbers_stay_arrays_of_their_dtype(name, dtype) -> None:  # type: ignore[no-untyped-def]
    one = np.array(2.0, dtype)
    xs = (one > 0, one, one) if name == "Where" else (one, one)
    y, *down = both(getattr(layers, name)(), *xs)
    assert all(type(x) is np.ndarray and x.dtype == dtype and x.shape == () for x in (y, *down) if x is not None)


# ------------------------------------------------------------------------------------------- in a network


@given(data=st.data())
def test_constants_and_leaky_rectifiers_add_up_to_the_score(data) -> None:  # type: ignore[no-untyped-def]
    """What an exported batch norm looks like, and rectifiers that leak: piecewise linear, so complete."""
    constants = iter([data.draw(values((3, 1, 1))) for _ in range(5)])
    x = data.draw(values((data.draw(st.integers(1, 2)), 3, 2, 4)))
    net = Network((
        Node("scale", Mul(next(constants)), ("input",)), Node("shift", Add(next(constants)), ("scale",)),
        Node("leaky", LeakyReLU(0.3), ("shift",)), Node("minus", Sub(first=next(constants)), ("leaky",)),
        Node("prelu", PReLU(next(constants)), ("minus",)), Node("threshold", ThresholdedReLU(0.1), ("prelu",)),
        Node("div", Div(second=np.exp(next(constants))), ("threshold",)), Node("sum", Add(), ("div", "input", "leaky")),
    ), dtype="float64")
    check_completeness(net, x)
