"""An imported graph is explained as the same network built by hand, whatever its axes, its end and its batch do."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx_graphs import ANY, load, model, n, network, numbers, whole
from small_nets import relative

import npgradcam as ng
from npgradcam.errors import NpGradcamError, ShapeError
from npgradcam.layers import (
    Add,
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Mul,
    ReLU,
    ReLU6,
    Sigmoid,
)
from npgradcam.network import Network, Node

RULES = ("gradient", "guided", "deconvnet")
W = {name: numbers(*shape, seed=i) / 3 for i, (name, shape) in enumerate({
    "stem": (4, 3, 3, 3), "stem_b": (4,), "deep": (4, 1, 3, 3), "deep_b": (4,), "gate": (4, 4, 1, 1), "gate_b": (4,),
    "last": (6, 8, 3, 3), "last_b": (6,), "head": (5, 6), "head_b": (5,), "scale": (4,), "shift": (4,), "mean": (4,),
}.items())}
W["variance"] = np.abs(numbers(4, seed=50)) + 0.5
SEVERAL = [[0, 3], [2], [4, 1]]


def pictures(count=3, height=8, width=10, dtype="float64"):
    return np.random.default_rng(3).standard_normal((count, 3, height, width)).astype(dtype)


def same(found, wanted):
    """Equal but for rounding; a guided signal may be zero everywhere."""
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


BODY = (
    n("Conv", "x stem stem_b", "c1", pads=[1] * 4),
    n("BatchNormalization", "c1 scale shift mean variance", "b1", epsilon=1e-3),
    n("Clip", "b1 zero six", "r1", name="relu6"), n("MaxPool", "r1", "m", kernel_shape=[2, 2], strides=[2, 2]),
    n("Conv", "m deep deep_b", "c2", pads=[1] * 4, group=4), n("LeakyRelu", "c2", "r2", alpha=0.1),
    n("GlobalAveragePool", "r2", "s"), n("Conv", "s gate gate_b", "g"), n("Sigmoid", "g", "sg"), n("Mul", "r2 sg", "e"),
    n("Add", "e m", "a", name="residual"), n("Concat", "a m", "k", axis=1),
    n("Conv", "k last last_b", "c3", pads=[1] * 4), n("Relu", "c3", "r3", name="features"),
)
HEAD = (n("GlobalAveragePool", "r3", "p"), n("Flatten", "p", "f"), n("Gemm", "f head head_b", "logits", transB=1))
HELD = {**W, "zero": np.float32(0), "six": np.float32(6)}


def imported(*tail, dtype="float64", outputs="logits", head=HEAD, **settings):
    return network(model(*BODY, *head, *tail, outputs=outputs, **HELD, **settings), dtype)


def by_hand(dtype="float64"):
    w, same = W, (1, 1, 1, 1)
    return Network((
        Node("c1", Conv2d(w["stem"], w["stem_b"], padding=same), ("input",)),
        Node("b1", BatchNorm2d(w["scale"], w["shift"], w["mean"], w["variance"], np.float32(1e-3)), ("c1",)),
        Node("r1", ReLU6(), ("b1",)), Node("m", MaxPool2d((2, 2), (2, 2)), ("r1",)),
        Node("c2", Conv2d(w["deep"], w["deep_b"], padding=same, groups=4), ("m",)),
        Node("r2", LeakyReLU(float(np.float32(0.1))), ("c2",)), Node("s", GlobalAvgPool2d(), ("r2",)),
        Node("g", Conv2d(w["gate"], w["gate_b"]), ("s",)), Node("sg", Sigmoid(), ("g",)),
        Node("e", Mul(), ("r2", "sg")), Node("a", Add(), ("e", "m")), Node("k", Concat(), ("a", "m")),
        Node("c3", Conv2d(w["last"], w["last_b"], padding=same), ("k",)), Node("r3", ReLU(), ("c3",)),
        Node("p", GlobalAvgPool2d(), ("r3",)), Node("f", Flatten(), ("p",)),
        Node("logits", Linear(w["head"], w["head_b"]), ("f",)),
    ), dtype=dtype, backend="numpy")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_imported_graph_is_explained_as_the_network_built_by_hand(dtype):
    graph, hand, x = imported(dtype=dtype), by_hand(dtype), pictures(dtype=dtype)
    for target in (None, 2, [0, 3, 1], SEVERAL):
        for layer in (None, "r1", "a"):
            a, b = ng.grad_cam(graph, x, target=target, layer=layer), ng.grad_cam(hand, x, target=target, layer=layer)
            for name in ("logits", "target", "image", "activations", "gradients", "alpha", "signed_cam", "cam"):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        for rule in RULES:
            a, b = (ng.backprop(net, x, target=target, rule=rule) for net in (graph, hand))
            np.testing.assert_array_equal(a.signal, b.signal)
            assert a.gates == b.gates == 3
        a, b = (ng.guided_grad_cam(net, x, target=target) for net in (graph, hand))
        np.testing.assert_array_equal(a.signal, b.signal)
        assert graph.resolve("r3") == a.grad_cam.layer == "features"


def test_several_classes_of_several_images_are_as_each_alone():
    net, x = imported(), pictures()
    e, b = ng.grad_cam(net, x, target=SEVERAL), ng.backprop(net, x, target=SEVERAL, rule="guided")
    assert e.image.tolist() == [0, 0, 1, 2, 2]
    for row, (i, target) in enumerate(zip(e.image, e.target, strict=True)):
        one = x[i : i + 1]
        same(e.signed_cam[row], ng.grad_cam(net, one, target=int(target)).signed_cam[0])
        same(b.signal[row], ng.backprop(net, one, target=int(target), rule="guided").signal[0])


# the end of the graph


AXIS = {"Softmax": {"axis": 1}, "LogSoftmax": {"axis": 1}, "Sigmoid": {}}
TAILS = {
    "alone": [], "Identity": [n("Identity", "q", "y")], "Reshape": [n("Reshape", "q to", "y")],
    "Transpose": [n("Transpose", "q", "y", perm=[1, 0])],
    "Squeeze": [n("Unsqueeze", "q one", "u"), n("Squeeze", "u one", "y")],
    "Cast": [n("Cast", "q", "y", to=1)], "Flatten": [n("Flatten", "q", "y")],
}


@pytest.mark.parametrize("kind", AXIS)
@pytest.mark.parametrize("tail", TAILS)
def test_probabilities_at_the_end_are_cut_unless_asked_for(kind, tail):
    nodes, x = TAILS[tail], pictures(1)
    end = n(kind, "logits", "q" if nodes else "y", **AXIS[kind])
    net = imported(end, *nodes, outputs="y", to=whole(-1, 5), one=whole(-1))
    plain = ng.grad_cam(imported(), x, target=2)
    cut = ng.grad_cam(net, x, target=2)
    np.testing.assert_array_equal(cut.logits, plain.logits)
    np.testing.assert_array_equal(cut.signed_cam, plain.signed_cam)
    assert net.score(net.outputs[0]) == "logits"
    if tail == "Transpose":  # one image's classes lie on axis 0 then, and no class is on axis 1
        return
    kept = ng.grad_cam(net, x, target=2, score="output")
    z = plain.logits.astype(np.float64)
    p = {"Softmax": np.exp(z) / np.exp(z).sum(), "Sigmoid": 1 / (1 + np.exp(-z))}
    p["LogSoftmax"] = np.log(p["Softmax"])
    assert relative(kept.logits, p[kind]) < 1e-12
    one = np.eye(5)[2]
    slopes = {"Sigmoid": p["Sigmoid"] * (1 - p["Sigmoid"]) * one,
              "Softmax": p["Softmax"][0, 2] * (one - p["Softmax"]), "LogSoftmax": one - p["Softmax"]}
    alpha = slopes[kind] @ W["head"].astype(np.float64) / 20
    assert relative(kept.alpha, alpha) < 1e-10


def test_only_the_end_is_cut_and_only_once():
    net = imported(n("Sigmoid", "logits", "q"), n("Softmax", "q", "y", axis=1), outputs="y")
    assert net.score("y") == "q"
    middle = imported(n("Softmax", "logits", "q", axis=1), n("Relu", "q", "y"), outputs="y")
    assert middle.score("y") == "y"


def test_a_net_that_only_makes_probabilities_of_its_input_keeps_them():
    net = network(model(n("Softmax", "x", axis=1), inputs={"x": ("N", 5)}))
    assert net.score("y") == "y"


def test_an_unknown_score_is_an_error():
    with pytest.raises(NpGradcamError, match=r"score.*logit.*output"):
        ng.grad_cam(imported(), pictures(), score="probability")


# rectifiers


def test_gates_are_the_rectifiers_on_the_way():
    held = {name: HELD[name] for name in ("stem", "stem_b", "zero", "six")}
    made = model(n("Conv", "x stem stem_b", "c"), n("Relu", "c", "r"), n("Clip", "r zero six", "k"),
                 n("PRelu", "k slope", "q"), n("Sigmoid", "q", "s"), n("Tanh", "s", "t"), n("Relu", "x", "aside"),
                 n("GlobalAveragePool", "t", "p"), n("Flatten", "p"), slope=W["scale"][:, None, None], **held)
    assert ng.backprop(network(made), pictures(), target=0, rule="guided").gates == 3


@pytest.mark.parametrize("activation", ["Sigmoid", "HardSwish", "Tanh", "Softplus", "Elu", "Identity"])
@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_without_a_rectifier_the_rules_are_an_error(activation, rule):
    made = model(n("Conv", "x stem stem_b", "c"), n(activation, "c", "r"), n("GlobalAveragePool", "r", "p"),
                 n("Flatten", "p", "y"), stem=W["stem"], stem_b=W["stem_b"])
    with pytest.raises(NpGradcamError, match=r"no rectifier.*plain gradient"):
        ng.backprop(network(made), pictures(), target=0, rule=rule)
    assert ng.backprop(network(made), pictures(), target=0).gates == 0


# channels last


def channels_last(tail=(), height="H", width="W"):
    """BODY and its head as TensorFlow's exporter writes them: Transpose first and last, means over axes 1 and 2."""
    body = (n("Transpose", "pixels", "x", perm=[0, 3, 1, 2]), *BODY,
            n("Transpose", "r3", "t", name="turned", perm=[0, 2, 3, 1]),
            n("ReduceMean", "t", "f", axes=[1, 2], keepdims=0), n("MatMul", "f wide", "h"),
            n("Add", "h head_b", "logits"))
    weights = {**HELD, "wide": np.ascontiguousarray(W["head"].T)}
    return model(*body, *tail, inputs={"pixels": ("N", height, width, 3)}, outputs="y" if tail else "logits", **weights)


