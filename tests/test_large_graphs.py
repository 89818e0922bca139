"""Planning a graph of n layers takes work in proportion to n: counted in steps of the interpreter, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam.layers import Add, Conv2d, Identity, ReLU, Sigmoid
from npgradcam.network import Network, Node
from npgradcam.rewrites import choose, optimise
from npgradcam.rewrites.alone import Alone
from npgradcam.topology import Topology

pytest.importorskip("numba")
POINT = Conv2d(np.ones((4, 4, 1, 1), np.float32))
SHAPE = (1, 4, 4, 4)


def repeated(layers: Callable[[str, str], Iterable[Node]], count: int, *outputs: str) -> Network:
    """So many times the layers that are made of a prefix and the name of what goes in, behind a convolution."""
    nodes = [Node("stem", POINT, ("input",))]
    for n in range(count):
        nodes += layers(f"{n}.", nodes[-1].name)
    return Network(tuple(nodes), outputs=(nodes[-1].name, *outputs))


def straight(prefix: str, x: str) -> list[Node]:
    return [Node(prefix + "conv", POINT, (x,)), Node(prefix + "relu", ReLU(), (prefix + "conv",))]


def residual(prefix: str, x: str) -> list[Node]:
    return [Node(prefix + "conv", POINT, (x,)), Node(prefix + "add", Add(), (prefix + "conv", x))]


def parted(prefix: str, x: str) -> list[Node]:
    """With a layer that has no blocked form, so that each part is a chain of its own."""
    return [*straight(prefix, x), Node(prefix + "out", POINT, (prefix + "relu",)),
            Node(prefix + "sigmoid", Sigmoid(), (prefix + "out",))]


def work(network: Network) -> int:
    """How many steps of the interpreter it takes to plan a network."""
    count, before = 0, sys.gettrace()

    def step(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += 1
        return step

    keep, shapes = frozenset(network.outputs[:1]), network.shapes(SHAPE)
    sys.settrace(step)
    try:
        choose(optimise(network, keep), shapes, keep)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("early", [False, True], ids=["one output", "an early output too"])
@pytest.mark.parametrize("layers", [straight, residual, parted])
def test_twice_as_many_layers_are_twice_the_work(layers: Callable[[str, str], Iterable[Node]], early: bool) -> None:
    outputs = ["1.conv"] * early  # what it reads in blocks serves others too: no chain goes past it
    work(repeated(layers, 3))  # what is found once
    few, many = (work(repeated(layers, count, *outputs)) for count in (40, 80))
    assert many < 2.1 * few


@given(data=st.data())
def test_what_serves_a_node_alone(data: st.DataObject) -> None:
    """It is free, has readers, and each of them is that node or serves it alone."""
    known, nodes = ["input"], list[Node]()
    for n in range(data.draw(st.integers(1, 12))):
        inputs = tuple(data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=2)))
        nodes.append(Node(f"n{n}", Add() if len(inputs) == 2 else Identity(), inputs))
        known.append(f"n{n}")
    free, opening = (data.draw(st.frozensets(st.sampled_from(known[1:]))) for _ in range(2))
    alone = Alone(Topology(tuple(nodes)), free, opening)
    for at, node in enumerate(nodes):
        names = {node.name}
        for before in reversed(nodes[:at]):
            readers = {n.name for n in nodes if before.name in n.inputs}
            if before.name in free and readers and readers <= names:
                names.add(before.name)
        closed = all(names.issuperset(n.inputs) for n in nodes if n.name in names - opening)
        assert [n.name for n in alone.serving(node.name)] == [n.name for n in nodes if n.name in names and closed]
