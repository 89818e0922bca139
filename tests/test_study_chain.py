"""A gradient is the sum of what the layers that read the map pay back: the page does this sum for the chosen cell."""

import re

import numpy as np
import pytest
import study_pages
from browser import Reader, needs_browser

import npgradcam as ng
from npgradcam.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
)
from npgradcam.network import Network
from npgradcam.study import write_page
from npgradcam.study.up import above
from npgradcam.topology import Node

driver = study_pages.driver


def drawn(readers, joined):
    """Draw 4 maps of 6 x 5 cells, what reads them, and a head of two linear layers; whole numbers everywhere."""
    random = np.random.default_rng(3)
    whole = lambda *shape: random.integers(-3, 4, shape).astype(np.float32)  # noqa: E731
    nodes = [Node("conv", Conv2d(whole(4, 1, 3, 3), padding=(1, 1, 1, 1)), ("input",)), Node("relu", ReLU(), ("conv",)),
             *readers(whole)]
    out = nodes[-1].name if not joined else "joined"
    nodes += [Node("joined", Add(), joined)] if joined else []
    nodes += [Node("again", ReLU(), (out,)), Node("flatten", Flatten(), ("again",))]
    x = whole(1, 1, 6, 5)
    features = Network(tuple(nodes)).forward(x, ["flatten"]).logits.shape[1]
    nodes += [Node("fc1", Linear(whole(5, features), whole(5)), ("flatten",)), Node("last", ReLU(), ("fc1",)),
              Node("fc2", Linear(whole(2, 5), whole(2)), ("last",))]
    return ng.trace(Network(tuple(nodes)), x, [0, 1], "relu")


NETWORKS = {
    "a convolution with steps and padding, and a pooling with ties": (lambda whole: [
        Node("down", Conv2d(whole(4, 4, 3, 3), None, (2, 2), (1, 1, 1, 1)), ("relu",)),
        Node("pool", MaxPool2d((3, 3), (2, 2), (1, 1, 1, 1)), ("relu",))], ("down", "pool")),
    "a convolution in groups with holes, and the maps themselves": (lambda whole: [
        Node("holes", Conv2d(whole(4, 2, 3, 3), None, (1, 1), (2, 2, 2, 2), (2, 2), 2), ("relu",))], ("holes", "relu")),
    "a norm and another rectifier": (lambda whole: [
        Node("norm", BatchNorm2d(*np.float32([[1, -2, 4, 1], [0, 1, 0, 0], [0, 0, 0, 1], [1] * 4]), 0.0), ("relu",)),
        Node("gate", ReLU(), ("relu",))], ("norm", "gate")),
    "the mean of all cells": (lambda whole: [Node("mean", GlobalAvgPool2d(), ("relu",))], ()),
    "a list of all cells": (lambda whole: [
        Node("list", Flatten(), ("relu",)), Node("one", Linear(whole(3, 120), whole(3)), ("list",))], ()),
}


@needs_browser
@pytest.mark.parametrize(("readers", "joined"), NETWORKS.values(), ids=NETWORKS)
def test_what_is_paid_back_adds_up_to_the_gradient(driver, tmp_path, readers, joined):
    t = drawn(readers, joined)
    assert np.abs(t.gradients).max() > 0
    write_page(tmp_path / "why.html", t)
    page = Reader(driver, tmp_path / "why.html")
    for c, k, i, j in ((0, 0, 0, 0), (1, 1, 2, 2), (0, 2, 5, 3), (1, 3, 3, 4), (0, 1, 4, 1)):
        said = page.open(f"#c={c}&k={k}&ij={i},{j}&open=dA").text("#formula").replace("−", "-")
        paid = [float(value) for value in re.findall(r"^\w+ \(\w+\): .* = (\S+)$", said, re.MULTILINE)]
        assert len(paid) == max(1, len(joined))
        assert sum(paid) == pytest.approx(t.gradients[c, k, i, j], rel=1e-5, abs=1e-6)


def test_where_the_chain_is_not_in_the_file_it_says_which_layer_is_not():
    for layer in (AvgPool2d((2, 2), (1, 1)), Sigmoid()):
        t = drawn(lambda _, layer=layer: [Node("other", layer, ("relu",))], ())
        assert above(t, [0, 1], 10**6) == {"channels": [], "nodes": [], "stops": "other", "room": True}
    t = drawn(*NETWORKS["the mean of all cells"])
    assert above(t, [0, 1], 10) == {"channels": [], "nodes": [], "stops": "mean", "room": False}
    assert [node["kind"] for node in above(t, [0, 1], 10**6)["nodes"]] == ["GlobalAvgPool2d"]
