"""The default layer where it is close: class maps in other shapes and orders, a second input, maps of two cells."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_nets import conv, linear
from test_default_layer import GAP, SAME, SHAPE, R, sequence

import npgradcam as ng
from npgradcam.layers import Add, Conv2d, Flatten, GlobalAvgPool2d, Layer, ReduceMean, ReLU, Squeeze, Transpose
from npgradcam.methods.layer import dominators
from npgradcam.network import Network, Node

FEATURES: list[tuple[str, Layer]] = [("conv", conv(R, 4, 3, **SAME)), ("relu", ReLU())]
CLASS = ("class", conv(R, 5, 4, 1))
LAST = ("last", Transpose((0, 2, 3, 1)))


@pytest.mark.parametrize(("tail", "layer"), [
    ([CLASS, ("flat", Flatten())], "class"),  # every cell of every map has its own output
    ([CLASS, ("pool", GlobalAvgPool2d()), ("gate", ReLU()), ("flat", Flatten())], "relu"),
    ([("class", Conv2d(R.standard_normal((5, 4, 1, 1)))), ("bias", Add(np.ones((1, 5, 1, 1)))), *GAP], "relu"),
    ([("class", conv(R, 1, 4, 1)), ("pool", GlobalAvgPool2d()), ("one", Squeeze((1, 2, 3)))], "relu"),
    ([CLASS, LAST, ("gate", ReLU()), ("mean", ReduceMean((1, 2), False))], "relu"),
    ([("class", conv(R, 5, 4)), LAST, ("gate", ReLU()), ("mean", ReduceMean((1, 2), False))], "gate"),
])
def test_maps_are_answers_where_each_class_has_one(tail: list[tuple[str, Layer]], layer: str) -> None:
    assert ng.default_layer(sequence(*FEATURES, *tail), SHAPE) == layer


@pytest.mark.parametrize("size", [(8, 12), (1, 2), (2, 1), (1, 9), (9, 1)])
def test_two_cells_are_enough_and_an_input_without_places_is_no_picture(size: tuple[int, int]) -> None:
    nodes = [Node(*FEATURES[0], ("image",)), Node(*FEATURES[1], ("conv",)), Node("pool", GlobalAvgPool2d(), ("relu",)),
             Node("flatten", Flatten(), ("pool",)), Node("fc", linear(R, 5, 4), ("flatten",)),
             Node("said", linear(R, 5, 2), ("numbers",)), Node("sum", Add(), ("fc", "said"))]
    net = Network(tuple(nodes), inputs=("image", "numbers"), dtype="float64")
    e = ng.grad_cam(net, {"image": np.ones((1, 3, *size)), "numbers": np.ones((1, 2))}, 1)
    assert e.layer == ng.default_layer(net, {"image": (1, 3, *size), "numbers": (1, 2)}) == "relu"
    np.testing.assert_allclose(e.alpha, e.gradients.mean(axis=(2, 3)), rtol=1e-14)


@given(data=st.data())
def test_dominators_are_what_a_signal_cannot_avoid(data: st.DataObject) -> None:
    """Against the definition: without it, nothing of the output reaches a picture."""
    names = ["left", "right"]
    nodes = []
    for n in range(data.draw(st.integers(1, 9))):
        takes = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
        nodes.append(Node(f"n{n}", Add() if len(takes) > 1 else ReLU(), tuple(takes)))
        names.append(f"n{n}")
    net, output = Network(tuple(nodes), ("left", "right")), nodes[-1].name
    pictures = data.draw(st.sampled_from([["left"], ["left", "right"]]))

    def reached(without: str) -> bool:
        below = {output}
        for node in reversed(nodes):
            if node.name in below and node.name != without:
                below.update(node.inputs)
        return bool(below & set(pictures))

    expected = [node.name for node in reversed(nodes[:-1]) if not reached(node.name)] if reached("") else []
    assert dominators(net, output, pictures) == expected


def test_a_long_chain_that_meets_itself_at_each_step_takes_no_longer_than_it_is() -> None:
    """The time and memory of a list of nodes for each node would end the process."""
    names = ["input", *(f"n{n}" for n in range(10_000))]
    chain = [Node(name, Add(), (before, before)) for before, name in pairwise(names)]
    net = Network((*chain, Node("pool", GlobalAvgPool2d(), (names[-1],))))
    assert dominators(net, "pool", ["input"]) == names[:0:-1]
    assert ng.default_layer(net, SHAPE) == names[-1]
