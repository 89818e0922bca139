"""A plan in blocks of channels gives what the network as drawn gives, wherever somebody looks and under every rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from invariants import examples
from small_nets import conv, gap_net, needs_imagenet, norm, pictures

import npgradcam as ng
from npgradcam.kernels import rooms
from npgradcam.layers import Add, AvgPool2d, Clip, Concat, Conv2d, Dropout, GlobalAvgPool2d, MaxPool2d, ReLU, ReLU6
from npgradcam.network import Network, Node
from npgradcam.rewrites import by_layer, chains, choose, optimise
from npgradcam.rewrites.blocked import BlockedConv
from npgradcam.rewrites.blocked_pictures import Packed
from npgradcam.testing.strategies import networks

pytest.importorskip("numba")
RULES = ("gradient", "deconvnet", "guided")


def single(network: Network) -> Network:
    return Network(network.nodes, network.inputs, network.outputs, network.aliases, network.declared, network.whole)


def fast(network: Network) -> Network:
    return replace(single(network), rewrite=optimise, choose=choose)


def same(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-5) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max(initial=0) <= tolerance * max(1.0, np.abs(b).max(initial=0)))


def expect_same(network: Network, x: np.ndarray, names: tuple[str, ...], tolerance: float = 1e-5) -> None:
    """Outputs, activations and signals of both, with the plain network in float64 as judge."""
    x, exact = x.astype(np.float32), replace(single(network), dtype="float64")
    plain, quick = exact.forward(x.astype(float), names), fast(network).forward(x, names)
    assert same(quick.logits, plain.logits, tolerance)
    assert all(same(quick.activation(name), plain.activation(name), tolerance) for name in names)
    seed = np.random.default_rng(0).standard_normal(plain.logits.shape)
    for rule in (*RULES, lambda signal, slope: signal * (1 + slope)):
        one = exact.backward(plain, seed, names, rule)
        other = quick.network.backward(quick, seed.astype(np.float32), names, rule)
        assert all(same(other[name], one[name], 20 * tolerance) for name in names)


@examples(100)
@given(data=st.data())
def test_what_is_looked_at_is_the_same(data: st.DataObject) -> None:
    drawn = data.draw(networks())
    names = tuple(data.draw(st.lists(st.sampled_from(drawn.maps), min_size=1, max_size=3, unique=True)))
    x = drawn.images.astype(np.float32)
    exact, quick = replace(single(drawn.network), dtype="float64"), fast(drawn.network)
    plain, found = exact.forward(x.astype(float), names), quick.forward(x, names)
    assert same(found.logits, plain.logits)
    assert all(same(found.activation(name), plain.activation(name)) for name in names)


def kinds(network: Network, x: np.ndarray, *keep: str) -> list[str]:
    plan = replace(network, choose=by_layer).plan((*network.outputs, *keep), {network.inputs[0]: x.shape})
    return [type(node.layer).__name__ for node in plan.nodes]


def test_what_a_plan_is_made_of() -> None:
    net, x = fast(gap_net()), pictures().astype(np.float32)
    assert kinds(net, x)[:5] == ["Packed", "BlockedConv", "BlockedMaxPool", "BlockedConv", "BlockedMean"]
    looked = kinds(net, x, "conv1")
    assert looked[:6] == ["Packed", "BlockedConv", "Unpacked", "BatchNorm2d", "ReLU", "MaxPool2d"]
    exact = replace(net, dtype="float64")
    assert "Packed" not in kinds(exact, x)  # float64 stays with the loops
    assert "Packed" not in kinds(replace(net, backend="numpy"), x)


def residual(random: np.random.Generator) -> Network:
    """Two blocks with shortcuts, one of them a convolution with stride 2; a depthwise convolution; a clip."""
    return Network((
        Node("conv1", conv(random, 20, 3, padding="same"), ("input",)), Node("relu1", ReLU(), ("conv1",)),
        Node("conv2", conv(random, 20, 20, padding=(1, 1, 1, 1)), ("relu1",)),
        Node("norm2", norm(random, 20), ("conv2",)),
        Node("add1", Add(), ("norm2", "relu1")), Node("relu2", ReLU(), ("add1",)),
        Node("conv3", Conv2d(random.standard_normal((36, 20, 3, 3)) / 13, None, (2, 2), (1, 1, 1, 1)), ("relu2",)),
        Node("short", Conv2d(random.standard_normal((36, 20, 1, 1)) / 5, None, (2, 2)), ("relu2",)),
        Node("add2", Add(), ("short", "conv3")), Node("relu3", ReLU6(), ("add2",)),
        Node("deep", conv(random, 36, 36, 5, padding="same", groups=36), ("relu3",)),
        Node("clip", Clip(-1.0, 1.0), ("deep",)),
        Node("mean", GlobalAvgPool2d(), ("clip",)), Node("flat", ng.layers.Flatten(), ("mean",)),
    ), dtype="float64")


def test_shortcuts_are_added_while_a_convolution_is_stored() -> None:
    net = residual(np.random.default_rng(3))
    x = pictures(2, 17, 14)
    for names in (("input",), ("relu2",), ("add1", "relu3"), ("conv3", "input", "clip"), ("norm2", "short")):
        expect_same(net, x, names)
    assert kinds(fast(net), x).count("BlockedConv") == 5  # additions and rectifiers cost no pass of their own


def test_a_shortcut_whose_frame_has_other_zeros_around() -> None:
    """What is added may have more zeros around it, or fewer, than what it is added to."""
    random = np.random.default_rng(5)
    net = Network((
        Node("a", conv(random, 18, 3, padding=(1, 1, 1, 1)), ("input",)),
        Node("wide", Conv2d(random.standard_normal((18, 18, 5, 5)) / 20, None, (1, 1), (2, 2, 2, 2)), ("a",)),
        Node("point", Conv2d(random.standard_normal((18, 18, 1, 1)) / 4), ("wide",)),
        Node("sum", Add(), ("point", "a")), Node("relu", ReLU(), ("sum",)),
        Node("last", conv(random, 5, 18), ("relu",)), Node("mean", GlobalAvgPool2d(), ("last",)),
        Node("flat", ng.layers.Flatten(), ("mean",)),
    ), dtype="float64")
    expect_same(net, pictures(1, 9, 12), ("input", "a"))


def concatenated(random: np.random.Generator) -> Network:
    """A fire module, an inception of pools, and a dense block that normalises what it concatenates."""
    def point(o: int, c: int) -> Conv2d:
        return Conv2d(random.standard_normal((o, c, 1, 1)) / np.sqrt(c), random.standard_normal(o) / 4)
    return Network((
        Node("squeeze", point(16, 3), ("input",)), Node("r0", ReLU(), ("squeeze",)),
        Node("e1", point(32, 16), ("r0",)), Node("r1", ReLU(), ("e1",)),
        Node("e3", conv(random, 20, 16, padding=(1, 1, 1, 1)), ("r0",)), Node("r3", ReLU(), ("e3",)),
        Node("fire", Concat(), ("r1", "r3")), Node("drop", Dropout(), ("fire",)),
        Node("pool", MaxPool2d((3, 3), (1, 1), (1, 1, 1, 1)), ("drop",)),
        Node("mean3", AvgPool2d((3, 3), (1, 1), (1, 1, 1, 1)), ("drop",)),
        Node("a", point(16, 52), ("pool",)), Node("b", point(32, 52), ("mean3",)),
        Node("both", Concat(), ("a", "b")), Node("norm", norm(random, 48), ("both",)), Node("rn", ReLU(), ("norm",)),
        Node("c", point(16, 48), ("rn",)), Node("dense", Concat(), ("both", "c")),
        Node("norm2", norm(random, 64), ("dense",)),
        Node("r4", ReLU(), ("norm2",)), Node("half", AvgPool2d((2, 2), (2, 2)), ("r4",)),
        Node("last", point(7, 64), ("half",)), Node("gap", GlobalAvgPool2d(), ("last",)),
        Node("flat", ng.layers.Flatten(), ("gap",)),
    ), dtype="float64")


def test_concatenations_are_written_in_place() -> None:
    net = concatenated(np.random.default_rng(7))
    x = pictures(2, 10, 13)
    for names in (("input",), ("fire",), ("both", "r4"), ("e1", "input"), ("norm2", "c", "squeeze")):
        expect_same(net, x, names)


@pytest.mark.parametrize("pool", [MaxPool2d((3, 3), (2, 2), (1, 1, 1, 1)), MaxPool2d((2, 2), (2, 2), ceil=True),
                                  MaxPool2d((2, 3), (1, 2), (0, 1, 1, 0), dilation=(2, 1))], ids=str)
def test_the_largest_cell_is_the_first_of_several(pool: MaxPool2d) -> None:
    random = np.random.default_rng(1)
    first = Conv2d(np.eye(3).reshape(3, 3, 1, 1))
    net = Network.sequential([("conv", first), ("pool", pool), ("flat", ng.layers.Flatten())], dtype="float64")
    x = random.integers(-2, 2, (2, 3, 9, 11)).astype(float)  # ties everywhere
    expect_same(net, x, ("input",), 1e-7)
    x[0, 0, 4, 4] = np.nan
    quick, plain = fast(net)(x.astype(np.float32)), net(x)
    assert (np.isnan(quick) == np.isnan(plain)).all()


def test_several_rows_of_several_images_are_the_same() -> None:
    net, x = gap_net(), pictures(3)
    for target in ([[0, 1], [2], [3, 4, 0]], 2, None):
        a, b = ng.grad_cam(net, x, target), ng.grad_cam(fast(net), x.astype(np.float32), target)
        assert a.layer == b.layer
        assert same(b.gradients, a.gradients)
        assert same(b.signed_cam, a.signed_cam)
        both = ((net, x), (fast(net), x.astype(np.float32)))
        signals = [ng.backprop(n, y, target, rule="guided").signal for n, y in both]
        assert same(signals[1], signals[0], 1e-4)


def test_memory_that_is_used_again_holds_nothing_of_before() -> None:
    """A larger picture, a smaller one and the larger one again: the same numbers, bit by bit."""
    net = fast(residual(np.random.default_rng(3)))
    x, small = pictures(1, 17, 14).astype(np.float32), pictures(1, 12, 9).astype(np.float32)
    first, tape = net(x).copy(), net.forward(x, ("input", "relu2"))
    seed = np.ones_like(tape.logits)
    signal = net.backward(tape, seed, "input")
    for _ in range(3):
        net(small * np.float32(1e3))
        net(x * np.float32(-7))
        assert (net(x) == first).all()
        assert (net.backward(tape, seed, "input") == signal).all()


def test_eight_threads_get_the_same_bits() -> None:
    from concurrent.futures import ThreadPoolExecutor

    net = fast(residual(np.random.default_rng(3)))
    xs = [pictures(1, 17, 14).astype(np.float32) * np.float32(scale) for scale in range(1, 9)]
    alone = [net(x).copy() for x in xs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert all((a == b).all() for a, b in zip(pool.map(net, xs), alone, strict=True))


@given(data=st.data())
def test_a_chain_gives_the_bits_of_its_layers_again_and_again(data: st.DataObject) -> None:
    drawn = data.draw(networks())
    names = tuple(data.draw(st.lists(st.sampled_from(drawn.maps), max_size=2, unique=True)))
    x = drawn.images.astype(np.float32)
    chained = fast(drawn.network)
    layers = replace(chained, choose=by_layer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains, "TOGETHER", data.draw(st.integers(1, 4)))
        patch.setattr(rooms, "LARGE", data.draw(st.sampled_from([0, rooms.LARGE])))  # 0: share all that fits
        for images in (x, -x, x[::-1].copy(), np.concatenate([x, x]), x):
            one, other = chained.forward(images, names), layers.forward(images, names)
            assert np.array_equal(one.logits, other.logits, equal_nan=True)
            assert all(np.array_equal(one.activation(n), other.activation(n), equal_nan=True) for n in names)


def test_memory_that_two_frames_share_has_the_zeros_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third picture takes the place of the first, whose zeros around must be there again for the next image."""
    monkeypatch.setattr(rooms, "LARGE", 0)
    random = np.random.default_rng(6)
    nodes, channels = [], 3
    for k in (1, 7, 5, 3):
        weight = random.standard_normal((16, channels, k, k)) / (k * k * channels) ** 0.5
        nodes.append((f"conv{k}", Conv2d(weight, None, padding=(k // 2,) * 4)))
        channels = 16
    net = Network.sequential([*nodes, ("mean", GlobalAvgPool2d()), ("flat", ng.layers.Flatten())])
    x, quick = pictures(1, 12, 12).astype(np.float32), fast(net)
    (chained,) = (node.layer for node in quick.plan(net.outputs, {"input": x.shape}).nodes if node.name == "mean")
    for images in (x, x * 3, x):
        assert np.array_equal(quick(images), replace(quick, choose=by_layer)(images))
    (ready,) = chained._waiting.values()
    assert np.shares_memory(*(ready.pictures[f"conv{k} in blocks"] for k in (1, 5)))


def test_what_somebody_may_go_back_through_is_in_no_chain() -> None:
    net, x = fast(residual(np.random.default_rng(3))), pictures(1, 17, 14).astype(np.float32)

    def chained(*keep: str) -> set[str]:
        plan = net.plan((*net.outputs, *keep), {"input": x.shape})
        return {node.name for node in plan.nodes if isinstance(node.layer, chains.Chain)}

    assert chained() == {"mean"}
    assert chained("relu3") == {"relu3"}
    assert chained("conv1") == {"conv1"}
    assert not chained("input")
    assert not chained("short") & {"short", "conv3"}  # relu2 is read by both: what makes it leads to two values
    tape = net.forward(x, "relu2")
    assert net.backward(tape, np.ones_like(tape.logits), "relu2").shape == tape.activation("relu2").shape


@needs_imagenet
def test_lite0_runs_in_blocks_from_the_picture_to_its_last_maps() -> None:
    net = ng.load("efficientnet_lite0")
    x = net.preprocess(ng.images.sample("chelsea"))
    plan = net.network.plan(("head.relu", net.network.outputs[0]), {net.network.inputs[0]: x.shape})
    first = plan.nodes[0]  # nobody goes back through what comes before
    assert first.name == "head.relu"
    assert isinstance(first.layer, chains.Chain)
    assert all(isinstance(node.layer, (Packed, BlockedConv)) for node in (*first.layer.packed, *first.layer.nodes[:-1]))