@pytest.mark.parametrize("layer", [None, "residual", "relu6", "features", "turned"])
def test_maps_of_a_graph_with_channels_last_are_those_of_its_twin(layer):
    last, first, x = network(channels_last()), imported(), pictures()
    twin = "features" if layer == "turned" else layer
    turned = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    for target in (None, 1, SEVERAL):
        a, b = ng.grad_cam(last, turned, target=target, layer=layer), ng.grad_cam(first, x, target=target, layer=twin)
        assert a.layer == (layer or "features")
        assert a.cam.shape == b.cam.shape
        for name in ("logits", "activations", "gradients", "alpha", "signed_cam", "cam"):
            assert relative(getattr(a, name), getattr(b, name)) < 1e-12


def test_signals_keep_the_layout_of_the_input():
    last, first, x = network(channels_last()), imported(), pictures()
    turned = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    for rule in RULES:
        a, b = ng.backprop(last, turned, target=SEVERAL, rule=rule), ng.backprop(first, x, target=SEVERAL, rule=rule)
        assert (a.layout, b.layout) == ("NHWC", "NCHW")
        assert relative(a.signal, b.signal.transpose(0, 2, 3, 1)) < 1e-12
    a, b = ng.guided_grad_cam(last, turned, target=1), ng.guided_grad_cam(first, x, target=1)
    assert relative(a.signal, b.signal.transpose(0, 2, 3, 1)) < 1e-12


