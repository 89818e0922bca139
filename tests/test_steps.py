"""Layers without a derivative: what they answer, that they pay nothing back, and what a cast lets through."""

from __future__ import annotations

import math

import numpy as np
import pytest

from npgradcam import layers
from npgradcam.errors import ShapeError
from npgradcam.layers import (
    And,
    ArgMax,
    Cast,
    CastLike,
    Ceil,
    ConstantOfShape,
    Equal,
    Floor,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Mod,
    NonZero,
    Not,
    Or,
    Range,
    Round,
    Shape,
    Sign,
    Size,
)
from npgradcam.layers.steps import Step

NAN, INF = math.nan, math.inf
A, B = np.array([1.0, 2.0, 3.0, NAN]), np.array([2.0, 2.0, 2.0, 2.0])
P, Q = np.array([True, True, False, False]), np.array([True, False, True, False])
HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.4, NAN, INF])
DIVIDENDS, DIVISORS = np.array([7, -7, 7, -7]), np.array([3, 3, -3, -3])
TIED = np.array([[1.0, 5.0, 5.0], [7.0, 0.0, 7.0]])

ANSWERS = [
    (Equal(), (A, B), [False, True, False, False]),
    (Less(), (A, B), [True, False, False, False]),
    (LessOrEqual(), (A, B), [True, True, False, False]),
    (Greater(), (A, B), [False, False, True, False]),
    (GreaterOrEqual(), (A, B), [False, True, True, False]),
    (Equal(), (np.arange(3)[:, None], np.arange(2)), [[True, False], [False, True], [False, False]]),
    (And(), (P, Q), [True, False, False, False]),
    (Or(), (P, Q), [True, True, True, False]),
    (Not(), (P,), [False, False, True, True]),
    (Floor(), (HALVES,), [-3, -2, -1, 0, 1, 2, NAN, INF]),
    (Ceil(), (HALVES,), [-2, -1, 0, 1, 2, 3, NAN, INF]),
    (Round(), (HALVES,), [-2, -2, 0, 0, 2, 2, NAN, INF]),
    (Sign(), (HALVES,), [-1, -1, -1, 1, 1, 1, NAN, 1]),
    (Sign(), (np.array([-3, 0, 2]),), [-1, 0, 1]),
    (Mod(), (DIVIDENDS, DIVISORS), [1, 2, -2, -1]),
    (Mod(fmod=True), (DIVIDENDS, DIVISORS), [1, -1, 1, -1]),
    (Mod(fmod=True), (np.array([5.5, -5.5, 1.0]), np.array([2.0, 2.0, 0.0])), [1.5, -1.5, NAN]),
    (ArgMax(), (TIED,), [[1, 0, 1]]),
    (ArgMax(1), (TIED,), [[1], [0]]),
    (ArgMax(-1, keepdims=False, select_last=True), (TIED,), [2, 2]),
    (ArgMax(0, keepdims=False), (TIED,), [1, 0, 1]),
    (Shape(), (np.ones((2, 3, 4)),), [2, 3, 4]),
    (Shape(1), (np.ones((2, 3, 4)),), [3, 4]),
    (Shape(-2, -1), (np.ones((2, 3, 4)),), [3]),
    (Shape(-9, 9), (np.ones((2, 3)),), [2, 3]),
    (Size(), (np.ones((2, 3, 4)),), 24),
    (Range(), (np.array(3), np.array(10), np.array(3)), [3, 6, 9]),
    (Range(), (np.array(1.0), np.array(-1.0), np.array(-0.5)), [1, 0.5, 0, -0.5]),
    (Range(), (np.array(3), np.array(3), np.array(1)), np.zeros(0, int)),
    (NonZero(), (TIED,), [[0, 0, 0, 1, 1], [0, 1, 2, 0, 2]]),
    (ConstantOfShape(np.array([7.0])), (np.array([2, 1]),), [[7], [7]]),
    (ConstantOfShape(np.array([7])), (np.array([], int),), 7),
    (Cast("int64"), (np.array([-1.9, -0.5, 1.9]),), [-1, 0, 1]),
    (Cast("bool"), (np.array([0.0, -0.5, NAN]),), [False, True, True]),
    (Cast("float64"), (P,), [1, 1, 0, 0]),
    (CastLike(), (np.array([-1.9, 1.9]), np.array(0)), [-1, 1]),
]
WHOLE = (Shape, Size, ArgMax, NonZero)


@pytest.mark.parametrize(("layer", "xs", "expected"), ANSWERS, ids=repr)
def test_the_answer_and_nothing_back(layer, xs, expected) -> None:  # type: ignore[no-untyped-def]
    y, cache = layer.forward(*xs)
    expected = np.array(expected)
    assert isinstance(y, np.ndarray)
    assert expected.dtype == bool or y.dtype == (np.int64 if isinstance(layer, WHOLE) else y.dtype)
    assert (y.dtype == bool) == (expected.dtype == bool)
    np.testing.assert_array_equal(y, expected)
    assert y.shape == expected.shape
    assert layer.backward(np.ones(y.shape), cache) == (None,) * len(xs)
    assert layer.parameters == {}
    if not isinstance(layer, (Range, NonZero, ConstantOfShape)):
        assert layer.output_shape(*(x.shape for x in xs)) == y.shape


def test_every_step_has_an_answer_here_and_says_that_no_signal_passes() -> None:
    steps = {name for name in layers.__all__ if issubclass(getattr(layers, name), Step)}
    assert {type(layer).__name__ for layer, *_ in ANSWERS} == steps | {"CastLike"}
    for layer, *_ in ANSWERS:
        passes = isinstance(layer, CastLike) or (isinstance(layer, Cast) and layer.dtype == "float64")
        assert layer.differentiable == passes


