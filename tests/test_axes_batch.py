"""Layers that move, reduce and multiply along axes: which of them read each image alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam.layers import (
    Concat,
    Expand,
    Flatten,
    Gather,
    GlobalMaxPool2d,
    MatMul,
    PadAxes,
    ReduceMax,
    ReduceMean,
    ReLU,
    Reshape,
    Slice,
    Squeeze,
    Tile,
    Transpose,
    Unsqueeze,
)
from npgradcam.network import Network, Node
from npgradcam.testing import check_completeness
from npgradcam.testing.strategies.axes import layers as cases

FAR = 2**63 - 1
REAL = cases("real")


@pytest.mark.parametrize("name", REAL)
@given(data=st.data())
def test_a_layer_that_keeps_the_batch_reads_each_image_alone(name: str, data: st.DataObject) -> None:
    case = data.draw(REAL[name])
    layer, xs = case.layer, case.xs
    if not layer.keeps_batch(*(x.shape for x in xs)):
        return
    y, cache = layer.forward(*xs)
    signal = np.random.default_rng(0).standard_normal(y.shape)
    down = layer.backward(signal, cache)
    for n in range(len(y)):
        assert {len(x) for x in xs} == {len(y)}
        others = [np.where(np.arange(len(x)) == n, x.T, np.inf).T for x in xs]
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(layer.forward(*others)[0][n], y[n])
        own = layer.backward(np.repeat(signal[n : n + 1], 3, axis=0), of_image(n, cache))  # three rows of one image
        for part, expected in zip(own, down, strict=True):
            np.testing.assert_allclose(part, np.repeat(expected[n : n + 1], 3, axis=0), rtol=1e-12, atol=1e-12)


def of_image(n: int, cache):  # type: ignore[no-untyped-def]
    """Image n's part of a cache, as the network takes it out."""
    if isinstance(cache, np.ndarray):
        return cache[n : n + 1]
    return tuple(of_image(n, part) for part in cache) if isinstance(cache, tuple) else cache


KEEPS = [
    (Reshape((0, -1)), [(2, 3, 4)], True), (Reshape((-1,)), [(2, 3)], False), (Reshape((2, -1)), [(2, 3, 4)], True),
    (Reshape((1, -1)), [(2, 3)], False), (Flatten(2), [(2, 3, 4)], False), (Squeeze(), [(1, 3)], False),
    (Squeeze(), [(2, 1)], True), (Unsqueeze((0,)), [(2, 3)], False), (Unsqueeze((-1,)), [(2, 3)], True),
    (Transpose((0, 2, 1)), [(2, 3, 4)], True), (Transpose(), [(2, 3)], False), (Slice((0,), (9,)), [(2, 3)], True),
    (Slice((1,), (9,)), [(2, 3)], False), (Slice((0,), (-FAR,), (0,), (-1,)), [(1, 3)], False),
    (Slice((1,), (9,), (1,)), [(2, 3)], True), (Gather(np.array([0, 1]), 0), [(2, 3)], False),
    (Gather(np.array(0), -1), [(2, 3)], True), (Concat(), [(2, 3), (2, 4)], True), (Concat(0), [(2, 3), (1, 3)], False),
    (Expand((1, 1, 4)), [(2, 3, 1)], True), (Expand((5, 1)), [(1, 3)], False),
    (Expand((1, 2, 3)), [(2, 3)], False),
    (Tile((1, 2)), [(2, 3)], True), (Tile((2, 1)), [(2, 3)], False), (PadAxes((0, 1), (0, 1)), [(2, 3)], True),
    (PadAxes((0, 0), (1, 0)), [(2, 3)], False), (ReduceMean((1,)), [(2, 3)], True),
    (ReduceMean((-2,)), [(2, 3)], False),
    (ReduceMax(), [(2, 3)], False), (GlobalMaxPool2d(), [(2, 3, 4, 5)], True),
    (MatMul(second=np.ones((3, 4))), [(2, 3)], True), (MatMul(first=np.ones((4, 2))), [(2, 3)], False),
    (MatMul(second=np.ones((2, 3, 4))), [(2, 5, 3)], False), (MatMul(second=np.ones((1, 3, 4))), [(2, 3)], False),
    (MatMul(), [(2, 3, 4), (2, 4, 5)], True), (MatMul(), [(2, 3, 4), (1, 4, 5)], False),
    (MatMul(), [(2, 3), (3, 2)], False),
]


@pytest.mark.parametrize(("layer", "shapes", "keeps"), KEEPS)
def test_the_batch_is_kept_where_no_image_sees_another(layer, shapes, keeps: bool) -> None:  # type: ignore
    assert layer.keeps_batch(*shapes) is keeps


@pytest.mark.parametrize("layer", [Transpose((1, 0)), Reshape((3, 2)), Slice((1,), (2,)), Expand((4, 2, 3)), Flatten()])
def test_what_only_changes_the_view_copies_nothing(layer) -> None:  # type: ignore[no-untyped-def]
    x = np.ones((2, 3))
    assert np.shares_memory(layer.forward(x)[0], x)


@pytest.mark.parametrize("images", [1, 3])
def test_completeness_of_a_network_that_works_channels_last(images: int) -> None:
    """As TensorFlow's exports do: channels moved last, padded, multiplied, reduced, joined with another branch."""
    random = np.random.default_rng(0)
    network = Network((
        Node("nhwc", Transpose((0, 2, 3, 1)), ("input",)),
        Node("pad", PadAxes((0, 0, 1, 0), (0, 1, 1, 0), 0.5), ("nhwc",)),
        Node("dense", MatMul(second=random.standard_normal((3, 6))), ("pad",)),
        Node("relu", ReLU(), ("dense",)),
        Node("left", Slice((0,), (4,), (-1,)), ("relu",)), Node("right", Gather(np.array([5, 4, 5]), -1), ("relu",)),
        Node("mean", ReduceMean((1, 2), False), ("left",)), Node("max", ReduceMax((1, 2)), ("right",)),
        Node("flat", Reshape((0, -1)), ("max",)), Node("both", Concat(-1), ("mean", "flat")),
        Node("scores", MatMul(second=random.standard_normal((7, 4))), ("both",)),
    ), dtype="float64")
    assert check_completeness(network, random.standard_normal((images, 3, 5, 4))) < 1e-14
