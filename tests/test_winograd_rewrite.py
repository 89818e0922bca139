"""Winograd's convolution in a graph: where it is taken, and that nobody notices."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import npgradcam as ng
from npgradcam.layers import Conv2d, ReLU
from npgradcam.models import random_weights
from npgradcam.network import Network
from npgradcam.rewrites import winograd as rewrite
from npgradcam.rewrites.fuse import ConvRectifier, fuse

pytestmark = pytest.mark.usefixtures("warm")
random = np.random.default_rng(5)


def normal(*shape: int) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


def network() -> Network:
    layers = [("a", Conv2d(normal(24, 16, 3, 3), normal(24), padding=(1, 1, 1, 1))), ("b", ReLU()),
              ("c", Conv2d(normal(20, 24, 3, 3), padding="same")), ("d", Conv2d(normal(4, 20, 1, 1))),
              ("e", Conv2d(normal(16, 4, 3, 3))), ("f", Conv2d(normal(16, 16, 3, 3), stride=(2, 2)))]
    return Network.sequential(layers)


def test_the_rewritten_graph_gives_the_same_numbers_and_signals() -> None:
    plain, x = network(), normal(2, 16, 23, 30)
    fast = Network(plain.nodes, rewrite=lambda graph, keep: rewrite.choose(fuse(graph, keep), graph.shapes(x.shape)))
    tape, other = plain.forward(x, observe=("input", "c")), fast.forward(x, observe=("input", "c"))
    kinds = {node.name: node.layer for node in other.plan.nodes}
    assert isinstance(kinds["b"], ConvRectifier)
    assert isinstance(kinds["b"].conv, rewrite.WinogradConv2d)
    assert isinstance(kinds["c"], rewrite.WinogradConv2d)
    assert not any(isinstance(kinds[name], rewrite.WinogradConv2d) for name in "def")
    assert kinds["c"].parameters.keys() == {"weight"}
    assert abs(other.logits - tape.logits).max() < 1e-4 * np.sqrt(np.mean(tape.logits**2))
    seed = normal(*tape.logits.shape)
    for rule in ("gradient", "deconvnet", "guided"):
        one, two = (net.backward(t, seed, ("input", "c"), rule) for net, t in ((plain, tape), (fast, other)))
        assert all(np.linalg.norm(one[name] - two[name]) < 1e-2 * np.linalg.norm(one[name]) for name in one)


def test_the_adjoints_weights_are_made_once_and_go_with_their_layer() -> None:
    conv = Conv2d(normal(16, 16, 3, 3), padding=(1, 1, 1, 1))
    layer = rewrite.WinogradConv2d.of(conv, 4)
    count = len(rewrite._turned)
    layer.forward(normal(1, 16, 9, 9))
    assert len(rewrite._turned) == count
    assert rewrite.turned(layer) is rewrite.turned(layer)
    assert len(rewrite._turned) == count + 1
    del layer
    gc.collect()
    assert len(rewrite._turned) == count


@pytest.mark.parametrize(("layer", "side", "m"), [
    (Conv2d(normal(64, 64, 3, 3)), 58, 4), (Conv2d(normal(64, 64, 3, 3)), 9, 2),
    (Conv2d(normal(64, 3, 3, 3)), 58, None),
    (Conv2d(normal(64, 64, 3, 3), stride=(2, 1)), 58, None), (Conv2d(normal(64, 64, 3, 3), dilation=(1, 2)), 58, None),
    (Conv2d(normal(64, 32, 3, 3), groups=2), 58, None), (Conv2d(normal(64, 64, 5, 5)), 58, None),
    (Conv2d(normal(64, 64, 3, 3).astype(float)), 58, None),
])
def test_which_algorithm(layer: Conv2d, side: int, m: int | None) -> None:
    assert rewrite.tile(layer, (1, layer.weight.shape[1] * layer.groups, side, side)) == m


def test_a_loaded_network_explains_the_same_with_winograds_convolution() -> None:
    """Chosen for each size of input; what is kept is still there to be looked at."""
    weights = random_weights(3)
    ng.build("resnet18", weights)
    nets = [ng.load("resnet18", weights.taken, optimise=how) for how in (False, "winograd")]
    x = np.random.default_rng(1).standard_normal((1, 3, 128, 96)).astype(np.float32)
    e, f = (ng.grad_cam(net, x, 7, "layer2.0.relu1") for net in nets)
    plan = nets[1].network.plan((f.layer, f.output), {"input": x.shape})
    assert any(isinstance(getattr(node.layer, "conv", node.layer), rewrite.WinogradConv2d) for node in plan.nodes)
    for part in ("logits", "activations", "signed_cam"):
        a, b = getattr(f, part), getattr(e, part)
        assert np.abs(a - b).max() < 1e-4 * np.abs(b).max()
    with np.errstate(all="raise"):
        a, b = (ng.backprop(net, x, 7).signal.ravel() for net in nets)
    assert a @ b > 0.9999 * np.linalg.norm(a) * np.linalg.norm(b)
