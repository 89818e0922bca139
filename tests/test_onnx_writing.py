"""A network written as ONNX is valid, computes the same elsewhere, and is read back with the same names."""

import io

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from small_nets import conv, gap_net, pictures, reference_net

import npgradcam as ng
from npgradcam.errors import UnsupportedOperatorError
from npgradcam.formats.onnx_writing import onnx_bytes
from npgradcam.layers import Add, AvgPool2d, Conv2d, HardSigmoid, MaxPool2d
from npgradcam.network import Network
from npgradcam.testing.kit.cases import cases
from npgradcam.testing.strategies import models

pytestmark = pytest.mark.usefixtures("warm")


def elsewhere(model, x):
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def same(found, right, tolerance=2e-5):
    np.testing.assert_allclose(found, right, rtol=0, atol=tolerance * max(1, np.abs(right).max()))


@given(drawn=models())
def test_a_drawn_model_is_valid_and_onnxruntime_gives_the_same_scores(drawn):
    onnx.checker.check_model(onnx.load_from_string(drawn.model), full_check=True)
    same(elsewhere(drawn.model, drawn.images), drawn.network(drawn.images.astype(float)), 1e-4)
    assert len(drawn.target) == len(drawn.images)
    assert elsewhere(drawn.model, drawn.images[:1]).shape[0] == 1  # the batch is left open


def padding_of(model):
    """(operator, pads) of every node with windows; all of them in numbers."""
    found = [(n.op_type, {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute})
             for n in onnx.load_from_string(model).graph.node]
    assert not any("auto_pad" in settings for _, settings in found)
    return [(kind, tuple(settings["pads"])) for kind, settings in found if "pads" in settings]


@given(drawn=models())
def test_drawn_models_are_written_so_that_plain_readers_take_them(drawn):
    """As onnx2torch, which knows neither `auto_pad` nor an average pooling with an uneven frame."""
    assert all(pads[:2] == pads[2:] for kind, pads in padding_of(drawn.model) if kind == "AveragePool")


@pytest.mark.parametrize("case", cases(), ids=lambda c: c.name)
def test_so_are_the_networks_of_the_kit(case):
    assert padding_of(case.model)


@given(drawn=models(softmax=True))
def test_what_is_written_is_read_back_with_the_same_names_and_maps(tmp_path_factory, drawn):
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    path.write_bytes(drawn.model)
    again = ng.load(path, dtype="float64")
    layer = drawn.maps[-1]
    right = ng.grad_cam(drawn.network, drawn.images.astype(float), list(drawn.target), layer=layer).signed_cam
    same(ng.grad_cam(again, drawn.images.astype(float), list(drawn.target), layer=layer).signed_cam, right, 1e-6)


@pytest.mark.parametrize("net", [gap_net(dtype="float32"), gap_net(softmax=True, dtype="float32"),
                                 reference_net("float32")], ids=["gap", "softmax", "reference"])
def test_paddings_groups_dilations_and_branches_are_the_same_elsewhere(net):
    x = pictures(2, 13, 17, dtype="float32")
    same(elsewhere(onnx_bytes(net, 3, (13, 17)), x), net(x))


def test_float64_is_written_as_such(tmp_path):  # onnxruntime has no such convolution
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_bytes(gap_net(), 3, (7, 10)))
    assert {a.data_type for a in onnx.load(path).graph.initializer} == {onnx.TensorProto.DOUBLE}
    same(ng.load(path, dtype="float64")(pictures()), gap_net()(pictures()), 1e-9)  # epsilon is a float32 in ONNX


def test_a_file_is_the_same_to_the_last_byte_whenever_it_is_written():
    assert onnx_bytes(gap_net(), 3, (7, 10)) == onnx_bytes(gap_net(), 3, (7, 10))
    assert onnx.load(io.BytesIO(onnx_bytes(gap_net(), 3, (7, 10)))).opset_import[0].version == 13


@pytest.mark.parametrize("padding", ["same", "same_lower", (0, 1, 2, 0)])
def test_padding_by_name_becomes_numbers(padding):
    random = np.random.default_rng(0)
    net = Network.sequential([("conv", Conv2d(random.standard_normal((2, 3, 3, 2)), None, (2, 1), padding)),
                              ("max", MaxPool2d((3, 2), (2, 2), padding if isinstance(padding, str) else (0,) * 4))])
    x = pictures(2, 9, 12, dtype="float32")
    model = onnx_bytes(net, 3, (9, 12))
    same(elsewhere(model, x), net(x))
    conv_pads = {"same": (1, 0, 1, 1), "same_lower": (1, 1, 1, 0)}.get(padding, padding)
    assert padding_of(model)[0] == ("Conv", conv_pads)


def test_every_layer_that_cannot_be_written_is_named():
    random = np.random.default_rng(0)
    net = Network.sequential([("conv", conv(random, 3, 3)), ("odd", HardSigmoid()), ("add", Add(np.ones((3, 1, 1)))),
                              ("avg", AvgPool2d((2, 2), (1, 1), dilation=(2, 2)))])
    with pytest.raises(UnsupportedOperatorError, match="HardSigmoid 'odd', Add 'add', AvgPool2d 'avg'"):
        onnx_bytes(net, 3, (9, 9))
