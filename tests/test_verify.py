"""`verify`: right models pass; a mistake planted in a layer, a rule or a rewrite fails the row it belongs to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from small_nets import conv, flat_net, gap_net, linear, lite0, needs_imagenet, pictures, pixel_net, reference_net

import npgradcam as ng
from npgradcam import layers, rules, verification
from npgradcam.cli import main
from npgradcam.kernels import threads
from npgradcam.network import Network
from npgradcam.rewrites import optimise
from npgradcam.testing.pack import CASES
from npgradcam.testing.strategies import networks
from npgradcam.verification import Check, Randomised, Verification
from npgradcam.verification.record import NotApplicableError

ROWS = ("finite differences", "adjoint of each layer", "completeness", "CAM = Z Grad-CAM", "linear in the score",
        "class sum", "one rule if positive", "many targets", "batch", "threads", "plan: logits", "plan: A", "plan: map",
        "plan: signals")
METHODS = ["gradient", "deconvnet", "guided backpropagation", "Guided Grad-CAM", "CAM", "Grad-CAM", "counterfactual",
           "Grad-CAM++", "XGrad-CAM", "HiResCAM", "LayerCAM"]  # whose maps are looked at under random weights


def found(net, x=None, **settings):
    return ng.verify(net, pictures(2) if x is None else x, **{"randomise": False, **settings})


@pytest.mark.parametrize("net", [gap_net(), gap_net(softmax=True), reference_net(), flat_net(7, 10)],
                         ids=["pooled", "softmax", "everything", "flat"])
def test_a_right_network_satisfies_every_identity_that_applies(net):
    v = found(net)
    assert v.ok, v
    assert tuple(check.name for check in v.checks) == ROWS
    headless = net["fc2"] if "fc2" in {node.name for node in net.nodes} else None
    applies = [check.name for check in v.checks if check.verdict == "not applicable"]
    assert applies == (["CAM = Z Grad-CAM"] if headless else [] if threads.available() > 1 else ["threads"])


def test_the_model_is_examined_as_it_is_run_in_float32_and_rewritten():
    net = ng.load("shapes")
    v = ng.verify(net, randomise=False)
    assert v.ok, v
    assert (v.model, v.layer, v.label) == ("shapes", "relu3", "cross")
    assert "float32, rewritten, and float64" in v["plan: map"].about
    assert 0 < v["plan: logits"].figure <= v["plan: logits"].tolerance == 1e-4


def test_what_does_not_apply_says_why():
    v = found(pixel_net())
    assert v.ok, v
    assert {name: v[name].verdict for name in ("CAM = Z Grad-CAM", "class sum", "many targets")} == dict.fromkeys(
        ("CAM = Z Grad-CAM", "class sum", "many targets"), "not applicable")
    assert "logits" in v["class sum"].about
    smooth = Network.sequential([("conv", layers.Conv2d(np.ones((2, 3, 3, 3)))), ("swish", layers.HardSwish()),
                                 ("pool", layers.GlobalAvgPool2d()), ("flat", layers.Flatten())], dtype="float64")
    said = "the parts add up in a piecewise-linear network only, and HardSwish 'swish' is curved"
    assert found(smooth)["completeness"].about == said
    assert "no rectifier" in found(smooth)["one rule if positive"].about


@pytest.mark.parametrize("name", CASES)
def test_nothing_fails_on_the_reference_pack(name):
    v = found(CASES[name].network, CASES[name].images, layer=CASES[name].layers[-1])
    assert v.ok, v
    assert v["finite differences"].verdict == v["adjoint of each layer"].verdict == "ok"


@settings(max_examples=15)
@given(networks())
def test_nothing_fails_on_drawn_networks(drawn):
    v = found(Network(drawn.network.nodes, dtype="float64"), drawn.images)
    assert v.ok, v


def wrong_slope(monkeypatch):
    monkeypatch.setattr(layers.ReLU, "slope", lambda self, y: np.where(y > 0, 1.0, 0.1))


def slope_one(monkeypatch):
    monkeypatch.setattr(layers.Clip, "slope", lambda self, y: np.ones_like(y))


def no_mean(monkeypatch):
    right = layers.GlobalAvgPool2d.backward
    monkeypatch.setattr(layers.GlobalAvgPool2d, "backward",
                        lambda self, signal, cache: tuple(part * cache[2] * cache[3]
                                                          for part in right(self, signal, cache)))


def flipped_kernel(monkeypatch):
    right = layers.Conv2d.backward
    flipped = lambda self: replace(self, weight=np.ascontiguousarray(self.weight[:, :, ::-1]))  # noqa: E731
    monkeypatch.setattr(layers.Conv2d, "backward", lambda self, signal, cache: right(flipped(self), signal, cache))


def forgotten_norm(monkeypatch):
    monkeypatch.setattr(layers.BatchNorm2d, "backward", lambda self, signal, cache: (signal,))


def another_winner(monkeypatch):
    right = layers.MaxPool2d.backward
    monkeypatch.setattr(layers.MaxPool2d, "backward",
                        lambda self, signal, cache: (np.roll(right(self, signal, cache)[0], 1, axis=-1),))


def no_bias(monkeypatch):
    right = layers.Conv2d.forward
    monkeypatch.setattr(layers.Conv2d, "forward", lambda self, x: (
        right(self, x)[0] + 0.3 * np.abs(self.bias).mean(), x.shape))


def positive_signals_only(monkeypatch):
    """What a hook left behind does: the guided rule, whatever was asked for."""
    monkeypatch.setattr(layers.ReLU, "backward", lambda self, signal, y, rule=rules.gradient: (
        np.maximum(signal, 0) * (y > 0),))


def probability_for_logit(monkeypatch):
    monkeypatch.setattr(layers.Softmax, "backward", lambda self, signal, cache: (signal * cache,))


def guided_doubled(monkeypatch):
    monkeypatch.setattr(layers.ReLU, "backward", lambda self, signal, y, rule=rules.gradient: (
        rule(signal, y > 0) * (2 if rule is rules.guided else 1),))


def rows_mixed(monkeypatch):
    right = layers.Linear.backward
    monkeypatch.setattr(layers.Linear, "backward", lambda self, signal, cache: tuple(
        np.broadcast_to(part.mean(axis=0), part.shape).copy() for part in right(self, signal, cache)))


def training_mode(monkeypatch):
    """Batch normalisation by the batch's own mean."""
    right = layers.BatchNorm2d.forward
    monkeypatch.setattr(layers.BatchNorm2d, "forward", lambda self, x: right(
        self, x - x.mean(axis=(0, 2, 3), keepdims=True)))


