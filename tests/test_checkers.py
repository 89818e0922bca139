"""The checkers are checked: every kind of mistake that a derivative can have is caught, and no right one is."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from npgradcam.errors import NpGradcamError, UnknownLayerError
from npgradcam.layers import (
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Pad,
    ReLU,
    ReLU6,
    Softmax,
)
from npgradcam.layers.layer import Layer
from npgradcam.network import Network, Node
from npgradcam.testing import (
    check_adjoint,
    check_completeness,
    check_gradient,
    check_parameter_gradients,
    slow_backward,
    slow_forward,
)

pytestmark = pytest.mark.usefixtures("warm")


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


X = array(2, 4, 5, 6, seed=1)
LAYERS: dict[str, tuple[Layer, tuple[np.ndarray, ...]]] = {
    "dense": (Conv2d(array(3, 4, 3, 2), array(3), (2, 1), (0, 1, 1, 0)), (X,)),
    "same": (Conv2d(array(3, 4, 3, 3), array(3), (2, 2), "same"), (array(2, 4, 6, 6),)),
    "grouped": (Conv2d(array(6, 2, 2, 3), array(6), dilation=(2, 1), groups=2), (X,)),
    "linear": (Linear(array(3, 4), array(3)), (array(2, 4),)),
    "norm": (BatchNorm2d(array(4), array(4), array(4), array(4) ** 2), (X,)),
    "avg": (AvgPool2d((3, 2), (2, 1), (1, 0, 1, 1), True, False), (X,)),
    "global": (GlobalAvgPool2d(), (X,)),
    "adaptive": (AdaptiveAvgPool2d((3, 4)), (X,)),
    "pad": (Pad((1, 0, 2, 3), 7.0), (X,)),
    "flatten": (Flatten(), (X,)),
    "dropout": (Dropout(), (X,)),
    "add": (Add(), (X, array(2, 4, 5, 6))),
    "concat": (Concat(), (X, array(2, 1, 5, 6))),
    "relu": (ReLU(), (X,)),
    "relu6": (ReLU6(), (4 * X,)),
    "max": (MaxPool2d((3, 2), (2, 1), (1, 0, 1, 1), True), (X,)),
    "softmax": (Softmax(), (X,)),
}
AFFINE = [name for name in LAYERS if name not in ("relu", "relu6", "max", "softmax")]
Change = Callable[[tuple[np.ndarray, ...]], tuple[np.ndarray, ...]]


def wrong(layer: Layer, **methods: Any) -> Layer:
    """The same layer with some methods replaced; each is handed the right method first."""
    kind = type(layer)

    def replacement(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        right = getattr(kind, name)
        return lambda self, *given: method(lambda *inner: right(self, *inner), *given)

    replaced = {name: replacement(name, method) for name, method in methods.items()}
    made = copy.copy(layer)
    object.__setattr__(made, "__class__", type(kind.__name__, (kind,), replaced))
    return made


def wrong_backward(layer: Layer, change: Change) -> Layer:
    return wrong(layer, backward=lambda right, *given: change(right(*given)))


def one_cell(parts: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """One number of the whole signal is wrong by one part in a thousand: the largest of the first row."""
    first = parts[0].copy()
    first.reshape(-1)[np.abs(first[0]).argmax()] *= 1.001
    return first, *parts[1:]


def every(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda parts: tuple(change(part) for part in parts)


MISTAKES: dict[str, Change] = {
    "one part in a thousand": every(lambda part: 1.001 * part),
    "one part in a thousand of one number": one_cell,
    "the sign": every(lambda part: -part),
    "the last axis the wrong way round": every(lambda part: part[..., ::-1].copy()),
    "one cell to the side": every(lambda part: np.roll(part, 1, axis=-1)),
    "channels in another order": every(lambda part: np.roll(part, 1, axis=1)),
    "images in another order": every(lambda part: part[::-1].copy()),
    "twice": every(lambda part: 2 * part),
    "nothing": every(np.zeros_like),
}


@pytest.mark.parametrize("name", LAYERS)
def test_right_layers_pass(name: str) -> None:
    layer, xs = LAYERS[name]
    assert check_gradient(layer, *xs) < 1e-6
    if name in AFFINE:
        assert check_adjoint(layer, *xs) < 1e-14
        assert check_adjoint(layer.astype("float32"), *(x.astype("float32") for x in xs)) < 1e-6
        assert check_adjoint(layer, *(x[:1] for x in xs), rows=3) < 1e-14
    if layer.parameters:
        assert check_parameter_gradients(layer, *xs) < 1e-6


# what a global average pays back is the same in every cell, so these two are no mistakes there
NONE = {("global", "the last axis the wrong way round"), ("global", "one cell to the side")}


@pytest.mark.parametrize(("name", "mistake"), sorted(set(product(LAYERS, MISTAKES)) - NONE))
def test_checkers_catch_a_wrong_derivative(name: str, mistake: str) -> None:
    layer, xs = LAYERS[name]
    broken = wrong_backward(layer, MISTAKES[mistake])
    with pytest.raises(AssertionError, match="is not the derivative of forward: they differ by"):
        check_gradient(broken, *xs)
    if name in AFFINE:
        with pytest.raises(AssertionError, match="is not the adjoint of forward: they differ by"):
            check_adjoint(broken, *xs)
        if "of one number" not in mistake:  # which float32 cannot always tell from rounding
            with pytest.raises(AssertionError, match="is not the adjoint of forward: they differ by"):
                check_adjoint(broken.astype("float32"), *(x.astype("float32") for x in xs))


@pytest.mark.parametrize("name", ["dense", "avg", "global", "adaptive", "relu6", "max", "softmax"])
def test_checkers_catch_a_forward_that_is_not_what_backward_differentiates(name: str) -> None:
    layer, xs = LAYERS[name]
    broken = wrong(layer, forward=lambda right, *given: (1.001 * right(*given)[0], right(*given)[1]))
    with pytest.raises(AssertionError, match="difference quotient"):
        check_gradient(broken, *xs)


def test_checkers_catch_a_forgotten_z_and_a_wrong_count() -> None:
    forgotten = wrong_backward(GlobalAvgPool2d(), lambda parts: (30 * parts[0],))
    with pytest.raises(AssertionError):
        check_adjoint(forgotten, X)
    forward = AvgPool2d((3, 2), (2, 1), (1, 0, 1, 1), count_include_pad=True)
    backward = AvgPool2d((3, 2), (2, 1), (1, 0, 1, 1), count_include_pad=False)
    mixed = wrong(forward, backward=lambda right, *given: backward.backward(*given))
    with pytest.raises(AssertionError):
        check_adjoint(mixed, X)


@pytest.mark.parametrize(("right", "other"), [
    ({"padding": (0, 0, 1, 1)}, {"padding": (1, 1, 0, 0)}),  # TensorFlow's side, PyTorch's side
    ({"stride": (2, 1)}, {"stride": (1, 2)}),
    ({"dilation": (1, 2)}, {"dilation": (2, 1)}),
])
def test_a_backward_with_other_geometry_is_caught(right: dict, other: dict) -> None:
    weight, x = array(4, 4, 2, 2), array(2, 4, 6, 6)
    swapped = Conv2d(weight.swapaxes(2, 3), array(4), **right)
    elsewhere = Conv2d(weight, array(4), **other)
    for sibling in (swapped, elsewhere):
        layer = wrong(Conv2d(weight, array(4), **right), backward=lambda _, *given, s=sibling: s.backward(*given))
        with pytest.raises((AssertionError, NpGradcamError)):
            check_adjoint(layer, x)


def test_the_slow_definition_tells_geometries_apart() -> None:
    """Mistakes that both directions share pass every adjoint; only the definition sees them."""
    weight, x = array(4, 4, 2, 2), array(2, 4, 6, 6)
    right = Conv2d(weight, array(4), padding=(0, 0, 1, 1))
    expected = slow_forward(right, x)
    for mistaken in (Conv2d(weight, array(4), padding=(1, 1, 0, 0)),
                     Conv2d(weight.swapaxes(2, 3), right.bias, padding=(0, 0, 1, 1)),
                     Conv2d(weight[:, :, ::-1, ::-1], right.bias, padding=(0, 0, 1, 1)),  # a true convolution
                     Conv2d(weight, 0 * right.bias, padding=(0, 0, 1, 1))):
        check_adjoint(mistaken, x)
        assert np.abs(mistaken.forward(x)[0] - expected).max() > 0.1
    assert np.abs(right.forward(x)[0] - expected).max() < 1e-13


def test_the_slow_definition_tells_tie_rules_apart() -> None:
    x, pool = np.zeros((1, 1, 2, 4)), MaxPool2d((2, 2), (2, 2))
    (dx,) = slow_backward(pool, np.ones((1, 1, 1, 2)), x)
    np.testing.assert_array_equal(dx[0, 0], [[1, 0, 1, 0], [0, 0, 0, 0]])
    last = pool.backward(np.ones((1, 1, 1, 2)), pool.forward(x[:, :, ::-1, ::-1])[1])[0][:, :, ::-1, ::-1]
    assert not np.array_equal(last, dx)


@pytest.mark.parametrize("name", ["dense", "grouped", "linear", "norm"])
@pytest.mark.parametrize("which", ["weight", "bias"])
def test_checker_catches_a_wrong_parameter_gradient(name: str, which: str) -> None:
    layer, xs = LAYERS[name]

    def changed(by: Callable[[np.ndarray], np.ndarray]) -> Layer:
        def method(right: Callable[..., dict[str, np.ndarray]], *given: np.ndarray) -> dict[str, np.ndarray]:
            found = right(*given)
            return found | {which: by(found[which])}

        return wrong(layer, parameter_gradients=method)

    for by in (lambda g: 1.001 * g, lambda g: -g, lambda g: np.roll(g, 1, axis=0)):
        with pytest.raises(AssertionError, match="parameter_gradients is not the derivative"):
            check_parameter_gradients(changed(by), *xs)
    with pytest.raises(AssertionError, match="other shapes or dtypes"):
        check_parameter_gradients(changed(lambda g: g[:1]), *xs)
    missing = wrong(layer, parameter_gradients=lambda right, *given: {
        key: value for key, value in right(*given).items() if key != which})
    with pytest.raises(AssertionError, match=r"gives \['\w+'\] where \['bias', 'weight'\] is held"):
        check_parameter_gradients(missing, *xs)


@pytest.mark.parametrize("change", [
    every(lambda part: part.astype("float32")), every(lambda part: part[..., :-1]), lambda parts: (*parts, parts[0]),
])
def test_checkers_catch_signals_of_the_wrong_shape_or_dtype(change: Change) -> None:
    layer, xs = LAYERS["dense"]
    for check in (check_adjoint, check_gradient):
        with pytest.raises(AssertionError, match=r"other shapes or dtypes than it should.\n  expected .*\n  got "):
            check(wrong_backward(layer, change), *xs)


def test_a_nan_is_not_taken_for_agreement() -> None:
    layer, xs = LAYERS["dense"]
    broken = wrong_backward(layer, every(lambda part: part * np.nan))
    for check in (check_adjoint, check_gradient):
        with pytest.raises(AssertionError, match="differ by nan"):
            check(broken, *xs)


def test_a_failure_shows_both_numbers_below_each_other() -> None:
    layer, xs = LAYERS["linear"]
    with pytest.raises(AssertionError) as caught:
        check_adjoint(wrong_backward(layer, MISTAKES["twice"]), *xs)
    sentence, one, other = str(caught.value).splitlines()
    assert sentence.startswith("Linear: backward is not the adjoint of forward: they differ by ")
    assert sentence.endswith("at most 1e-14 is allowed.")
    assert one.startswith("  <J u, v>    ")
    assert other.startswith("  <u, J^T v>  ")
    assert one.index(one.split()[-1]) == other.index(other.split()[-1])
    assert float(other.split()[-1]) == pytest.approx(2 * float(one.split()[-1]), rel=1e-12)


@pytest.mark.parametrize("name", ["relu", "relu6", "max", "softmax"])
def test_check_adjoint_asks_for_an_affine_layer(name: str) -> None:
    layer, xs = LAYERS[name]
    with pytest.raises(NpGradcamError, match=r"expected an affine layer.* use check_gradient"):
        check_adjoint(layer, *xs)


def test_check_parameter_gradients_asks_for_parameters() -> None:
    with pytest.raises(NpGradcamError, match="expected a layer with parameters, got ReLU"):
        check_parameter_gradients(ReLU(), X)


# ------------------------------------------------------------------------------------------- completeness

IMAGES = 3 * array(2, 3, 6, 7, seed=2)


def network(dtype: str = "float64", **changed: Layer) -> Network:
    """Every kind of offset: biases, a batch norm's shift, saturated units on both ends, a frame."""
    places: dict[str, tuple[Layer, tuple[str, ...]]] = {
        "frame": (Pad((1, 0, 0, 2), 1.5), ("input",)),
        "conv": (Conv2d(array(4, 3, 3, 3), array(4), padding="same"), ("frame",)),
        "norm": (BatchNorm2d(array(4), array(4), array(4), array(4) ** 2), ("conv",)),
        "gate": (ReLU6(), ("norm",)),
        "cut": (Clip(-1.0, 1.5), ("conv",)),
        "sum": (Add(), ("gate", "cut")),
        "relu": (ReLU(), ("sum",)),
        "max": (MaxPool2d((2, 2), (2, 1)), ("relu",)),
        "pool": (GlobalAvgPool2d(), ("max",)),
        "flat": (Flatten(), ("pool",)),
        "scores": (Linear(array(5, 4), array(5)), ("flat",)),
    }
    return Network(tuple(Node(name, changed.get(name, layer), inputs) for name, (layer, inputs) in places.items()),
                   dtype=dtype)


