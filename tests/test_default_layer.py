"""Which layer is explained where nobody says: the last maps on every path that are features, not answers."""


import numpy as np
import pytest
from small_nets import conv, flat_net, gap_net, linear, norm, pictures, pixel_net, two_headed_net

import npgradcam as ng
from npgradcam.errors import ShapeError, UnknownLayerError
from npgradcam.layers import (
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    Concat,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    MaxPool2d,
    Pad,
    ReLU,
    Softmax,
)
from npgradcam.models import Weights
from npgradcam.network import Network, Node

R = np.random.default_rng(5)
SAME = {"padding": "same"}
SHAPE = (1, 3, 8, 12)
HALF = ("max", MaxPool2d((2, 2), (2, 2)))
GAP = [("pool", GlobalAvgPool2d()), ("flatten", Flatten())]


class Stand(Weights):
    """Every array is zeros: enough for shapes and names."""

    def __init__(self):
        super().__init__({})

    def _find(self, name, shape):
        return np.broadcast_to(np.float32(0), shape)


def sequence(*layers, **settings):
    return Network.sequential(layers, dtype="float64", **settings)


def chosen(net, shape=SHAPE, output=None):
    """The default layer, which must also be what grad_cam reports."""
    name = ng.default_layer(net, shape, output)
    x = pictures(1, *shape[2:])[:, : shape[1]]
    assert ng.grad_cam(net, x, output=output).layer == name
    return name


@pytest.mark.parametrize(
    ("model", "size", "layer", "maps"),
    [
        ("efficientnet_lite0", 224, "head.relu", (1280, 7, 7)),
        ("efficientnet_lite1", 240, "head.relu", (1280, 8, 8)),
        ("efficientnet_lite2", 260, "head.relu", (1280, 9, 9)),
        ("vgg16", 224, "relu5_3", (512, 14, 14)),
        ("resnet50", 224, "layer4.2.relu", (2048, 7, 7)),
        ("resnet50", 320, "layer4.2.relu", (2048, 10, 10)),
    ],
)
def test_architectures_have_the_layer_that_the_papers_use(model, size, layer, maps):
    net = ng.build(model, Stand())
    assert ng.default_layer(net, (1, 3, size, size)) == layer
    assert net.shapes((1, 3, size, size))[layer] == (1, *maps)


def test_a_picture_so_small_that_the_last_maps_are_one_cell_moves_the_layer_towards_the_image():
    net = ng.build("efficientnet_lite0", Stand())
    layer = ng.default_layer(net, (1, 3, 32, 32))
    assert net.shapes((1, 3, 32, 32))["head.relu"][2:] == (1, 1)
    assert layer != "head.relu"
    assert net.shapes((1, 3, 32, 32))[layer][2:] == (2, 2)


def test_the_small_network_that_comes_along_has_its_last_relu():
    net = ng.load("shapes")
    assert ng.default_layer(net.network, (1, 3, 32, 32)) == "relu3"


def test_a_model_is_as_good_as_its_network():
    net = ng.Model("small", gap_net())
    assert ng.default_layer(net, SHAPE) == "relu2"


@pytest.mark.parametrize(
    "tail",
    [
        [],
        [HALF],
        [("avg", AvgPool2d((2, 2), (2, 2)))],
        [("adaptive", AdaptiveAvgPool2d((2, 3)))],
        [("drop", Dropout())],
        [("frame", Pad((1, 0, 0, 1)))],
        [("drop", Dropout()), HALF, ("frame", Pad((1, 1, 1, 1))), ("avg", AvgPool2d((2, 2), (1, 1)))],
    ],
)
def test_poolings_dropout_and_padding_are_stepped_over(tail):
    net = sequence(("conv", conv(R, 4, 3, **SAME)), ("relu", ReLU()), *tail, *GAP, ("fc", linear(R, 5, 4)))
    assert chosen(net) == "relu"


def test_a_norm_after_the_last_convolution_is_not_stepped_over():
    net = sequence(("conv", conv(R, 4, 3)), ("relu", ReLU()), ("norm", norm(R, 4)), *GAP, ("fc", linear(R, 5, 4)))
    assert chosen(net) == "norm"