def a_race(monkeypatch):
    right = layers.Conv2d.forward
    monkeypatch.setattr(layers.Conv2d, "forward", lambda self, x: (
        right(self, x)[0] * (1 + 1e-15 * numba.get_num_threads()), x.shape))


MISTAKES = {
    wrong_slope: {"finite differences", "completeness"},
    slope_one: {"finite differences"},
    no_mean: {"finite differences", "adjoint of each layer", "completeness", "CAM = Z Grad-CAM"},
    flipped_kernel: {"finite differences", "adjoint of each layer", "completeness"},
    forgotten_norm: {"finite differences", "adjoint of each layer", "completeness"},
    another_winner: {"finite differences", "completeness"},
    no_bias: {"completeness"},
    positive_signals_only: {"finite differences", "completeness"},
    probability_for_logit: {"class sum"},
    guided_doubled: {"one rule if positive"},
    rows_mixed: {"many targets"},
    training_mode: {"batch"},
    a_race: {"threads"},
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_planted_mistake_fails_the_rows_it_belongs_to(mistake, monkeypatch):
    if mistake is a_race and threads.available() < 2:
        pytest.skip("needs two threads")
    x = 5 * pictures(2, 9, 12)
    assert found(gap_net(seed=3), x).ok
    mistake(monkeypatch)
    v = found(gap_net(seed=3), x)
    assert MISTAKES[mistake] <= set(v.failed), v


def test_a_rule_that_is_not_linear_in_the_score_is_found(monkeypatch):
    monkeypatch.setattr(layers.Linear, "backward", lambda self, signal, cache: (np.maximum(signal, 0) @ self.weight,))
    assert "linear in the score" in found(gap_net()).failed


def test_a_rewrite_that_changes_the_answer_is_found():
    def forgets_norms(network, keep):
        nodes = tuple(replace(node, layer=layers.Identity()) if isinstance(node.layer, layers.BatchNorm2d) else node
                      for node in network.nodes)
        return replace(optimise(network, keep), nodes=nodes)

    right, wrong = (replace(gap_net(dtype="float32"), rewrite=rewrite) for rewrite in (optimise, forgets_norms))
    assert found(right, pictures(2, dtype="float32")).ok
    assert {"plan: logits", "plan: A"} <= set(found(wrong, pictures(2, dtype="float32")).failed)


def test_a_backward_of_the_wrong_shape_is_a_failure_not_a_crash(monkeypatch):
    net, right = gap_net(), layers.GlobalAvgPool2d.backward
    s = verification.subject.subject(net, pictures(2), None, None)
    s.tape  # noqa: B018 (before the mistake)
    monkeypatch.setattr(layers.GlobalAvgPool2d, "backward", lambda self, signal, cache: (
        right(self, signal, cache)[0][:, :, :1],))
    check = verification.derivatives.adjoints(s)
    assert check.verdict == "FAILED"
    assert check.about.startswith("pool: ")


def test_not_a_number_is_never_within_a_tolerance():
    assert Check("a", "b", np.nan, 1.0).verdict == "FAILED"
    v = Verification("m", "l", "c", (Check("a", "b", np.nan, 1.0), Check("d", "because"), Check("e", "f", 0.0, 0.0)))
    assert not v.ok
    assert str(v).endswith("1 ok, 1 FAILED, 1 not applicable")
    assert v.text() == str(v) == repr(v)
    assert v.as_dict()["checks"][0]["figure"] is None


def test_completeness_of_a_graph_that_counts_with_whole_numbers_is_not_applicable_in_plain_words():
    pytest.importorskip("onnx")
    net = ng.load(Path(__file__).parent / "data" / "onnx" / "tiny" / "keras_tf2onnx13.onnx")
    s = verification.subject.subject(net, verification.default_images(net), None, None)
    with pytest.raises(NotApplicableError, match=r"^no signal reaches every layer on the way, so"):
        verification.derivatives.completeness(s)


def test_a_dash_in_the_table_of_randomised_weights_is_explained():
    table = str(Randomised((1, 2), {"gradient": (0.5, 0.25), "Grad-CAM": (0.5, None)})).splitlines()
    assert table[-2].split() == ["Grad-CAM", "0.50", "-"]
    assert table[-1] == "-: no ranks, as the map is the same in every cell or its numbers overflow"
    assert "no ranks" not in str(Randomised((1,), {"gradient": (0.5,)}))


def test_randomised_weights_change_grad_cam_and_the_count_of_layers_is_told():
    v = ng.verify(ng.load("shapes"))
    r = v.randomised
    assert r.layers == (1, 2, 3, 4)
    assert list(r.correlations) == METHODS
    assert abs(r.correlations["Grad-CAM"][-1]) < 0.3
    assert r.correlations["guided backpropagation"][0] > r.correlations["Grad-CAM"][0]
    assert r.correlations["CAM"] == pytest.approx(r.correlations["Grad-CAM"])  # on this head one is Z times the other
    assert "all 4" in str(r)
    assert Randomised((1,), {"Grad-CAM": (None,)}).correlations["Grad-CAM"] == (None,)


@pytest.mark.parametrize(("net", "without"), [
    (flat_net(7, 10), {"CAM"}),
    (Network.sequential([("conv", conv(np.random.default_rng(0), 4, 3)), ("pool", layers.GlobalAvgPool2d()),
                         ("flat", layers.Flatten()), ("fc", linear(np.random.default_rng(1), 5, 4))], dtype="float64"),
     {"deconvnet", "guided backpropagation", "Guided Grad-CAM"}),
], ids=["another head", "no rectifier"])
def test_a_method_that_does_not_apply_has_no_line_under_random_weights(net, without):
    r = ng.verify(net, pictures(2)).randomised
    assert list(r.correlations) == [method for method in METHODS if method not in without]


def test_each_methods_map_under_random_weights_is_its_own():
    """What is held against the shuffled network's are the maps that the methods give, of every image."""
    net = ng.load("shapes")
    s = verification.subject.subject(net, verification.default_images(net), None, None)
    x = (s.images, s.target)
    signals = [ng.backprop(net, *x), ng.backprop(net, *x, "deconvnet"), ng.backprop(net, *x, "guided"),
               ng.guided_grad_cam(net, *x)]
    maps = [method(net, *x) for method in (ng.cam, ng.grad_cam, ng.counterfactual_grad_cam, ng.grad_cam_plus_plus,
                                           ng.xgrad_cam, ng.hires_cam, ng.layer_cam)]
    right = [*(e.signal for e in signals), *(e.cam for e in maps)]
    found = verification.randomise._maps(s, s.net)
    assert list(found) == METHODS
    for one, other in zip(found.values(), right, strict=True):
        np.testing.assert_allclose(one, np.abs(other), rtol=0, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize("given", ["x", 1, None])
def test_to_randomise_or_not_is_true_or_false(given):
    with pytest.raises(ng.NpGradcamError, match=f"randomise: expected True or False, got {given!r}; False leaves"):
        ng.verify(gap_net(), pictures(1), randomise=given)


def test_unchanged_weights_are_perfectly_like_themselves(monkeypatch):
    monkeypatch.setattr(verification.randomise, "_shuffled", lambda layer, random: layer)
    rows = ng.verify(ng.load("shapes")).randomised.correlations
    assert all(r == pytest.approx(1) for row in rows.values() for r in row)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main(["verify", *map(str, arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    return run


def test_the_command_prints_a_table_and_tells_where_it_is(run):
    code, out, err = run("shapes", "--class", "cross")
    assert code == 0
    assert out.startswith("shapes, layer relu3, class cross\n")
    assert all(name in out for name in ROWS)
    assert "Guided Grad-CAM" in out
    assert "npgradcam: completeness ..." in err


def test_the_command_prints_json_and_takes_an_input_from_a_file(run, tmp_path):
    x = ng.load("shapes").preprocess(ng.images.sample("two_shapes"))
    np.save(tmp_path / "x.npy", x)
    code, out, err = run("shapes", tmp_path / "x.npy", "--json", "--quiet", "--no-randomise", "--layer", "relu2")
    told = json.loads(out)
    assert (code, err, told["layer"], told["ok"], told["randomised"]) == (0, "", "relu2", True, None)
    assert [check["name"] for check in told["checks"]] == list(ROWS)


def test_the_command_returns_1_where_something_does_not_hold(run, monkeypatch):
    flipped_kernel(monkeypatch)
    code, out, _ = run("shapes", "--no-randomise", "--dtype", "float64", "--backend", "numpy")
    assert code == 1
    assert "FAILED" in out


@pytest.mark.parametrize(("arguments", "code"), [
    (("shapes", "--layer", "nowhere"), 2), (("shapes", "--class", "9"), 2), (("shapes", "missing.npy"), 2),
    (("shapes", "--class", "1", "--class", "2"), 2), (("no_such_model",), 3), (("shapes", "missing.jpg"), 4),
])
def test_bad_input_is_one_sentence_and_a_code(run, arguments, code):
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert err.startswith("npgradcam: error: ")


@needs_imagenet
def test_efficientnet_lite0_satisfies_every_identity():
    net = lite0("float32", optimise=True)
    v = ng.verify(net, randomise=False)
    assert v.ok, v
    assert not [check for check in v.checks if check.verdict == "not applicable" and check.name != "threads"]