def test_a_right_network_is_complete() -> None:
    assert check_completeness(network(), IMAGES) < 1e-12
    assert check_completeness(network("float32"), IMAGES.astype("float32")) < 1e-4
    assert check_completeness(network(), IMAGES, seed=array(2, 5)) < 1e-12


@pytest.mark.parametrize("place", [node.name for node in network().nodes])
def test_a_backward_wrong_by_one_part_in_a_thousand_makes_a_network_incomplete(place: str) -> None:
    broken = network(**{place: wrong_backward(network()[place].layer, MISTAKES["one part in a thousand"])})
    with pytest.raises(AssertionError, match="the score is not the sum of its parts"):
        check_completeness(broken, IMAGES)


@pytest.mark.parametrize("place", ["conv", "scores"])
def test_a_bias_that_forward_forgets_makes_a_network_incomplete(place: str) -> None:
    layer = network()[place].layer
    bias = layer.arrays["bias"].reshape(-1, *(1,) * (2 if place == "conv" else 0))
    forgetful = wrong(layer, forward=lambda right, x: (right(x)[0] - bias, right(x)[1]))
    with pytest.raises(AssertionError, match="the score is not the sum of its parts"):
        check_completeness(network(**{place: forgetful}), IMAGES)


def test_a_relu6_that_stays_open_when_saturated_makes_a_network_incomplete() -> None:
    def open_above(right: Any, signal: np.ndarray, y: np.ndarray, *rule: Any) -> tuple[np.ndarray]:
        return (signal * (y > 0),)

    gate = wrong(ReLU6(), backward=open_above)
    assert (network().forward(IMAGES, observe="gate").activations["gate"] == 6).any()
    with pytest.raises(AssertionError) as caught:
        check_completeness(network(gate=gate), IMAGES)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("image ")
    assert lines[1].split()[0] == "score"
    assert lines[2].startswith("  sum of parts")
    assert lines[1].index(lines[1].split()[-1]) == lines[2].index(lines[2].split()[-1])
    assert {line.split()[0] for line in lines[4:]} <= {"input", *(node.name for node in network().nodes)}


