"""What `target` and `seed` may be, which rows they make, and that whatever else comes is an error with a way out."""

from dataclasses import replace

import numpy as np
import pytest
from small_nets import gap_net, linear, pictures, pixel_net

import npgradcam as ng
from npgradcam.errors import ShapeError, TargetError
from npgradcam.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Reshape, Transpose
from npgradcam.models import Labels, Model
from npgradcam.network import Network, Node

NAMES = ["tabby, tabby cat", "tiger cat", "Egyptian cat", "crane", "crane, hoisting crane"]


@pytest.fixture(scope="module")
def net():
    return Model("small", gap_net(), None, Labels.parse(NAMES))


@pytest.fixture(scope="module")
def tape(net):
    return net.forward(pictures(2), observe=("relu2", "input"))


@pytest.fixture(scope="module")
def one(net):
    return net.forward(pictures(1), observe=("relu2", "input"))


@pytest.mark.parametrize(
    ("target", "classes", "images"),
    [
        (2, [2, 2], [0, 1]),
        (np.int64(2), [2, 2], [0, 1]),
        (np.array(2), [2, 2], [0, 1]),
        ("tiger cat", [1, 1], [0, 1]),
        ("Tabby Cat", [0, 0], [0, 1]),
        ("  egyptian CAT ", [2, 2], [0, 1]),
        ([3, 0], [3, 0], [0, 1]),
        ((3, 0), [3, 0], [0, 1]),
        (np.array([3, 0]), [3, 0], [0, 1]),
        (np.array([3, 0], np.uint8), [3, 0], [0, 1]),
        (["tabby", 4], [0, 4], [0, 1]),
        ([[3], [0]], [3, 0], [0, 1]),
        ([[3, 1, 4], [0]], [3, 1, 4, 0], [0, 0, 0, 1]),
        ([(3, "tiger cat"), 0], [3, 1, 0], [0, 0, 1]),
        ([np.array([3, 1]), np.array([2, 2])], [3, 1, 2, 2], [0, 0, 1, 1]),
        (np.array([[3, 1], [2, 0]]), [3, 1, 2, 0], [0, 0, 1, 1]),
    ],
)
def test_every_form_of_target_makes_its_rows(net, tape, target, classes, images):
    for e in (ng.grad_cam(net, tape, target), ng.backprop(net, tape, target), ng.cam(net, tape, target)):
        assert e.target.tolist() == classes
        assert e.image.tolist() == images
        assert len(e) == len(classes)


def test_no_target_is_the_top_class_of_each_image(net, tape):
    e = ng.grad_cam(net, tape)
    np.testing.assert_array_equal(e.target, tape.logits.argmax(axis=1))
    assert e.image.tolist() == [0, 1]


def test_of_two_equal_logits_the_first_class_is_on_top():
    layers = [("conv", Conv2d(np.ones((1, 3, 1, 1)), np.zeros(1))), ("relu", ReLU()), ("pool", GlobalAvgPool2d()),
              ("flatten", Flatten()), ("fc", Linear(np.array([[0.0], [1], [1]]), np.zeros(3)))]
    assert ng.grad_cam(Network.sequential(layers, dtype="float64"), np.ones((1, 3, 2, 3))).target.tolist() == [1]


@pytest.mark.parametrize("target", [[1], [1, 2, 3], [], [[1]], [[1, 2]], np.array([1]), (1,), ["tabby"]])
def test_a_list_of_the_wrong_length_is_an_error_that_says_how_to_write_it(net, tape, target):
    with pytest.raises(TargetError, match=rf"2.*got {len(target)}.*\[\[a, b\]\]"):
        ng.grad_cam(net, tape, target)


@pytest.mark.parametrize("target", [[1, 2], [1, 2, 3], [], [[1], [2]], np.array([1, 2]), ["tabby", "tiger cat"]])
def test_one_image_is_no_exception_to_the_length_of_a_list(net, one, target):
    for method in (ng.grad_cam, ng.backprop, ng.cam, ng.guided_grad_cam, ng.counterfactual_grad_cam):
        with pytest.raises(TargetError, match=rf"got {len(target)}"):
            method(net, one, target)


@pytest.mark.parametrize("target", [[[], [1]], [[1], []], [[], []], [np.array([], int), [1]], [(), 1]])
def test_an_image_without_a_class_is_an_error(net, tape, target):
    with pytest.raises(TargetError, match="at least one class"):
        ng.grad_cam(net, tape, target)


