"""A saved model comes back bit by bit, whatever layers it has; a file that is anything else is refused."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_nets import gap_net, pictures, reference_net, two_headed_net

import npgradcam as ng
from npgradcam.errors import ModelFormatError
from npgradcam.formats import read_npz, write_npz
from npgradcam.formats.settings import KINDS, decode, decode_layer, encode
from npgradcam.images import preset
from npgradcam.layers import Clip, Computed, Conv2d, Layer, OneAxis, ReLU, Reshape
from npgradcam.models import Labels, Model, random_weights
from npgradcam.network import Network, Node
from npgradcam.testing.strategies.cases import layers

LAYERS = layers()


def same(a, b):
    """Whether two layers, or what they hold, are of one type and one value, to the last bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, Layer):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


def round_trip(folder, net, dtype="float64"):
    ng.save(net, folder / "model.npz")
    return ng.load(folder / "model.npz", dtype=dtype, optimise=False)


def same_networks(a, b):
    return [(n.name, n.inputs) for n in a.nodes] == [(n.name, n.inputs) for n in b.nodes] and all(
        same(m.layer, n.layer) for m, n in zip(a.nodes, b.nodes, strict=True))


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("kind", LAYERS)
@given(data=st.data())
def test_every_layer_travels_bit_by_bit(kind, data):
    layer = data.draw(LAYERS[kind]).layer
    arrays = {}
    text = json.dumps(encode(layer, "0", arrays), allow_nan=False)
    assert same(decode_layer(json.loads(text), arrays), layer)


def test_every_kind_of_layer_is_known_by_its_name_and_the_types_of_its_fields():
    assert {type(case) for case in KINDS.values()} == {type}
    assert all(is_dataclass(kind) for kind in KINDS.values())
    assert {"Conv2d", "OneAxis", "Reshape", "Constant", "Mul"} <= set(KINDS)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), -0.0, 1e-310, 0.1, 3])
def test_every_float_travels(value):
    record = json.loads(json.dumps(encode(value, "x", {}), allow_nan=False))
    got = decode(record, float, {})
    assert np.float64(got).tobytes() == np.float64(value).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [gap_net, reference_net])
def test_a_network_computes_the_same_bits(tmp_path, make, dtype):
    net = make(dtype=dtype)
    again = round_trip(tmp_path, net, dtype)
    assert same_networks(net, again.network)
    x = pictures(2, 9, 11, dtype=dtype)
    e, f = ng.grad_cam(net, x), ng.grad_cam(again, x)
    assert e.layer == f.layer
    for part in ("logits", "alpha", "signed_cam"):
        np.testing.assert_array_equal(getattr(e, part), getattr(f, part))
    assert again.name == "model"
    assert (again.preprocessing, again.labels) == (None, None)


def test_a_model_keeps_what_belongs_to_it(tmp_path):
    labels = Labels.parse(["cat, felis", "", "crane", "crane", "Å, ☃"])
    net = Model("mine", gap_net(), preset("caffe", (7, 10)), labels, "from nowhere")
    again = round_trip(tmp_path, net)
    for part in ("name", "preprocessing", "labels", "source", "layout"):
        assert getattr(again, part) == getattr(net, part)
    assert again.label(4) == "Å"
    other = ng.load(tmp_path / "model.npz", preprocess="none", labels=Labels.parse("abcde"))
    assert (other.preprocessing.name, other.preprocessing.size, other.label(1)) == ("none", (7, 10), "b")
    with pytest.raises(ModelFormatError, match="expected 5"):
        ng.load(tmp_path / "model.npz", labels=Labels.parse("abc"))


def test_a_model_keeps_the_order_of_its_axes(tmp_path):
    assert round_trip(tmp_path, Model("mine", gap_net(), layout="NHWC")).layout == "NHWC"


def test_the_graph_keeps_its_inputs_outputs_and_other_names(tmp_path):
    net = two_headed_net()
    about = {"aliases": {"features:0": "relu"}, "declared": {"input": (None, 3, 7, None)}}
    net = Network(net.nodes, outputs=("second", "first"), dtype="float64", **about)
    again = round_trip(tmp_path, net).network
    assert (again.inputs, again.outputs) == (("input",), ("second", "first"))
    assert (dict(again.aliases), dict(again.declared), again.whole) == (*about.values(), frozenset())


def test_a_real_architecture_travels(tmp_path):
    net = ng.load("mobilenet_v3_small", random_weights(2), labels=Labels.parse(map(str, range(1000))))
    ng.save(net, tmp_path / "small.npz")
    again = ng.load(str(tmp_path / "small.npz"))
    assert (again.name, repr(again)) == ("mobilenet_v3_small", repr(net))
    x = pictures(1, 64, 64, dtype="float32")
    np.testing.assert_array_equal(net(x), again(x))