def test_a_network_that_is_not_piecewise_linear_is_refused_by_name() -> None:
    nodes = (*network().nodes, Node("chances", Softmax(), ("scores",)))
    with pytest.raises(NpGradcamError, match="expected a piecewise-linear network, got Softmax 'chances'"):
        check_completeness(Network(nodes, dtype="float64"), IMAGES)


def test_a_layer_of_ones_own_is_complete_if_it_is_affine() -> None:
    class Shift(Layer):
        def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
            return 2 * x + 3, None

        def backward(self, signal: np.ndarray, _: None) -> tuple[np.ndarray]:
            return (2 * signal,)

        def astype(self, dtype: Any) -> Shift:
            return self

    assert check_completeness(network(relu=Shift()), IMAGES) < 1e-12
    check_gradient(Shift(), X)
    check_adjoint(Shift(), X)
    with pytest.raises(UnknownLayerError, match="no slow definition of Shift"):
        slow_forward(Shift(), X)


# ------------------------------------------------------------------------------------------- imports


def test_the_tools_are_imported_without_hypothesis_and_say_what_the_strategies_need() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import npgradcam.testing\n"
        "try:\n    import npgradcam.testing.strategies\nexcept ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MissingPackageError")
    assert "pip install hypothesis" in done.stdout


NONSENSE = {
    "no layer": ((None, np.zeros((1, 2))), {}, "expected a layer, as ng.layers has them, got NoneType"),
    "the class": ((ReLU, np.zeros((1, 2))), {}, "expected a layer, as ng.layers has them, got type"),
    "no input": ((ReLU(),), {}, "expected an array of real numbers for each input of the layer, got none"),
    "None": ((ReLU(), None), {}, "expected an array of real numbers for each input of the layer, got NoneType"),
    "a list": ((ReLU(), [1.0]), {}, "expected an array of real numbers for each input of the layer, got list"),
    "text": ((ReLU(), np.array(["a"])), {}, "expected an array of real numbers for each input of the layer, got <U1"),
}