def test_cam_finds_the_head_behind_a_transpose():
    last, first, x = network(channels_last()), imported(), pictures()
    a, b = ng.cam(last, np.ascontiguousarray(x.transpose(0, 2, 3, 1)), target=1), ng.cam(first, x, target=1)
    assert relative(a.signed_cam, b.signed_cam) < 1e-12
    assert relative(a.signed_cam, 20 * ng.grad_cam(first, x, target=1).signed_cam) < 1e-6


def test_a_model_with_channels_last_prepares_its_photographs_so(tmp_path):
    net = load(channels_last(height=8, width=10), tmp_path, preprocess="tf")
    assert (net.layout, net.size, net.channels) == ("NHWC", (8, 10), 3)
    photograph = (np.arange(30 * 40 * 3) % 251).astype(np.uint8).reshape(30, 40, 3)
    x = net.preprocess(photograph)
    assert x.shape == (1, 8, 10, 3)
    assert ng.grad_cam(net, x).cam.shape == (1, 4, 5)
    assert ng.grad_cam(net, x, target=2).overlay(photograph) is not None


# graphs that move or merge the batch


PLANE, OUT = numbers(2, 1, 3, 3, seed=70) / 3, numbers(5, 6, seed=71) / 3
MOVED = {
    "images merged with channels": (  # each channel is convolved alone: (N, 3, H, W) -> (3 N, 1, H, W) -> back
        n("Reshape", "x each", "e"), n("Conv", "e plane", "c", pads=[1] * 4), n("Relu", "c", "q"),
        n("Reshape", "q back", "r", name="maps")),
    "images on another axis": (
        n("Transpose", "x", "t", perm=[1, 0, 2, 3]), n("Relu", "t", "q"), n("Concat", "q q", "d", axis=0),
        n("Transpose", "d", "r", name="maps", perm=[1, 0, 2, 3])),
    "images turned round and back": (
        n("Slice", "x end far zero minus", "t"), n("Conv", "t stem six", "c"), n("Relu", "c", "q"),
        n("Slice", "q end far zero minus", "r", name="maps")),
}
EXTRA = {"each": whole(-1, 1, 8, 10), "back": whole(-1, 6, 8, 10), "plane": PLANE, "out": OUT,
         "stem": numbers(6, 3, 3, 3, seed=72), "six": numbers(6, seed=73), "end": whole(-1), "far": whole(-(2**40)),
         "zero": whole(0), "minus": whole(-1)}


