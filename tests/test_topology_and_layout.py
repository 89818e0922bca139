"""What is where in a network: names, shapes, settings that are computed, the end that is cut, which axis is which."""

from __future__ import annotations

import numpy as np
import pytest
from small_nets import conv, linear, norm, relative

import npgradcam as ng
from npgradcam import layout
from npgradcam.errors import NpGradcamError, ShapeError, UnknownLayerError
from npgradcam.layers import (
    Add,
    AvgPool2d,
    Concat,
    ConvTranspose2d,
    Flatten,
    Gather,
    GlobalAvgPool2d,
    Identity,
    InstanceNorm,
    LogSoftmax,
    MatMul,
    MaxPool2d,
    Mul,
    ReduceMean,
    ReLU,
    Reshape,
    Resize,
    Shape,
    Sigmoid,
    Slice,
    Softmax,
    Squeeze,
    Transpose,
    Unsqueeze,
)
from npgradcam.network import Network, Node

R = np.random.default_rng(8)
SAME = {"padding": "same"}
FIRST, LAST = (1, 3, 8, 12), (1, 8, 12, 3)
TO_FIRST, TO_LAST = Transpose((0, 3, 1, 2)), Transpose((0, 2, 3, 1))
HALF = MaxPool2d((2, 2), (2, 2))


def sequence(*layers, **settings):
    return Network.sequential(layers, dtype="float64", **settings)


def graph(*nodes, **settings):
    """Nodes as (name, layer, inputs as words)."""
    made = tuple(Node(name, layer, tuple(words.split())) for name, layer, words in nodes)
    return Network(made, dtype="float64", **settings)


def chosen(net, shape=FIRST, output=None):
    """The default layer, which must be the one that grad_cam reports, with maps (R, I, J)."""
    name = ng.default_layer(net, shape, output)
    e = ng.grad_cam(net, np.random.default_rng(1).standard_normal(shape), output=output)
    assert e.layer == name
    assert e.cam.ndim == 3
    return name


# names


def test_aliases_are_other_names_of_nodes():
    net = sequence(("conv", conv(R, 4, 3)), ("relu", ReLU()), aliases={"t1": "conv", "t2": "relu", "conv": "relu"})
    assert net.resolve("t1") == net["t1"].name == "conv"
    assert net.resolve("conv") == "conv"  # a node's own name comes first
    assert net.resolve("input") == "input"
    assert net.forward(np.ones(FIRST), observe="t2", output="t2").output == "relu"
    assert net.forward(np.ones(FIRST), observe="t1").activation("t1").shape == (1, 4, 6, 10)


@pytest.mark.parametrize("name", [0, None, ("conv",), b"conv"])
def test_a_name_is_a_text(name):
    with pytest.raises(UnknownLayerError, match="expected a name"):
        sequence(("conv", conv(R, 4, 3))).resolve(name)


def test_close_matches_are_found_among_aliases_too():
    net = sequence(("conv", conv(R, 4, 3)), aliases={"stage1/activation": "conv"})
    with pytest.raises(UnknownLayerError, match="stage1/activation"):
        net.resolve("stage1/activatoin")


def test_an_output_may_be_said_by_an_alias():
    net = sequence(("conv", conv(R, 4, 3)), ("relu", ReLU()), aliases={"t": "conv"}, outputs=("t",))
    assert net.outputs == ("conv",)


@pytest.mark.parametrize(
    "nodes",
    [[("a", ReLU(), "b"), ("b", ReLU(), "input")], [("a", ReLU(), "input"), ("a", ReLU(), "input")],
     [("input", ReLU(), "input")], [("a", ReLU(), "")], [("a", ReLU(), "input input")], []],
    ids=["order", "twice", "the input's name", "no input", "two inputs", "no nodes"],
)
def test_a_graph_that_is_none_is_refused(nodes):
    with pytest.raises(NpGradcamError, match="expected"):
        graph(*nodes)


# shapes