@pytest.mark.parametrize("check", [check_adjoint, check_gradient, check_parameter_gradients])
@pytest.mark.parametrize("kind", NONSENSE)
def test_what_can_not_be_checked_is_refused_in_one_sentence(check, kind):
    given, settings, said = NONSENSE[kind]
    with pytest.raises(NpGradcamError) as caught:
        check(*given, **settings)
    assert str(caught.value) == f"{check.__name__}: {said}"


@pytest.mark.parametrize("directions", [0, -1, 1.5, None])
def test_no_direction_at_all_checks_nothing_and_is_refused(directions):
    """It would pass whatever the layer does."""
    with pytest.raises(NpGradcamError, match=r"^check_gradient: expected directions to be a whole number, 1 or more"):
        check_gradient(ReLU(), np.ones((1, 2)), directions=directions)


@pytest.mark.parametrize("x", [None, "a", (n for n in range(3))], ids=["None", "text", "a generator"])
def test_a_slow_definition_of_no_numbers_is_refused(x):
    said = f"^ReLU: expected an array of numbers for each input, got {type(x).__name__}$"
    with pytest.raises(NpGradcamError, match=said):
        slow_forward(ReLU(), x)
    with pytest.raises(NpGradcamError, match=said):
        slow_backward(ReLU(), np.ones(2), x)
