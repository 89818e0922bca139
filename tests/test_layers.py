"""Every layer against its slow definition, its adjoint identity, finite differences and exact integers."""

from __future__ import annotations

import copy
from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from invariants import examples

from npgradcam import layers, testing
from npgradcam.layers import Conv2d, Layer, Linear, Softmax
from npgradcam.layers.steps import Step
from npgradcam.testing import check_adjoint, check_gradient, check_parameter_gradients, slow_backward, slow_forward
from npgradcam.testing import definitions as slow
from npgradcam.testing.strategies import Case
from npgradcam.testing.strategies import layers as cases
from npgradcam.testing.strategies.axes import layers as axes_cases
from npgradcam.testing.strategies.pointwise import layers as pointwise_cases

pytestmark = pytest.mark.usefixtures("warm")

REAL, APART, WHOLE = cases("real"), cases("apart"), cases("whole")
BENT = {"ReLU", "ReLU6", "Clip", "MaxPool2d", "ReduceMax", "ReduceMin", "ReduceL2", "GlobalMaxPool2d"}
BENT |= set(pointwise_cases("real")) - {"Add", "Sub", "Neg", "Where"}  # products with constants: test_broadcasting.py
BENT |= {"GroupNorm", "InstanceNorm", "LRN", "LayerNorm", "OneAxis"}  # the last may hold a max pooling
AFFINE = sorted(set(REAL) - BENT - {"MatMul"})  # a product is affine only where one operand is held: test_axes.py
PARAMETRIC = ["BatchNorm2d", "Conv2d", "Linear"]
TRAINABLE = [name for name in REAL if getattr(layers, name).parameter_gradients is not Layer.parameter_gradients]
PICTURES = sorted(set(REAL) - set(axes_cases("real")) - set(pointwise_cases("real")))  # rows and columns alike
PICTURES = sorted(set(PICTURES) - {"GroupNorm", "InstanceNorm", "LayerNorm", "Resize"})  # sums in another order; axes
every_layer = pytest.mark.parametrize("name", REAL)


