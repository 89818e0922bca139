"""Of single layers: what cannot be and is refused, what nobody says, and what holds for one kind alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from npgradcam import layers
from npgradcam.errors import ShapeError
from npgradcam.layers import AvgPool2d, BatchNorm2d, Conv2d, ConvTranspose2d, Linear, Softmax
from npgradcam.testing import check_parameter_gradients


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Conv2d(np.ones((3, 2)), np.ones(3)), "Conv2d: expected weight"),
    (lambda: Conv2d(np.ones(()), np.ones(3)), "Conv2d: expected weight"),
    (lambda: Conv2d(np.ones((3, 2, 1, 1)), np.ones(2)), "Conv2d: expected weight"),
    (lambda: Conv2d(np.ones((3, 2, 1, 1)), np.ones(3), groups=2), "groups that divide O"),
    (lambda: Conv2d(np.ones((2, 1, 1, 1)), groups=0), "groups that divide O"),
    (lambda: Conv2d(np.ones((2, 1, 0, 3))), r"^Conv2d: expected kernel.*got \(0, 3\), \(1, 1\)"),
    (lambda: Conv2d(np.ones((2, 1, 1, 1)), np.ones(2), stride=(0, 1)), "stride and dilation >= 1"),
    (lambda: Conv2d(np.ones((2, 1, 1, 1)), np.ones(2), stride=2), "stride: expected 2 whole numbers"),
    (lambda: Conv2d(np.ones((2, 1, 1, 1)), stride=(1, 0.5)), "stride: expected 2 whole numbers"),
    (lambda: Conv2d(np.ones((2, 1, 1, 1)), np.ones(2), padding=(0, 0, 0, -1)), "padding >= 0"),
    (lambda: Linear(np.ones(3), np.ones(3)), "Linear: expected weight"),
    (lambda: Linear(np.ones((3, 2)), np.ones(2)), "Linear: expected weight"),
    (lambda: BatchNorm2d(*(np.ones(k) for k in (2, 2, 2, 3))), "four arrays of one shape"),
    (lambda: BatchNorm2d(*np.ones((3, 2)), np.array([1.0, -1.0])), "variance \\+ epsilon > 0, got variance -1.0"),
    (lambda: BatchNorm2d(*np.ones((3, 2)), np.array([-0.5, 1.0]), 0.5), "variance \\+ epsilon > 0, got variance -0.5"),
    (lambda: ConvTranspose2d(np.ones((2, 1, 1, 1)), groups=0), "groups that divide C"),
    (lambda: ConvTranspose2d(np.ones((2, 1, 0, 3))), r"^ConvTranspose2d: expected kernel.*got \(0, 3\), \(1, 1\)"),
    (lambda: ConvTranspose2d(np.ones((2, 1, 3, 0))), r"^ConvTranspose2d: expected kernel.*got \(3, 0\), \(1, 1\)"),
    (lambda: ConvTranspose2d(np.ones((2, 1, 1, 1)), output_padding=(1,)), "^output_padding: expected 2 whole numbers"),
    (lambda: layers.Pad((0, 0, 0)), "^padding: expected 4 whole numbers"),
    (lambda: layers.PadAxes((0.5,), (1,)), "^before: expected a tuple of whole numbers"),
    (lambda: layers.PadAxes((1,), (0.5,)), "^after: expected a tuple of whole numbers"),
    (lambda: layers.GroupNorm(2, np.ones(4), np.ones(3)), "GroupNorm: expected weight and bias of one shape"),
    (lambda: layers.GroupNorm(2, *np.ones((2, 4))).forward(np.ones((1, 3, 2))), "expected 4 channels on axis 1"),
    (lambda: layers.GroupNorm(2, *np.ones((2, 4))).output_shape((1, 4)), "expected at least 3 axes"),
    (lambda: layers.LayerNorm(np.ones((2, 3))).output_shape((4, 2, 5)), "weight that broadcasts to"),
    (lambda: layers.AdaptiveAvgPool2d((0, 1)).output_shape((1, 1, 2, 2)), "at least one window on each axis"),
    (lambda: layers.AdaptiveAvgPool2d((1, 0.5)).output_shape((1, 1, 2, 2)), "^sizes: expected 2 whole numbers"),
    (lambda: layers.Gather([0, 1]), "whole numbers as indices, got list"),
    (lambda: layers.Gather(np.ones(2)), "whole numbers as indices, got float64"),
    (lambda: layers.Resize(sizes=(4, 0)), "sizes or scales > 0"),
    (lambda: layers.Resize(scales=(float("nan"), 2.0)), "sizes or scales > 0"),
    (lambda: layers.Resize(sizes=(4, 4), mode="area"), "expected mode among nearest, linear, cubic, got 'area'"),
    (lambda: AvgPool2d((0, 1), (1, 1)), "expected kernel"),
    (lambda: layers.MaxPool2d((2, 2), 2), "stride: expected 2 whole numbers"),
    (lambda: layers.Clip(float("nan"), 2.0), "Clip: expected two numbers"),
    (lambda: layers.Clip(0.0, "2"), "Clip: expected two numbers"),  # type: ignore[arg-type]
    (lambda: layers.Pad((0, 0, 0, -1)), "padding >= 0"),
])
def test_a_layer_that_cannot_be_is_refused_with_the_reason(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match=words):
        make()


WINDOWS = {"padding": (0, 0, 0, 0), "dilation": (1, 1)}
NORM, CLASSES, REDUCTION = {"epsilon": 1e-5}, {"axis": 1, "onward": False}, {"keepdims": True}
DEFAULTS: dict[str, dict[str, object]] = {  # as the papers and ONNX have them
    "ArgMax": {"axis": 0, "keepdims": True, "select_last": False},
    "AvgPool2d": {**WINDOWS, "ceil": False, "count_include_pad": True}, "MaxPool2d": {**WINDOWS, "ceil": False},
    "BatchNorm": NORM, "BatchNorm2d": NORM, "GroupNorm": NORM, "InstanceNorm": NORM, "LayerNorm": {**NORM, "axis": -1},
    "Computed": {"kind": "layer"}, "Concat": {"axis": 1}, "Flatten": {"axis": 1}, "Gather": {"axis": 0},
    "Conv2d": {**WINDOWS, "stride": (1, 1), "groups": 1},
    "ConvTranspose2d": {**WINDOWS, "stride": (1, 1), "groups": 1, "output_padding": (0, 0)},
    "DepthToSpace": {"mode": "DCR"}, "SpaceToDepth": {"mode": "DCR"}, "Dropout": {"rate": 0.5},
    "Elu": {"alpha": 1.0}, "Celu": {"alpha": 1.0}, "Gelu": {"approximate": "none"},
    "GlobalMaxPool2d": {**REDUCTION, "axes": (2, 3)}, "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LRN": {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}, "LeakyReLU": {"alpha": 0.01}, "ThresholdedReLU": {"alpha": 1.0},
    "LogSoftmax": CLASSES, "Softmax": CLASSES, "Mod": {"fmod": False},
    "Pad": {"value": 0.0}, "PadAxes": {"value": 0.0, "mode": "constant"}, "ReLU6": {"low": 0, "high": 6},
    "ReduceL2": REDUCTION, "ReduceMax": REDUCTION, "ReduceMean": REDUCTION, "ReduceMin": REDUCTION,
    "ReduceSum": REDUCTION, "Reshape": {"allowzero": False}, "Shape": {"start": 0},
    "Resize": {"mode": "nearest", "coordinates": "half_pixel", "nearest": "round_prefer_floor", "cubic_a": -0.75,
               "exclude_outside": False, "antialias": False, "keep_aspect": "stretch", "extrapolation": 0.0},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
}


@pytest.mark.parametrize("name", sorted(set(layers.__all__) - {"Layer", "Rectifier"}))
def test_what_nobody_says_is_as_in_the_paper(name: str) -> None:
    fields = dataclasses.fields(getattr(layers, name))
    said = {field.name: field.default for field in fields if field.default not in (dataclasses.MISSING, None)}
    assert said == DEFAULTS.get(name, {})


@pytest.mark.parametrize(("layer", "shapes", "kept"), [
    (layers.PReLU(np.ones((1, 3, 1, 1))), [(2, 3, 4, 4)], True),
    (layers.PReLU(np.ones((2, 3, 1, 1))), [(2, 3, 4, 4)], False),
    (layers.PReLU(np.ones((3, 1, 1))), [(2, 3, 4, 4)], True),
    (layers.MatMul(), [(2, 3, 4), (2, 4, 5)], True),
    (layers.MatMul(), [(2, 3, 4), (1, 4, 5)], False),  # one matrix for all images
    (layers.MatMul(), [(2, 3), (3, 4)], False),
    (layers.MatMul(second=np.ones((3, 4))), [(2, 3)], True),
    (layers.MatMul(second=np.ones((3, 4))), [(3,)], False),
    (layers.MatMul(second=np.ones((1, 3, 4))), [(2, 3, 3)], True),
    (layers.MatMul(second=np.ones((2, 3, 4))), [(2, 3, 3)], False),
    (layers.MatMul(second=np.ones((2, 3, 4))), [(2, 5, 3, 3)], True),
    (layers.MatMul(first=np.ones((2, 3))), [(5, 3, 4)], True),
    (layers.MatMul(first=np.ones((2, 3))), [(3, 4)], False),
    (layers.Add(), [(3,), (3,)], True),
    (layers.Add(), [(), ()], False),
    (layers.Add(), [(3, 2), (2,)], False),
    (layers.Add(np.ones((3, 2))), [(3, 2)], False),
])
def test_a_batch_is_kept_where_each_row_comes_of_its_own_row(layer: layers.Layer, shapes, kept: bool) -> None:  # type: ignore
    assert layer.keeps_batch(*shapes) is kept


def test_whole_numbers_to_a_power_with_a_fraction_are_cut_off_after_it() -> None:
    y, _ = layers.Pow().forward(np.array([4, 9, 10]), np.array([0.5, 0.5, 0.5]))
    assert y.dtype == np.int64
    assert y.tolist() == [2, 3, 3]


def test_a_division_of_zero_by_zero_says_nan_both_ways_and_warns_nobody() -> None:
    zero = np.zeros(1)
    y, cache = layers.Div().forward(zero, zero)
    assert np.isnan([y, *layers.Div().backward(zero, cache)]).all()


def test_only_a_clip_at_zero_is_a_rectifier() -> None:
    assert [layers.Clip(low, 2.0).rectifies for low in (0.0, 1.0, -1.0)] == [True, False, False]


def test_a_convolution_without_a_bias_has_the_gradient_of_its_weight_alone() -> None:
    found = Conv2d(np.ones((1, 1, 1, 1))).parameter_gradients(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)))
    assert {key: value.tolist() for key, value in found.items()} == {"weight": [[[[4]]]]}


def test_classes_on_an_axis_that_is_not_there_are_refused_before_anything_is_computed() -> None:
    for axis in (2, -3):
        with pytest.raises(ShapeError, match=f"classes on axis {axis}, got shape"):
            Softmax(axis).output_shape((2, 3))


FOUR = r"^expected 4 axes \(N, C, H, W\), got shape \(1, 3, 4\)"
THREE = r"^expected 3 channels on axis 1, got shape \(1, 2, "
UNFIT: list[tuple[layers.Layer, tuple[int, ...], str]] = [
    (Conv2d(np.ones((2, 3, 1, 1))), (1, 3, 4), FOUR), (Conv2d(np.ones((2, 3, 1, 1))), (1, 2, 4, 4), THREE),
    (ConvTranspose2d(np.ones((3, 2, 1, 1))), (1, 3, 4), FOUR),
    (ConvTranspose2d(np.ones((3, 2, 1, 1))), (1, 2, 4, 4), THREE),
    (BatchNorm2d(*np.ones((4, 3))), (1, 3, 4), FOUR), (BatchNorm2d(*np.ones((4, 3))), (1, 2, 4, 4), THREE),
    (layers.BatchNorm(*np.ones((4, 3))), (1, 2, 4), THREE), (layers.InstanceNorm(*np.ones((2, 3))), (1, 2, 4), THREE),
    (layers.GroupNorm(1, *np.ones((2, 3))), (1, 2, 4), THREE),
    (Linear(np.ones((2, 3)), np.ones(2)), (3,), r"^expected 2 axes \(N, C\), got shape \(3,\)"),
    (Linear(np.ones((2, 3)), np.ones(2)), (1, 2), r"^expected 3 channels on axis 1, got shape \(1, 2\)"),
    (layers.OneAxis(layers.MaxPool2d((1, 2), (1, 2))), (1, 3, 1, 4), r"^expected 3 axes \(N, C, L\)"),
    (layers.OneAxis(layers.Pad((1, 0, 0, 0))), (1, 3, 4), "^OneAxis: expected a layer that keeps one row"),
    *((layer, (1, 3, 4), FOUR) for layer in (
        layers.Pad((1, 1, 1, 1)), layers.MaxPool2d((1, 1), (1, 1)), AvgPool2d((1, 1), (1, 1)), layers.GlobalMaxPool2d(),
        layers.GlobalAvgPool2d(), layers.AdaptiveAvgPool2d((1, 1)), layers.DepthToSpace(1), layers.SpaceToDepth(1))),
]


@pytest.mark.parametrize(("layer", "shape", "words"), UNFIT)
def test_an_input_that_does_not_fit_is_refused_by_forward_and_before_it(layer, shape, words: str) -> None:  # type: ignore
    for ask in (layer.forward, lambda x: layer.output_shape(x.shape)):
        with pytest.raises(ShapeError, match=words):
            ask(np.ones(shape))


WINDOWED = {  # a layer with one setting of its windows
    "kernel": lambda v: layers.MaxPool2d(v, (1, 1)), "stride": lambda v: Conv2d(np.ones((1, 1, 1, 1)), stride=v),
    "dilation": lambda v: Conv2d(np.ones((1, 1, 1, 1)), dilation=v),
    "padding": lambda v: Conv2d(np.ones((1, 1, 1, 1)), padding=(*v, 0, 0)),
}


@pytest.mark.parametrize("name", WINDOWED)
def test_settings_of_windows_are_whole_numbers_that_compiled_loops_can_count_with(name: str) -> None:
    make = WINDOWED[name]
    assert make((1, 2**31 - 1))
    for value in ((1, 2**31), (2**31, 1), (1, -1)):
        with pytest.raises(ShapeError, match=r"expected kernel, stride and dilation >= 1 .*, all below 2\*\*31"):
            make(value)
    with pytest.raises(ShapeError, match=f"^{name}.*: expected . whole numbers"):
        make((1, 0.5))


@pytest.mark.parametrize("padding", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)])
@pytest.mark.parametrize("kind", [layers.MaxPool2d, AvgPool2d])
def test_a_window_that_sees_only_padding_has_no_value(kind, padding: tuple[int, int, int, int]) -> None:  # type: ignore
    with pytest.raises(ShapeError, match="sees only padding of shape"):
        kind((1, 1), (1, 1), padding).output_shape((1, 1, 3, 3))
    assert kind((2, 2), (1, 1), padding).output_shape((1, 1, 3, 3)) == (1, 1, *np.add(padding[:2], padding[2:]) + 2)


def test_padding_makes_cells_of_none_and_none_of_cells() -> None:
    assert layers.PadAxes((-2,), (-1,)).forward(np.ones(3))[0].shape == (0,)
    assert layers.PadAxes((1,), (2,), value=7.0).forward(np.ones(0))[0].tolist() == [7, 7, 7]


def test_a_layer_is_no_rectifier_and_has_no_parameters_unless_it_says_so() -> None:
    assert layers.Layer().rectifies is False
    assert layers.Flatten().parameter_gradients(np.ones((1, 1)), np.ones((1, 1))) == {}


@pytest.mark.parametrize("layer", [
    layers.GroupNorm(2, np.ones(4), np.zeros(4)), layers.LayerNorm(np.ones((4, 1)), np.zeros(5), 1),
    layers.LayerNorm(np.ones((1, 5)), None),
])
def test_a_norms_parameter_gradients_are_derivatives(layer: layers.Layer) -> None:
    check_parameter_gradients(layer, np.random.default_rng(0).standard_normal((3, 4, 5)))


def test_places_are_no_parameters() -> None:
    assert layers.Gather(np.array([0])).parameters == {}