@pytest.mark.parametrize("target", [-1, 5, 1000, [0, 5], [[0], [1, -1]], np.int64(-1), np.array([7, 0])])
def test_an_index_out_of_range_is_an_error_that_names_the_range(net, tape, target):
    with pytest.raises(TargetError, match=r"from 0 to 4, got (-1|5|7|1000)"):
        ng.grad_cam(net, tape, target)


@pytest.mark.parametrize(
    "target",
    [True, False, np.True_, [True, 1], [1, False], np.array([True, False]), 1.0, 1.5, np.float32(1), [1.0, 2],
     np.array([1.0, 2.0]), float("nan"), [None, 1], {0: 1}, {1, 2}, b"tabby", [[[1]], [2]], object()],
)
def test_what_is_neither_an_index_nor_a_label_is_an_error(net, tape, target):
    with pytest.raises(TargetError, match="index or label"):
        ng.grad_cam(net, tape, target)


def test_an_unknown_label_is_an_error_with_close_matches(net, tape):
    with pytest.raises(TargetError, match=r"'tigr cat'.*tiger cat \(1\)"):
        ng.grad_cam(net, tape, "tigr cat")


def test_an_ambiguous_label_is_an_error_that_lists_the_indices(net, tape):
    with pytest.raises(TargetError, match=r"'crane' is ambiguous: 3 .*4 .*index"):
        ng.grad_cam(net, tape, ["tabby", "crane"])
    assert ng.grad_cam(net, tape, "hoisting crane").target.tolist() == [4, 4]


def test_a_label_for_a_network_without_labels_is_an_error(net, tape):
    with pytest.raises(TargetError, match=r"no class names.*index"):
        ng.grad_cam(net.network, tape, "tabby")


def test_a_label_of_a_class_that_the_network_does_not_have_is_an_error(net):
    more = Model("small", net.network, None, Labels.parse([*NAMES, "zebra"]))
    with pytest.raises(TargetError, match=r"0 to 4, got 5"):
        ng.grad_cam(more, pictures(), "zebra")


def test_a_row_knows_its_label(net, tape):
    e = ng.grad_cam(net, tape, [[4, 0], [1]])
    assert [e.label(row) for row in range(3)] == ["crane", "tabby", "tiger cat"]
    assert ng.grad_cam(net.network, tape, 3).label() == "3"


# ---------------------------------------------------------------- seeds


def test_target_and_seed_together_are_an_error(net, tape):
    with pytest.raises(TargetError, match="target or seed"):
        ng.grad_cam(net, tape, 1, seed=np.ones((2, 5)))


@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (2, 4), (2, 5, 1)])
def test_a_seed_of_another_shape_is_an_error(net, tape, shape):
    with pytest.raises(ShapeError, match=r"seed.*\(2, 5\)"):
        ng.backprop(net, tape, seed=np.ones(shape))


@pytest.mark.parametrize("seed", [np.full((2, 5), np.nan), np.full((2, 5), np.inf), np.ones((2, 5)) * 1j,
                                  np.r_[[[np.nan] + [0.0] * 4, [1.0] * 5]], np.full((2, 5), "1"), [[1, 0]] * 2,
                                  "tabby"])
def test_a_seed_that_is_not_finite_and_real_is_an_error(net, tape, seed):
    with pytest.raises(ng.NpGradcamError, match="seed"):
        ng.grad_cam(net, tape, seed=seed)


def test_a_seed_of_whole_numbers_or_booleans_counts_as_numbers(net, tape):
    wanted = ng.grad_cam(net, tape, 1).signed_cam
    for dtype in (int, bool, np.float32, np.uint8):
        seed = np.eye(5, dtype=dtype)[[1, 1]]
        np.testing.assert_array_equal(ng.grad_cam(net, tape, seed=seed).signed_cam, wanted)
        assert seed.tolist() == np.eye(5)[[1, 1]].tolist()


def test_region_with_a_seed_is_an_error():
    with pytest.raises(ng.NpGradcamError, match="region"):
        ng.backprop(pixel_net(), pictures(1), seed=np.ones((1, 3, 7, 10)), region=np.ones((7, 10), bool))


