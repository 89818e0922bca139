"""Transposed convolutions, paddings by name, dilated averages, sequences: known answers, identities, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.layers import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    MaxPool2d,
    OneAxis,
)
from npgradcam.testing import check_adjoint, check_parameter_gradients
from npgradcam.testing.definitions.transposed import conv_transpose2d_weight_gradient
from npgradcam.testing.strategies.spatial import layers as cases

pytestmark = pytest.mark.usefixtures("warm")
REAL = cases("real")
backends = pytest.mark.parametrize("backend", ["auto", "numpy"])


def both(layer, x, signal=None):  # type: ignore[no-untyped-def]
    """The output, and what comes back for a signal of ones."""
    y, cache = layer.forward(x)
    return y, layer.backward(np.ones_like(y) if signal is None else signal, cache)[0]


# ------------------------------------------------------------------------------------------- transposed convolution


# One row of 1, 10, 100 through the kernel 1, 2, 3. Settings: stride, (left, right), output padding, dilation.
ROWS = [
    (1, (0, 0), 0, 1, [1, 12, 123, 230, 300]),
    (2, (0, 0), 0, 1, [1, 2, 13, 20, 130, 200, 300]),
    (2, (1, 1), 0, 1, [2, 13, 20, 130, 200]),
    (2, (1, 1), 1, 1, [2, 13, 20, 130, 200, 300]),  # the output padding cuts off one cell less
    (2, (0, 0), 2, 1, [1, 2, 13, 20, 130, 200, 300, 0, 0]),  # nobody pays into what is added
    (1, (0, 0), 0, 2, [1, 10, 102, 20, 203, 30, 300]),
    (4, (0, 0), 0, 1, [1, 2, 3, 0, 10, 20, 30, 0, 100, 200, 300]),
    (2, "same", 0, 1, [1, 2, 13, 20, 130, 200]),  # 7 cells cut to 2 * 3, the last one goes
    (2, "same_lower", 0, 1, [2, 13, 20, 130, 200, 300]),  # the first one goes
    (1, "same", 0, 1, [12, 123, 230]),
    (4, "same", 0, 1, [1, 2, 3, 0, 10, 20, 30, 0, 100, 200, 300, 0]),  # 11 cells: one is added
]


@backends
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("stride", "cut", "added", "dilation", "expected"), ROWS)
def test_a_transposed_convolution_pays_into_these_cells(  # type: ignore[no-untyped-def]
        stride, cut, added, dilation, expected, turned, backend) -> None:
    x, weight = np.array([[[[1.0, 10, 100]]]]), np.array([[[[1.0, 2, 3]]]])
    padding = cut if isinstance(cut, str) else (0, cut[0], 0, cut[1])
    layer = ConvTranspose2d(weight, None, (1, stride), padding, (0, added), (1, dilation))
    if turned:
        padding = cut if isinstance(cut, str) else (cut[0], 0, cut[1], 0)
        layer = ConvTranspose2d(weight.swapaxes(2, 3), None, (stride, 1), padding, (added, 0), (dilation, 1))
        x = x.swapaxes(2, 3)
    with kernels.session(backend):
        y, dx = both(layer, x)
    np.testing.assert_array_equal(y.ravel(), expected)
    assert y.shape == ((1, 1, len(expected), 1) if turned else (1, 1, 1, len(expected)))
    assert (x * dx).sum() == y.sum()  # <x, J^T 1> = <J x, 1>


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_is_a_convolution_with_its_directions_exchanged(groups: int) -> None:
    random = np.random.default_rng(0)
    weight = random.standard_normal((4, 6 // groups, 3, 2))
    settings = {"stride": (2, 3), "padding": (1, 0, 2, 1), "dilation": (2, 1), "groups": groups}
    conv, back = Conv2d(weight, None, **settings), ConvTranspose2d(weight, None, **settings)
    y = random.standard_normal((2, 4, 3, 4))
    shape = back.output_shape(y.shape)
    x = random.standard_normal(shape)
    assert conv.output_shape(shape) == y.shape
    np.testing.assert_array_equal(back.forward(y)[0], conv.backward(y, shape)[0])
    np.testing.assert_array_equal(back.backward(x, y.shape)[0], conv.forward(x)[0])


def test_a_grouped_transposed_convolution_keeps_its_groups_apart() -> None:
    layer = ConvTranspose2d(np.array([1.0, 2, 3, 4]).reshape(2, 2, 1, 1), np.array([0.0, 0, 0, 100]), groups=2)
    y, dx = both(layer, np.array([1.0, 10]).reshape(1, 2, 1, 1), np.array([1.0, 10, 100, 1000]).reshape(1, 4, 1, 1))
    np.testing.assert_array_equal(y.ravel(), [1, 2, 30, 140])
    np.testing.assert_array_equal(dx.ravel(), [21, 4300])


# ------------------------------------------------------------------------------------------- paddings by name


@backends
@pytest.mark.parametrize(("padding", "conv", "mean", "largest"), [
    ("same", [12, 34], [1.5, 3.5], [2, 4]),  # 4 cells, 2 windows of 2 at stride 2: no padding at all
    ("same_lower", [12, 34], [1.5, 3.5], [2, 4]),
])
def test_named_paddings_of_windows_that_tile(padding, conv, mean, largest, backend) -> None:  # type: ignore
    _named(padding, [1.0, 2, 3, 4], conv, mean, largest, backend)


@backends
@pytest.mark.parametrize(("padding", "conv", "mean", "largest"), [
    ("same", [12, 30], [1.5, 3], [2, 3]),  # the odd cell at the end: 1 2 | 3 .
    ("same_lower", [1, 23], [1, 2.5], [1, 3]),  # at the beginning: . 1 | 2 3
])
def test_named_paddings_of_an_odd_row(padding, conv, mean, largest, backend) -> None:  # type: ignore[no-untyped-def]
    _named(padding, [1.0, 2, 3], conv, mean, largest, backend)


def _named(padding, row, conv, mean, largest, backend) -> None:  # type: ignore[no-untyped-def]
    """Rows and columns: the kernel 10, 1 at stride 2; means that do not count padding."""
    x, weight = np.array(row).reshape(1, 1, 1, -1), np.array([10.0, 1]).reshape(1, 1, 1, 2)
    kernel, stride = (1, 2), (1, 2)
    with kernels.session(backend):
        for turn in (lambda a: a, lambda a: a.swapaxes(2, 3)):
            layers = (Conv2d(turn(weight), None, stride, padding),
                      AvgPool2d(kernel, stride, padding, count_include_pad=False), MaxPool2d(kernel, stride, padding))
            for layer, expected in zip(layers, (conv, mean, largest), strict=True):
                y, _ = layer.forward(turn(x))
                np.testing.assert_array_equal(y, turn(np.array(expected, float).reshape(1, 1, 1, -1)))
            kernel, stride = (2, 1), (2, 1)


@backends
def test_a_dilated_average_reads_every_second_cell(backend) -> None:  # type: ignore[no-untyped-def]
    x = np.arange(1.0, 6).reshape(1, 1, 1, 5)
    with kernels.session(backend):
        y, dx = both(AvgPool2d((1, 2), (1, 1), dilation=(1, 2)), x)
        np.testing.assert_array_equal(y.ravel(), [2, 3, 4])  # (1 + 3) / 2, (2 + 4) / 2, (3 + 5) / 2
        np.testing.assert_array_equal(dx.ravel(), [0.5, 0.5, 1, 0.5, 0.5])
        y, _ = AvgPool2d((1, 3), (1, 1), (0, 2, 0, 2), False, False, (1, 2)).forward(x)
        np.testing.assert_array_equal(y.ravel(), [2, 3, 3, 3, 4])  # {1, 3}, {2, 4}, {1, 3, 5}, {2, 4}, {3, 5}


# ------------------------------------------------------------------------------------------- sequences


def test_one_axis_is_numpys_correlation() -> None:
    random = np.random.default_rng(1)
    x, kernel = random.standard_normal(9), random.standard_normal(4)
    layer = OneAxis(Conv2d(kernel.reshape(1, 1, 1, 4)))
    y, dx = both(layer, x.reshape(1, 1, 9), signal=np.eye(6)[None, 2:3])
    np.testing.assert_allclose(y.ravel(), np.correlate(x, kernel, "valid"), rtol=1e-12)
    np.testing.assert_array_equal(dx.ravel(), [0, 0, *kernel, 0, 0, 0])


def test_one_axis_holds_the_arrays_of_the_layer_inside() -> None:
    layer = OneAxis(Conv2d(np.ones((2, 3, 1, 4)), np.ones(2)))
    assert layer.arrays.keys() == layer.parameters.keys() == {"weight", "bias"}
    assert {value.dtype for value in layer.astype("float32").arrays.values()} == {np.dtype("float32")}
    assert "Conv2d(weight (2, 3, 1, 4)" in repr(layer)


# ------------------------------------------------------------------------------------------- parameters, errors


@pytest.mark.parametrize("name", ["ConvTranspose2d", "OneAxis"])
@given(data=st.data())
def test_parameter_gradients_are_derivatives(name: str, data: st.DataObject) -> None:
    case = data.draw(REAL[name].filter(lambda case: bool(case.layer.parameters)))
    layer, (x,) = case.layer, case.xs
    if isinstance(layer, OneAxis):
        signal = np.random.default_rng(0).standard_normal(layer.forward(x)[0].shape)
        found = layer.parameter_gradients(signal, x)
        inside = layer.layer.parameter_gradients(signal[:, :, None], x[:, :, None])
        assert all(np.array_equal(found[key], inside[key]) for key in inside)
        return
    check_parameter_gradients(layer, x, directions=2)
    if isinstance(layer, ConvTranspose2d):
        signal = np.random.default_rng(0).standard_normal(layer.forward(x)[0].shape)
        settings = (layer.stride, layer.padding, layer.dilation, layer.groups)
        expected = conv_transpose2d_weight_gradient(signal, x, layer.weight.shape[2:], *settings)
        np.testing.assert_allclose(layer.parameter_gradients(signal, x)["weight"], expected, rtol=1e-11, atol=1e-11)


@given(data=st.data(), dtype=st.sampled_from(("float32", "float64")))
def test_a_sequence_under_an_affine_layer_has_its_adjoint(data: st.DataObject, dtype: str) -> None:
    bent = (MaxPool2d,)
    case = data.draw(REAL["OneAxis"].filter(lambda case: not isinstance(case.layer.layer, bent))).astype(dtype)
    check_adjoint(case.layer, *case.xs, rows=3 if len(case.xs[0]) == 1 else None)


ONE = np.ones((2, 1, 1, 1))


@pytest.mark.parametrize(("make", "words"), [
    (lambda: ConvTranspose2d(np.ones((2, 3))), "ConvTranspose2d: expected weight"),
    (lambda: ConvTranspose2d(np.ones((3, 2, 1, 1)), groups=2), "groups that divide C"),
    (lambda: ConvTranspose2d(np.ones((2, 3, 1, 1)), np.ones(3), groups=2), "bias"),
    (lambda: ConvTranspose2d(ONE, stride=(1, 0)), "stride and dilation >= 1"),
    (lambda: ConvTranspose2d(ONE, output_padding=(0, -1)), "output_padding >= 0"),
    (lambda: ConvTranspose2d(ONE, padding="valid"), "'same_lower'.: expected 4 whole numbers"),  # type: ignore[arg-type]
    (lambda: ConvTranspose2d(ONE, padding=(1, 0, 0, 0)).forward(np.ones((1, 2, 1, 1))), "leaves nothing"),
    (lambda: ConvTranspose2d(ONE).forward(np.ones((1, 1, 1, 1))), "expected 2 channels"),
    (lambda: ConvTranspose2d(ONE).forward(np.ones((2, 1, 1))), "expected 4 axes"),
    (lambda: Conv2d(ONE, padding="SAME"), "'same_lower'.: expected 4 whole numbers"),  # type: ignore[arg-type]
    (lambda: MaxPool2d((1, 1), (1, 1), padding="upper"), "'same_lower'.: expected 4 whole"),  # type: ignore[arg-type]
    (lambda: AvgPool2d((1, 1), (1, 1), dilation=(1, 0)), "AvgPool2d: expected kernel, stride and dilation >= 1"),
    (lambda: OneAxis(Conv2d(ONE, padding=(0, 0, 1, 0))).forward(np.ones((1, 1, 4))), "keeps one row"),
    (lambda: OneAxis(Conv2d(ONE)).forward(np.ones((1, 1, 1, 4))), "expected 3 axes"),
])
def test_a_layer_that_cannot_be_is_refused_with_the_reason(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match=words):
        make()
