"""Two photographs that are compared, a photograph and a vector: what is said of one input holds for each of several."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_nets import conv, linear

import npgradcam as ng
from npgradcam import layers, rules
from npgradcam.cli import main, warmup
from npgradcam.layers import Add, Cast, Concat, Flatten, GlobalAvgPool2d, HardSwish, ReLU
from npgradcam.network import Network, Node
from npgradcam.testing import check_completeness

NUMPY = ("--backend", "numpy")


def compared(dtype="float64", declared=None):
    """Two pictures, each by a convolution of its own."""
    random = np.random.default_rng(0)
    return Network((
        Node("left_conv", conv(random, 4, 3), ("left",)), Node("left_relu", ReLU(), ("left_conv",)),
        Node("right_conv", conv(random, 4, 3), ("right",)), Node("right_relu", ReLU(), ("right_conv",)),
        Node("add", Add(), ("left_relu", "right_relu")), Node("pool", GlobalAvgPool2d(), ("add",)),
        Node("flat", Flatten(), ("pool",)), Node("fc", linear(random, 3, 4), ("flat",)),
    ), ("left", "right"), dtype=dtype, declared=declared or {})


def described(inputs=("image", "meta"), dtype="float64", between=ReLU, whole=False):
    """A picture, and 5 numbers about it."""
    random = np.random.default_rng(0)
    return Network((
        Node("conv", conv(random, 4, 3), ("image",)), Node("relu", ReLU(), ("conv",)),
        Node("pool", GlobalAvgPool2d(), ("relu",)), Node("flat", Flatten(), ("pool",)),
        Node("real", Cast(dtype), ("meta",)), Node("hidden", linear(random, 6, 5), ("real",)),
        Node("between", between(), ("hidden",)), Node("both", Concat(1), ("flat", "between")),
        Node("fc", linear(random, 3, 10), ("both",)),
    ), inputs, dtype=dtype, whole=frozenset({"meta"} if whole else ()),
        declared={"image": (None, 3, 8, 9), "meta": (None, 5)})


def drawn(network, images=2, size=(8, 9), seed=0):
    random = np.random.default_rng(seed)
    shapes = {"meta": (images, 5)} | dict.fromkeys(("left", "right", "image"), (images, 3, *size))
    return {name: random.standard_normal(shapes[name]).astype(network.dtype) for name in network.inputs}


NETWORKS = {"two pictures": compared(), "picture, vector": described(), "vector, picture": described(("meta", "image"))}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_every_identity_holds_of_several_inputs(network):
    v = ng.verify(network, drawn(network))
    assert v.ok, v
    assert "along 6 directions" in v["finite differences"].about  # three for each input
    assert v["one rule if positive"].verdict == v["batch"].verdict == v["completeness"].verdict == "ok"
    assert "Guided Grad-CAM" in v.randomised.correlations  # of the picture, wherever it stands


def test_a_network_as_it_is_run_agrees_with_the_layers_as_drawn():
    network = described(dtype="float32")
    model = ng.Model("two", Network(network.nodes, network.inputs, declared=network.declared,
                                    rewrite=ng.rewrites.optimise, choose=ng.rewrites.choose))
    v = ng.verify(model, randomise=False)  # of seeded noise
    assert v.ok, v
    assert 0 < v["plan: logits"].figure <= 1e-4


@pytest.mark.parametrize("inputs", [("image", "meta"), ("meta", "image")])
def test_a_wrong_derivative_of_one_input_alone_is_found(inputs, monkeypatch):
    network = described(inputs, between=HardSwish)
    assert ng.verify(network, drawn(network), randomise=False).ok
    right = layers.HardSwish.backward
    monkeypatch.setattr(layers.HardSwish, "backward", lambda *given: (1.001 * right(*given)[0],))
    assert ng.verify(network, drawn(network), randomise=False).failed == ("finite differences",)


@pytest.mark.parametrize("inputs", [("image", "meta"), ("meta", "image")])
def test_whole_numbers_beside_a_picture_stay_what_they_are(inputs):
    network = described(inputs, whole=True)
    assert network.sources("fc") == ("image",)
    v = ng.verify(network, drawn(network) | {"meta": np.arange(10).reshape(2, 5)}, randomise=False)
    assert v.ok, v
    assert "along 3 directions" in v["finite differences"].about
    assert ng.verify(ng.Model("noise", network), randomise=False).ok


def test_a_network_of_whole_numbers_alone_has_nothing_to_verify():
    nodes = Node("real", Cast("float64"), ("n",)), Node("fc", linear(np.random.default_rng(0), 3, 5), ("real",))
    network = Network(nodes, ("n",), dtype="float64", whole=frozenset({"n"}))
    with pytest.raises(ng.errors.NpGradcamError, match="derivative, got whole numbers alone or none that leads there"):
        ng.verify(network, np.ones((1, 5), int), layer="fc")


def test_a_single_number_beside_the_pictures_is_refused_in_one_sentence():
    scaled = Network((Node("scaled", Add(), ("image", "shift")), Node("relu", ReLU(), ("scaled",)),
                      Node("pool", GlobalAvgPool2d(), ("relu",)), Node("flat", Flatten(), ("pool",))),
                     ("image", "shift"), dtype="float64", declared={"image": (None, 3, 8, 9), "shift": ()})
    with pytest.raises(ng.errors.NpGradcamError, match="expected the images on axis 0 of each input, got a single num"):
        ng.verify(ng.Model("scaled", scaled))


@given(seed=st.integers(0, 99), size=st.tuples(st.integers(3, 9), st.integers(3, 9)), images=st.integers(1, 3))
def test_parts_of_several_inputs_add_up_to_the_score(seed, size, images):
    for network in (compared(), described(("meta", "image"))):
        wide = Network(network.nodes, network.inputs, dtype="float64")  # of pictures of any size
        assert check_completeness(wide, drawn(wide, images, size, seed)) <= 1e-12


@pytest.mark.parametrize(("declared", "layout", "size", "shapes"), [
    ({"a": (None, 3, 8, 9), "b": (None, 5)}, "NCHW", None, {"a": (1, 3, 8, 9), "b": (1, 5)}),
    ({"a": (None, 5), "b": (None, 3, 8, 9)}, "NCHW", None, {"a": (1, 5), "b": (1, 3, 8, 9)}),
    ({"a": (None, None, None, 1), "b": (4, 2)}, "NHWC", None, {"a": (1, 224, 224, 1), "b": (4, 2)}),
    ({"a": (None, 3, None, 40), "b": (None, 1, None, None)}, "NCHW", None, {"a": (1, 3, 40, 40), "b": (1, 1, 40, 40)}),
    ({"a": (None, 3, None, None), "b": (None, None, 2)}, "NCHW", (7, 9), {"a": (1, 3, 7, 9), "b": (1, 1, 2)}),
    ({"a": (), "b": (None, 3, 8, 9)}, "NCHW", None, {"a": (), "b": (1, 3, 8, 9)}),
    ({}, "NCHW", None, {"a": (1, 3, 224, 224), "b": (1, 3, 224, 224)}),
])
def test_inputs_are_as_large_as_the_file_says_and_as_usual_where_it_is_silent(declared, layout, size, shapes):
    network = Network((Node("add", Add(), ("a", "b")),), ("a", "b"), declared=declared, whole=frozenset({"b"}))
    model = ng.Model("odd", network, layout=layout)
    assert model.input_shapes(size) == shapes
    noise = model.noise(size)
    assert {name: x.shape for name, x in noise.items()} == shapes
    assert all(isinstance(x, np.ndarray) for x in noise.values())  # a single number as well
    assert noise["a"].dtype == "float32"
    assert noise["b"].dtype.kind == "i"
    assert not noise["b"].any()


# ---------------------------------------------------------------- the command line


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command line in a folder with two.onnx; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    exported("two.onnx")

    def run(*arguments):
        code = main([*map(str, arguments), *NUMPY])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    return run


def exported(path, inputs=("image", "meta")):
    """Write an ONNX file of a picture and a vector."""
    pytest.importorskip("onnx")
    import onnx
    from onnx_graphs import model, n, numbers

    shapes = {"image": (None, 3, 16, 16), "meta": (None, 5)}
    onnx.save(model(
        n("Conv", "image w", "a", name="conv"), n("Relu", "a", "r", name="relu"), n("GlobalAveragePool", "r", "p"),
        n("Flatten", "p", "f"), n("Concat", "f meta", "c", axis=1), n("Gemm", "c W B", "y", name="fc"),
        inputs={name: shapes[name] for name in inputs}, w=numbers(4, 3, 3, 3), W=numbers(9, 2), B=numbers(2),
    ), path)


def test_layers_prints_each_input(run):
    code, out, err = run("layers", "--model", "two.onnx")
    assert (code, err) == (0, "")
    assert out.startswith("two, input image 1 x 3 x 16 x 16, meta 1 x 5 (NCHW)\n")
    assert any(line.startswith("relu ") and line.endswith("<- default") for line in out.splitlines())
    told = json.loads(run("layers", "--model", "two.onnx", "--json")[1])
    assert told["inputs"] == {"image": [1, 3, 16, 16], "meta": [1, 5]}


@pytest.mark.parametrize("inputs", [("image", "meta"), ("meta", "image")])
def test_profile_goes_back_to_each_input(run, inputs, monkeypatch):
    exported("two.onnx", inputs)
    seen, backward = [], Network.backward
    monkeypatch.setattr(Network, "backward", lambda self, tape, seed, down_to, rule: (
        seen.append(down_to), backward(self, tape, seed, down_to, rule))[1])
    code, out, _ = run("profile", "two.onnx", "--back", "--rounds", 1, "--json")
    assert code == 0
    assert {layer["name"] for layer in json.loads(out)["layers"]} >= {"relu", "fc"}
    assert set(seen) == {inputs}


def test_profile_of_what_has_no_plan_says_so(run):
    import onnx
    from onnx_graphs import model, n, numbers

    onnx.save(model(n("Conv", "image w", "a"), n("GlobalAveragePool", "a", "p"), n("Flatten", "p", "f"),
                    n("Gather", "table ids", "g"), n("Add", "f g", "y"),
                    inputs={"ids": (None,), "image": (None, 3, 8, 8)}, types={"ids": "i"},
                    w=numbers(4, 3, 3, 3), table=numbers(7, 4)), "ids.onnx")
    code, out, err = run("profile", "ids.onnx", "--rounds", 1)
    assert (code, out) == (2, "")
    assert "no plan is made beforehand whose layers could be timed" in err


def test_warmup_brings_the_score_back_to_each_input(run, monkeypatch):
    asked = []
    monkeypatch.setattr(warmup, "backprop", lambda *given, input: asked.append((input, given[-1])))
    code, _, err = run("warmup", "--model", "two.onnx")
    assert code == 0
    assert "explaining a blank picture, image 1 x 3 x 16 x 16, meta 1 x 5, by two, every method" in err
    assert asked == [("meta", rule) for rule in rules.RULES]  # the first input's is every method's


def test_verify_takes_an_array_for_each_input_from_one_file(run):
    random = np.random.default_rng(0)
    x = {"image": random.standard_normal((2, 3, 16, 16)), "meta": random.standard_normal((2, 5))}
    np.savez("x.npz", **x)
    for options in ((), ("x.npz", "--layer", "relu", "--class", 1)):
        code, out, _ = run("verify", "two.onnx", *options, "--no-randomise")
        assert code == 0
        assert out.startswith("two, layer relu, class ")
        assert "of 2 images together" in out


@pytest.mark.parametrize(("name", "arrays", "said"), [
    ("x.npz", {"image": np.ones((1, 3, 16, 16))}, "x.npz: expected the arrays image, meta, got image"),
    ("x.npz", {"image": np.ones((1, 3, 16, 16)), "meta": np.full((1, 5), np.nan)}, "x.npz, meta: expected finite"),
    ("x.npz", {"image": np.ones((1, 3, 16, 16)), "meta": np.ones((1, 4))}, "input 'meta': expected shape (any, 5)"),
    ("x.npz", {"image": np.ones((1, 3, 16, 16)), "meta": np.ones((1, 5), int)}, "'meta': expected a float32 array"),
    ("x.npy", None, "this network has 2 inputs; expected an .npz file with an array for each, image, meta"),
    ("none.npz", None, "there is no such file"),
])
def test_what_does_not_fit_several_inputs_is_one_sentence(run, name, arrays, said):
    if arrays:
        np.savez(name, **arrays)
    code, out, err = run("verify", "two.onnx", name, "--no-randomise")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("error:") == 1


def test_labels_fit_a_network_of_several_inputs(run, tmp_path):
    (tmp_path / "labels.txt").write_text("same\nother\n")
    assert ng.load("two.onnx", labels="labels.txt").label(1) == "other"
    (tmp_path / "labels.txt").write_text("same\nother\nthird\n")
    with pytest.raises(ng.errors.ModelFormatError, match="expected 2, one line for each class, got 3"):
        ng.load("two.onnx", labels="labels.txt")
    assert run("verify", "two.onnx", "--class", 2)[0] == 2


@pytest.mark.parametrize("command", ["explain", "predict", "study"])
def test_a_command_about_a_photograph_takes_no_network_of_two_inputs(run, command):
    code, out, err = run(command, "--sample", "two_shapes", "--model", "two.onnx")
    assert (code, out) == (3, "")
    assert "2 inputs (image, meta), the command line has one picture; use Python and give a dict" in err


def test_channels_may_come_last_in_a_second_input(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx_graphs import model, n, numbers

    made = model(n("Transpose", "image", "t", perm=[0, 3, 1, 2]), n("Conv", "t w", "a"),
                 n("GlobalAveragePool", "a", "p"), n("Flatten", "p", "f"), n("Concat", "f meta", "y", axis=1),
                 inputs={"meta": (None, 5), "image": (None, None, None, 3)}, w=numbers(4, 3, 3, 3))
    onnx.save(made, tmp_path / "last.onnx")
    net = ng.load(tmp_path / "last.onnx")
    assert net.layout == "NHWC"
    assert net.input_shapes((6, 7)) == {"meta": (1, 5), "image": (1, 6, 7, 3)}