def test_a_class_on_top_nowhere_is_an_error_that_names_region():
    net, x = pixel_net(), pictures(1)
    absent = next(iter({0, 1, 2} - set(net(x).argmax(axis=1).ravel().tolist())), None)
    if absent is None:  # push one class down until it is nowhere
        absent = 0
        last = net.nodes[-1].layer
        low = Conv2d(last.weight, last.bias - [1e3, 0, 0])
        net = Network((*net.nodes[:-1], ng.Node("classes", low, ("relu2",))), dtype="float64")
    with pytest.raises(TargetError, match="region="):
        ng.grad_cam(net, x, absent)


# ---------------------------------------------------------------- numbers that are none


def test_logits_that_are_not_numbers_are_an_error_and_never_a_map(net):
    x = pictures(2)
    x[1, 0, 3, 3] = np.nan
    for method in (ng.grad_cam, ng.backprop, ng.cam, ng.guided_grad_cam):
        with pytest.raises(TargetError, match=r"NaN|finite"):
            method(net, x)


def test_what_is_not_finite_is_traced_to_the_first_parameter_or_to_the_pictures():
    good, x = gap_net(), pictures(1)
    norm = replace(good["norm1"].layer, mean=np.full_like(good["norm1"].layer.mean, np.nan))
    nodes = tuple(replace(n, layer=norm) if n.name == "norm1" else n for n in good.nodes)
    good, bad = (Model("small", n, None, None) for n in (good, replace(good, nodes=nodes)))
    for explain in (ng.grad_cam, Model.predict):
        with pytest.raises(TargetError, match=r"got NaN or infinity; mean of layer 'norm1' holds them already"):
            explain(bad, x)
        with pytest.raises(TargetError, match=r"got NaN or infinity; every parameter is finite: check the pictures"):
            explain(good, x * np.nan)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_is_finite_or_an_error_says_why(bad):
    layers = [("conv", Conv2d(np.ones((1, 1, 1, 1)), np.zeros(1))), ("relu", ReLU()), ("pool", GlobalAvgPool2d()),
              ("flatten", Flatten()), ("fc", Linear(np.array([[2.0], [1.0]]), np.zeros(2)))]
    net, x = Network.sequential(layers, dtype="float64"), np.ones((1, 1, 2, 3))
    x[0, 0, 1, 2] = bad
    with np.errstate(all="ignore"), pytest.raises(ng.NpGradcamError):
        ng.grad_cam(net, x, 1)


def test_an_output_that_labels_pixels_may_have_its_classes_last():
    last = pixel_net()
    nodes = (*last.nodes, Node("last", Transpose((0, 2, 3, 1)), ("classes",)))
    turned, x = Network(nodes, dtype="float64"), pictures(1)
    assert turned.forward(x).logits.shape == (1, 7, 10, 3)
    a, b = ng.grad_cam(turned, x, [[0, 1]], "relu2"), ng.grad_cam(last, x, [[0, 1]], "relu2")
    np.testing.assert_array_equal(a.signed_cam, b.signed_cam)
    np.testing.assert_array_equal(ng.grad_cam(turned, x).target, ng.grad_cam(last, x).target)


def test_a_region_may_be_a_list():
    region = np.zeros((7, 10), bool)
    region[2:4, 5] = True
    a, b = (ng.grad_cam(pixel_net(), pictures(1), 1, "relu2", region=r) for r in (region, region.tolist()))
    np.testing.assert_array_equal(a.signed_cam, b.signed_cam)


def test_an_output_that_is_neither_classes_nor_pixels_is_an_error():
    net = Network.sequential([("conv", pixel_net()["conv1"].layer), ("rows", Reshape((0, 5, -1)))], dtype="float64")
    with pytest.raises(TargetError, match=r"'rows': expected \(N, classes\) .*\(1, 5, 70\); explain another output"):
        ng.grad_cam(net, pictures(1), 0, "conv")


def test_an_unknown_score_is_an_error(net):
    with pytest.raises(ng.NpGradcamError, match="expected 'logit' or 'output', got 'probability'"):
        ng.grad_cam(net, pictures(1), 0, score="probability")


def test_an_input_that_is_no_picture_has_no_signal_to_show():
    net = Network.sequential([("fc", linear(np.random.default_rng(0), 5, 7)), ("relu", ReLU())], dtype="float64")
    with pytest.raises(ShapeError, match=r"an input of pictures \(N, C, H, W\), got a signal of shape \(2, 7\)"):
        ng.backprop(net, np.ones((2, 7)), 0)