def test_equal_models_give_equal_files(tmp_path):
    for name in "ab":
        ng.save(gap_net(), tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# ---------------------------------------------------------------- what cannot travel


@dataclass(frozen=True, eq=False, repr=False)
class Strange(Layer):
    """A layer of somebody else's."""

    def forward(self, x):
        return x, None


def test_what_cannot_travel_is_refused_by_name_and_nothing_is_written(tmp_path):
    for layer, match in ((Strange(), r"'odd'.*Strange"), (Computed(lambda n: ReLU(), 0), r"'odd'.*function")):
        net = Network((Node("odd", layer, ("input",)),), dtype="float64")
        with pytest.raises(ModelFormatError, match=match):
            ng.save(net, tmp_path / "model.npz")
    with pytest.raises(ModelFormatError, match=r"ends in \.npz"):
        ng.save(gap_net(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- files that are something else


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The record and the arrays of a saved model."""
    nodes = (Node("row", Reshape((0, 0, -1)), ("input",)),
             Node("line", OneAxis(Conv2d(np.ones((2, 3, 1, 3), np.float32))), ("row",)),
             Node("clip", Clip(0.0, float("inf")), ("line",)))
    path = tmp_path_factory.mktemp("saved") / "model.npz"
    ng.save(Model("m", Network(nodes), preset("none", (4, 4)), Labels.parse("ab")), path)
    arrays = read_npz(path)
    return json.loads(str(arrays.pop("npgradcam"))), arrays


def changed(record, path, value):
    record = copy.deepcopy(record)
    place = record
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return record


def load(folder, record, arrays):
    text = record if isinstance(record, str) else json.dumps(record)
    write_npz(folder / "bad.npz", {"npgradcam": text, **arrays})
    return ng.load(folder / "bad.npz")


NODE = ("network", "nodes", 1)
CONV = (*NODE, "settings", "layer")
BAD = {
    "another format": (("format",), 2, "format 1"),
    "no format": (("format",), KeyError, "format 1"),
    "a field more": (("more",), 1, "record of"),
    "a field less": (("labels",), KeyError, "record of"),
    "name": (("name",), 3, "texts"),
    "layout": (("layout",), "NCHH", "layout"),
    "layout list": (("layout",), ["N", "C", "H", "W"], "texts"),
    "preprocess": (("preprocess",), {"size": [4, 4]}, "with a name"),
    "preprocess field": (("preprocess", "eval"), 1, "eval"),
    "preprocess size": (("preprocess", "size"), [4, "4"], "size"),
    "preprocess crop": (("preprocess", "crop"), {}, "crop"),
    "labels": (("labels",), ["a", "b"], "labels"),
    "labels numbers": (("labels",), [[1], [2]], "labels"),
    "network": (("network",), [], "network"),
    "network field": (("network", "more"), 1, "network"),
    "network inputs": (("network", "inputs"), "input", "expected"),
    "network outputs": (("network", "outputs"), ["nowhere"], "nowhere"),
    "network declared": (("network", "declared"), {"input": ["x"]}, "expected"),
    "declared below 0": (("network", "declared"), {"input": [None, 3, -8, 8]}, "declared lengths"),
    "declared beyond": (("network", "declared"), {"input": [None, 3, 2**40, 8]}, "declared lengths"),
    "no nodes": (("network", "nodes"), [], "speaks of"),
    "node": (NODE, {}, "node"),
    "node field": ((*NODE, "more"), 1, "node"),
    "node name": ((*NODE, "name"), None, "str"),
    "node inputs": ((*NODE, "inputs"), ["nowhere"], "nowhere|inputs that come before"),
    "node of itself": ((*NODE, "inputs"), ["line"], "inputs that come before"),
    "too many inputs": ((*NODE, "inputs"), ["input", "input"], "input"),
    "unknown kind": ((*NODE, "layer"), "system", "no layer is of the kind"),
    "kind with dots": ((*NODE, "layer"), "os.system", "no layer is of the kind"),
    "kind no text": ((*NODE, "layer"), ["Conv2d"], "no layer is of the kind"),
    "base class": ((*NODE, "layer"), "Layer", "no layer is of the kind"),
    "a function": (NODE, {"name": "line", "layer": "Computed", "inputs": ["input"],
                          "settings": {"make": "os.system", "settings": 0, "kind": "x"}}, "Computed.make"),
    "settings list": ((*NODE, "settings"), [], "settings"),
    "unknown setting": ((*CONV, "settings", "more"), 1, "has the settings"),
    "missing setting": ((*CONV, "settings", "groups"), KeyError, "has the settings"),
    "nested no layer": (CONV, 3, "OneAxis.layer"),
    "nested keys": ((*CONV, "more"), 3, "OneAxis.layer"),
    "float stride": ((*CONV, "settings", "stride"), [1.0, 1.0], r"Conv2d\.stride"),
    "true stride": ((*CONV, "settings", "stride"), [True, True], r"Conv2d\.stride"),
    "long stride": ((*CONV, "settings", "stride"), [1, 1, 1], r"Conv2d\.stride"),
    "huge stride": ((*CONV, "settings", "stride"), [1, 2**63], r"Conv2d\.stride"),
    "stride 0": ((*CONV, "settings", "stride"), [1, 0], "stride"),
    "padding text": ((*CONV, "settings", "padding"), "system", r"Conv2d\.padding"),
    "groups": ((*CONV, "settings", "groups"), 3, "groups"),
    "weight text": ((*CONV, "settings", "weight"), "1.layer.weight", r"Conv2d\.weight"),
    "weight None": ((*CONV, "settings", "weight"), None, r"Conv2d\.weight"),
    "no such array": ((*CONV, "settings", "weight"), {"array": "1"}, "there is no array"),
    "array of lists": ((*CONV, "settings", "weight"), {"array": []}, "there is no array"),
    "whole numbers": ((*CONV, "settings", "weight"), {"array": "whole"}, "floats"),
    "texts": ((*CONV, "settings", "weight"), {"array": "text"}, "numbers"),
    "rank": ((*CONV, "settings", "weight"), {"array": "flat"}, "Conv2d"),
    "clip": (("network", "nodes", 2, "settings", "low"), {"float": "1e999"}, r"Clip\.low"),
    "clip call": (("network", "nodes", 2, "settings", "low"), {"float": "inf", "more": 1}, r"Clip\.low"),
    "clip order": (("network", "nodes", 2, "settings", "low"), {"float": "nan"}, "Clip"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_is_refused_for_the_right_reason(tmp_path, good, case):
    path, value, reason = BAD[case]
    record, arrays = good
    assert load(tmp_path, record, arrays).network["line"].layer.layer.weight.shape == (2, 3, 1, 3)
    more = {"whole": np.ones((2, 3, 1, 3), np.int64), "text": "abc", "flat": np.ones(3, np.float32)}
    spoken = {name: more[name] for name in more if isinstance(value, dict) and value.get("array") == name}
    with pytest.raises(ModelFormatError, match=reason) as caught:
        load(tmp_path, changed(record, path, value), arrays | spoken)
    assert str(caught.value).startswith(str(tmp_path / "bad.npz"))
    assert len(str(caught.value)) < len(str(tmp_path)) + 600


def test_bad_texts_and_arrays_are_refused(tmp_path, good):
    record, arrays = good
    text = json.dumps(record)
    for bad, reason in (
        ("", "JSON"), ("{", "JSON"), ("[1]", "record of"), ("[" * 100_000, "JSON"), (text + "x", "JSON"),
        (text.replace('"format": 1', '"format": 1, "format": 1'), "twice"), (text.replace("1.0", "NaN", 1), "JSON"),
        (text.replace('"groups": 1', f'"groups": {"1" * 5000}'), "JSON"),
    ):
        with pytest.raises(ModelFormatError, match=reason):
            load(tmp_path, bad, arrays)
    with pytest.raises(ModelFormatError, match=r"speaks of the array '9\.weight'"):
        load(tmp_path, record, arrays | {"9.weight": np.ones(1)})
    write_npz(tmp_path / "weights.npz", arrays)
    with pytest.raises(ModelFormatError, match=r"load\(NAME"):
        ng.load(tmp_path / "weights.npz")
    write_npz(tmp_path / "weights.npz", {"npgradcam": np.ones(2)})
    with pytest.raises(ModelFormatError, match=r"load\(NAME"):
        ng.load(tmp_path / "weights.npz")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.sampled_from([{"array": "1.layer.weight"}, {"float": "nan"}, *KINDS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6,
)


def places(value, path=()):
    """Every place in a record."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from places(part, (*path, key))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_junk_anywhere_in_a_record_is_read_or_refused(tmp_path_factory, good, data):
    record, arrays = good
    path = data.draw(st.sampled_from([p for p in places(record) if p]))
    folder = tmp_path_factory.mktemp("junk")
    try:
        model = load(folder, changed(record, path, data.draw(JUNK)), arrays)
    except ModelFormatError:
        return
    assert isinstance(model, Model)


def test_damaged_files_are_read_or_refused(tmp_path):
    ng.save(gap_net(), tmp_path / "model.npz")
    good = (tmp_path / "model.npz").read_bytes()
    chance = random.Random(3)  # noqa: S311
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.choice((1, 3))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / "bad.npz").write_bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])
        try:
            assert isinstance(ng.load(tmp_path / "bad.npz"), Model)
        except ModelFormatError:
            continue
