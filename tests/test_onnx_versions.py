"""The same operator says different things in different versions of ONNX: each version against NumPy's own words."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx_graphs import answers, model, n, network, numbers, whole

from npgradcam.errors import ModelFormatError, NpGradcamError, UnsupportedOperatorError
from npgradcam.layers import ReLU, ReLU6

X = numbers(2, 3, 4, 5, seed=1).astype(np.float64)
C, HW, CH, W = (np.abs(numbers(*shape, seed=2)) + 0.5 for shape in ((3,), (4, 5), (3, 4), (5,)))
PAIRS = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}


def result(*nodes, opset, x=X, shapes=None, arriving=None, **weights):
    """What the graph says of x, with further arrays arriving by name."""
    arriving = arriving or {}
    given = {"x": x, **{name: np.asarray(a, np.float64) for name, a in arriving.items()}}
    net = network(model(*nodes, inputs=shapes or {name: a.shape for name, a in given.items()}, opset=opset, **weights))
    return answers(net, given)


def agrees(found, wanted, tolerance=1e-6):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= tolerance * max(1, np.abs(wanted).max())


# arithmetic before version 7: axes are joined where `broadcast` and `axis` say


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(
    ("b", "settings", "seen"),
    [(C, {"axis": 1}, C[:, None, None]), (C, {"axis": -3}, C[:, None, None]), (CH, {"axis": 1}, CH[:, :, None]),
     (HW, {}, HW), (W, {}, W), (HW, {"axis": 2}, HW), (np.float32(2).reshape(()), {}, np.float32(2))],
    ids=["channels", "negative axis", "channels and rows", "suffix", "last", "suffix named", "one number"],
)
@pytest.mark.parametrize("held", [True, False], ids=["constant", "arriving"])
def test_version_6_joins_axes_where_it_is_told(kind, b, settings, seen, held):
    node = n(kind, "x b", broadcast=1, **settings)
    found = result(node, opset=6, **({"b": b} if held else {"arriving": {"b": b}}))
    agrees(found, PAIRS[kind](X, seen))


@pytest.mark.parametrize("kind", PAIRS)
def test_version_7_joins_axes_from_the_right(kind):
    agrees(result(n(kind, "x b"), opset=7, b=W), PAIRS[kind](X, W))
    agrees(result(n(kind, "b x"), opset=7, b=W), PAIRS[kind](W, X))
    agrees(result(n(kind, "x b"), opset=7, arriving={"b": CH[:, :, None]}), PAIRS[kind](X, CH[:, :, None]))


@pytest.mark.parametrize(("opset", "settings"), [(6, {"broadcast": 1, "axis": 1}), (7, {})])
def test_powers_follow_the_same_rule(opset, settings):
    base, b = np.abs(X) + 0.1, C if opset == 6 else C[:, None, None]
    agrees(result(n("Pow", "x b", **settings), opset=opset, x=base, b=b), base ** C[:, None, None])


@pytest.mark.parametrize("held", [True, False])
def test_version_6_refuses_to_guess_where_the_number_of_axes_is_open(held):
    nodes, inputs = n("Add", "x b", broadcast=1, axis=1), {"x": None} if held else {"x": None, "b": None}
    with pytest.raises(UnsupportedOperatorError, match="axes"):
        network(model(nodes, inputs=inputs, opset=6, **({"b": C} if held else {})))


@pytest.mark.parametrize(("kind", "of"), [("Less", np.less), ("Greater", np.greater), ("Equal", np.equal)])
def test_comparisons_of_version_6_join_axes_too(kind, of):
    x = np.round(X)
    nodes = (n(kind, "x b", "t", broadcast=1, axis=1), n("Cast", "t", to=1))
    agrees(result(*nodes, opset=6, x=x, b=np.round(C)), of(x, np.round(C)[:, None, None]).astype(np.float64))


# clipping


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.7), (None, 0.7), (-0.5, None), (None, None)])
def test_bounds_are_attributes_before_version_11_and_inputs_from_it_on(low, high):
    wanted = np.clip(X, -np.inf if low is None else low, np.inf if high is None else high)
    said = {name: bound for name, bound in (("min", low), ("max", high)) if bound is not None}
    agrees(result(n("Clip", "x", **said), opset=6), wanted)
    words = " ".join(name if name in said else "-" for name in ("min", "max"))
    weights = {name: np.float32(bound).reshape(()) for name, bound in said.items()}
    for opset in (11, 13):
        agrees(result(n("Clip", f"x {words}"), opset=opset, **weights), wanted)


@pytest.mark.parametrize(("high", "kind"), [(6.0, ReLU6), (None, ReLU), (3.4028234663852886e38, ReLU)])
def test_clipping_from_zero_is_a_rectifier(high, kind):
    old = n("Clip", "x", min=0.0, **({} if high is None else {"max": high}))
    assert isinstance(network(model(old, opset=6)).nodes[0].layer, kind)
    weights = {"low": np.float32(0)} | ({} if high is None else {"high": np.float32(high)})
    new = n("Clip", "x low" + (" high" if high else ""))
    assert isinstance(network(model(new, opset=13, **weights)).nodes[0].layer, kind)


# softmax


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [None, 1, 2, 3, -1])
def test_softmax_joins_all_axes_behind_its_own_before_version_13(kind, axis):
    settings = {} if axis is None else {"axis": axis}
    e = np.exp(X)
    first = 1 if axis is None else axis % 4
    old = e / e.sum(tuple(range(first, 4)), keepdims=True)
    new = e / e.sum(-1 if axis is None else axis, keepdims=True)
    finish = np.log if kind == "LogSoftmax" else np.asarray
    agrees(result(n(kind, "x", **settings), opset=11), finish(old), 1e-12)
    agrees(result(n(kind, "x", **settings), opset=13), finish(new), 1e-12)


# settings that were attributes and became inputs


ATTRIBUTES_THEN_INPUTS = {
    "Slice": (9, {"starts": [1, -3], "ends": [9, -1], "axes": [1, 3]}, 10, "starts ends axes", X[:, 1:9, :, -3:-1]),
    "Slice without axes": (9, {"starts": [1, 0], "ends": [2, 2]}, 13, "starts ends", X[1:2, 0:2]),
    "Squeeze": (11, {"axes": [1]}, 13, "axes", X[:, 0]),
    "Squeeze from the end": (11, {"axes": [-3]}, 13, "axes", X[:, 0]),
    "Unsqueeze": (11, {"axes": [0, 3]}, 13, "axes", X[None, :, :, None]),
    "Unsqueeze from the end": (11, {"axes": [-1]}, 13, "axes", X[..., None]),
    "ReduceSum": (12, {"axes": [2, 3]}, 13, "axes", X.sum((2, 3), keepdims=True)),
    "ReduceMean": (13, {"axes": [-1, 2]}, 18, "axes", X.mean((2, 3), keepdims=True)),
    "ReduceMax": (13, {"axes": [1]}, 18, "axes", X.max(1, keepdims=True)),
    "ReduceMin": (13, {"axes": [1]}, 18, "axes", X.min(1, keepdims=True)),
    "ReduceL2": (13, {"axes": [1]}, 18, "axes", np.sqrt((X**2).sum(1, keepdims=True))),
    "Pad": (2, {"pads": [0, 0, 1, 2, 0, 0, 0, 1]}, 11, "pads", np.pad(X, ((0, 0), (0, 0), (1, 0), (2, 1)))),
}


@pytest.mark.parametrize("case", ATTRIBUTES_THEN_INPUTS)
def test_settings_were_attributes_and_became_inputs(case):
    before, settings, since, words, wanted = ATTRIBUTES_THEN_INPUTS[case]
    kind = case.split()[0]
    x = X[:, :1] if kind == "Squeeze" else X
    agrees(result(n(kind, "x", **settings), opset=max(6, before), x=x), wanted)
    weights = {name: whole(*numbers) for name, numbers in settings.items()}
    agrees(result(n(kind, f"x {words}"), opset=since, x=x, **weights), wanted)


REDUCED = [("ReduceMean", 13), ("ReduceMean", 18), ("ReduceSum", 12), ("ReduceSum", 13)]


@pytest.mark.parametrize(("kind", "opset"), REDUCED)
def test_without_axes_everything_is_reduced_unless_the_file_says_otherwise(kind, opset):
    reduced = X.mean if kind == "ReduceMean" else X.sum
    agrees(result(n(kind, "x"), opset=opset), reduced(keepdims=True))
    agrees(result(n(kind, "x", "s", keepdims=0), n("Unsqueeze", "s axes" if opset > 12 else "s", "y",
           **({} if opset > 12 else {"axes": [0]})), opset=opset, **({"axes": whole(0)} if opset > 12 else {})),
           reduced()[None])
    if opset in (18,) or (kind, opset) == ("ReduceSum", 13):
        agrees(result(n(kind, "x", noop_with_empty_axes=1), opset=opset), X)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_padding_of_some_axes_only(mode):
    pads = ((0, 0), (0, 0), (1, 1), (2, 0))
    said = {"pads": whole(2, 1, 0, 1), "axes": whole(-1, 2), "value": np.float32(-2)}
    wanted = np.pad(X, pads, mode, **({"constant_values": -2} if mode == "constant" else {}))
    agrees(result(n("Pad", "x pads value axes", mode=mode), opset=18, **said), wanted)
    old = n("Pad", "x", mode=mode, pads=[0, 0, 1, 2, 0, 0, 1, 0], value=-2.0)
    agrees(result(old, opset=6), wanted)


SPLITS = [(6, {"split": [1, 2]}, "x"), (11, {"split": [1, 2]}, "x"), (13, {}, "x sizes"), (18, {}, "x sizes")]


@pytest.mark.parametrize(("opset", "settings", "words"), SPLITS)
def test_a_split_has_several_outputs(opset, settings, words):
    weights = {"sizes": whole(1, 2)} if "sizes" in words else {}
    node = n("Split", words, "a b", axis=1, **settings)
    net = network(model(node, outputs="a b", inputs={"x": X.shape}, opset=opset, **weights))
    agrees(net.forward(X, output="a").logits, X[:, :1])
    agrees(net.forward(X, output="b").logits, X[:, 1:])


@pytest.mark.parametrize(("opset", "settings"), [(6, {}), (13, {}), (18, {"num_outputs": 2})])
def test_a_split_without_sizes_makes_equal_parts_and_the_last_may_be_smaller(opset, settings):
    made = model(n("Split", "x", "a b", axis=3, **settings), outputs="a b", inputs={"x": X.shape}, opset=opset)
    net = network(made)
    agrees(net.forward(X, output="a").logits, X[..., :3])
    agrees(net.forward(X, output="b").logits, X[..., 3:])


# resizing


def test_upsampling_before_resize():
    doubled = X.repeat(2, 2).repeat(3, 3)
    agrees(result(n("Upsample", "x", scales=[1.0, 1.0, 2.0, 3.0]), opset=7), doubled)
    scales = np.array([1, 1, 2, 3], np.float32)
    agrees(result(n("Upsample", "x scales"), opset=9, scales=scales), doubled)
    agrees(result(n("Resize", "x scales"), opset=10, scales=scales), doubled)


def linear_rows(x, size, place):
    """Interpolate axis 2 to `size` cells, cell i of which lies at place(i)."""
    at = np.clip([place(i) for i in range(size)], 0, x.shape[2] - 1)
    low = np.floor(at).astype(int)
    high, part = np.minimum(low + 1, x.shape[2] - 1), (at - low)[:, None]
    return x[:, :, low] * (1 - part) + x[:, :, high] * part


RESIZED = [
    (7, n("Upsample", "x", mode="linear", scales=[1.0, 1.0, 2.0, 1.0]), {}, lambda i: i / 2),
    (9, n("Upsample", "x scales", mode="linear"), {}, lambda i: i / 2),
    (10, n("Resize", "x scales", mode="linear"), {}, lambda i: i / 2),
    (11, n("Resize", "x - scales", mode="linear"), {}, lambda i: (i + 0.5) / 2 - 0.5),
    (13, n("Resize", "x - scales", mode="linear", coordinate_transformation_mode="asymmetric"), {}, lambda i: i / 2),
    (13, n("Resize", "x - - sizes", mode="linear", coordinate_transformation_mode="align_corners"), {},
     lambda i: i * 3 / 7),
    (18, n("Resize", "x - - two", mode="linear", axes=[2]), {}, lambda i: (i + 0.5) / 2 - 0.5),
]


@pytest.mark.parametrize("case", RESIZED, ids=lambda case: f"{case[1].op_type} {case[0]} {' '.join(case[1].input)}")
def test_resizing_places_cells_as_its_version_says(case):
    opset, node, settings, place = case
    held = {"scales": np.array([1, 1, 2, 1], np.float32), "sizes": whole(2, 3, 8, 5), "two": whole(8)}
    weights = {name: held[name] for name in node.input if name in held}
    agrees(result(node, opset=opset, **settings, **weights), linear_rows(X, 8, place), 1e-9)


def test_nearest_cells_are_rounded_as_the_version_says():
    x, scales = X[:, :, :, :3], np.array([1, 1, 1, 1.5], np.float32)  # at (i + 1/2) / 1.5 - 1/2: -1/6, 1/2, 7/6, 11/6
    agrees(result(n("Resize", "x scales"), opset=10, x=x, scales=scales), x[..., [0, 0, 1, 2]])  # i / 1.5, down
    agrees(result(n("Resize", "x - scales"), opset=11, x=x, scales=scales), x[..., [0, 0, 1, 2]])  # half goes down
    up = n("Resize", "x - scales", nearest_mode="round_prefer_ceil")
    agrees(result(up, opset=13, x=x, scales=scales), x[..., [0, 1, 1, 2]])


# what is different in training


def test_dropout_is_nothing_in_every_version():
    for opset, node in [(6, n("Dropout", "r", ratio=0.9, is_test=1)), (7, n("Dropout", "r", ratio=0.9)),
                        (10, n("Dropout", "r", "y mask", ratio=0.9)), (12, n("Dropout", "r ratio"))]:
        weights = {"ratio": np.float32(0.9)} if "ratio" in node.input else {}
        agrees(result(n("Relu", "x", "r"), node, opset=opset, **weights), np.maximum(X, 0))


def test_dropout_as_in_training_is_refused():
    held = {"ratio": np.float32(0.5), "training": np.array(True)}
    with pytest.raises(UnsupportedOperatorError, match="training"):
        network(model(n("Dropout", "x ratio training"), opset=12, **held))
    held["training"] = np.array(False)
    agrees(result(n("Dropout", "x ratio training"), n("Relu", "y", "z"), opset=12, **held), X)


def test_the_mask_of_dropout_lets_everything_through():
    made = model(n("Dropout", "x", "d mask"), n("Cast", "mask", "y", to=1), inputs={"x": X.shape}, opset=10)
    agrees(answers(network(made), X), np.ones_like(X))


NORM = {"scale": C, "shift": C - 1, "mean": C / 3, "variance": C**2}


@pytest.mark.parametrize(
    ("opset", "settings"),
    [(6, {"is_test": 1, "spatial": 1, "consumed_inputs": [0, 0, 0, 1, 1]}), (6, {"is_test": 1}), (7, {}),
     (7, {"spatial": 1}), (9, {"momentum": 0.9}), (14, {"training_mode": 0}), (15, {})],
)
def test_batch_norms_of_every_version_at_inference(opset, settings):
    node = n("BatchNormalization", "x scale shift mean variance", epsilon=1e-2, **settings)
    a, b, mean, variance = (v.astype(np.float64)[:, None, None] for v in NORM.values())
    agrees(result(node, opset=opset, **NORM), a * (X - mean) / np.sqrt(variance + 1e-2) + b)


@pytest.mark.parametrize(
    ("opset", "outputs", "settings"),
    [(7, "y", {"spatial": 0}), (14, "y", {"training_mode": 1}), (14, "y m v", {"training_mode": 1}),
     (7, "y m v sm sv", {})],
)
def test_batch_norms_of_training_are_refused(opset, outputs, settings):
    node = n("BatchNormalization", "x scale shift mean variance", outputs, **settings)
    with pytest.raises(UnsupportedOperatorError, match="batch normalisation"):
        network(model(node, opset=opset, **NORM))


def test_slopes_of_a_leaky_unit():
    wanted = np.where(X > 0, X, X * C[:, None, None])
    agrees(result(n("PRelu", "x s"), opset=6, s=C), wanted)  # one for each channel
    agrees(result(n("PRelu", "x s"), opset=9, s=C[:, None, None]), wanted)
    agrees(result(n("PRelu", "x s"), opset=16, s=W), np.where(X > 0, X, X * W))  # from the right
    agrees(result(n("PRelu", "x s"), opset=6, s=C[:1]), np.where(X > 0, X, X * C[:1]))


def test_group_norms_scale_each_group_before_version_21_and_each_channel_from_it_on():
    x = numbers(2, 4, 3, 3, seed=3).astype(np.float64)
    parts = x.reshape(2, 2, -1)
    normal = ((parts - parts.mean(2, keepdims=True)) / np.sqrt(parts.var(2, keepdims=True) + 1e-5)).reshape(x.shape)
    groups, channels = np.array([2, 3], np.float32), np.array([2, 3, 4, 5], np.float32)
    node = n("GroupNormalization", "x a b", num_groups=2)
    wide = groups.repeat(2)[:, None, None]
    agrees(result(node, opset=18, x=x, a=groups, b=groups), normal * wide + wide)
    wide = channels[:, None, None]
    agrees(result(node, opset=21, x=x, a=channels, b=channels), normal * wide + wide)


# other versions


def test_versions_outside_the_range_are_refused_with_the_range():
    for opset in (0, 1, 5, 29, 999):
        with pytest.raises(UnsupportedOperatorError, match=rf"6 to 28 .*got {opset}"):
            network(model(n("Relu", "x"), opset=opset))


@pytest.mark.parametrize("opset", range(6, 29))
def test_every_version_of_the_range_is_read(opset):
    agrees(result(n("Relu", "x"), opset=opset), np.maximum(X, 0))


def test_an_operator_younger_than_the_file_is_not_taken():
    with pytest.raises(UnsupportedOperatorError, match="GroupNormalization"):
        network(model(n("GroupNormalization", "x a b", num_groups=1), opset=17, a=C, b=C))


def test_an_attribute_of_another_kind_is_a_sentence():
    with pytest.raises(ModelFormatError, match="axis"):
        network(model(n("Flatten", "x", axis=1.5)))
    with pytest.raises(NpGradcamError):
        network(model(n("Concat", "x x", axis="one")))


def test_zero_in_a_target_copies_unless_the_file_allows_it():
    agrees(result(n("Reshape", "x shape"), opset=13, shape=whole(0, -1)), X.reshape(2, -1))
    allowed = network(model(n("Reshape", "x shape", allowzero=1), opset=14, shape=whole(3, 0)))
    assert allowed.shapes((0, 3, 4, 5))["y"] == (3, 0)


def test_shapes_in_part_since_version_15():
    made = model(n("Shape", "x", "s", start=1, end=-1), n("Cast", "s", "y", to=1), opset=15, inputs={"x": (2, 3, 4, 5)})
    np.testing.assert_array_equal(answers(network(made), X), [3, 4])
