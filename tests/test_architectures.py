"""Every architecture that has a name computes what PyTorch's does: same weights, same picture, recorded answers.

make_architectures_reference.py recorded them in float64; architectures.py says on what.
"""

from __future__ import annotations

import numpy as np
import pytest
from architectures import CROP, LAYERS, RECORDED, RULES, SEED, picture, summary
from small_nets import relative

import npgradcam as ng
from npgradcam.methods import NoCamHeadError
from npgradcam.methods.cam import cam_head
from npgradcam.methods.layer import _default_layer
from npgradcam.models import MODELS, random_weights
from npgradcam.topology import Topology

TWO_LINEAR_LAYERS = {"alexnet", *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn"))}
WITHOUT_CAM_HEAD = TWO_LINEAR_LAYERS | {
    "squeezenet1_0", "squeezenet1_1", "mobilenet_v3_large", "mobilenet_v3_small"}
LARGE = {"vgg13", "vgg19", "vgg11_bn", "vgg13_bn", "vgg19_bn"}  # what they are made of, the others have as well
PARAMETERS = {  # as torchvision counts them, without the auxiliary classifiers that its own count includes
    "alexnet": 61_100_840, "vgg11": 132_863_336, "vgg13": 133_047_848, "vgg16": 138_357_544, "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840, "vgg13_bn": 133_053_736, "vgg16_bn": 138_365_992, "vgg19_bn": 143_678_248,
    "googlenet": 6_624_904, "inception_v3": 27_161_264 - 3_326_696, "resnet18": 11_689_512, "resnet34": 21_797_672,
    "resnet50": 25_557_032, "resnet101": 44_549_160, "resnet152": 60_192_808, "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240, "squeezenet1_0": 1_248_424, "squeezenet1_1": 1_235_496, "densenet121": 7_978_856,
    "densenet161": 28_681_000, "densenet169": 14_149_480, "densenet201": 20_013_928, "mobilenet_v2": 3_504_872,
    "mobilenet_v3_large": 5_483_032, "mobilenet_v3_small": 2_542_856, "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604, "shufflenet_v2_x1_5": 3_503_624, "shufflenet_v2_x2_0": 7_393_996,
    "mnasnet0_5": 2_218_512, "mnasnet0_75": 3_170_208, "mnasnet1_0": 4_383_312, "mnasnet1_3": 6_282_256,
    "efficientnet_b0": 5_288_548, "efficientnet_b1": 7_794_184, "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232, "efficientnet_b4": 19_341_616,
}
SIDES = {  # input, and what torchvision's default weights resize the shorter side to before that
    "inception_v3": (299, 342), "efficientnet_b0": (224, 256), "efficientnet_b1": (240, 255),
    "efficientnet_b2": (288, 288), "efficientnet_b3": (300, 320), "efficientnet_b4": (380, 384),
    "googlenet": (224, 256), "alexnet": (224, 256), "resnet18": (224, 256), "resnet50": (224, 232),
    "mobilenet_v2": (224, 232), "shufflenet_v2_x1_0": (224, 256), "shufflenet_v2_x2_0": (224, 232),
    "mnasnet0_75": (224, 232), "densenet121": (224, 256),
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in LAYERS]


def outline(name):
    """The architecture without numbers, and the shape of its own input."""
    graph, _ = MODELS[name].outline()
    return Topology(tuple(graph.nodes)), (1, 3, *MODELS[name].preprocessing.size)


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as file:
        return {name: file[name] for name in file.files}


def answers(recorded, name):
    """What PyTorch said of one architecture."""
    return {key.removeprefix(f"{name}."): value for key, value in recorded.items() if key.startswith(f"{name}.")}


def explained(network, name, target):
    """Our logits, alpha and map, the signals at the pixels, and the number of gates, all from one forward."""
    x = picture(name, network.dtype)
    layer = ng.default_layer(network, x.shape)
    assert layer == LAYERS[name][0]
    tape = network.forward(x, observe=(layer, "input"))
    e = ng.grad_cam(network, tape, target)
    np.testing.assert_array_equal(e.cam, np.maximum(e.signed_cam, 0))
    gates = len(network.rectifiers(tape.output, "input"))
    rules = RULES if gates else ("gradient",)
    signals = {rule: ng.backprop(network, tape, target, rule=rule).signal for rule in rules}
    return {"logits": e.logits[0], "alpha": e.alpha[0], "signed_cam": e.signed_cam[0]}, signals, gates


COSINE = 0.9998  # float32 rounds a few rectifiers over their kink: of all drawn networks most in VGG-13, 0.99988


def check_signals(recorded, ours, exact=None):
    """The signals have the direction of the exact ones; of the recorded crops where those are not there."""
    for rule, signal in ours.items():
        expected = recorded[f"{rule}.crop"] if exact is None else exact[rule]
        got = signal[0][:, CROP[0], CROP[1]] if exact is None else signal
        got = got.astype(np.float64)
        assert (got * expected).sum() / np.sqrt((got**2).sum() * (expected**2).sum()) >= COSINE, rule


@pytest.mark.parametrize("name", SLOW)
def test_an_architecture_computes_what_pytorch_does(recorded, name, warm):
    expected, drawn = answers(recorded, name), random_weights(SEED)
    exact = ng.build(name, drawn, "float64")
    numbers, signals, gates = explained(exact, name, int(expected["target"]))
    assert gates == expected["gates"]
    for key, value in numbers.items():
        assert relative(value, expected[key]) < 1e-9, key
    for rule, signal in signals.items():
        for part, value in summary(signal).items():
            assert relative(value, expected[f"{rule}.{part}"]) < 1e-9, (rule, part)

    fast = ng.build(name, drawn.taken, "float32")
    numbers, rounded, _ = explained(fast, name, int(expected["target"]))
    for key, value in numbers.items():
        assert relative(value, expected[key]) <= 1e-4, key
    check_signals(expected, rounded, signals)


@pytest.mark.parametrize("name", sorted(LARGE))
def test_the_largest_compute_it_in_float32(recorded, name, warm):
    expected = answers(recorded, name)
    numbers, signals, _ = explained(ng.build(name, random_weights(SEED)), name, int(expected["target"]))
    for key, value in numbers.items():
        assert relative(value, expected[key]) <= 1e-4, key
    check_signals(expected, signals)


def test_every_architecture_is_recorded(recorded):
    assert {name.partition(".")[0] for name in recorded} == {*LAYERS, "versions"}
    assert set(LAYERS) == set(MODELS) - {"shapes", "efficientnet_lite0"}  # Lite0 has its real weights in test_reference
    assert RECORDED.stat().st_size < 1_500_000


@pytest.mark.parametrize("name", LAYERS)
def test_the_default_layer_for_the_networks_own_input_is_the_same(name):
    network, shape = outline(name)
    assert _default_layer(network, {"input": shape}, network.outputs[0]) == LAYERS[name][0]


@pytest.mark.parametrize("name", LAYERS)
def test_networks_that_end_in_pooling_and_one_linear_layer_have_cams_head(name):
    network, _ = outline(name)
    if name in WITHOUT_CAM_HEAD:
        with pytest.raises(NoCamHeadError, match="Grad-CAM generalises CAM to any network"):
            cam_head(network, network.outputs[0])
    else:
        assert cam_head(network, network.outputs[0])[0] == LAYERS[name][0]


def test_trained_parameters_are_as_many_as_torchvision_counts():
    assert {name: outline(name)[0].parameter_count for name in PARAMETERS} == PARAMETERS
    assert set(MODELS) - set(PARAMETERS) == {"shapes", *(f"efficientnet_lite{n}" for n in range(5))}


@pytest.mark.parametrize("name", SIDES)
def test_photographs_are_prepared_as_torchvisions_default_weights_want(name):
    made, (side, shorter) = MODELS[name].preprocessing, SIDES[name]
    assert (made.size, made.shorter) == ((side, side), shorter)
    cubic = {"efficientnet_b0", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"}
    assert made.interpolation == ("bicubic" if name in cubic else "bilinear")


@pytest.mark.parametrize("name", MODELS)
def test_node_names_are_unique_and_every_parameter_is_asked_for_once(name):
    graph, asked = MODELS[name].outline()
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)
    held = sum(array.size for node in graph.nodes for array in node.layer.arrays.values() if array.dtype.kind == "f")
    assert held == sum(array.size for array in asked.taken.values())