def viewed():
    """Flatten maps as graphs do: the batch taken from Shape, the rest -1."""
    from onnx_graphs import model, n, whole

    from npgradcam.formats.onnx import network_of  # the settings of a Computed are an exported graph's business
    from npgradcam.formats.onnx_file import onnx_file

    made = model(n("Shape", "x", "s"), n("Slice", "s zero one", "b"), n("Concat", "b last", "t", axis=0),
                 n("Reshape", "x t", "flat"), n("Relu", "flat", "y"), zero=whole(0), one=whole(1), last=whole(-1))
    return network_of(onnx_file(made), "float64", "numpy")


def test_shapes_follow_settings_that_are_computed():
    pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
    net = viewed()
    assert net.shapes((2, 3, 4, 5))["flat"] == (2, 60)
    assert net.shapes((5, 3, 2, 2))["y"] == (5, 12)
    assert net.shapes((2, 3, 4, 5))["t"] == (2,)
    built = net.layers((2, 3, 4, 5))["flat"]
    assert isinstance(built, Reshape)
    assert built.target == (2, -1)
    assert not isinstance(net["flat"].layer, Reshape)
    letters = layout.axes(net, (2, 3, 4, 5))
    assert (letters["x"], letters["flat"], letters["y"]) == ("NCHW", None, None)


def test_shapes_of_inputs_that_are_not_there_are_refused():
    net = sequence(("conv", conv(R, 4, 3)))
    with pytest.raises(ShapeError, match="input"):
        net.shapes({"other": FIRST})
    with pytest.raises(ShapeError, match="'conv'"):
        net.shapes((1, 4, 8, 8))


def test_layers_that_are_not_computed_are_themselves():
    net = sequence(("conv", conv(R, 4, 3)), ("relu", ReLU()))
    assert net.layers(FIRST) == {node.name: node.layer for node in net.nodes}


# the end


@pytest.mark.parametrize("last", [Softmax(), LogSoftmax(), Sigmoid()])
@pytest.mark.parametrize("tail", [[], [Identity()], [Reshape((-1, 5))], [Flatten(), Unsqueeze((2,)), Squeeze((2,))],
                                  [Transpose((1, 0)), Transpose((1, 0))]])
def test_the_score_is_what_a_last_softmax_or_sigmoid_reads(last, tail):
    net = sequence(("conv", conv(R, 5, 3)), ("pool", GlobalAvgPool2d()), ("flat", Flatten()), ("end", last),
                   *((f"t{i}", layer) for i, layer in enumerate(tail)))
    assert net.score(net.outputs[0]) == "flat"
    assert net.score("flat") == "flat"  # reshaping what is no probability is no end


@pytest.mark.parametrize("last", [ReLU(), GlobalAvgPool2d(), conv(R, 5, 5, 1)])
def test_a_softmax_before_other_layers_is_not_cut(last):
    net = sequence(("conv", conv(R, 5, 3)), ("soft", Softmax()), ("last", last))
    assert net.score("last") == "last"


def test_each_of_several_outputs_has_a_score_of_its_own():
    net = graph(("a", conv(R, 5, 3), "input"), ("p", Softmax(), "a"), ("q", ReLU(), "a"), outputs=("p", "q"))
    assert (net.score("p"), net.score("q")) == ("a", "q")


# between


def test_between_are_the_nodes_that_a_signal_passes():
    net = graph(("stem", conv(R, 4, 3, **SAME), "input"), ("left", ReLU(), "stem"), ("right", Sigmoid(), "stem"),
                ("aside", ReLU(), "input"), ("sum", Add(), "left right"), ("size", Shape(), "stem"),
                ("end", ReLU(), "sum"))
    assert net.between("end", ("stem",)) == {"left", "right", "sum", "end"}
    assert net.between("end", ("left",)) == {"sum", "end"}
    assert net.between("end", ("end",)) == set()
    assert net.between("sum", ("input",)) == {"stem", "left", "right", "sum"}
    assert net.between("size", ("stem",)) == set()  # nothing is paid back for whole numbers
    assert net.between("end", ("aside",)) == set()
    assert net.rectifiers("end", "input") == ["left", "end"]
    assert net.rectifiers("end", "left") == ["end"]
    assert net.leads_to("sum") == {"input", "stem", "left", "right", "sum"}


# axes