@pytest.mark.parametrize(
    "tail",
    [
        [("class", conv(R, 5, 4, 1)), *GAP],
        [("class", conv(R, 5, 4, 1)), *GAP, ("softmax", Softmax())],
        [("class", conv(R, 5, 4, 1)), ("class.relu", ReLU()), *GAP],
        [("class", conv(R, 5, 4, 1)), ("class.norm", norm(R, 5)), ("class.relu", ReLU()), *GAP],
        [("class", conv(R, 5, 4, 1)), ("small", AvgPool2d((2, 2), (2, 2))), *GAP],
        [("drop", Dropout()), ("class", conv(R, 5, 4, 1)), ("class.relu", ReLU()), *GAP],
        [("drop", Dropout()), HALF, ("class", conv(R, 5, 4, 1)), ("class.relu", ReLU()), *GAP],
        [("class", conv(R, 5, 4, 1)), ("pool", AdaptiveAvgPool2d((1, 1))), ("flatten", Flatten())],
    ],
)
def test_class_maps_are_answers_so_the_features_below_them_are_taken(tail):
    net = sequence(("conv", conv(R, 4, 3, **SAME)), ("relu", ReLU()), *tail)
    assert chosen(net) == "relu"


def test_maps_with_as_many_channels_as_classes_are_features_where_a_linear_layer_follows():
    net = sequence(("conv1", conv(R, 4, 3, **SAME)), ("relu1", ReLU()), ("conv2", conv(R, 5, 4)), ("relu2", ReLU()),
                   HALF, *GAP, ("fc", linear(R, 5, 5)))
    assert chosen(net) == "relu2"


def test_maps_that_are_flattened_whole_are_features():
    net = sequence(("conv1", conv(R, 4, 3, **SAME)), ("relu1", ReLU()), ("conv2", conv(R, 5, 4)), ("relu2", ReLU()),
                   HALF, ("flatten", Flatten()))
    assert chosen(net) == "relu2"


def test_maps_that_no_convolution_made_are_not_class_maps():
    net = Network((
        Node("left", conv(R, 2, 3, **SAME), ("input",)), Node("right", conv(R, 3, 3, **SAME), ("input",)),
        Node("concat", Concat(), ("left", "right")), Node("pool", GlobalAvgPool2d(), ("concat",)),
        Node("flatten", Flatten(), ("pool",)),
    ), dtype="float64")
    assert chosen(net) == "concat"


def test_branches_have_their_last_concat():
    net = Network((
        Node("stem", conv(R, 4, 3, **SAME), ("input",)), Node("stem.relu", ReLU(), ("stem",)),
        Node("a", conv(R, 3, 4, 1), ("stem.relu",)), Node("a.relu", ReLU(), ("a",)),
        Node("b", conv(R, 2, 4, **SAME), ("stem.relu",)), Node("b.relu", ReLU(), ("b",)),
        Node("c", MaxPool2d((3, 3), (1, 1), (1, 1, 1, 1)), ("stem.relu",)),
        Node("concat", Concat(), ("a.relu", "b.relu", "c")), Node("drop", Dropout(), ("concat",)),
        Node("pool", GlobalAvgPool2d(), ("drop",)), Node("flatten", Flatten(), ("pool",)),
        Node("fc", linear(R, 5, 9), ("flatten",)),
    ), dtype="float64")
    assert chosen(net) == "concat"


def test_class_maps_over_branches_take_the_last_concat():
    net = Network((
        Node("squeeze", conv(R, 4, 3, 1), ("input",)), Node("squeeze.relu", ReLU(), ("squeeze",)),
        Node("e1", conv(R, 3, 4, 1), ("squeeze.relu",)), Node("e1.relu", ReLU(), ("e1",)),
        Node("e3", conv(R, 3, 4, **SAME), ("squeeze.relu",)), Node("e3.relu", ReLU(), ("e3",)),
        Node("concat", Concat(), ("e1.relu", "e3.relu")), Node("drop", Dropout(), ("concat",)),
        Node("class", conv(R, 5, 6, 1), ("drop",)), Node("class.relu", ReLU(), ("class",)),
        Node("pool", GlobalAvgPool2d(), ("class.relu",)), Node("flatten", Flatten(), ("pool",)),
    ), dtype="float64")
    assert chosen(net) == "concat"


def test_a_residual_block_has_its_output_and_not_what_goes_around_it():
    nodes = (
        Node("stem", conv(R, 4, 3, **SAME), ("input",)), Node("stem.relu", ReLU(), ("stem",)),
        Node("conv", conv(R, 4, 4, **SAME), ("stem.relu",)), Node("add", Add(), ("conv", "stem.relu")),
        Node("relu", ReLU(), ("add",)), Node("pool", GlobalAvgPool2d(), ("relu",)),
        Node("flatten", Flatten(), ("pool",)), Node("fc", linear(R, 5, 4), ("flatten",)),
    )
    assert chosen(Network(nodes, dtype="float64")) == "relu"
    without = [n if n.name != "pool" else Node("pool", GlobalAvgPool2d(), ("add",)) for n in nodes if n.name != "relu"]
    assert chosen(Network(tuple(without), dtype="float64")) == "add"


