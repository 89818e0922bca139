"""A rewritten network gives the same numbers wherever somebody looks, and the same signals under every rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_nets import conv, gap_net, lite0, needs_imagenet, norm, pictures, relative

import npgradcam as ng
from npgradcam import kernels
from npgradcam.layers import Add, BatchNorm2d, Conv2d, ConvTranspose2d, Linear, Mul, ReLU, ReLU6
from npgradcam.network import Network, Node
from npgradcam.rewrites import fold, optimise
from npgradcam.rewrites.fuse import ConvRectifier
from npgradcam.testing.strategies import networks

pytestmark = pytest.mark.usefixtures("warm")
RULES = ("gradient", "deconvnet", "guided")


def fast(network: Network) -> Network:
    return replace(network, rewrite=optimise)


def same(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-9) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max() <= tolerance * max(1.0, np.abs(b).max()))


@given(data=st.data())
def test_what_is_looked_at_is_the_same(data: st.DataObject) -> None:
    drawn = data.draw(networks())
    names = tuple(data.draw(st.lists(st.sampled_from(drawn.maps), min_size=1, max_size=3, unique=True)))
    plain, quick = (net.forward(drawn.images, names) for net in (drawn.network, fast(drawn.network)))
    assert same(quick.logits, plain.logits)
    assert all(same(quick.activation(name), plain.activation(name)) for name in names)
    seed = np.random.default_rng(0).standard_normal(plain.logits.shape)
    for rule in RULES:
        down = [tape.network.backward(tape, seed, names, rule) for tape in (plain, quick)]
        assert all(same(down[1][name], down[0][name]) for name in names)


def test_several_rows_of_several_images_are_the_same() -> None:
    net, x = gap_net(), pictures(3)
    for target in ([[0, 1], [2], [3, 4, 0]], 2, None):
        a, b = (ng.grad_cam(n, x, target) for n in (net, fast(net)))
        assert a.layer == b.layer
        assert same(b.gradients, a.gradients)
        assert same(b.signed_cam, a.signed_cam)


def test_what_folds_beyond_the_largest_number_is_infinity_without_a_warning() -> None:
    """A bias of 1e30 times a scale of 1e30; a warning is an error here."""
    ones = np.ones(1, "f4")
    norm30 = BatchNorm2d(ones * np.float32(1e30), ones, ones, ones)
    net = Network((Node("conv", Conv2d(ones.reshape(1, 1, 1, 1), ones * np.float32(1e30)), ("input",)),
                   Node("norm", norm30, ("conv",))))
    for network in (net, fast(net)):
        assert np.isinf(network(np.ones((1, 1, 1, 1), "f4"))).all()


def test_a_convolution_takes_norm_and_rectifier_in_unless_somebody_looks_at_them() -> None:
    net = fast(gap_net())
    kinds = [type(n.layer).__name__ for n in net.plan(("fc",)).nodes[:3]]
    assert kinds == ["ConvRectifier", "MaxPool2d", "ConvRectifier"]
    assert [n.name for n in net.plan(("fc", "conv1")).nodes[:3]] == ["conv1", "norm1", "relu1"]
    assert [n.name for n in net.plan(("fc", "norm1")).nodes[:3]] == ["norm1", "relu1", "pool1"]
    assert isinstance(net.plan(("fc", "norm1"))["norm1"].layer, Conv2d)


def test_a_plan_is_made_once() -> None:
    net = fast(gap_net())
    assert net.plan(("fc", "relu2")) is net.plan(("relu2", "fc"))
    plain = gap_net()
    assert plain.plan(("fc",)) is plain


def test_what_two_read_stays() -> None:
    random = np.random.default_rng(0)
    net = Network((
        Node("conv", conv(random, 3, 3, padding="same"), ("input",)), Node("norm", norm(random, 3), ("conv",)),
        Node("relu", ReLU(), ("norm",)), Node("add", Add(), ("relu", "conv")),
    ), dtype="float64")
    assert [n.name for n in fast(net).plan(("add",)).nodes] == ["conv", "norm", "relu", "add"]
    assert same(fast(net)(pictures()), net(pictures()))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_affine_layers_fold_into_every_linear_one(bias: bool, groups: int) -> None:
    random = np.random.default_rng(1)
    held = random.standard_normal(4) if bias else None
    linear = {
        "conv": (Conv2d(random.standard_normal((4, 4 // groups, 3, 2)), held, groups=groups), (2, 4, 6, 7)),
        "transposed": (ConvTranspose2d(random.standard_normal((4, 4 // groups, 3, 2)), held, (2, 1), groups=groups),
                       (2, 4, 6, 7)),
    }
    affine = [
        ("norm", BatchNorm2d(*random.uniform(0.5, 2, (4, 4)), 1e-3)), ("mul", Mul(random.standard_normal((4, 1, 1)))),
        ("add", Add(random.standard_normal((1, 4, 1, 1)))), ("half", Mul(np.array(0.5))),
    ]
    for layer, shape in linear.values():
        net = Network.sequential([("linear", layer), *affine], dtype="float64")
        plan = fold(net, {"half"})
        assert [n.name for n in plan.nodes] == ["half"]
        x = random.standard_normal(shape)
        assert same(plan.nodes[0].layer.forward(x)[0], net(x), 1e-12)


def test_what_does_not_treat_channels_alone_is_not_folded() -> None:
    random = np.random.default_rng(2)
    for shape in ((3, 5), (2, 1, 1, 1), (1, 5)):
        constant = random.standard_normal(shape)
        net = Network.sequential([("conv", conv(random, 3, 3, 1)), ("mul", Mul(constant))], dtype="float64")
        x = random.standard_normal((2, 3, 3, 5))
        assert len(fold(net, {"mul"}).nodes) == 2
        assert same(fast(net)(x), net(x))
    matrix = Linear(random.standard_normal((3, 3)), random.standard_normal(3))
    net = Network.sequential([("fc", matrix), ("mul", Mul(random.standard_normal(3)))], dtype="float64")
    assert same(fold(net, {"mul"}).nodes[0].layer.forward(np.eye(3))[0], net(np.eye(3)), 1e-12)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_fused_layer_is_the_two_layers(backend: str, dtype: str) -> None:
    random = np.random.default_rng(3)
    for gate in (ReLU(), ReLU6()):
        for settings in ({}, {"groups": 2}, {"stride": (2, 1), "padding": "same"}):
            both = [("conv", conv(random, 4, 4, **settings)), ("gate", gate)]
            pair = Network.sequential(both, dtype=dtype, backend=backend)
            x = (2 * random.standard_normal((1, 4, 9, 8))).astype(dtype)
            tape, quick = (net.forward(x, "input") for net in (pair, fast(pair)))
            assert isinstance(quick.plan.nodes[0].layer, ConvRectifier)
            assert relative(quick.logits, tape.logits) < (1e-6 if dtype == "float32" else 1e-14)
            seed = random.standard_normal((3, *tape.logits.shape[1:])).astype(dtype)
            for rule in (*RULES, lambda signal, slope: signal * slope * 2):
                a, b = (t.network.backward(t, seed, "input", rule) for t in (tape, quick))
                assert relative(b, a) < (1e-5 if dtype == "float32" else 1e-13)


def test_nan_stays_nan_through_a_fused_rectifier() -> None:
    net = Network.sequential([("conv", Conv2d(np.ones((1, 1, 1, 1)))), ("relu", ReLU())], dtype="float32")
    x = np.array([[[[np.nan, -1.0, 2.0]]]], np.float32)
    assert np.array_equal(fast(net)(x), net(x), equal_nan=True)


@needs_imagenet
@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_efficientnet_lite0_explains_a_photograph_as_it_does_unrewritten(name: str) -> None:
    plain, quick = lite0(), lite0(optimise=True)
    x = plain.preprocess(ng.images.sample(name))
    e, f = (ng.grad_cam(net, x) for net in (plain, quick))
    assert (f.layer, f.target.tolist()) == (e.layer, e.target.tolist())
    assert all(relative(getattr(f, part), getattr(e, part)) < 1e-5 for part in ("logits", "alpha", "signed_cam"))
    for rule in RULES:  # single gates near their kink may flip, in any float32 code
        a, b = (ng.backprop(net, x, rule=rule).signal.ravel() for net in (plain, quick))
        assert a @ b > 0.9999 * np.linalg.norm(a) * np.linalg.norm(b)
    exact, folded = lite0("float64"), lite0("float64", optimise=True)
    a, b = (ng.backprop(net, x.astype("float64"), rule="guided").signal for net in (exact, folded))
    assert relative(b, a) < 1e-11


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_gate_lets_through_what_the_rules_say_also_of_infinity(backend: str) -> None:
    signal = np.array([[-np.inf, -1.0, 2.0, 3.0, np.nan, -2.0]])
    y = np.array([[1.0, 1.0, 1.0, 0.0, 1.0, 0.0]])
    with kernels.session(backend):
        assert kernels.gate(signal, y, 0.0, np.inf, True, False)[0].tolist()[:4] == [0, 0, 2, 3]
        guided = kernels.gate(signal, y, 0.0, np.inf, True, True)[0]
        plain = kernels.gate(signal, y, 0.0, np.inf, False, True)[0]
    assert guided[[0, 1, 2, 3, 5]].tolist() == [0, 0, 2, 0, 0]
    assert plain[[0, 1, 2, 3, 5]].tolist() == [-np.inf, -1, 2, 0, 0]
    assert np.isnan([guided[4], plain[4]]).all()