@pytest.mark.parametrize(
    ("letters", "order"),
    [("NCHW", (0, 1, 2, 3)), ("NHWC", (0, 3, 1, 2)), ("CNHW", (1, 0, 2, 3)), ("NCW", None), ("NC.W", None),
     (None, None)],
)
def test_an_order_of_axes_makes_channels_first(letters, order):
    assert layout.channels_first(letters) == order


AXES = {
    "conv": ([conv(R, 4, 3)], FIRST, "NCHW"), "flat": ([conv(R, 4, 3), Flatten()], FIRST, None),
    "mean": ([conv(R, 4, 3), ReduceMean((2, 3), False)], FIRST, "NC"),
    "mean, kept": ([conv(R, 4, 3), ReduceMean((2, 3), True)], FIRST, "NCHW"),
    "mean over rows": ([conv(R, 4, 3), ReduceMean((2,), False)], FIRST, "NCW"),
    "turned": ([conv(R, 4, 3), TO_LAST], FIRST, "NHWC"),
    "turned back": ([conv(R, 4, 3), TO_LAST, TO_FIRST], FIRST, "NCHW"),
    "reshaped": ([conv(R, 4, 3), Reshape((0, -1))], FIRST, None),
    "as it was": ([conv(R, 4, 3), Reshape((1, 4, 6, 10))], FIRST, "NCHW"),
    "squeezed": ([conv(R, 4, 3), GlobalAvgPool2d(), Squeeze((2, 3))], FIRST, "NC"),
    "wider": ([conv(R, 4, 3), Unsqueeze((1,))], FIRST, "N.CHW"),
    "picked": ([conv(R, 4, 3), Gather(np.array(0), 1)], FIRST, "NHW"),
    "found again": ([conv(R, 4, 3), Reshape((1, 40, 6)), Reshape((1, 4, 6, 10)), conv(R, 2, 4)], FIRST, "NCHW"),
    "cut": ([conv(R, 4, 3), Slice((1,), (3,), (1,))], FIRST, "NCHW"), "head": ([Flatten(), linear(R, 5, 288)], FIRST,
                                                                               "NC"),
    "last": ([TO_FIRST, conv(R, 4, 3)], LAST, "NCHW"),
    "last again": ([TO_FIRST, conv(R, 4, 3), TO_LAST, ReLU()], LAST, "NHWC"),
    "last, mean": ([TO_FIRST, conv(R, 4, 3), TO_LAST, ReduceMean((1, 2), False)], LAST, "NC"),
    "one more turn": ([Transpose((0, 2, 1, 3)), Transpose((0, 3, 2, 1)), conv(R, 4, 3)], LAST, "NCHW"),
}


@pytest.mark.parametrize("case", AXES)
def test_letters_are_followed_through_a_graph(case):
    made, shape, letters = AXES[case]
    net = sequence(*((f"n{i}", layer) for i, layer in enumerate(made)))
    found = layout.axes(net, shape)
    assert found[net.outputs[0]] == letters
    assert found["input"] == ("NHWC" if shape == LAST else "NCHW")


def test_where_paths_meet_the_letters_are_those_that_are_known():
    net = graph(("a", conv(R, 4, 3, **SAME), "input"), ("b", Reshape((1, 4, 96)), "a"), ("c", Reshape((1, 4, 8, 12)),
                                                                                         "b"),
                ("sum", Add(), "c a"), ("turn", TO_LAST, "sum"))
    found = layout.axes(net, FIRST)
    assert (found["c"], found["sum"], found["turn"]) == (None, "NCHW", "NHWC")


@pytest.mark.parametrize(
    ("made", "shape", "letters"),
    [([ReLU()], (1, 8, 12, 3), "NHWC"), ([ReLU()], (1, 3, 8, 12), "NCHW"), ([ReLU()], (1, 8, 12, 5), "NCHW"),
     ([ReLU()], (1, 1, 28, 28), "NCHW"), ([ReLU()], (1, 3, 8, 3), "NCHW"), ([ReLU()], (2, 7), "NC"),
     ([ReLU()], (2, 7, 9), "NCW"),
     ([conv(R, 4, 12)], (1, 12, 8, 3), "NCHW"), ([TO_FIRST, conv(R, 4, 5)], (1, 8, 12, 5), "NHWC"),
     ([TO_FIRST, ReLU()], (1, 8, 12, 3), "NHWC")],
)
def test_the_layer_that_slides_tells_the_axes_of_the_input(made, shape, letters):
    net = sequence(*((f"n{i}", layer) for i, layer in enumerate(made)))
    assert layout.input_axes(net, shape, "input") == letters


