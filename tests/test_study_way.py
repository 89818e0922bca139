"""The way back from a cell: through rectifier, branch, pooling, transposed axes to a kernel, or why it ends."""

from pathlib import Path

import branch_net
import numpy as np
import pytest
import study_net

import npgradcam as ng
from npgradcam.layers import AvgPool2d, Conv2d, MaxPool2d
from npgradcam.network import Network
from npgradcam.study.cell import behind
from npgradcam.study.way import maps_of, way_back, windows, winner

CELLS = [(i, j) for i in range(3) for j in range(3)]


@pytest.fixture(scope="module", params=[False, True], ids=["channels first", "channels last"])
def branches(request):
    return ng.trace(branch_net.model(request.param), study_net.X, ["cat", "cup"], "relu")


def test_a_channel_goes_through_its_own_branch(branches):
    names = [[step.name for step in way_back(branches, k)] for k in (0, 1)]
    assert [[name for name in way if "last" not in name] for way in names] == [
        ["relu", *(["both"] if "both" in names[0] else []), "pool", "negative"],
        ["relu", *(["both"] if "both" in names[1] else []), "diagonal"]]
    assert [way_back(branches, k)[-1].k for k in (0, 1)] == [0, 0]  # each branch has one map


@pytest.mark.parametrize(("i", "j"), CELLS)
def test_a_pooling_picks_the_first_of_its_largest_cells(branches, i, j):
    h, w = branch_net.WINNERS[i][j]
    said = behind(branches, 0, i, j)
    assert f"pool: the largest cell of its window is ({h}, {w}) = 4" in said
    assert said[-1] == f"negative: sum over 1 maps of 1 x 1 cells times kernel: {0 - study_net.X[0, 0, h, w]:+.4g} " \
                       "[from map 0] +0 [0 others] +4 [bias] = 4"
    assert behind(branches, 1, i, j)[-1].endswith(f"= {study_net.A[0, i, j]}")


@pytest.mark.parametrize("pool", [MaxPool2d((3, 3), (2, 2), (1, 1, 1, 1)), MaxPool2d((3, 2), (1, 2), "same"),
                                  MaxPool2d((2, 2), (3, 3), ceil=True), MaxPool2d((2, 3), (1, 1), dilation=(2, 2))])
def test_the_pooling_takes_the_cell_to_which_the_signal_goes(pool):
    """Also where padding, steps and holes make the window, and where cells are tied."""
    x = np.random.default_rng(0).integers(0, 4, (1, 1, 9, 8)).astype(np.float32)
    y, cache = pool.forward(x)
    net = Network.sequential([("pool", pool), ("out", Conv2d(np.float32([[[[1]]]])))])
    window = windows(ng.trace(net, x, layer="pool"), "pool")
    for i, j in np.ndindex(y.shape[2:]):
        seed = np.zeros_like(y)
        seed[0, 0, i, j] = 1
        (paid,) = pool.backward(seed, cache)
        assert winner(x[0, 0], window, i, j) == tuple(np.argwhere(paid[0, 0])[0])


def test_where_the_way_ends_it_says_why():
    weight = np.float32([[[[1]]]])
    net = Network.sequential([("conv", Conv2d(weight)), ("mean", AvgPool2d((2, 2), (1, 1))), ("out", Conv2d(weight))])
    t = ng.trace(net, study_net.X, layer="mean")
    assert behind(t, 0, 0, 0) == ["behind it lies AvgPool2d 'mean', which looks at other cells as well"]
    net = Network.sequential([("pool", MaxPool2d((2, 2), (1, 1))), ("out", Conv2d(weight))])
    t = ng.trace(net, study_net.X, layer="pool")
    assert behind(t, 0, 1, 2) == ["pool: the largest cell of its window is (1, 2) = 3",
                                  "input: the input's channel 0 at (1, 2) is 3"]
    assert behind(t, 0, 1, 2, "ko")[1] == "input: 입력 채널 0의 (1, 2) 값은 3"


def test_a_picture_with_its_channels_last_is_followed_to_a_kernel():
    pytest.importorskip("onnx")
    net = ng.load(Path(__file__).parent / "data" / "onnx" / "tiny" / "keras_tf2onnx13.onnx", preprocess="tf")
    t = ng.trace(net, net.preprocess(ng.images.sample("chelsea")), layer="functional_1/concatenate_1/concat")
    ways = [way_back(t, k) for k in range(20)]
    assert {way[-1].kind for way in ways} == {"Conv2d", "AvgPool2d"}
    k, way = next((k, way) for k, way in enumerate(ways) if way[-1].kind == "Conv2d")
    assert [step.kind for step in way] == ["Concat", "Transpose", "Mul", "Transpose", "LeakyReLU", "Conv2d"]
    assert behind(t, k, 4, 5)[-1].endswith(f"= {maps_of(t, way[-1].name)[way[-1].k, 4, 5]:.6g}")
    product = behind(t, k, 4, 5)[2]  # the cell times its gate
    assert product.endswith(f"= {maps_of(t, 'functional_1/multiply_1/Mul')[way[2].k, 4, 5]:.6g}")
    assert " × " in product
