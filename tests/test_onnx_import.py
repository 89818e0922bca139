"""What a reader of ONNX files finds in the network: names, numbers, inputs and outputs, and one error for all gaps."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

import onnx
from onnx import TensorProto, helper
from onnx_graphs import answers, load, model, n, network, numbers, whole
from small_nets import relative

import npgradcam as ng
from npgradcam.errors import ModelFormatError, ShapeError, UnknownLayerError, UnsupportedOperatorError
from npgradcam.images import preset
from npgradcam.layers import BatchNorm, Constant, Conv2d, Identity, Linear, OneAxis

X = numbers(2, 3, 6, 7, seed=1).astype(np.float64)
K, B, V, A = (numbers(*shape, seed=2) / 3 for shape in ((4, 3, 3, 3), (4,), (5, 4), (5,)))
WEIGHTS = {"K": K, "B": B, "V": V, "A": A}
CONV, RELU = n("Conv", "x K B", "c", name="/features/conv", pads=[1] * 4), n("Relu", "c", "r", name="/features/relu")
HEAD = (n("GlobalAveragePool", "r", "p"), n("Flatten", "p", "f"), n("Gemm", "f V A", "y", name="/head", transB=1))


def gap(*tail, **settings):
    """A convolution, a rectifier, pooling and a linear layer; more nodes may follow."""
    return model(CONV, RELU, *HEAD, *tail, **WEIGHTS, **settings)


def features(x=X, weight=K, bias=B):
    """The convolution's output, in the words of NumPy."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    return np.einsum("ncijuv,ocuv->noij", windows, weight) + bias[:, None, None]


def logits(x=X):
    return np.maximum(features(x), 0).mean((2, 3)) @ V.T.astype(np.float64) + A


# names


def test_layers_go_by_the_names_of_their_nodes_and_of_what_they_make():
    net = network(gap())
    assert [node.name for node in net.nodes] == ["/features/conv", "/features/relu", "p", "f", "/head"]
    for tensor, node in {"c": "/features/conv", "r": "/features/relu", "y": "/head"}.items():
        assert net[tensor] is net[node]
    x = ng.grad_cam(net, X, target=0, layer="r")
    y = ng.grad_cam(net, X, target=0, layer="/features/relu")
    assert x.layer == y.layer == "/features/relu"
    np.testing.assert_array_equal(x.cam, y.cam)
    assert relative(net(X), logits()) < 1e-6


@pytest.mark.parametrize(("asked", "near"), [("/features/rleu", "/features/relu"), ("/hed", "/head")])
def test_an_unknown_name_is_an_error_with_close_matches(asked, near):
    with pytest.raises(UnknownLayerError, match=f"{asked}.*{near}"):
        ng.grad_cam(network(gap()), X, layer=asked)


def test_an_input_is_no_layer_and_says_so():
    with pytest.raises(UnknownLayerError, match="input"):
        network(gap())["x"]


def test_a_node_that_is_named_like_the_tensor_of_another_does_not_take_its_name():
    net = network(model(n("Relu", "x", "a", name="b"), n("Neg", "a", "b", name="a"), outputs="b"))
    np.testing.assert_array_equal(net(X), -np.maximum(X, 0))
    tape = net.forward(X, observe=("a", "b"))
    np.testing.assert_array_equal(tape.activation("a"), np.maximum(X, 0))  # the tensor has the name
    np.testing.assert_array_equal(tape.activation("b"), -np.maximum(X, 0))
    assert len({node.name for node in net.nodes}) == 2


def test_two_nodes_of_one_name_and_a_node_named_like_the_input_stay_apart():
    net = network(model(n("Relu", "x", "a", name="same"), n("Neg", "a", "b", name="same"), n("Neg", "b", name="x")))
    np.testing.assert_array_equal(net(X), np.maximum(X, 0))
    np.testing.assert_array_equal(net.forward(X, observe="b").activation("b"), -np.maximum(X, 0))
    assert [node.name for node in net.nodes][:2] == ["same", "same#2"]