def close(got: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Whether they agree relative to the largest magnitude, or to 1 where all is small."""
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return got.shape == expected.shape and bool((np.abs(got - expected) <= tolerance * scale).all())


def one_image(case: Case) -> bool:
    """Whether there is a single image, whose cache serves any number of rows."""
    batch = {len(x) for x in case.xs} == {1}
    return batch and case.layer.keeps_batch(*(x.shape for x in case.xs))


def signal_like(case: Case, y: np.ndarray, data: st.DataObject, whole: bool = False) -> np.ndarray:
    """Random rows, as many as images; for a single image one to three rows, which share its cache."""
    rows = data.draw(st.integers(1, 3)) if one_image(case) else len(y)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = (rows, *y.shape[1:])
    # 36 times a whole number can be shared among every count of cells that an average of at most 3 x 3 divides by
    return (36.0 * random.integers(-8, 9, shape) if whole else random.standard_normal(shape)).astype(y.dtype)


def test_every_layer_is_tested_here() -> None:
    assert set(PARAMETRIC) < set(TRAINABLE)
    bases = {"Layer", "Rectifier"}
    steps = {name for name in layers.__all__ if issubclass(getattr(layers, name), Step)}  # test_steps.py
    wiring = {"CastLike", "Computed", "Constant", "Identity"}  # test_steps.py, test_wiring.py, test_network.py
    assert set(REAL) == set(layers.__all__) - bases - steps - wiring
    assert set(REAL) == {kind.__name__ for kind in testing.twins.TWINS}


@every_layer
@given(data=st.data())
def test_forward_equals_the_slow_definition(name: str, data: st.DataObject) -> None:
    case = data.draw(REAL[name])
    expected = slow_forward(case.layer, *case.xs)
    for dtype, tolerance in (("float64", 1e-13), ("float32", 1e-5)):
        layer, xs = (same := case.astype(dtype)).layer, same.xs
        y, _ = layer.forward(*xs)
        assert y.dtype == dtype
        assert close(y, expected, tolerance)


@every_layer
@examples(100)
@given(data=st.data())
def test_backward_equals_the_slow_definition(name: str, data: st.DataObject) -> None:
    case = data.draw(APART[name])
    signal = signal_like(case, case.layer.forward(*case.xs)[0], data)
    expected = slow_backward(case.layer, signal, *case.xs)
    for dtype, tolerance in (("float64", 1e-13), ("float32", 1e-5)):
        layer, xs = (same := case.astype(dtype)).layer, same.xs
        down = layer.backward(signal.astype(dtype), layer.forward(*xs)[1])
        assert [part.dtype for part in down] == [dtype] * len(xs)
        assert all(close(part, right, tolerance) for part, right in zip(down, expected, strict=True))


@pytest.mark.parametrize("name", WHOLE)
@examples(300)
@given(data=st.data())
def test_whole_numbers_are_exact_both_ways(name: str, data: st.DataObject) -> None:
    case = data.draw(WHOLE[name])
    whole = [array.astype(np.int64) for array in case.xs]
    held = {key: value.astype(np.int64) for key, value in case.layer.arrays.items()}
    exact = copy.copy(case.layer)
    for key, value in held.items() if not name.startswith("BatchNorm") else ():
        object.__setattr__(exact, key, value)
    expected = slow_forward(exact, *whole)
    if name in ("Conv2d", "Linear", "MaxPool2d", "ReLU", "Add", "Concat", "Flatten", "Dropout", "ReLU6"):
        assert expected.dtype == np.int64
    signal = signal_like(case, expected, data, whole=True).astype(np.int64)
    down = slow_backward(exact, signal, *whole)
    for dtype in ("float64", "float32"):
        layer, xs = (same := case.astype(dtype)).layer, same.xs
        y, cache = layer.forward(*xs)
        np.testing.assert_array_equal(y, expected.astype(dtype), strict=True)
        for part, right in zip(layer.backward(signal.astype(dtype), cache), down, strict=True):
            np.testing.assert_array_equal(part, right.astype(dtype), strict=True)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", AFFINE)
@examples(300)
@given(data=st.data())
def test_backward_is_adjoint_of_forward(name: str, dtype: str, data: st.DataObject) -> None:
    case = data.draw(REAL[name]).astype(dtype)
    rows = data.draw(st.integers(1, 3)) if one_image(case) else None
    check_adjoint(case.layer, *case.xs, rows=rows, seed=data.draw(st.integers(0, 1000)))


@every_layer
@examples(100)
@given(data=st.data())
def test_backward_is_the_derivative_of_forward(name: str, data: st.DataObject) -> None:
    case = data.draw(APART[name])
    check_gradient(case.layer, *case.xs, directions=2, seed=data.draw(st.integers(0, 1000)))


@pytest.mark.parametrize("name", PARAMETRIC)
@examples(100)
@given(data=st.data())
def test_parameter_gradients_equal_their_definition(name: str, data: st.DataObject) -> None:
    case = data.draw(REAL[name])
    layer, (x,) = case.layer, case.xs
    signal = np.random.default_rng(0).standard_normal(layer.forward(x)[0].shape)
    found = layer.parameter_gradients(signal, x)
    if isinstance(layer, Conv2d):
        settings = (layer.stride, layer.padding, layer.dilation, layer.groups)
        expected = slow.conv2d_weight_gradient(signal, x, layer.weight.shape[2:], *settings)
    elif isinstance(layer, Linear):
        expected = slow.linear_weight_gradient(signal, x)
    else:
        expected = slow.batch_norm2d_gradients(signal, x, layer.mean, layer.variance, layer.epsilon)["weight"]
    axes = tuple(axis for axis in range(signal.ndim) if axis != 1)
    assert close(found["weight"], expected, 1e-12)
    assert close(found["bias"], signal.sum(axis=axes), 1e-12)


@pytest.mark.parametrize("name", TRAINABLE)
@examples(100)
@given(data=st.data())
def test_parameter_gradients_are_derivatives_and_the_same_in_float32(name: str, data: st.DataObject) -> None:
    case = data.draw(REAL[name])
    assume(case.layer.parameters)  # a product of two inputs has none, nor has a pooling of one axis
    if name != "OneAxis":  # it holds another layer, which is differentiated by itself
        check_parameter_gradients(case.layer, *case.xs, directions=2)
    signal = np.random.default_rng(0).standard_normal(case.layer.forward(*case.xs)[0].shape)
    single, expected = case.astype("float32"), case.layer.parameter_gradients(signal, *case.xs)
    found = single.layer.parameter_gradients(signal.astype("float32"), *single.xs)
    assert found.keys() == expected.keys()
    assert {part.dtype for part in found.values()} == {np.dtype("float32")}
    assert all(close(found[part], right, 1e-5) for part, right in expected.items())


@every_layer
@given(data=st.data())
def test_output_shape_is_the_shape_of_the_output(name: str, data: st.DataObject) -> None:
    case = data.draw(REAL[name])
    assert case.layer.output_shape(*(x.shape for x in case.xs)) == case.layer.forward(*case.xs)[0].shape


def frozen(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def upside_down(x: np.ndarray) -> np.ndarray:
    """The same numbers, read backwards through memory and with gaps."""
    roomy = np.repeat(x[..., ::-1].T, 2, axis=0)  # reversed, transposed, every number twice
    return roomy[::2].T[..., ::-1]


@every_layer
@given(data=st.data())
def test_nothing_that_goes_in_is_changed_and_nothing_stays_on_the_layer(name: str, data: st.DataObject) -> None:
    case = data.draw(REAL[name])
    layer, before = case.layer, [x.tobytes() for x in case.xs]
    held, attributes = [p.tobytes() for p in case.layer.arrays.values()], dict(vars(layer))
    y, cache = layer.forward(*case.xs)
    signal = signal_like(case, y, data)
    kept, saved = copy.deepcopy(cache), signal.tobytes()
    down = layer.backward(signal, cache)
    again = layer.backward(signal, cache)
    assert [x.tobytes() for x in case.xs] == before
    assert [p.tobytes() for p in layer.arrays.values()] == held
    assert vars(layer) == attributes
    assert signal.tobytes() == saved
    assert repr(cache) == repr(kept)
    assert all(np.array_equal(a, b) for a, b in zip(down, again, strict=True))


@pytest.mark.parametrize("memory", [frozen, upside_down])
@pytest.mark.parametrize("name", [*WHOLE, "Softmax"])
@given(data=st.data())
def test_how_the_numbers_lie_in_memory_does_not_matter(name: str, memory, data: st.DataObject) -> None:  # type: ignore
    case = data.draw(WHOLE[name] if name in WHOLE else REAL[name])
    y, cache = case.layer.forward(*case.xs)
    signal = signal_like(case, y, data, whole=True)
    down = case.layer.backward(signal, cache)
    same = Case(case.layer, tuple(memory(x) for x in case.xs))
    y2, cache2 = same.layer.forward(*same.xs)
    down2 = same.layer.backward(memory(signal), cache2)
    tolerance = 1e-14 if name == "Softmax" else 0  # whole numbers add up exactly in any order
    assert all(close(a, b, tolerance) for a, b in zip((y2, *down2), (y, *down), strict=True))


@every_layer
@given(data=st.data())
def test_one_images_cache_serves_many_rows_of_signal(name: str, data: st.DataObject) -> None:
    case = data.draw(WHOLE[name] if name in WHOLE else REAL[name])
    xs = [x[:1] for x in case.xs]
    if not case.layer.keeps_batch(*(x.shape for x in xs)):
        return  # the network goes row by row there
    y, cache = case.layer.forward(*xs)
    signal = 36.0 * np.random.default_rng(0).integers(-8, 9, (4, *y.shape[1:]))
    together = case.layer.backward(signal, cache)
    for r in range(4):
        alone = case.layer.backward(signal[r : r + 1], case.layer.forward(*xs)[1])
        assert all(np.array_equal(part[r : r + 1], one) for part, one in zip(together, alone, strict=True))


@pytest.mark.parametrize("name", PICTURES)
@given(data=st.data())
def test_height_and_width_are_never_swapped(name: str, data: st.DataObject) -> None:
    """Every drawn layer, with its two axes exchanged, gives the exchanged answer - and only then."""
    case = data.draw(WHOLE[name] if name in WHOLE else REAL[name])
    turned = copy.copy(case.layer)
    for key, value in vars(case.layer).items():
        if key in ("stride", "dilation", "kernel", "output_padding", "sizes"):
            object.__setattr__(turned, key, value[::-1])
        if key == "padding" and not isinstance(value, str):
            object.__setattr__(turned, key, (value[1], value[0], value[3], value[2]))
        if key == "weight" and value.ndim == 4:
            object.__setattr__(turned, key, value.swapaxes(2, 3))
    y, _ = case.layer.forward(*case.xs)
    y2, _ = turned.forward(*(x.swapaxes(2, 3) if x.ndim == 4 else x for x in case.xs))
    assert np.array_equal(y2, y.swapaxes(2, 3) if y.ndim == 4 else y)


@given(shape=st.tuples(*(st.integers(1, 3),) * 4))
def test_softmax_rows_sum_to_one_and_ignore_a_common_shift(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(prod(shape)).standard_normal(shape) * 50
    y, cache = Softmax().forward(x)
    assert close(y.sum(axis=1), np.ones_like(y[:, 0]), 1e-15 * 8)
    assert close(Softmax().forward(x + 700)[0], y, 1e-12)
    assert close(Softmax().backward(np.ones_like(x), cache)[0], np.zeros_like(x), 1e-15)