def test_two_poolings_of_one_map_still_meet_in_it():
    net = Network((
        Node("conv", conv(R, 4, 3, **SAME), ("input",)), Node("relu", ReLU(), ("conv",)),
        Node("mean", GlobalAvgPool2d(), ("relu",)), Node("max", MaxPool2d((8, 12), (1, 1)), ("relu",)),
        Node("concat", Concat(), ("mean", "max")), Node("flatten", Flatten(), ("concat",)),
        Node("fc", linear(R, 5, 8), ("flatten",)),
    ), dtype="float64")
    assert chosen(net) == "relu"


def test_heads_that_meet_only_in_the_trunk_take_the_trunk():
    net = two_headed_net()
    assert chosen(net) == "relu"
    assert chosen(net, output="second") == "relu_b"
    joined = Network((*net.nodes, Node("both", Concat(), ("first", "second"))), dtype="float64")
    assert chosen(joined) == "relu"


def test_a_network_that_labels_pixels_has_the_maps_below_its_class_maps():
    assert chosen(pixel_net()) == "relu2"


def test_no_cam_head_is_needed():
    assert chosen(flat_net(8, 12)) == "relu"


def test_without_maps_on_every_path_the_error_names_candidates():
    net = Network((
        Node("conv_a", conv(R, 4, 3), ("input",)), Node("pool_a", GlobalAvgPool2d(), ("conv_a",)),
        Node("conv_b", conv(R, 4, 3), ("input",)), Node("pool_b", GlobalAvgPool2d(), ("conv_b",)),
        Node("concat", Concat(), ("pool_a", "pool_b")), Node("flatten", Flatten(), ("concat",)),
        Node("fc", linear(R, 5, 8), ("flatten",)),
    ), dtype="float64")
    with pytest.raises(UnknownLayerError, match=r"name it: .*conv_a.*conv_b"):
        ng.grad_cam(net, pictures())
    assert ng.grad_cam(net, pictures(), layer="conv_a").layer == "conv_a"


def test_two_cells_are_a_map_and_one_is_none():
    net = Network((
        Node("conv_a", conv(R, 4, 3), ("input",)), Node("pool_a", AdaptiveAvgPool2d((1, 2)), ("conv_a",)),
        Node("conv_b", conv(R, 4, 3), ("input",)), Node("pool_b", AdaptiveAvgPool2d((1, 1)), ("conv_b",)),
        Node("flat_a", Flatten(), ("pool_a",)), Node("flat_b", Flatten(), ("pool_b",)),
        Node("concat", Concat(), ("flat_a", "flat_b")), Node("fc", linear(R, 5, 12), ("concat",)),
    ), dtype="float64")
    with pytest.raises(UnknownLayerError, match=r"name it: conv_a, pool_a, conv_b$"):
        ng.grad_cam(net, pictures())


def test_a_network_without_maps_says_that_it_has_none():
    net = sequence(("flatten", Flatten()), ("fc", linear(R, 5, 3 * 8 * 12)))
    with pytest.raises(UnknownLayerError, match="none"):
        ng.grad_cam(net, pictures(1, 8, 12))


def test_an_unknown_layer_is_an_error_with_close_matches():
    with pytest.raises(UnknownLayerError, match=r"'relu_2'.*relu2"):
        ng.grad_cam(gap_net(), pictures(), layer="relu_2")


@pytest.mark.parametrize("layer", ["fc", "flatten"])
def test_a_layer_without_maps_is_an_error(layer):
    with pytest.raises(ShapeError, match=rf"'{layer}'.*\(N, K, I, J\)"):
        ng.grad_cam(gap_net(), pictures(), layer=layer)


def test_a_layer_off_the_way_to_the_output_is_an_error():
    with pytest.raises(UnknownLayerError, match=r"relu_b.*first"):
        ng.grad_cam(two_headed_net(), pictures(), layer="relu_b")


def test_every_map_on_the_way_can_be_asked_for():
    net = gap_net()
    for layer in ("input", "conv1", "norm1", "relu1", "pool1", "conv2", "relu2", "pool"):
        e = ng.grad_cam(net, pictures(), layer=layer)
        assert e.layer == layer
        assert e.cam.shape == (2, *net.shapes((2, 3, 7, 10))[layer][2:])