def test_what_no_output_needs_is_left_out():
    made = model(CONV, RELU, n("Neg", "r", "unused"), *HEAD, **WEIGHTS, spare=numbers(3))
    assert [node.name for node in network(made).nodes] == [node.name for node in network(gap()).nodes]
    with pytest.raises(UnknownLayerError):
        network(made)["unused"]


# constants


def test_what_is_made_of_constants_is_computed_once_and_in_the_precision_of_the_network():
    nodes = (n("Sqrt", "two", "root"), n("Div", "K root", "k"), n("Conv", "x k B", "y", pads=[1] * 4))
    made = model(*nodes, K=K, B=B, two=np.float32(2).reshape(()))
    for dtype, tolerance in [("float64", 1e-15), ("float32", 1e-6)]:
        net = network(made, dtype)
        assert [node.name for node in net.nodes] == ["y"]
        assert net.nodes[0].layer.weight.dtype == dtype
        wanted = features(weight=K.astype(np.float64) / np.sqrt(2.0))
        assert relative(answers(net, X.astype(dtype)), wanted) < tolerance


def test_a_constant_that_a_layer_needs_as_an_input_becomes_a_node():
    ones = np.ones((1, 1, 6, 7), np.float32)
    net = network(model(n("Concat", "x ones", axis=1), ones=ones, inputs={"x": (1, 3, 6, 7)}))
    found = net(X[:1])
    np.testing.assert_array_equal(found[:, 3], np.ones((1, 6, 7)))
    assert isinstance(net["ones"].layer, Constant)
    signal = net.backward(net.forward(X[:1], observe="x"), np.ones_like(found), "x")
    np.testing.assert_array_equal(signal, np.ones_like(X[:1]))