def moved(kind, **settings):
    tail = (n("GlobalAveragePool", "r", "p"), n("Flatten", "p", "f"), n("Gemm", "f out", "y", transB=1))
    nodes = (*MOVED[kind], *tail)
    used = {word for node in nodes for word in node.input}
    return network(model(*nodes, **{name: a for name, a in EXTRA.items() if name in used}, **settings))


@pytest.mark.parametrize("kind", MOVED)
@pytest.mark.parametrize("inputs", [ANY, ("N", 3, 8, 10), None], ids=["open", "fixed", "unsaid"])
def test_images_that_change_places_on_the_way_are_explained_each_by_itself(kind, inputs):
    net, x = moved(kind, inputs={"x": inputs}), pictures()
    for target in (None, 4, SEVERAL):
        e = ng.grad_cam(net, x, target=target, layer="maps")
        b = ng.backprop(net, x, target=target, rule="guided")
        for row, (i, c) in enumerate(zip(e.image, e.target, strict=True)):
            one = x[i : i + 1]
            alone = ng.grad_cam(net, one, target=int(c), layer="maps")
            same(e.signed_cam[row], alone.signed_cam[0])
            same(b.signal[row], ng.backprop(net, one, target=int(c), rule="guided").signal[0])


@pytest.mark.parametrize("kind", MOVED)
def test_a_seed_for_any_image_reaches_that_image_alone(kind):
    net, x = moved(kind), pictures()
    tape, seed = net.forward(x, observe="x"), numbers(4, 5).astype(np.float64)
    image = np.array([2, 0, 2, 1])
    signal = net.backward(tape, seed, "x", image=image)
    for row, i in enumerate(image):
        one = net.forward(x[i : i + 1], observe="x")
        assert relative(signal[row], net.backward(one, seed[row : row + 1], "x")[0]) < 1e-12


@pytest.mark.parametrize(
    "kind", ["images merged with channels", "images on another axis"]
)
def test_a_layer_where_images_are_not_on_the_first_axis_cannot_be_explained_for_several(kind):
    net, x = moved(kind), pictures()
    with pytest.raises(ShapeError, match=r"images on axis 0|images are still apart"):
        ng.grad_cam(net, x, target=SEVERAL, layer="q")


def test_a_mean_over_all_images_mixes_them_and_the_signal_says_so():
    made = model(n("ReduceMean", "x", "m", axes=[0], keepdims=1), n("Sub", "x m", "c"), n("Relu", "c", "r"),
                 n("GlobalAveragePool", "r", "p"), n("Flatten", "p", "y"))
    net, x, h = network(made), pictures(), 1e-6
    tape, seed = net.forward(x, observe="x"), np.array([[1.0, 0, 0], [0, 2, 0]])
    signal = net.backward(tape, seed, "x", image=np.array([1, 2]))
    for row, (i, c) in enumerate([(1, 0), (2, 1)]):  # row r is the derivative of image i's score by image i
        direction = np.zeros_like(x)
        direction[i] = numbers(3, 8, 10, seed=row)
        wanted = seed[row, c] * (net(x + h * direction) - net(x - h * direction))[i, c] / (2 * h)
        assert np.sum(signal[row] * direction[i]) == pytest.approx(wanted, rel=1e-6)