# the default layer


def head(features, channels, classes=5):
    pool = [("pool", GlobalAvgPool2d(), features), ("flat", Flatten(), "pool")]
    return [*pool, ("fc", linear(R, classes, channels), "flat")]


def test_channels_last_with_a_mean_over_rows_and_columns():
    net = sequence(("first", TO_FIRST), ("conv", conv(R, 4, 3)), ("relu", ReLU()), ("last", TO_LAST),
                   ("mean", ReduceMean((1, 2), False)), ("fc", linear(R, 5, 4)))
    assert chosen(net, LAST) == "relu"
    x = np.random.default_rng(1).standard_normal((2, *LAST[1:]))
    twin = sequence(*((node.name, node.layer) for node in net.nodes[1:3]), ("pool", GlobalAvgPool2d()),
                    ("flat", Flatten()), ("fc", net["fc"].layer))
    first = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    assert relative(ng.grad_cam(net, x).cam, ng.grad_cam(twin, first).cam) < 1e-12


def test_a_squeeze_and_excitation_branch_is_not_the_layer():
    gate = [("s", GlobalAvgPool2d(), "relu"), ("g1", conv(R, 2, 4, 1), "s"), ("g1r", ReLU(), "g1"),
            ("g2", conv(R, 4, 2, 1), "g1r"), ("g", Sigmoid(), "g2"), ("scaled", Mul(), "relu g")]
    stem = [("conv", conv(R, 4, 3, **SAME), "input"), ("relu", ReLU(), "conv")]
    assert chosen(graph(*stem, *gate, *head("scaled", 4))) == "scaled"
    last = [("conv2", conv(R, 6, 4, **SAME), "scaled"), ("relu2", ReLU(), "conv2")]
    assert chosen(graph(*stem, *gate, *last, *head("relu2", 6))) == "relu2"


def test_a_classifier_that_is_a_convolution_is_answers_not_features():
    tail = [("drop", Identity(), "fire"), ("class", conv(R, 5, 6, 1), "drop"), ("class.relu", ReLU(), "class"),
            ("pool", GlobalAvgPool2d(), "class.relu"), ("flat", Flatten(), "pool"), ("soft", Softmax(), "flat")]
    fire = [("squeeze", conv(R, 2, 3, 1), "input"), ("sr", ReLU(), "squeeze"), ("e1", conv(R, 3, 2, 1), "sr"),
            ("e1r", ReLU(), "e1"), ("e3", conv(R, 3, 2, **SAME), "sr"), ("e3r", ReLU(), "e3"),
            ("fire", Concat(), "e1r e3r")]
    assert chosen(graph(*fire, *tail)) == "fire"
    assert chosen(graph(*fire, *tail[:-1])) == "fire"


def test_a_net_of_features_alone_is_not_taken_for_class_maps():
    """conv - ReLU - pooling, and no class in sight: as many channels as outputs, but no 1x1 convolution."""
    net = sequence(("conv1", conv(R, 4, 3)), ("relu1", ReLU()), ("conv2", conv(R, 6, 4)), ("relu2", ReLU()),
                   ("max", HALF),
                   ("pool", GlobalAvgPool2d()), ("flat", Flatten()))
    assert chosen(net) == "relu2"
    assert chosen(sequence(*((node.name, node.layer) for node in net.nodes[:5]))) == "relu2"


