"""The methods, and every way to finish a map, against what slow definitions alone make of the same network."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from small_nets import conv, gap_net, pictures, pixel_net

import npgradcam as ng
from npgradcam.convention import KERNELS
from npgradcam.layers import Add, Concat, Flatten, GlobalAvgPool2d, LeakyReLU, ReLU, ReLU6
from npgradcam.network import Network, Node
from npgradcam.testing import definitions, slow_methods
from npgradcam.testing.definitions import finishing
from npgradcam.testing.slow_network import slow_outputs, slow_signals
from npgradcam.testing.strategies import networks

pytestmark = pytest.mark.usefixtures("warm")
few = settings(max_examples=12, suppress_health_check=list(HealthCheck))
MAPS = ("grad_cam", "counterfactual_grad_cam", "grad_cam_plus_plus", "xgrad_cam", "hires_cam", "layer_cam")


def close(found, right, tolerance=1e-11):
    assert found.shape == right.shape
    np.testing.assert_allclose(found, right, rtol=0, atol=tolerance * max(1e-30, np.abs(right).max()))


def targets(drawn, data):
    classes = drawn.network(drawn.images).shape[1]
    return data.draw(st.lists(st.integers(0, classes - 1), min_size=len(drawn.images), max_size=len(drawn.images)))


@few
@given(drawn=networks(), data=st.data())
def test_what_flows_forward_and_back_equals_the_slow_network(drawn, data):
    net, c = drawn.network, targets(drawn, data)
    output, layers = net.outputs[0], list(drawn.maps)
    tape = net.forward(drawn.images, layers)
    rule = data.draw(st.sampled_from(("gradient", "deconvnet", "guided")))
    fast = net.backward(tape, np.eye(tape.logits.shape[1])[c], layers, rule)
    for n, k in enumerate(c):
        values = slow_outputs(net, drawn.images[n : n + 1])
        slow = slow_signals(net, values, output, np.eye(tape.logits.shape[1])[[k]], rule)
        close(tape.logits[n : n + 1], values[output])
        for layer in layers:
            close(tape.activation(layer)[n : n + 1], values[layer])
            if layer in slow:
                close(fast[layer][n : n + 1], slow[layer])


@pytest.mark.parametrize("name", MAPS)
@few
@given(drawn=networks(), data=st.data())
def test_a_map_equals_its_equation_on_the_slow_network(name, drawn, data):
    c, layer = targets(drawn, data), data.draw(st.sampled_from(drawn.maps))
    slow = getattr(slow_methods, name)(drawn.network, drawn.images, c, layer)
    assume(name != "xgrad_cam" or np.abs(slow.weights).max() < 1e6)  # else the sum of A is all but 0
    assume(name != "grad_cam_plus_plus" or not near_a_pole(drawn, c, layer))
    e = getattr(ng, name)(drawn.network, drawn.images, c, layer=layer)
    close(e.signed_cam, slow.signed, 1e-9)
    close(e.cam, slow.map, 1e-9)
    if e.alpha is not None and slow.weights.ndim == 2:
        close(e.alpha, slow.weights, 1e-9)


def near_a_pole(drawn, c, layer):
    A, g = slow_methods.maps_and_gradients(drawn.network, drawn.images, c, layer)
    d = 2 + A.sum(axis=(2, 3), keepdims=True) * g
    return (np.abs(d) < 1e-3).any()


@few
@given(drawn=networks(), data=st.data())
def test_cam_reads_the_same_weights_off_the_head(drawn, data):
    c, layer = targets(drawn, data), drawn.maps[-1]
    slow = slow_methods.cam(drawn.network, drawn.images, c, layer)
    e = ng.cam(drawn.network, drawn.images, c)
    assert e.layer == layer
    close(e.alpha, slow.weights)
    close(e.signed_cam, slow.signed)


@few
@given(drawn=networks(), data=st.data())
def test_signals_and_their_product_equal_the_slow_ones(drawn, data):
    c = targets(drawn, data)
    for rule in ("gradient", "deconvnet", "guided"):
        if rule == "gradient" or drawn.network.rectifiers(drawn.network.outputs[0], "input"):
            close(ng.backprop(drawn.network, drawn.images, c, rule).signal,
                  slow_methods.backprop(drawn.network, drawn.images, c, rule))
    assume(drawn.network.rectifiers(drawn.network.outputs[0], "input"))
    layer = data.draw(st.sampled_from(drawn.maps))
    close(ng.guided_grad_cam(drawn.network, drawn.images, c, layer).signal,
          slow_methods.guided_grad_cam(drawn.network, drawn.images, c, layer))


def test_the_logit_before_a_softmax_and_the_pixels_of_a_class_are_meant_there_too():
    for net in (gap_net(softmax=True), pixel_net()):
        x = pictures(2)
        logits = net.forward(x, output=net.score(net.outputs[0])).logits
        c = [int(np.bincount(n.reshape(len(n), -1).argmax(axis=0)).argmax()) for n in logits]
        layer = "relu2"
        close(ng.grad_cam(net, x, c, layer=layer).signed_cam, slow_methods.grad_cam(net, x, c, layer).signed)
        close(ng.backprop(net, x, c, "guided").signal, slow_methods.backprop(net, x, c, "guided"))


@pytest.mark.parametrize("rule", ["gradient", "deconvnet", "guided"])
def test_a_leaky_rectifier_has_the_same_rules(rule):
    random = np.random.default_rng(0)
    net = Network((
        Node("conv", conv(random, 4, 3), ("input",)), Node("leaky", LeakyReLU(0.1), ("conv",)),
        Node("six", ReLU6(), ("conv",)), Node("add", Add(), ("leaky", "six")), Node("relu", ReLU(), ("add",)),
        Node("both", Concat(), ("relu", "six")), Node("pool", GlobalAvgPool2d(), ("both",)),
        Node("flat", Flatten(), ("pool",)),
    ), dtype="float64")
    close(ng.backprop(net, pictures(), [1, 6], rule).signal, slow_methods.backprop(net, pictures(), [1, 6], rule))


TWINNED = [name for name in KERNELS if name not in ("spline", "lanczos")]


@pytest.mark.parametrize("kernel", TWINNED)
@given(sizes=st.tuples(*(st.integers(1, 5),) * 2, *(st.integers(1, 12),) * 2), seed=st.integers(0, 2**32 - 1))
def test_every_kernel_equals_its_slow_definition(kernel, sizes, seed):
    (I, J), (H, W) = sizes[:2], sizes[2:]
    H, W = max(I, H), max(J, W)  # maps grow
    m = np.random.default_rng(seed).standard_normal((2, I, J))
    close(ng.Convention(name="", source="", relu="none", resize=kernel).finish(m, (H, W)),
          finishing.enlarge(m, kernel, (H, W)), 1e-12)


@given(data=st.data())
def test_a_convention_is_what_its_words_say(data):
    when = st.sampled_from(("before", "after", "both", "none"))
    choices = {"relu": data.draw(when), "when": data.draw(when), "epsilon": data.draw(st.sampled_from((0.0, 1e-7))),
               "normalise": data.draw(st.sampled_from(("none", "max", "minmax"))),
               "start": data.draw(st.sampled_from((0.0, 1.0))), "resize": data.draw(st.sampled_from(TWINNED))}
    m = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).standard_normal((2, 3, 4))
    if choices["start"] == 0:  # of ones everywhere, rounding decides whether an enlargement has a range
        m[0] *= data.draw(st.sampled_from((0.0, 1.0)))
    m[1] = -np.abs(m[1])
    found = ng.Convention(name="", source="", **choices).finish(m, (7, 9))
    right = finishing.finish(m, (7, 9), **choices)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(right))
    close(np.nan_to_num(found), np.nan_to_num(right), 1e-7)  # NaN or not may hang on the last digit


def test_the_papers_enlargement_is_the_one_that_the_definitions_have():
    m = np.random.default_rng(0).standard_normal((2, 3, 4))
    close(finishing.enlarge(m, "bilinear", (7, 9)), definitions.upsample(m, (7, 9)))


def test_an_unknown_rule_is_an_error():
    with pytest.raises(ng.NpGradcamError, match="expected 'gradient'"):
        slow_signals(gap_net(), {}, "fc", np.eye(5)[[0]], "guide")