PAIR, HALF = helper.make_tensor("v", 1, [2], [1.5, 2]), helper.make_tensor("v", 1, [1], [1.5])
CONSTANTS = {
    "value": n("Constant", "", "v", value=PAIR),
    "value_floats": n("Constant", "", "v", value_floats=[1.5, 2.0]),
    "ConstantOfShape": n("ConstantOfShape", "two", "v", value=HALF),
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_constants_of_every_kind(kind):
    made = model(CONSTANTS[kind], n("Add", "x v"), inputs={"x": ("N", 2)}, two=whole(2))
    x = numbers(3, 2).astype(np.float64)
    np.testing.assert_array_equal(network(made)(x), x + ([1.5, 1.5] if kind == "ConstantOfShape" else [1.5, 2]))


def test_single_constants():
    made = model(n("Constant", "", "f", value_float=0.5), n("Constant", "", "i", value_ints=[0, -1]),
                 n("Mul", "x f", "m"), n("Reshape", "m i"), inputs={"x": ("N", 2, 3)})
    x = numbers(4, 2, 3).astype(np.float64)
    np.testing.assert_array_equal(network(made)(x), x.reshape(4, 6) / 2)


def test_a_constant_of_texts_is_refused():
    with pytest.raises(UnsupportedOperatorError, match="value_string"):
        network(model(n("Constant", "", "v", value_string="a"), n("Add", "x v")))


def test_a_constant_may_be_an_output_itself():
    net = network(model(n("Relu", "x", "y"), n("Constant", "", "c", value_floats=[1.0]), outputs="y c"))
    np.testing.assert_array_equal(net.forward(X, output="c").logits, [1.0])


def test_an_output_may_be_an_input_itself():
    net = network(model(n("Relu", "x", "y"), outputs="x y"))
    np.testing.assert_array_equal(answers(net, X), X)
    assert isinstance(net[net.outputs[0]].layer, Identity)


# numbers of other types


def typed(name, kind, array, **fields):
    made = onnx.TensorProto(name=name, data_type=kind, dims=array.shape)
    for field, numbers_ in fields.items():
        getattr(made, field).extend(numbers_)
    return made


def weights_of(kind):
    """The convolution's weights as a file may keep them, rounded as the type rounds."""
    half, flat = K.astype(np.float16), K.reshape(-1)
    short = (K.view(np.uint32) >> 16).astype(np.uint16)
    wide = (short.astype(np.uint32) << 16).view(np.float32).reshape(K.shape)
    raw = onnx.TensorProto(name="K", data_type=TensorProto.BFLOAT16, dims=K.shape, raw_data=short.tobytes())
    return {
        "raw": (K, K),
        "float_data": (typed("K", TensorProto.FLOAT, K, float_data=flat.tolist()), K),
        "double_data": (typed("K", TensorProto.DOUBLE, K, double_data=flat.tolist()), K),
        "half": (half, half.astype(np.float32)),
        "half in int32_data": (typed("K", TensorProto.FLOAT16, K, int32_data=half.view(np.uint16).reshape(-1).tolist()),
                               half.astype(np.float32)),
        "bfloat16": (raw, wide),
        "bfloat16 in int32_data": (typed("K", TensorProto.BFLOAT16, K, int32_data=short.reshape(-1).tolist()), wide),
    }[kind]


@pytest.mark.parametrize("kind", ["raw", "float_data", "double_data", "half", "half in int32_data", "bfloat16",
                                  "bfloat16 in int32_data"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_of_every_type_are_computed_in_the_precision_of_the_network(kind, dtype):
    held, weight = weights_of(kind)
    bias = B.astype(np.float16) if "half" in kind else B
    net = network(model(n("Conv", "x K B", pads=[1] * 4), K=held, B=bias), dtype)
    layer = net.nodes[0].layer
    assert layer.weight.dtype == layer.bias.dtype == dtype
    np.testing.assert_array_equal(layer.weight, weight)
    y = net(X.astype(dtype))
    assert y.dtype == dtype
    assert relative(y, features(weight=weight, bias=bias.astype(np.float32))) < (1e-14 if dtype == "float64" else 1e-5)


def test_a_file_in_half_precision_throughout_takes_pictures_in_float32():
    made = model(n("Cast", "x", "h", to=TensorProto.FLOAT16), n("Conv", "h K B", "c", pads=[1] * 4),
                 n("Cast", "c", "y", to=TensorProto.FLOAT), K=K.astype(np.float16), B=B.astype(np.float16),
                 types={"x": TensorProto.FLOAT16})
    y = network(made, "float32")(X.astype(np.float32))
    assert y.dtype == np.float32
    wanted = features(weight=K.astype(np.float16).astype(float), bias=B.astype(np.float16).astype(float))
    assert relative(y, wanted) < 1e-5  # not the 1e-3 of half precision


def test_indices_may_be_int32_data():
    index = typed("i", TensorProto.INT32, np.zeros(2), int32_data=[2, -3])
    np.testing.assert_array_equal(network(model(n("Gather", "x i", axis=1), i=index))(X), X[:, [2, 0]])


def test_pixels_may_arrive_as_whole_numbers():
    made = model(n("Cast", "x", "f", to=1), n("Mul", "f s"), s=np.float32(0.5), types={"x": TensorProto.UINT8})
    pixels = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(answers(network(made), pixels), pixels / 2)
    with pytest.raises(ShapeError, match="whole numbers"):
        network(made)(pixels.astype(np.float64))


# what there is no layer for


def test_all_operators_without_a_layer_are_listed_at_once_with_their_nodes():
    made = model(n("Loop", "x", "a", name="first"), n("Split", "a", "b e"), n("Einsum", "x", "c", equation="ij"),
                 n("Relu", "x", "d"), n("Strange", "d", "y", name="third", domain="far.away"), domains=("far.away",))
    with pytest.raises(UnsupportedOperatorError) as caught:
        network(made)
    text = str(caught.value)
    assert "3 of 5 nodes" in text
    assert all(part in text for part in ("Loop 'first'", "Einsum 'c'", "Strange 'third'", "far.away"))
    assert "Relu" not in text
    assert "Split" not in text  # that its input has no layer is not its fault
    assert "\n" not in text


def test_a_long_list_of_gaps_names_every_node_and_not_every_reason():
    made = model(*(n("Einsum", "x", f"y{i}") for i in range(50)), outputs="y0")
    with pytest.raises(UnsupportedOperatorError, match=r"50 of 50 nodes have no layer") as caught:
        network(made)
    assert all(f"Einsum 'y{i}'" in str(caught.value) for i in range(50))
    assert str(caught.value).count("no such layer") == 20


def test_a_quantised_graph_is_refused_in_one_sentence():
    made = model(n("QuantizeLinear", "x s z", "q"), n("DequantizeLinear", "q s z", "d"), n("Einsum", "d", "y"),
                 s=np.float32(0.1), z=np.uint8(3))
    with pytest.raises(UnsupportedOperatorError, match="quantised integers") as caught:
        network(made)
    assert "DequantizeLinear, QuantizeLinear" in str(caught.value)
    assert "Einsum" not in str(caught.value)
    assert "\n" not in str(caught.value)


PARAMETERS = {
    "Conv": n("Conv", "x k", "y"), "BatchNormalization": n("BatchNormalization", "x s s s s"),
    "PRelu": n("PRelu", "x x"), "LayerNormalization": n("LayerNormalization", "x s"),
}


@pytest.mark.parametrize("kind", PARAMETERS)
def test_parameters_that_are_computed_from_the_picture_are_refused(kind):
    made = model(n("Relu", "x", "k"), n("ReduceMean", "x", "s", axes=[0, 2, 3], keepdims=0), n("Relu", "x", "r"),
                 PARAMETERS[kind] if kind != "PRelu" else n("PRelu", "x r"), inputs={"x": (3, 3, 3, 3)})
    with pytest.raises(UnsupportedOperatorError, match=f"{kind}.*computed from the picture"):
        network(made)


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose", "MaxPool", "AveragePool"])
def test_windows_over_three_axes_are_refused(kind):
    weights = {"k": numbers(3, 3, 2, 2, 2)} if "Conv" in kind else {}
    node = n(kind, "x k" if weights else "x", **({} if weights else {"kernel_shape": [2, 2, 2]}))
    with pytest.raises(UnsupportedOperatorError, match=f"{kind}.*3 axes"):
        network(model(node, inputs={"x": ("N", 3, 5, 5, 5)}, **weights))


def test_a_convolution_over_one_axis_is_a_layer_over_one_axis():
    weight = numbers(4, 3, 3)
    net = network(model(n("Conv", "x k", strides=[2], pads=[1, 0]), k=weight, inputs={"x": ("N", 3, "L")}))
    x = numbers(2, 3, 9).astype(np.float64)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 0)))
    wanted = np.stack([np.einsum("ncv,ocv->no", padded[:, :, i : i + 3], weight) for i in range(0, 8, 2)], axis=2)
    assert isinstance(net.nodes[0].layer, OneAxis)
    assert relative(net(x), wanted) < 1e-12


