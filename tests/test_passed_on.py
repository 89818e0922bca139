"""What every relative of Grad-CAM passes on to it: seed, region, output and score reach the gradients it weighs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_nets import conv, gap_net, linear, pictures

import npgradcam as ng
from npgradcam.errors import ShapeError
from npgradcam.layers import Flatten, GlobalAvgPool2d, ReLU, Reshape, Softmax, Transpose
from npgradcam.methods.start import explained_output
from npgradcam.network import Network, Node

RELATIVES: tuple[Callable[..., Any], ...] = (
    ng.counterfactual_grad_cam, ng.grad_cam_plus_plus, ng.xgrad_cam, ng.hires_cam, ng.layer_cam,
    lambda *a, **k: ng.guided_grad_cam(*a, **k).grad_cam,
)
NAMES = ("counterfactual", "grad-cam++", "xgrad-cam", "hires-cam", "layer-cam", "guided grad-cam")


def two_ends() -> Network:
    """Classes of the picture with a Softmax behind, and a class for every pixel."""
    random = np.random.default_rng(2)
    return Network((
        Node("conv", conv(random, 5, 3, padding="same"), ("input",)), Node("relu", ReLU(), ("conv",)),
        Node("mean", GlobalAvgPool2d(), ("relu",)), Node("flat", Flatten(), ("mean",)),
        Node("fc", linear(random, 4, 5), ("flat",)), Node("soft", Softmax(1), ("fc",)),
        Node("pixels", conv(random, 3, 5, 1), ("relu",)),
    ), outputs=("soft", "pixels"), dtype="float64")


WAYS: tuple[dict[str, Any], ...] = (
    {"seed": np.array([[1.0, -2.0, 0.0, 3.0]])},
    {"target": 2, "score": "output"},
    {"target": 2, "output": "pixels"},
    {"target": 1, "output": "pixels", "region": np.arange(20).reshape(4, 5) % 3 == 0},
)


@pytest.mark.parametrize("relative", RELATIVES, ids=NAMES)
@pytest.mark.parametrize("way", WAYS, ids=["seed", "score", "output", "region"])
def test_what_is_asked_of_a_relative_is_asked_of_grad_cam(relative: Callable[..., Any], way: dict[str, Any]) -> None:
    net, x = two_ends(), pictures(1, 4, 5)
    without = {name: value for name, value in way.items() if name in ("target", "output") and name != list(way)[-1]}
    plain, right = ng.grad_cam(net, x, layer="relu", **without), ng.grad_cam(net, x, layer="relu", **way)
    assert plain.gradients.shape != right.gradients.shape or not np.allclose(plain.gradients, right.gradients)
    assert np.array_equal(relative(net, x, layer="relu", **way).gradients, right.gradients)


def test_the_first_row_is_meant_where_nobody_says_which() -> None:
    net, x = gap_net(), pictures()[:1]
    for e in (ng.grad_cam(net, x, [[1, 2]]), ng.backprop(net, x, [[1, 2]]), ng.guided_grad_cam(net, x, [[1, 2]])):
        assert e.label() == e.label(0) != e.label(1)
        assert e.note() == e.note(0)
        assert np.array_equal(e.array(), e.array(0))
        assert not np.array_equal(e.array(), e.array(1))
        assert np.array_equal(e.picture(), e.picture(0))
        assert not np.array_equal(e.picture(), e.picture(1))


def test_a_photograph_is_drawn_over_by_the_first_row_where_nobody_says_which() -> None:
    e, photograph = ng.grad_cam(gap_net(), pictures(1), [[1, 2]]), np.zeros((14, 20, 3), np.uint8)
    assert np.array_equal(e.overlay(photograph), e.overlay(photograph, 0))
    assert np.array_equal(e.shown(photograph), e.overlay(photograph, 0))
    assert not np.array_equal(e.shown(photograph), e.shown(photograph, 1))
    b = ng.backprop(gap_net(), pictures(1), [[1, 2]])
    assert b.limit() == b.limit(0) != b.limit(1)


def test_ten_channels_of_either_sign_are_told_of_a_cell_where_nobody_says_how_many() -> None:
    e = ng.grad_cam(gap_net(channels=60), pictures(1), 1)
    told = max((e.why(i, j) for i in range(3) for j in range(5)), key=lambda cell: len(cell.positive))
    assert len(told.positive) == 10 < len(e.why(*told.cell, top=11).positive)


def test_a_record_says_which_method_made_it_and_what_the_model_knows() -> None:
    net, x = ng.load("shapes"), np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
    made = [method(net, x, 1) for method in (*RELATIVES[:5], ng.grad_cam, ng.cam, ng.backprop, ng.guided_grad_cam)]
    assert [e.method for e in made] == [
        "counterfactual-grad-cam", "grad-cam-plus-plus", "xgrad-cam", "hires-cam", "layer-cam", "grad-cam", "cam",
        "gradient", "guided-grad-cam"]
    assert all(e.preprocessing is net.preprocessing and e.labels is net.labels for e in made)


def test_where_letters_are_lost_channels_come_first_and_where_images_meet_there_is_no_map() -> None:
    random, x = np.random.default_rng(0), pictures(2, 4, 5)
    first, last = [("conv", conv(random, 4, 3, padding="same")), ("relu", ReLU())], linear(random, 5, 80)
    net = Network.sequential([*first, ("flat", Flatten()), ("back", Reshape((0, 4, 4, 5))), ("again", Flatten()),
                              ("fc", last)], dtype="float64")
    assert np.array_equal(ng.grad_cam(net, x, 1, "back").cam, ng.grad_cam(net, x, 1, "relu").cam)
    net = Network.sequential([*first, ("mixed", Reshape((1, 8, 4, 5))), ("flat", Reshape((2, 80))), ("fc", last)],
                             dtype="float64")
    with pytest.raises(ShapeError, match="layer 'mixed': expected maps of 2 images as the output has, got 1"):
        ng.grad_cam(net, x, 1, "mixed")


def test_the_logit_is_explained_where_nobody_says_which_score() -> None:
    assert explained_output(gap_net(softmax=True)) == explained_output(gap_net()) == "fc"
    assert explained_output(gap_net(softmax=True), score="output") == "softmax"


def test_channels_that_lie_last_at_the_input_lie_last_in_the_signal_and_nowhere_else() -> None:
    net, x = gap_net(), pictures(1)
    turned = Network.sequential([("turn", Transpose((0, 3, 1, 2))), *((n.name, n.layer) for n in net.nodes)],
                                dtype="float64")
    for method in (ng.backprop, ng.guided_grad_cam):
        first, last = method(net, x, 1), method(turned, x.transpose(0, 2, 3, 1), 1)
        assert (first.layout, last.layout) == ("NCHW", "NHWC")
        assert np.array_equal(last.signal, first.signal.transpose(0, 2, 3, 1))
        assert np.array_equal(last.array(), first.array())
        assert np.array_equal(last.picture(), first.picture())


def test_an_input_of_ones_choice_is_the_one_that_guided_grad_cam_goes_back_to() -> None:
    random = np.random.default_rng(4)
    net = Network((
        Node("a", conv(random, 4, 3, padding="same"), ("left",)),
        Node("b", conv(random, 4, 3, padding="same"), ("right",)),
        Node("add", ng.layers.Add(), ("a", "b")), Node("relu", ReLU(), ("add",)),
        Node("mean", GlobalAvgPool2d(), ("relu",)), Node("flat", Flatten(), ("mean",)),
    ), inputs=("left", "right"), dtype="float64")
    x = {"left": pictures(1, 4, 5), "right": pictures(1, 4, 5) * 2}
    both = [ng.guided_grad_cam(net, x, 1, "relu", input=name) for name in ("left", "right")]
    for name, e in zip(("left", "right"), both, strict=True):
        assert np.array_equal(e.backprop.signal, ng.backprop(net, x, 1, rule="guided", input=name).signal)
    assert not np.allclose(both[0].signal, both[1].signal)
