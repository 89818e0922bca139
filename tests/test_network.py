"""A graph of layers: what a tape keeps, what a backward runs, and that both directions are right on any graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_nets import gap_net, pictures

import npgradcam as ng
from npgradcam import rules
from npgradcam.errors import NpGradcamError, ShapeError, UnknownLayerError
from npgradcam.layers import (
    Add,
    Clip,
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Softmax,
)
from npgradcam.layers.layer import Layer
from npgradcam.network import Network, Node, Tape
from npgradcam.tape import by_image
from npgradcam.testing import check_completeness, slow_backward, slow_forward
from npgradcam.testing import definitions as slow
from npgradcam.testing.strategies import Drawn, networks

pytestmark = pytest.mark.usefixtures("warm")


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def branched(**settings: object) -> Network:
    """A stem, a residual block, a fork of two widths, and two heads; every place that tests name."""
    settings = {"dtype": "float64"} | settings
    return Network((
        Node("stem", Conv2d(array(4, 3, 3, 3), array(4), (2, 1), "same"), ("input",)),
        Node("open", ReLU(), ("stem",)),
        Node("inner", Conv2d(array(4, 1, 3, 3), array(4), padding="same", groups=4), ("open",)),
        Node("sum", Add(), ("inner", "open")),
        Node("gate", ReLU6(), ("sum",)),
        Node("wide", Conv2d(array(5, 4, 1, 1), array(5)), ("gate",)),
        Node("fork", Concat(), ("wide", "gate")),
        Node("small", MaxPool2d((2, 2), (2, 2), ceil=True), ("fork",)),
        Node("pool", GlobalAvgPool2d(), ("small",)),
        Node("flat", Flatten(), ("pool",)),
        Node("scores", Linear(array(6, 9), array(6)), ("flat",)),
        Node("chances", Softmax(), ("scores",)),
        Node("aside", Flatten(), ("stem",)),
    ), outputs=("scores", "chances", "aside"), **settings)  # type: ignore[arg-type]


IMAGES = 2 * array(3, 3, 7, 10, seed=5)
SEED = array(3, 6, seed=6)


@dataclass(frozen=True, eq=False)
class Tripwire(Layer):
    """The identity, which must not be run backward (or, with `forward_too`, at all)."""

    forward_too: bool = False

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        assert not self.forward_too, "forward ran"
        return x, None

    def backward(self, signal: np.ndarray, _: None) -> tuple[np.ndarray]:
        raise AssertionError("backward ran")


# ------------------------------------------------------------------------------------------- right on any graph


def slow_network(network: Network, images: np.ndarray) -> dict[str, np.ndarray]:
    """Every activation, layer by layer, from the slow definitions."""
    known = {"input": slow.wide(images)}
    for node in network.nodes:
        known[node.name] = slow_forward(node.layer, *(known[name] for name in node.inputs))
    return known


def slow_signals(network: Network, known: dict[str, np.ndarray], output: str,
                 seed: np.ndarray) -> dict[str, np.ndarray]:
    """Every signal, from the slow adjoints; paths add where they meet."""
    signals = {name: np.zeros((len(seed), *x.shape[1:])) for name, x in known.items()}
    signals[output] = seed
    for node in reversed(network.nodes):
        down = slow_backward(node.layer, signals[node.name], *(known[name] for name in node.inputs))
        for name, part in zip(node.inputs, down, strict=True):
            signals[name] = signals[name] + part
    return signals


@given(drawn=networks(softmax=True))
def test_both_directions_equal_the_slow_definitions_on_any_graph(drawn: Drawn) -> None:
    network, names = drawn.network, [*drawn.maps, *drawn.network.outputs]
    tape = network.forward(drawn.images, observe=names)
    known = slow_network(network, drawn.images)
    signals = network.backward(tape, seed := array(*tape.logits.shape), down_to=names)
    expected = slow_signals(network, known, tape.output, seed)
    assert set(tape.activations) == set(signals) == set(names)
    for name in names:
        for got, right in ((tape.activations[name], known[name]), (signals[name], expected[name])):
            assert got.shape == right.shape
            assert np.abs(got - right).max() <= 1e-11 * max(1, np.abs(right).max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(drawn=networks())
def test_gradient_times_input_and_offsets_add_up_to_the_score(dtype: str, drawn: Drawn) -> None:
    network = Network(drawn.network.nodes, dtype=dtype)
    check_completeness(network, drawn.images.astype(dtype))


@given(drawn=networks())
def test_shapes_are_known_without_computing(drawn: Drawn) -> None:
    known = drawn.network.shapes(drawn.images.shape)
    assert known == {name: x.shape for name, x in slow_network(drawn.network, drawn.images).items()}
    assert known == drawn.network.forward(drawn.images).shapes


@given(drawn=networks(softmax=True), data=st.data())
def test_several_rows_of_several_images_equal_image_by_image(drawn: Drawn, data: st.DataObject) -> None:
    network, batch = drawn.network, len(drawn.images)
    image = np.array(data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=5)))
    where = data.draw(st.sampled_from(drawn.maps))
    rule = data.draw(st.sampled_from(sorted(rules.RULES)))
    tape = network.forward(drawn.images, observe=where)
    seed = array(len(image), *tape.logits.shape[1:])
    together = network.backward(tape, seed, where, rule, image=image)
    assert len(together) == len(image)
    for r, n in enumerate(image):
        alone = network.forward(drawn.images[n : n + 1], observe=where)
        one = network.backward(alone, seed[r : r + 1], where, rule)
        assert np.abs(together[r] - one[0]).max() <= 1e-12 * max(1, np.abs(one).max())


def test_the_batch_is_every_image_on_its_own_in_order() -> None:
    network = branched()
    together = network(IMAGES)
    for n in range(3):
        np.testing.assert_allclose(together[n], network(IMAGES[n : n + 1])[0], rtol=1e-13)
    assert len({row.tobytes() for row in together}) == 3


# ------------------------------------------------------------------------------------------- what a tape keeps


def kept(observe: tuple[str, ...] | str, output: str = "scores") -> tuple[set[str], set[str]]:
    tape = branched().forward(IMAGES, observe=observe, output=output)
    return set(tape.activations), set(tape.caches)


def test_a_tape_keeps_only_what_was_announced() -> None:
    head = {"small", "pool", "flat", "scores"}
    assert kept(()) == (set(), set())
    assert kept("fork") == ({"fork"}, head)
    assert kept("gate") == ({"gate"}, {"wide", "fork"} | head)
    assert kept("wide") == ({"wide"}, {"fork"} | head)
    assert kept(("pool", "wide")) == ({"pool", "wide"}, {"fork"} | head)
    body = {"stem", "open", "inner", "sum", "gate", "wide", "fork"} | head
    assert kept("input") == ({"input"}, body)  # nothing of the softmax and the head aside
    assert kept("input", output="aside") == ({"input"}, {"stem", "aside"})
    assert kept("scores") == ({"scores"}, set())


def test_what_does_not_lead_to_the_output_is_not_computed() -> None:
    nodes = (Node("a", ReLU(), ("input",)), Node("trap", Tripwire(forward_too=True), ("a",)), Node("b", ReLU(), ("a",)))
    tape = Network(nodes, outputs=("b", "trap"), dtype="float64").forward(IMAGES, observe="input")
    assert set(tape.shapes) == {"input", "a", "b"}


def test_nothing_below_the_layer_that_was_asked_for_is_run_backward() -> None:
    layers = [("trap", Tripwire()), ("conv", Conv2d(array(2, 3, 3, 3), array(2))), ("relu", ReLU())]
    network = Network.sequential(layers, dtype="float64")
    tape = network.forward(IMAGES, observe=("trap", "conv"))
    assert set(tape.caches) == {"conv", "relu"}
    assert network.backward(tape, np.ones_like(tape.logits), down_to="trap").shape == IMAGES.shape
    assert network.backward(tape, np.ones_like(tape.logits), down_to="conv").shape == tape.shapes["conv"]


def test_a_branch_that_does_not_pass_the_layer_is_not_run_backward() -> None:
    nodes = (Node("left", ReLU(), ("input",)), Node("right", Tripwire(), ("input",)),
             Node("both", Add(), ("left", "right")))
    network = Network(nodes, dtype="float64")
    tape = network.forward(IMAGES, observe="left")
    assert set(tape.caches) == {"both"}
    np.testing.assert_array_equal(network.backward(tape, IMAGES, down_to="left"), IMAGES)


@given(drawn=networks(softmax=True), data=st.data())
def test_a_tape_keeps_exactly_what_the_backwards_from_it_read(drawn: Drawn, data: st.DataObject) -> None:
    observe = data.draw(st.lists(st.sampled_from(drawn.maps), unique=True))
    tape = drawn.network.forward(drawn.images, observe=observe)
    above = set(observe)
    for node in drawn.network.nodes:  # everything that an observed place flows into
        above |= {node.name} if above & set(node.inputs) else set()
    assert set(tape.activations) == set(observe)
    computed_from = {n.name for n in drawn.network.nodes if any(i in above for i in n.inputs)}
    assert set(tape.caches) == computed_from


def test_asking_a_tape_for_more_than_it_kept_says_how_to_ask() -> None:
    network = branched()
    tape = network.forward(IMAGES, observe="gate")
    for ask in (lambda: network.backward(tape, SEED, "open"), lambda: tape.activation("open")):
        with pytest.raises(UnknownLayerError, match=r"did not keep 'open'.*observe='open'"):
            ask()


@pytest.mark.parametrize("ask", [
    lambda net: net.forward(IMAGES, observe="gaet"),
    lambda net: net.forward(IMAGES, observe=("stem", "gaet")),
    lambda net: net.forward(IMAGES, output="gaet"),
    lambda net: net.forward(IMAGES, observe="gate").activation("gaet"),
    lambda net: net.backward(net.forward(IMAGES, observe="gate"), SEED, "gaet"),
    lambda net: net["gaet"],
])
def test_an_unknown_layer_is_an_error_that_names_near_ones(ask) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnknownLayerError, match=r"'gaet'.*near it: gate"):
        ask(branched())


def test_observing_what_does_not_lead_to_the_output_is_an_error() -> None:
    with pytest.raises(UnknownLayerError, match="'gate' does not lead to the output 'aside'"):
        branched().forward(IMAGES, observe="gate", output="aside")


# ------------------------------------------------------------------------------------------- many backwards, one tape


@pytest.mark.parametrize("rule", rules.RULES)
@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_two_backwards_from_one_tape_agree_bitwise(rule: str, backend: str) -> None:
    network = branched(backend=backend)
    tape = network.forward(IMAGES, observe=("input", "gate"))
    first = network.backward(tape, SEED, ("input", "gate"), rule)
    for other in rules.RULES:  # whatever came between
        network.backward(tape, -SEED, "input", other)
    again = network.backward(tape, SEED, ("input", "gate"), rule)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    np.testing.assert_array_equal(network.backward(tape, SEED, "gate", rule), first["gate"])


def test_several_seeds_of_one_image_go_together() -> None:
    network = branched()
    tape = network.forward(IMAGES[:1], observe=("input", "gate"))
    together = network.backward(tape, np.eye(6), down_to=("input", "gate"))
    assert together["input"].shape == (6, 3, 7, 10)
    for c in range(6):
        one = network.backward(tape, np.eye(6)[c : c + 1], down_to="input")
        np.testing.assert_allclose(together["input"][c], one[0], rtol=1e-12, atol=1e-14)


def test_the_gradient_is_linear_in_the_seed_and_the_guided_signal_is_not() -> None:
    network = branched()
    tape = network.forward(IMAGES, observe="input")
    one, other = SEED, array(3, 6, seed=9)
    for rule, linear in (("gradient", True), ("guided", False), ("deconvnet", False)):
        parts = network.backward(tape, one, "input", rule) - 2 * network.backward(tape, other, "input", rule)
        whole = network.backward(tape, one - 2 * other, "input", rule)
        assert np.allclose(parts, whole, rtol=1e-12, atol=1e-12) is linear


def test_the_gradients_of_probabilities_add_up_to_nothing() -> None:
    network = branched()
    tape = network.forward(IMAGES[:1], observe="gate", output="chances")
    by_class = network.backward(tape, np.eye(6), down_to="gate")
    assert np.abs(by_class.sum(axis=0)).max() <= 1e-15 * 10
    assert np.abs(by_class).max() > 1e-3


def test_down_to_the_output_itself_is_the_seed() -> None:
    network = branched()
    tape = network.forward(IMAGES, observe=("scores", "flat"))
    np.testing.assert_array_equal(network.backward(tape, SEED, "scores"), SEED)
    assert set(network.backward(tape, SEED, ("scores", "flat"))) == {"scores", "flat"}


def test_an_input_that_a_layer_takes_twice_gets_both_signals() -> None:
    network = Network((Node("twice", Add(), ("input", "input")), Node("open", ReLU(), ("twice",))), dtype="float64")
    tape = network.forward(np.ones((1, 1, 2, 3)), observe="input")
    np.testing.assert_array_equal(network.backward(tape, np.ones((1, 1, 2, 3)), "input"), np.full((1, 1, 2, 3), 2.0))


def test_several_inputs_come_as_a_mapping() -> None:
    network = Network((Node("both", Concat(), ("left", "right")),), inputs=("left", "right"), dtype="float64")
    left, right = array(2, 1, 3, 4), array(2, 2, 3, 4)
    tape = network.forward({"left": left, "right": right}, observe="right")
    np.testing.assert_array_equal(tape.logits, np.concatenate([left, right], axis=1))
    np.testing.assert_array_equal(network.backward(tape, tape.logits, "right"), right)
    with pytest.raises(ShapeError, match="expected the inputs left, right, got left"):
        network.forward({"left": left})


# ------------------------------------------------------------------------------------------- rules


def rectified(layer: Layer) -> tuple[Network, Tape, np.ndarray]:
    """x -> the rectifier -> the signal, with every sign of x against every sign of signal."""
    x, signal = np.meshgrid([-1.0, 0.0, 0.5, 6.0, 7.0], [-2.0, 0.0, 3.0])
    network = Network.sequential([("rectifier", layer)], dtype="float64")
    return network, network.forward(x[None, None], observe="input"), signal[None, None]


@pytest.mark.parametrize(("layer", "slope"), [
    (ReLU(), [0, 0, 1, 1, 1]), (ReLU6(), [0, 0, 1, 0, 0]), (Clip(0.0, 7.0), [0, 0, 1, 1, 0]),
])
@pytest.mark.parametrize("rule", ["gradient", "deconvnet", "guided"])
def test_each_rule_acts_through_the_rectifiers_own_slope(layer: Clip, slope: list[int], rule: str) -> None:
    network, tape, signal = rectified(layer)
    positive = np.where(signal > 0, signal, 0)
    expected = {"gradient": signal * slope, "deconvnet": positive, "guided": positive * slope}[rule]
    np.testing.assert_array_equal(network.backward(tape, signal, "input", rule), expected)
    high = {"ReLU": np.inf, "ReLU6": 6, "Clip": 7}[type(layer).__name__]
    slowly = slow.rectifier_signal(signal, tape.activations["input"], 0, high, rule)  # type: ignore[arg-type]
    np.testing.assert_array_equal(slowly, expected)


@pytest.mark.parametrize("rule", ["gradient", "deconvnet", "guided"])
def test_a_clip_that_does_not_begin_at_zero_ignores_the_rule(rule: str) -> None:
    network, tape, signal = rectified(Clip(-0.5, 6.5))
    np.testing.assert_array_equal(network.backward(tape, signal, "input", rule), signal * [0, 1, 1, 1, 0])
    assert network.rectifiers("rectifier", "input") == []


def test_a_rule_of_ones_own_is_called_with_signal_and_slope() -> None:
    network, tape, signal = rectified(ReLU6())
    found = network.backward(tape, signal, "input", lambda s, slope: 10 * s + slope)
    np.testing.assert_array_equal(found, 10 * signal + [0, 0, 1, 0, 0])


def test_rectifiers_between_two_places_are_named() -> None:
    network = branched()
    assert network.rectifiers("scores", "input") == ["open", "gate"]
    assert network.rectifiers("scores", "open") == ["gate"]
    assert network.rectifiers("scores", "gate") == []
    assert network.rectifiers("aside", "input") == []


def test_guided_backpropagation_really_gates_on_relu6() -> None:
    """The peers' trap: a rule that is patched into ReLU only leaves a network of ReLU6 with its plain gradient."""
    conv, last = Conv2d(array(8, 3, 3, 3), array(8)), Conv2d(array(2, 8, 3, 3), array(2))
    network = Network.sequential([("conv", conv), ("gate", ReLU6()), ("last", last)], dtype="float64")
    tape = network.forward(IMAGES, observe=("input", "conv"))
    seed = np.ones_like(tape.logits)
    gradient, guided = (network.backward(tape, seed, "conv", rule) for rule in ("gradient", "guided"))
    assert (gradient < 0).any()
    np.testing.assert_array_equal(guided, np.where(gradient > 0, gradient, 0))
    deconvnet = network.backward(tape, seed, "conv", "deconvnet")
    assert (deconvnet >= 0).all()
    assert (deconvnet[guided == 0] > 0).any()


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(("images", "words"), [
    (IMAGES.astype("float32"), r"input 'input': expected a float64 array, got float32; .*astype\('float64'\)"),
    (IMAGES.astype(">f8"), "expected a float64 array, got >f8"),
    (IMAGES.astype(int), "expected a float64 array, got int64"),
    (IMAGES.tolist(), "expected a float64 array, got list"),
    (IMAGES[:0], "expected at least one image"),
    (IMAGES[..., :0], "expected at least one image"),
    (np.array(1.0), "expected at least one image"),
    (IMAGES[0], r"Conv2d 'stem': expected 4 axes \(N, C, H, W\), got shape \(3, 7, 10\)"),
    (IMAGES[:, :2], r"Conv2d 'stem': expected 3 channels on axis 1, got shape \(3, 2, 7, 10\)"),
    (IMAGES.transpose(0, 2, 3, 1), "Conv2d 'stem': expected 3 channels on axis 1"),
])
def test_images_that_do_not_fit_are_refused_with_the_place(images: np.ndarray, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        branched()(images)
    if isinstance(images, np.ndarray) and images.ndim == 4 and "Conv2d" in words:
        with pytest.raises(ShapeError, match=words):
            branched().shapes(images.shape)


@pytest.mark.parametrize(("declared", "shape", "said"), [
    (None, (1, 9, 7, 3), "Conv2d 'conv': expected 3 channels on axis 1, got shape (1, 9, 7, 3); the channels come "
                         "first, (N, C, H, W): give x.transpose(0, 3, 1, 2)"),
    ((None, 3, None, None), (1, 9, 7, 3), "the channels come first, (N, C, H, W): give x.transpose(0, 3, 1, 2)"),
    ((None, 9, 7, 3), (2, 3, 9, 7), "the channels come last, (N, H, W, C): give x.transpose(0, 2, 3, 1)"),
    ((None, 3, 9, 7), (1, 9, 3, 7), "expected shape (any, 3, 9, 7), got (1, 9, 3, 7)"),
    (None, (1, 9, 7, 4), "got shape (1, 9, 7, 4); is a layer missing before it?"),
    (None, (9, 7, 3), "expected 4 axes (N, C, H, W), got shape (9, 7, 3); add or remove the batch axis?"),
])
def test_channels_in_the_wrong_place_come_with_the_transpose_that_moves_them(
        declared: tuple[int | None, ...] | None, shape: tuple[int, ...], said: str) -> None:
    conv = Node("conv", Conv2d(np.ones((2, 3, 1, 1), np.float32), None), ("image",))
    net = Network((conv,), ("image",), declared={} if declared is None else {"image": declared})
    with pytest.raises(ShapeError) as caught:
        net(np.zeros(shape, np.float32))
    assert str(caught.value).endswith(said)


def test_several_layers_where_one_belongs_are_told_how() -> None:
    net, x = gap_net(), pictures(1)
    with pytest.raises(UnknownLayerError, match=r"expected a name, got \['a', 'b'\]; ask once for each, of one "):
        ng.grad_cam(net, x, layer=["a", "b"])  # type: ignore[arg-type]
    with pytest.raises(UnknownLayerError, match=r"expected a name, got 3$"):
        net.resolve(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("observe", [3, [None], [["relu1"]]])
def test_what_is_observed_is_a_name_or_several(observe: object) -> None:
    net = gap_net()
    with pytest.raises(UnknownLayerError, match="expected a name, got"):
        net.forward(pictures(), observe)  # type: ignore[arg-type]


def test_a_layer_in_the_middle_that_does_not_fit_is_named() -> None:
    layers = [("first", Conv2d(array(4, 3, 1, 1), array(4))), ("then", Conv2d(array(2, 5, 1, 1), array(2)))]
    with pytest.raises(ShapeError, match="Conv2d 'then': expected 5 channels on axis 1, got shape"):
        Network.sequential(layers, dtype="float64")(IMAGES)
    layers = [("first", Conv2d(array(4, 3, 1, 1), array(4))), ("pool", MaxPool2d((9, 9), (1, 1)))]
    with pytest.raises(ShapeError, match=r"MaxPool2d 'pool': a window of 9 cells .* does not fit in 7 cells"):
        Network.sequential(layers, dtype="float64")(IMAGES)
    nodes = (Node("a", MaxPool2d((2, 2), (1, 1)), ("input",)), Node("b", Add(), ("a", "input")))
    with pytest.raises(ShapeError, match="Add 'b': expected operands that are alike on each axis"):
        Network(nodes, dtype="float64")(IMAGES)


@pytest.mark.parametrize(("seed", "image", "words"), [
    (SEED[:, :5], None, r"seed: expected rows of shape \(6,\)"),
    (SEED.astype("float32"), None, "dtype float64"),
    (SEED[:2], None, "expected 3 rows, one per image, got 2; say image="),
    (SEED, np.array([0, 1]), "image: expected 3 numbers from 0 to 2"),
    (np.concatenate([SEED, SEED[:1]]), np.arange(3), "image: expected 4 numbers"),
    (SEED, np.array([0, 1, 3]), "from 0 to 2"),
    (SEED, np.array([0, 1, -1]), "from 0 to 2"),
    (SEED, np.array([0.0, 1.0, 2.0]), "from 0 to 2"),
])
def test_seeds_that_do_not_fit_are_refused(seed: np.ndarray, image: np.ndarray | None, words: str) -> None:
    network = branched()
    tape = network.forward(IMAGES, observe="input")
    with pytest.raises(ShapeError, match=words):
        network.backward(tape, seed, "input", image=image)


def test_a_tape_of_another_network_is_refused() -> None:
    tape = branched().forward(IMAGES, observe="input")
    with pytest.raises(NpGradcamError, match="another's"):
        branched().backward(tape, SEED, "input")


@pytest.mark.parametrize(("nodes", "words"), [
    ((), "at least one node"),
    ((Node("a", ReLU(), ("b",)), Node("b", ReLU(), ("input",))), "'a': expected a new name and inputs that"),
    ((Node("a", ReLU(), ("input",)), Node("a", ReLU(), ("input",))), "'a': expected a new name"),
    ((Node("input", ReLU(), ("input",)),), "'input': expected a new name"),
    ((Node("a", Add(), ()),), "'a': expected a new name and inputs"),
    ((Node("a", ReLU(), ("input", "input")),), "'a': expected 1 input"),
])
def test_a_graph_that_cannot_be_is_refused(nodes: tuple[Node, ...], words: str) -> None:
    with pytest.raises(NpGradcamError, match=words):
        Network(nodes)


def test_settings_that_cannot_be_are_refused() -> None:
    for settings in ({"dtype": "float16"}, {"backend": "cuda"}):
        with pytest.raises(NpGradcamError, match=next(iter(settings))):
            Network.sequential([("a", ReLU())], **settings)(IMAGES.astype("float32"))
    with pytest.raises(UnknownLayerError, match="'b'"):
        Network((Node("a", ReLU(), ("input",)),), outputs=("b",))


# ------------------------------------------------------------------------------------------- nothing is changed


@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_images_seeds_and_weights_are_never_changed_and_may_be_read_only(backend: str) -> None:
    network, images, seed = branched(backend=backend), IMAGES.copy(), SEED.copy()
    held = [array for node in network.nodes for array in node.layer.arrays.values()]
    before = [x.tobytes() for x in (images, seed, *held)]
    for x in (images, seed):
        x.flags.writeable = False
    tape = network.forward(images, observe=("input", "gate", "open"))
    kept = [x.tobytes() for x in tape.activations.values()]
    for rule in rules.RULES:
        network.backward(tape, seed, ("input", "gate"), rule)
    assert [x.tobytes() for x in (images, seed, *held)] == before
    assert [x.tobytes() for x in tape.activations.values()] == kept


@pytest.mark.parametrize("turn", [lambda x: x[:, :, ::-1], lambda x: x[..., ::2], lambda x: x.transpose(0, 1, 3, 2)])
def test_images_that_lie_crosswise_in_memory_give_the_same_answer(turn) -> None:  # type: ignore[no-untyped-def]
    network = branched()
    np.testing.assert_array_equal(network(turn(IMAGES)), network(np.ascontiguousarray(turn(IMAGES))))


def test_a_node_found_by_its_name_is_the_one_that_runs() -> None:
    net = gap_net(dtype="float32")
    assert all(net[node.name] is node for node in net.nodes)
    assert net["conv1"].layer.weight.dtype == np.float32


@given(st.lists(st.integers(0, 4), max_size=9))
def test_rows_are_found_by_their_image(image: list[int]) -> None:
    found = [(n, rows.tolist()) for n, rows in by_image(np.array(image, np.intp))]
    assert found == [(n, [r for r, of in enumerate(image) if of == n]) for n in sorted(set(image))]