def narrow_and_wide(*more):
    return graph(
        ("d1", conv(R, 4, 3, **SAME), "input"), ("d1r", ReLU(), "d1"), ("half", HALF, "d1r"),
        ("d2", conv(R, 6, 4, **SAME), "half"), ("d2r", ReLU(), "d2"),
        ("up", ConvTranspose2d(R.standard_normal((6, 4, 2, 2)), R.standard_normal(4), (2, 2)), "d2r"),
        ("skip", Concat(), "up d1r"), ("u1", conv(R, 4, 8, **SAME), "skip"), ("u1r", ReLU(), "u1"),
        ("classes", conv(R, 3, 4, 1), "u1r"), *more,
    )


def test_a_net_that_narrows_and_widens_again_has_its_last_features():
    assert chosen(narrow_and_wide()) == "u1r"
    resized = narrow_and_wide(("resized", Resize(None, (2.0, 2.0), (2, 3), "linear"), "classes"))
    assert chosen(resized) == "u1r"
    assert chosen(narrow_and_wide(("p", Softmax(), "classes"))) == "u1r"


def test_class_maps_that_are_resized_are_answers_also_where_probabilities_are_explained():
    net = narrow_and_wide(("resized", Resize(None, (2.0, 2.0), (2, 3), "linear"), "classes"),
                          ("p", Softmax(), "resized"))
    assert ng.default_layer(net, FIRST, "p") == "u1r"


def test_dense_blocks_and_branches_have_their_last_concat_or_what_follows_it():
    dense = [("stem", conv(R, 4, 3, **SAME), "input"), ("n1", norm(R, 4), "stem"), ("r1", ReLU(), "n1"),
             ("c1", conv(R, 2, 4, **SAME), "r1"), ("k1", Concat(), "stem c1"), ("c2", conv(R, 2, 6, **SAME), "k1"),
             ("k2", Concat(), "k1 c2")]
    assert chosen(graph(*dense, *head("k2", 8))) == "k2"
    assert chosen(graph(*dense, ("n2", norm(R, 8), "k2"), ("r2", ReLU(), "n2"), *head("r2", 8))) == "r2"


@pytest.mark.parametrize("after", [True, False])
def test_a_residual_net_has_its_last_sum(after):
    body = [("stem", conv(R, 4, 3, **SAME), "input"), ("r0", ReLU(), "stem"), ("c1", conv(R, 4, 4, **SAME), "r0"),
            ("a1", Add(), "c1 r0"), ("r1", ReLU(), "a1"), ("c2", conv(R, 4, 4, **SAME), "r1"), ("a2", Add(), "c2 r1")]
    last = [("r2", ReLU(), "a2")] if after else []
    assert chosen(graph(*body, *last, *head("r2" if after else "a2", 4))) == ("r2" if after else "a2")


def test_a_group_norm_that_reshapes_in_the_middle_loses_no_maps():
    net = graph(("conv", conv(R, 4, 3, **SAME), "input"), ("groups", Reshape((0, 2, -1)), "conv"),
                ("normal", InstanceNorm(np.ones(2), np.zeros(2)), "groups"), ("back", Reshape((1, 4, 8, 12)), "normal"),
                ("scaled", Mul(R.standard_normal((4, 1, 1))), "back"), ("relu", ReLU(), "scaled"),
                ("conv2", conv(R, 6, 4, **SAME), "relu"), ("relu2", ReLU(), "conv2"),
                ("avg", AvgPool2d((2, 2), (2, 2)), "relu2"), *head("avg", 6))
    assert chosen(net) == "relu2"


def test_without_maps_the_error_says_so():
    net = sequence(("flat", Flatten()), ("fc", linear(R, 5, 288)), ("relu", ReLU()))
    with pytest.raises(UnknownLayerError, match="none"):
        ng.grad_cam(net, np.ones(FIRST))
    with pytest.raises(ShapeError, match="2"):
        ng.grad_cam(sequence(("fc", linear(R, 5, 7))), np.ones((2, 7)), layer="fc")


def test_a_mean_over_channels_and_rows_is_no_cam_head():
    net = sequence(("conv", conv(R, 6, 3, **SAME)), ("relu", ReLU()), ("mean", ReduceMean((1, 2), False)),
                   ("fc", MatMul(None, R.standard_normal((6, 5)))))
    with pytest.raises(NpGradcamError, match="pooling"):
        ng.cam(net, R.standard_normal((1, 3, 6, 6)))