@pytest.mark.parametrize("dtype", ["int64", "int32", "float32"])
def test_whole_numbers_keep_their_dtype(dtype) -> None:  # type: ignore[no-untyped-def]
    for layer in (Floor(), Ceil(), Sign()):
        assert layer.forward(np.array([-2, 3], dtype))[0].dtype == dtype
    for layer in (Mod(), Mod(True)):
        assert layer.forward(np.array([-2, 3], dtype), np.array([2, 2], dtype))[0].dtype == dtype
    assert Range().forward(*np.array([0, 3, 1], dtype))[0].dtype == dtype


@pytest.mark.parametrize("network", ["float32", "float64"])
@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_a_cast_to_any_floating_point_dtype_means_the_networks_own(name, network) -> None:  # type: ignore[no-untyped-def]
    layer = Cast(name).astype(network)
    x = np.array([[1.5, -2.0]], network)
    y, cache = layer.forward(x)
    assert y.dtype == network
    (dx,) = layer.backward(3 * y, cache)
    np.testing.assert_array_equal(dx, 3 * x, strict=True)
    assert layer.forward(np.array([1, 2]))[0].dtype == network
    assert Cast("int32").astype(network).forward(x)[0].dtype == np.int32
    assert ConstantOfShape(np.zeros(1)).astype(network).forward(np.array([2]))[0].dtype == network
    assert ConstantOfShape(np.zeros(1, int)).astype(network).forward(np.array([2]))[0].dtype == np.int64


def test_between_floating_point_dtypes_the_signal_passes_in_the_inputs_own() -> None:
    for layer, more in ((Cast("float64"), ()), (CastLike(), (np.zeros(3),))):
        y, cache = layer.forward(np.ones((1, 2), np.float32), *more)
        assert y.dtype == np.float64
        dx, *rest = layer.backward(2 * y, cache)
        np.testing.assert_array_equal(dx, np.full((1, 2), 2, np.float32), strict=True)
        assert rest == [None] * len(more)


@pytest.mark.filterwarnings("error")
def test_a_cast_of_what_is_not_finite_does_not_warn() -> None:
    assert Cast("int64").forward(np.array([NAN, INF, 1e30]))[0].dtype == np.int64
    assert Cast("float32").forward(np.array([1e300]))[0].tolist() == [INF]


def test_what_depends_on_shapes_alone_says_so() -> None:
    assert [kind.__name__ for kind in (Shape, Size, Range, NonZero) if kind.reads_shapes] == ["Shape", "Size"]
    x = np.broadcast_to(np.float32(0), (10**6, 10**6))  # a shape without memory
    assert Shape().forward(x)[0].tolist() == [10**6, 10**6]
    assert Size().forward(x)[0] == 10**12


@pytest.mark.parametrize(("layer", "shapes", "kept"), [
    (Equal(), [(2, 3), (2, 1)], True), (Equal(), [(2, 3), (3,)], False), (Floor(), [(2, 3)], True),
    (ArgMax(1), [(2, 3)], True), (ArgMax(-2), [(2, 3)], False), (Shape(), [(2, 3)], False),
    (Cast("float32"), [(2, 3)], True),
], ids=repr)
def test_what_mixes_images_says_so(layer, shapes, kept) -> None:  # type: ignore[no-untyped-def]
    assert layer.keeps_batch(*shapes) is kept


@pytest.mark.parametrize(("make", "words"), [
    (lambda: ArgMax(2).forward(np.ones((2, 3))), r"expected an axis 2, got shape \(2, 3\)"),
    (lambda: Range().forward(np.array(0), np.array(3), np.array(0)), "delta other than 0"),
    (lambda: NonZero().output_shape((2, 3)), "depends on the numbers"),
    (lambda: ConstantOfShape(np.ones(2)), r"expected one number, got an array of shape \(2,\)"),
    (lambda: Less().forward(np.ones(2), np.ones(3)), "alike on each axis"),
])
def test_what_cannot_be_is_refused_with_the_reason(make, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match=words):
        make()


def test_the_last_of_tied_places_is_counted_from_the_front_and_the_axis_stays():
    x = np.array([[5.0, 1.0, 5.0, 0.0], [0.0, 3.0, 3.0, 3.0]])
    assert ArgMax(1, select_last=True).step(x).tolist() == [[2], [3]]
    assert ArgMax(1).step(x).tolist() == [[0], [1]]
    assert ArgMax().step(x).tolist() == [[0, 1, 0, 1]]
    assert ArgMax(-2).output_shape((2, 4)) == (1, 4)


def test_a_dtype_has_one_name_however_it_is_given():
    assert [Cast(kind).dtype for kind in ("f4", np.float32, "float32", ">f4")] == ["float32"] * 4


def test_how_many_arrays_arrive():
    assert [kind.inputs for kind in (Equal, Mod, CastLike, Range, Not)] == [2, 2, 2, 3, 1]


def test_the_remainder_of_a_division_by_zero_warns_nobody():
    assert Mod().step(np.array([3]), np.array([0])).tolist() == [0]
    assert Mod().fmod is False


def test_a_range_is_as_long_as_its_steps_and_a_longer_one_than_memory_is_refused():
    far = 2**31
    for start, limit, delta, numbers in ((far, far + 3, 1, 3), (0, far, 2**29, 4), (far, 0, -(2**30), 2), (3, 0, 1, 0)):
        assert len(Range().step(*map(np.array, (start, limit, delta)))) == numbers
    for start, limit, delta in ((0, far, 1), (far, 0, -1), (-far, 0, 1), (0.0, 2.0**30 + 0.5, 1.0)):
        with pytest.raises(ShapeError, match="1,073,741,824 numbers"):
            Range().step(*map(np.array, (start, limit, delta)))
