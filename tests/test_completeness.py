"""In a piecewise-linear network gradient times input plus every layer's offset is the score, exactly.

This checks the whole backward at once, biases, batch norms and saturated ReLU6 included. The offsets are written down
here a second time, apart from `npgradcam.testing`, and the two are held against each other.
"""


import numpy as np
import pytest
from architectures import LAYERS, SEED, picture
from hypothesis import assume, given
from hypothesis import strategies as st
from reference_weights import reference_arrays
from small_nets import flat_net, gap_net, lite0, needs_imagenet, pictures, reference_net

import npgradcam as ng
from npgradcam.layers import BatchNorm2d, Clip, Conv2d, Linear, Pad, ReLU
from npgradcam.models import random_weights
from npgradcam.network import Network, Node
from npgradcam.testing import check_completeness
from npgradcam.testing.completeness import CurvedLayerError
from npgradcam.testing.strategies import networks

LIMITS = {"float64": 1e-12, "float32": 1e-4}


def offset(layer, x):
    """f(x) - J x, from the layer's parameters alone, in float64."""
    if isinstance(layer, (Conv2d, Linear)):
        bias = np.zeros(len(layer.weight)) if layer.bias is None else layer.bias.astype(np.float64)
        return bias.reshape((-1, 1, 1)[: x.ndim - 1])
    if isinstance(layer, BatchNorm2d):
        scale = layer.weight.astype(np.float64) / np.sqrt(layer.variance.astype(np.float64) + layer.epsilon)
        return (layer.bias - scale * layer.mean)[:, None, None]
    if isinstance(layer, Clip):
        return np.where(x >= layer.high, layer.high, 0.0) + np.where(x <= layer.low, layer.low, 0.0)
    if isinstance(layer, Pad):
        return layer.forward(np.zeros_like(x))[0]
    return 0.0


def completeness_error(network, x, target):
    """The score's distance from the sum, for each image, relative to the sum of absolute terms."""
    names = ["input", *(node.name for node in network.nodes)]
    tape = network.forward(x, observe=names)
    seed = np.eye(tape.logits.shape[1], dtype=x.dtype)[target]
    signals = network.backward(tape, seed, down_to=names)
    offsets = {node.name: offset(node.layer, tape.activations[node.inputs[0]]) for node in network.nodes}
    terms = [signals[name].astype(np.float64) * factor for name, factor in {"input": x, **offsets}.items()]
    sums = np.array([term.reshape(len(x), -1).sum(axis=1) for term in terms])
    score = tape.logits[np.arange(len(x)), target].astype(np.float64)
    return np.abs(score - sums.sum(axis=0)) / np.abs(sums).sum(axis=0)


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("make", [gap_net, lambda dtype: flat_net(7, 10, dtype=dtype), reference_net])
def test_gradient_times_input_and_offsets_add_up_to_every_score(make, dtype):
    net = make(dtype=dtype)
    x = reference_arrays()["images"].astype(dtype) if make is reference_net else 3 * pictures(2, dtype=dtype)
    for target in range(5):
        assert completeness_error(net, x, [target] * 2).max() <= LIMITS[dtype]
        seed = np.eye(5, dtype=dtype)[[target] * 2]
        assert check_completeness(net, x, seed) <= LIMITS[dtype]


@needs_imagenet
@pytest.mark.parametrize("dtype", LIMITS)
def test_they_add_up_on_efficientnet_lite0_with_saturated_relu6_and_batch_norms(dtype):
    net = lite0(dtype)
    x = net.preprocess([ng.images.sample("chelsea"), ng.images.sample("coffee")])
    tape = net.forward(x, observe=("stem.norm", "head.norm"))
    assert (tape.activations["head.norm"] > 6).any()
    assert (tape.activations["stem.norm"] > 6).any()
    assert completeness_error(net.network, x, tape.logits.argmax(axis=1)).max() <= LIMITS[dtype]


PIECEWISE = [name for name in LAYERS if not name.startswith(("mobilenet_v3", "efficientnet_b"))]
QUICK = ("alexnet", "squeezenet1_1", "resnet18", "shufflenet_v2_x0_5", "mobilenet_v2", "mnasnet0_5")


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in PIECEWISE])
def test_they_add_up_on_every_piecewise_linear_architecture(name, dtype):
    net = ng.build(name, random_weights(SEED), dtype)
    assert check_completeness(net, picture(name, dtype)) <= LIMITS[dtype]


@pytest.mark.parametrize("name", sorted(set(LAYERS) - set(PIECEWISE)))
def test_the_other_architectures_are_curved(name):
    with pytest.raises(CurvedLayerError):
        check_completeness(ng.build(name, random_weights(SEED), "float32"), picture(name, "float32"))


@given(networks(), st.sampled_from(list(LIMITS)))
def test_they_add_up_on_any_piecewise_linear_network(drawn, dtype):
    net = Network(drawn.network.nodes, dtype=dtype)
    x = drawn.images.astype(dtype)
    target = net(x).argmax(axis=1)
    assume(np.isfinite(net(x)).all())
    assert completeness_error(net, x, target).max() <= LIMITS[dtype]


@given(networks())
def test_the_public_check_agrees_with_the_sum_written_here(drawn):
    assert check_completeness(drawn.network, drawn.images) <= 1e-12


def test_without_offsets_gradient_times_input_is_the_score():
    """Euler: a network of ReLU and max pooling without biases is homogeneous."""
    net = gap_net()
    nodes = []
    for node in net.nodes:
        layer = node.layer
        if isinstance(layer, (Conv2d, Linear)):
            layer = type(layer)(**{**vars(layer), "bias": np.zeros(len(layer.weight))})
        if isinstance(layer, BatchNorm2d):
            layer = BatchNorm2d(layer.weight, 0 * layer.bias, 0 * layer.mean, layer.variance, layer.epsilon)
        nodes.append(Node(node.name, ReLU() if isinstance(layer, Clip) else layer, node.inputs))
    net, x = Network(tuple(nodes), dtype="float64"), pictures()
    e = ng.backprop(net, x, [1, 4])
    products = (e.signal * x).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(products, e.logits[[0, 1], [1, 4]], rtol=1e-12)
    # and so is activation times gradient at every layer below the head
    for layer in ("relu1", "pool1", "relu2"):
        e = ng.grad_cam(net, x, [1, 4], layer=layer)
        products = (e.activations * e.gradients).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(products, e.logits[[0, 1], [1, 4]], rtol=1e-12)


def wrong_slope(factor):
    class Wrong(ReLU):
        def backward(self, signal, cache, rule=ng.rules.gradient):
            return (factor * rule(signal, cache),)

    return Wrong()


def open_at_the_top():
    class Open(Clip):
        def forward(self, x):
            return np.clip(x, self.low, self.high), x > self.low

    return Open(0.0, 6.0)


@pytest.mark.parametrize("layer", [wrong_slope(1.001), wrong_slope(-1), open_at_the_top()])
def test_the_sum_written_here_catches_a_wrong_derivative(layer):
    net, x = reference_net(), reference_arrays()["images"]
    place = "relu6" if isinstance(layer, Clip) else "relu_add"
    nodes = (Node(n.name, layer if n.name == place else n.layer, n.inputs) for n in net.nodes)
    broken = Network(tuple(nodes), dtype="float64")
    np.testing.assert_array_equal(broken(x), net(x))
    assert completeness_error(broken, x, [0, 4]).max() > 1e-6
    assert completeness_error(net, x, [0, 4]).max() <= 1e-12