def test_functions_of_the_files_own_become_their_nodes():
    twice = helper.make_function("own", "Twice", ["a"], ["b"], [n("Add", "a a", "s"), n("Relu", "s", "b")],
                                 [helper.make_opsetid("", 17)])
    net = network(model(n("Twice", "x", "t", domain="own"), n("Twice", "t", "y", domain="own"), functions=[twice],
                        domains=("own",)))
    np.testing.assert_array_equal(net(X), 4 * np.maximum(X, 0))
    assert len(net.nodes) == 4
    inner = helper.make_function("own", "Odd", ["a"], ["b"], [n("Einsum", "a", "b")], [helper.make_opsetid("", 17)])
    with pytest.raises(UnsupportedOperatorError, match="Einsum"):
        network(model(n("Odd", "x", "y", domain="own"), functions=[inner], domains=("own",)))


# inputs and outputs


def test_several_inputs_and_outputs_go_by_name():
    shapes = {"x": ("N", 3, 6, 7), "other": ("N", 4, 6, 7)}
    made = model(CONV, n("Add", "c other", "r"), *HEAD, outputs="y r", inputs=shapes, **WEIGHTS)
    net, other = network(made), numbers(2, 4, 6, 7).astype(np.float64)
    assert net.inputs == ("x", "other")
    tape = net.forward({"x": X, "other": other}, output="r")
    assert relative(tape.logits, features() + other) < 1e-12
    e = ng.grad_cam(net, {"x": X, "other": other}, target=1, layer="c")
    assert e.cam.shape == (2, 6, 7)
    b = ng.backprop(net, {"x": X, "other": other}, target=1, input="other")
    assert relative(b.signal, np.broadcast_to(V[1][:, None, None] / np.float64(42), (2, 4, 6, 7))) < 1e-12
    with pytest.raises(ShapeError, match=r"x, other.*got x"):
        net(X)


def test_an_initializer_that_is_declared_as_an_input_is_a_weight():
    net = network(model(CONV, RELU, *HEAD, inputs={"x": ("N", 3, 6, 7), "K": (4, 3, 3, 3)}, **WEIGHTS))
    assert net.inputs == ("x",)


def test_a_file_for_one_image_says_so_when_two_come():
    net = network(gap(inputs={"x": (1, 3, 6, 7)}))
    assert net(X[:1]).shape == (1, 5)
    with pytest.raises(ShapeError, match=r"'x'.*\(1, 3, 6, 7\).*\(2, 3, 6, 7\).*exported for that batch only"):
        net(X)
    with pytest.raises(ShapeError, match=r"\(1, 3, 6, 7\), got \(1, 3, 6, 8\)$"):
        net(numbers(1, 3, 6, 8).astype(np.float64))


# metadata


def test_metadata_bring_preprocessing_and_labels(tmp_path):
    made = preset("imagenet", (6, 7))
    names = ["cat, tabby", "dog", "cup", "tree", "car"]
    metadata = {"npgradcam.preprocess": json.dumps(made.as_dict()), "npgradcam.labels": json.dumps(names)}
    net = load(gap(metadata=metadata), tmp_path)
    assert (net.preprocessing, net.size, net.name) == (made, (6, 7), "model")
    assert ng.grad_cam(net, X, target="tabby").target.tolist() == [0, 0]
    photograph = (np.arange(40 * 50 * 3) % 251).astype(np.uint8).reshape(40, 50, 3)
    assert net.preprocess(photograph).shape == (1, 3, 6, 7)
    x = net.preprocess(photograph)
    assert {p.label for p in net.predict(x)[0]} == {"cat", "dog", "cup", "tree", "car"}


UNFIT = [(["a", "b"], "expected 5, .*got 2"), ({"0": "a"}, "list"), ([1] * 5, "text")]


@pytest.mark.parametrize(("labels", "match"), UNFIT)
def test_labels_that_do_not_fit_are_refused(tmp_path, labels, match):
    made = gap(metadata={"npgradcam.labels": json.dumps(labels)}, inputs={"x": ("N", 3, 6, 7)})
    with pytest.raises(ModelFormatError, match=match):
        load(made, tmp_path)


@pytest.mark.parametrize("record", ["{", "[]", "null", '{"size": -1}', '"imagenet"', "1e999", "[" * 100_000])
def test_preprocessing_that_makes_no_sense_is_refused(tmp_path, record):
    made = gap(metadata={"npgradcam.preprocess": record})
    if record == "null":
        assert load(made, tmp_path).preprocessing is None
        return
    with pytest.raises(ModelFormatError, match=r"npgradcam\.preprocess") as caught:
        load(made, tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_without_preprocessing_a_photograph_is_an_error_that_names_the_presets(tmp_path):
    net = load(gap(), tmp_path)
    with pytest.raises(ng.NpGradcamError, match=r"preprocess=.*imagenet"):
        net.preprocess(np.zeros((9, 9, 3), np.uint8))
    told = load(gap(inputs={"x": ("N", 3, 6, 7)}), tmp_path, preprocess="imagenet")
    assert told.preprocess(np.zeros((9, 9, 3), np.uint8)).shape == (1, 3, 6, 7)


def test_layers_know_their_parameters():
    net = network(gap())
    assert isinstance(net["/features/conv"].layer, Conv2d)
    assert isinstance(net["/head"].layer, Linear)
    assert net.parameter_count == K.size + B.size + V.size + A.size
    norm = network(model(n("BatchNormalization", "x B B B B"), B=np.abs(B[:3]))).nodes[0].layer
    assert isinstance(norm, BatchNorm)
