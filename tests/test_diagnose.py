"""Maps with one mistake in them, planted by hand: each is named, and what cannot be told apart is said to be so."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from peers_net import CASES, KERAS, TORCH
from PIL import Image
from small_nets import conv, gap_net, linear, pictures
from test_conventions import network, places, recorded

import npgradcam as ng
from npgradcam.convention.resizing import axis_matrix, resize
from npgradcam.diagnosis import stages
from npgradcam.diagnosis.search import residual
from npgradcam.diagnosis.training import InTraining
from npgradcam.errors import ShapeError
from npgradcam.layers import BatchNorm2d, Dropout, Flatten, Linear, ReLU, Sigmoid, Softmax
from npgradcam.network import Network
from npgradcam.testing import check_gradient, definitions
from npgradcam.testing.strategies import networks

SIZE = (14, 22)


@cache
def net(last="softmax", seed=1):
    """Two strided convolutions and a dense head, in which every cell has its own gradient; 5 classes."""
    random = np.random.default_rng(seed)
    spread = {"padding": (1, 1, 1, 1), "stride": (2, 2)}
    head = linear(random, 5, 6 * 4 * 6)
    layers = [
        ("conv1", conv(random, 5, 3, **spread)), ("relu1", ReLU()), ("conv2", conv(random, 6, 5, **spread)),
        ("relu2", ReLU()), ("dropout", Dropout()), ("flatten", Flatten()),
        ("fc", Linear(head.weight / 8, head.bias)), ("last", {"softmax": Softmax(), "sigmoid": Sigmoid()}[last]),
    ]
    return Network.sequential(layers, dtype="float64")


def upsampled(e, size=SIZE):
    return definitions.upsample(e.cam, size)


def corner_aligned(maps, size):
    """By NumPy's own interpolation: first along the rows, then along the columns."""
    (I, J), (H, W) = maps.shape[1:], size
    h, w = np.linspace(0, I - 1, H), np.linspace(0, J - 1, W)
    wide = np.stack([[np.interp(w, range(J), row) for row in m] for m in maps])
    return np.stack([np.stack([np.interp(h, range(I), column) for column in m.T], axis=1) for m in wide])


def ours(x, target, layer="relu2", **settings):
    return ng.grad_cam(net(), x, target, layer, **settings)


# what was done wrong, how, and what the diagnosis has to say
PLANTED = {
    "nothing": (lambda x, c: upsampled(ours(x, c)), ()),
    "not enlarged": (lambda x, c: ours(x, c).cam, ()),
    "layer": (lambda x, c: upsampled(ours(x, c, "relu1")), ("layer relu1, not relu2",)),
    "layer before ReLU": (lambda x, c: upsampled(ours(x, c, "conv2")), ("layer conv2, not relu2",)),
    "class": (lambda x, c: upsampled(ours(x, (c + 1) % 5)), (f"class {(2 + 1) % 5}, not class 2",)),
    "probability": (lambda x, c: upsampled(ours(x, c, score="output")), ("gradient of the probability",)),
    "all classes": (lambda x, c: ours(x, None, seed=np.ones((1, 5))).signed_cam, ("gradient of the sum of all",)),
    "loss": (lambda x, c: upsampled(ng.counterfactual_grad_cam(net(), x, c, "relu2")), ("sign reversed",)),
    "transposed": (lambda x, c: upsampled(ours(x, c)).swapaxes(1, 2), ("height and width swapped: the map is tra",)),
    "size swapped": (lambda x, c: upsampled(ours(x, c), SIZE[::-1]), ("height and width change places in the size",)),
    "mirrored": (lambda x, c: upsampled(ours(x, c))[:, :, ::-1], ("left and right swapped",)),
    "upside down": (lambda x, c: upsampled(ours(x, c))[:, ::-1], ("top and bottom swapped",)),
    "corner-aligned": (lambda x, c: corner_aligned(ours(x, c).cam, SIZE), ("corner-aligned upsampling",)),
    "nearest": (lambda x, c: resize(ours(x, c).cam, "nearest", SIZE), ("upsampling by the nearest cell",)),
    "cubic": (lambda x, c: resize(ours(x, c).cam, "cubic", SIZE), ("cubic upsampling (a = -0.75",)),
    "no ReLU": (lambda x, c: definitions.upsample(ours(x, c).signed_cam, SIZE), ("ReLU missing",)),
    "late ReLU": (lambda x, c: np.maximum(definitions.upsample(ours(x, c).signed_cam, SIZE), 0),
                  ("ReLU after enlarging",)),
    "sum": (lambda x, c: upsampled(ours(x, c)) * 4 * 6, ("alpha is the sum of the gradients, not their mean",)),
    "ReLU of gradients": (lambda x, c: upsampled_alpha(np.maximum(ours(x, c).gradients, 0).mean(axis=(2, 3)), x),
                          ("negative gradients are cut off",)),
    "largest gradient": (lambda x, c: upsampled_alpha(ours(x, c).gradients.max(axis=(2, 3)), x),
                         ("alpha is the largest gradient",)),
    "alpha's sign": (lambda x, c: upsampled_alpha(np.abs(ours(x, c).alpha), x), ("the sign of alpha is lost",)),
    "mean over channels": (lambda x, c: upsampled(ours(x, c)) / 6, ("averaged, not summed",)),
    "each term": (lambda x, c: definitions.upsample(np.maximum(terms(x, c), 0).sum(axis=1), SIZE),
                  ("each weighed channel is rectified",)),
    "root mean square": (lambda x, c: upsampled(ours(x, c)) / (np.sqrt((ours(x, c).gradients ** 2).mean()) + 1e-5),
                         ("divided by the root of their mean square",)),
    "abs": (lambda x, c: definitions.upsample(np.abs(ours(x, c).signed_cam), SIZE), ("in the place of the ReLU",)),
    "grad_input": (lambda x, c: upsampled_alpha(ours(x, c, "conv2").alpha, x),
                   ("maps of relu2, but gradients at conv2",)),
    "no gradient": (lambda x, c: definitions.upsample(ours(x, c).activations.mean(axis=1), SIZE),
                    ("feature maps are averaged",)),
    "min-max": (lambda x, c: minmax(upsampled(ours(x, c))), ()),  # kazuto1011
    "percent": (lambda x, c: 100 * ng.maps.normalise(upsampled(ours(x, c))), ("its largest number is 100",)),
    "another method": (lambda x, c: upsampled(ng.layer_cam(net(), x, c, "relu2")), ("LayerCAM, not Grad-CAM",)),
    "over rows": (lambda x, c: summed(ours(x, c).gradients.mean(axis=2, keepdims=True), x), ("mean over the rows",)),
    "over columns": (lambda x, c: summed(ours(x, c).gradients.mean(axis=3, keepdims=True), x),
                     ("mean over the columns",)),
    "one mean, one sum": (lambda x, c: upsampled_alpha(ours(x, c).gradients.mean(axis=3).sum(axis=2), x),
                          ("a sum over the rows, but a mean over the columns",)),
    "reshaped gradients": (lambda x, c: upsampled_alpha(ours(x, c).gradients.reshape(1, 4, 6, 6).mean(axis=(1, 2)), x),
                           ("gradients are reshaped",)),
    "alpha's length": (lambda x, c: upsampled_alpha(ours(x, c).alpha / np.linalg.norm(ours(x, c).alpha), x),
                       ("alphas are divided by their length",)),
    "alpha's largest": (lambda x, c: upsampled_alpha(ours(x, c).alpha / np.abs(ours(x, c).alpha).max(), x),
                        ("by the largest magnitude among them",)),
    "alpha's magnitudes": (lambda x, c: upsampled_alpha(ours(x, c).alpha / np.abs(ours(x, c).alpha).sum(), x),
                           ("by the sum of their magnitudes",)),
    "softmax": (lambda x, c: upsampled_alpha(np.exp(ours(x, c).alpha) / np.exp(ours(x, c).alpha).sum(), x),
                ("alphas went through a softmax",)),
    "map's length": (lambda x, c: ours(x, c).cam / np.linalg.norm(ours(x, c).cam), ("divided by its length",)),
    "map's sum": (lambda x, c: ours(x, c).cam / ours(x, c).cam.sum(), ("divided by its sum over all cells",)),
    "z-score": (lambda x, c: (ours(x, c).cam - ours(x, c).cam.mean()) / ours(x, c).cam.std(),
                ("standard deviation 1",)),
    "inverted": (lambda x, c: 1 - minmax(upsampled(ours(x, c))), ("inverted: one minus the map",)),
    "mirrored before": (lambda x, c: upsampled(ours(np.ascontiguousarray(x[..., ::-1]), c)), ("a mirrored picture",)),
    "upside down before": (lambda x, c: upsampled(ours(np.ascontiguousarray(x[:, :, ::-1]), c)),
                           ("a picture upside down",)),
    "reshaped": (lambda x, c: upsampled(ours(x.transpose(0, 2, 3, 1).reshape(x.shape), c)),
                 ("pictures reshaped, not transposed",)),
    "channels": (lambda x, c: upsampled(ours(np.ascontiguousarray(x[:, ::-1]), c)), ("channels in the reversed",)),
}


def upsampled_alpha(alpha, x):
    return definitions.upsample(definitions.cam(ours(x, 2).activations, alpha)[1], SIZE)


def summed(w, x):
    """The map enlarged: the ReLU of the sum over k of w A^k, w (1, K, I or 1, J or 1)."""
    return definitions.upsample(np.maximum((w * ours(x, 2).activations).sum(axis=1), 0), SIZE)


def terms(x, c):
    e = ours(x, c)
    return e.alpha[:, :, None, None] * e.activations


def minmax(maps):
    maps = maps - maps.min()
    return maps / maps.max()


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_named(mistake):
    plant, expected = PLANTED[mistake]
    x = pictures(1, *SIZE)
    found = ng.diagnose(plant(x, 2), net(), x, 2, "relu2")
    assert found.explained
    assert found.findings[0].error < 1e-12
    if not expected:
        assert found.matches
    for words in expected:
        assert not found.matches
        assert any(len(f.departures) == 1 and words in f.departures[0] for f in found.findings), found


IN_A_BATCH = {
    "last first": (lambda e: e.cam[::-1], "the images' order is reversed"),
    "first image's alpha": (lambda e: definitions.cam(e.activations, np.repeat(e.alpha[:1], 2, axis=0))[1],
                            "alpha is that of the batch's first image"),
    "over the batch": (lambda e: definitions.cam(e.activations, np.repeat(e.alpha.mean(axis=0)[None], 2, axis=0))[1],
                       "alpha is averaged over all images"),
}


@pytest.mark.parametrize("mistake", IN_A_BATCH)
def test_a_mistake_that_only_a_batch_shows_is_named(mistake):
    plant, words = IN_A_BATCH[mistake]
    x = pictures(2, *SIZE)
    found = ng.diagnose(plant(ours(x, [2, 0])), net(), x, [2, 0], "relu2")
    assert found.explained
    assert [f.departures for f in found.findings if len(f.departures) == 1 and words in f.departures[0]], found
    alone = ng.diagnose(ours(x[:1], 2).cam, net(), x[:1], 2, "relu2")
    assert alone.matches, alone


SCORE_EXP = np.exp(ng.grad_cam(net(), pictures(1, *SIZE), 2, "relu2").logits[0, 2])
PLUS_PLUS = {
    "no denominator": (lambda A, g: g**2, "denominator of Grad-CAM++ missing"),
    "product inside": (lambda A, g: g**2 / (2 * g**2 + (A * g**3).sum(axis=(2, 3), keepdims=True)),
                       "in Grad-CAM++ the sum of A g^3"),
    "no A": (lambda A, g: g**2 / (2 * g**2), "no A in the denominator"),
    "one for two": (lambda A, g: g**2 / (g**2 + A.sum(axis=(2, 3), keepdims=True) * g**3), "1 for 2"),
    "all channels": (lambda A, g: g**2 / (2 * g**2 + A.sum() * g**3), "over all channels too"),
    "mean of weights": (lambda A, g: 1 / (2 + A.sum(axis=(2, 3), keepdims=True) * g) / g[0, 0].size,
                        "a mean over the cells, not their sum"),
    "exp(score)": (lambda A, g: SCORE_EXP / (2 + A.sum(axis=(2, 3), keepdims=True) * g), "a factor exp(score)"),
    "of exp(score)": (lambda A, g: SCORE_EXP / (2 + A.sum(axis=(2, 3), keepdims=True) * SCORE_EXP * g),
                      "gradients of exp(score)"),
}


@pytest.mark.parametrize("mistake", PLUS_PLUS)
def test_a_mistake_in_grad_cam_plus_plus_is_named(mistake):
    alpha, words = PLUS_PLUS[mistake]
    x = pictures(1, *SIZE)
    e = ours(x, 2)
    g = np.where(e.gradients == 0, 1e-30, e.gradients)
    w = (alpha(e.activations, g) * np.maximum(g, 0)).sum(axis=(2, 3))
    found = ng.diagnose(upsampled_alpha(w, x), net(), x, 2, "relu2", method="grad-cam-plus-plus")
    assert found.explained
    assert any(len(f.departures) == 1 and words in f.departures[0] for f in found.findings), found


def test_the_gradient_of_a_sigmoids_probability_is_named_where_its_scale_shows():
    x = pictures(1, *SIZE)
    e = ng.grad_cam(net("sigmoid"), x, 2, "relu2", score="output")
    found = ng.diagnose(upsampled(e), net("sigmoid"), x, 2, "relu2")
    assert any("gradient of the probability" in f.departures[0] for f in found.findings)
    scaled = ng.diagnose(ng.maps.normalise(upsampled(e)), net("sigmoid"), x, 2, "relu2")
    assert "npgradcam" in scaled.matches  # a factor, which normalising takes away


@pytest.mark.parametrize(("asked", "layer"), [(1, "relu2"), (2, "relu1")])
@pytest.mark.parametrize(("turned", "said"), [(lambda m: m.swapaxes(1, 2), "height and width swapped"),
                                              (lambda m: m[:, ::-1], "top and bottom swapped")])
def test_another_class_or_layer_that_is_turned_is_two_departures(turned, said, asked, layer):
    x = pictures(1, *SIZE)
    found = ng.diagnose(turned(ng.grad_cam(net(), x, 2, layer).cam), net(), x, asked, "relu2").findings[0].departures
    assert len(found) == 2
    assert found[0].startswith("class 2, not class 1" if asked == 1 else "layer relu1, not relu2")
    assert found[1].startswith(said)


# ---------------------------------------------------------------- drawn networks


DRAWN = {
    "layer": lambda net, x, c, layer, other: ng.grad_cam(net, x, c, other),
    "class": lambda net, x, c, layer, other: ng.grad_cam(net, x, int(c[0] == 0), layer),
    "probability": lambda net, x, c, layer, other: ng.grad_cam(net, x, c, layer, score="output"),
    "method": lambda net, x, c, layer, other: ng.hires_cam(net, x, c, layer),
    "nothing": lambda net, x, c, layer, other: ng.grad_cam(net, x, c, layer),
}
LATER = {
    "nothing": lambda e, size: definitions.upsample(e.cam, size),
    "no ReLU": lambda e, size: definitions.upsample(e.signed_cam, size),
    "corner-aligned": lambda e, size: corner_aligned(e.cam, size),
    "transposed": lambda e, size: definitions.upsample(e.cam, size).swapaxes(1, 2),
    "sum": lambda e, size: definitions.upsample(e.cam * e.cam[0].size, size),
}
SAID = {
    "layer": "layer ", "class": "class", "probability": "probability", "method": "HiResCAM",
    "no ReLU": "ReLU", "corner-aligned": "corner-aligned", "transposed": "swapped", "sum": "alpha is the sum",
}


@pytest.mark.parametrize(("first", "then"), [(a, b) for a, b in product(DRAWN, LATER) if "nothing" in (a, b)])
@settings(max_examples=8, phases=(Phase.generate,))
@given(drawn=networks(softmax=True), data=st.data())
def test_in_drawn_networks_the_planted_mistake_is_named_or_makes_no_difference(first, then, drawn, data):
    """It makes none where the map is one that a named convention gives, to rounding."""
    net, x = drawn.network, drawn.images
    size = x.shape[2:]
    spatial = [m for m in drawn.maps[1:] if np.prod(net.shapes(x.shape)[m][2:]) > 1]
    assume(len(spatial) > 1)
    layer, other = data.draw(st.permutations(spatial))[:2]
    classes = net.shapes(x.shape)[net.outputs[0]][1]
    c = data.draw(st.lists(st.integers(0, classes - 1), min_size=len(x), max_size=len(x)))
    maps = LATER[then](DRAWN[first](net, x, c, layer, other), size)
    assume(np.ptp(maps.reshape(len(maps), -1), axis=1).min() > 1e-6 * np.abs(maps).max())
    found = ng.diagnose(maps, net, x, c, layer)
    assert found.explained
    assert found.findings[0].error < 1e-9
    words = [w for f in found.findings for w in f.departures]
    planted = [SAID[name] for name in (first, then) if name != "nothing"]
    assert found.matches or all(any(said in w for w in words) for said in planted), found


# ---------------------------------------------------------------- the peers' own answers


OWNERS = {
    TORCH: {"pytorch-grad-cam/grad-cam": "pytorch-grad-cam 1.5.7", "captum": "captum 0.9.0",
            "captum/interpolated": "captum 0.9.0, interpolated", "torchcam/grad-cam": "torchcam 0.5.0",
            "torchcam/grad-cam/raw": "torchcam 0.5.0, raw", "saliency": "saliency 0.2.1", "ramprs": "ramprs",
            "kazuto1011": "kazuto1011", "utkuozbulak": "utkuozbulak",
            "pytorch-grad-cam/grad-cam-plus-plus": "pytorch-grad-cam 1.5.7",
            "torchcam/grad-cam-plus-plus": "torchcam 0.5.0"},
    KERAS: {"tf-keras-vis/grad-cam": "tf-keras-vis 0.8.7", "xplique/grad-cam": "xplique 2.0.2",
            "tf-keras-vis/grad-cam-plus-plus": "tf-keras-vis 0.8.7", "xplique/grad-cam-plus-plus": "xplique 2.0.2"},
}


@pytest.mark.parametrize(("path", "key"), [(path, key) for path, keys in OWNERS.items() for key in keys],
                         ids=lambda value: getattr(value, "stem", value))
@pytest.mark.parametrize("name", ["odd", "batch", "relu6"])
def test_what_a_peer_returned_is_traced_to_that_peer(path, key, name):
    for case, _, prefix, layer, score in places(path):
        if not prefix.startswith(name):
            continue
        x, net = recorded(TORCH)[f"{name}/images"], network(case.rectifier, path == KERAS and score == "output")
        method = "grad-cam-plus-plus" if "plus-plus" in key else "grad-cam"
        # 1 - p loses digits in float32 where p is nearly 1, and so does the gradient of a probability
        tolerance = 1e-4 if score == "logit" else 5e-3
        found = ng.diagnose(recorded(path)[prefix + key], net, x, list(case.target), layer, method=method,
                            tolerance=tolerance)
        assert found.explained, found
        if score == "logit":
            assert OWNERS[path][key] in found.matches, found
        else:  # these two explain what the network returns
            told = [f for f in found.findings if OWNERS[path][key] in f.matches]
            assert any("gradient of the" in "".join(f.departures) for f in told) or found.matches, found


def test_torchcams_grad_cam_plus_plus_lacks_its_denominator_for_who_expects_the_papers():
    case = CASES["odd"]
    maps, x = recorded(TORCH)["odd/act1/torchcam/grad-cam-plus-plus/raw"], recorded(TORCH)["odd/images"]
    found = ng.diagnose(maps, network("relu", False), x, list(case.target), "act1", method="grad-cam-plus-plus")
    assert found.matches == ("torchcam 0.5.0, raw",)
    assert any("denominator" in fault for fault in ng.conventions[found.matches[0]].faults)


# ---------------------------------------------------------------- the answer


def test_what_nothing_explains_is_said_with_the_nearest_and_the_worst_cell():
    x = pictures(1, *SIZE)
    maps = upsampled(ours(x, 2))
    maps[0, 3, 5] += np.abs(maps).max()
    found = ng.diagnose(maps, net(), x, 2, "relu2")
    assert not found.explained
    assert found.matches == ()
    assert found.worst == (0, 3, 5)
    assert "nothing explains the map" in found.text()
    assert "(3, 5)" in found.text()
    assert "on the mean: Grad-CAM of relu2, class 2, as the paper" in found.text()
    assert "they differ in 1 of 308 cells (rows 3 to 3, columns 5 to 5)" in found.text()
    assert "these cells alone" in found.text()
    assert found.findings == () and len(found.nearest) == 1  # noqa: PT018
    assert found.as_dict()["findings"] == []
    assert found.as_dict()["nearest"]["matches"] == ["paper"]


def test_what_is_far_from_everything_is_not_told_as_an_explanation():
    """Neither in words, nor as findings for programs; and how far, where and what next is said in few lines."""
    noise = np.random.default_rng(5).random((1, *SIZE))
    found = ng.diagnose(noise, net(), pictures(1, *SIZE), 2, "relu2")
    assert found.text().startswith("nothing explains the map to 1e-4, or comes near it\nthe nearest is off by ")
    assert len(found.text().splitlines()) == 4
    assert "cannot be told" not in found.text() and " but: " not in found.text()  # noqa: PT018
    assert "try: another class, layer or method" in found.text()
    assert found.findings == found.departures == found.matches == ()
    assert found.verdict == "unexplained"
    least = [f.hypothesis.typical for f in found.nearest]
    assert np.ptp(least) <= 1e-12
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert said["nearest"]["error"] > 0.3 > 0.03 < said["nearest"]["mean_error"]


def test_no_map_is_made_twice_where_nothing_explains(monkeypatch):
    asked, made = [], stages.sources

    def sources(network, tape, target, *others, **more):
        asked.append((id(network), id(tape), tuple(target), repr((others, more))))
        tapes.append(tape)
        return made(network, tape, target, *others, **more)

    tapes = []  # alive, so that each has an id of its own
    monkeypatch.setattr(stages, "sources", sources)
    noise = np.random.default_rng(5).random((1, *SIZE))
    assert not ng.diagnose(noise, net(), pictures(1, *SIZE), 2, "relu2").explained
    assert len(asked) == len(set(asked)) > 10


@pytest.mark.parametrize("seed", range(3))
def test_what_cannot_be_told_apart_is_as_near_as_what_is(seed):
    """Of maps that something explains nearly: no finding is beyond the tolerance, or ten times as far as the best."""
    x, random = pictures(1, *SIZE), np.random.default_rng(seed)
    maps = definitions.upsample(ours(x, 2).signed_cam, SIZE)
    maps = maps + 4e-5 * np.abs(maps).max() * random.uniform(-1, 1, maps.shape)
    found = ng.diagnose(maps, net(), x, 2, "relu2")
    assert found.explained
    assert max(f.error for f in found.findings) <= 1e-4


def test_a_match_says_which_mistakes_this_input_does_not_show():
    """With positive weights no cell is negative and a ReLU changes nothing; with a dense head every mistake shows."""
    random = np.random.default_rng(3)
    layers = [("conv", conv(random, 4, 3, padding=(1, 1, 1, 1))), ("relu", ReLU()), ("flatten", Flatten()),
              ("fc", Linear(random.uniform(0.1, 1, (5, 4 * 6 * 7)), np.zeros(5)))]
    positive, x = Network.sequential(layers, dtype="float64"), pictures(1, 6, 7)
    right = ng.grad_cam(positive, x, 2, "relu")
    assert right.signed_cam.min() >= 0
    found = ng.diagnose(right.cam, positive, x, 2, "relu")
    assert found.alike[0] == "ReLU missing"
    assert "negative gradients are cut off before their mean" in found.alike
    assert not {*found.alike} & {"alpha is the largest gradient of a channel, not their mean", "LayerCAM, not Grad-CAM"}
    assert "it is the paper's map\non this input the map is the same with:\n  ReLU missing\n" in found.text()
    assert found.as_dict()["alike"] == list(found.alike)
    drawn = ng.diagnose(ng.maps.normalise(upsampled(right, (6, 7))), positive, x, 2, "relu")
    assert drawn.alike[0] == "ReLU missing"
    assert not any("epsilon" in d or "after enlarging" in d for d in drawn.alike)  # no mistakes
    assert ng.diagnose(-right.signed_cam, positive, x, 2, "relu").alike == ()  # it is told already what is wrong
    dense = ng.diagnose(ours(pictures(1, *SIZE), 2).cam, net(), pictures(1, *SIZE), 2, "relu2")
    assert dense.verdict == "paper"
    assert dense.alike == ()


def test_a_map_that_was_rounded_is_told_what_tolerance_would_do():
    x = pictures(1, *SIZE)
    maps = upsampled(ours(x, 2)).astype(np.float16).astype(float)
    said = ng.diagnose(maps, net(), x, 2, "relu2").text()
    (enough,) = re.findall(r"a tolerance of (\S+) \(--tolerance\)", said)
    found = ng.diagnose(maps, net(), x, 2, "relu2", tolerance=float(enough))
    assert found.matches == ("paper",)


def test_the_verdict_is_whether_it_is_the_papers_map():
    x = pictures(1, *SIZE)
    e = ours(x, 2)
    for maps, verdict, said in ((e.cam, "paper", "it is the paper's map"),
                                (e.signed_cam, "convention", "not the paper's map: ReLU missing"),
                                (upsampled(e)[:, ::-1], "departure", "it is not the map that was asked for")):
        found = ng.diagnose(maps, net(), x, 2, "relu2")
        assert found.explained
        assert found.verdict == found.as_dict()["verdict"] == verdict
        assert said in found.text().splitlines()


def test_what_save_writes_is_ours_before_it_is_anybody_elses(tmp_path):
    x = pictures(1, *SIZE)
    e = ours(x, 2)
    (saved,) = [path for path in e.save(tmp_path) if path.suffix == ".npy"]
    found = ng.diagnose(np.load(saved), net(), x, 2, "relu2")
    assert found.matches == ("npgradcam, saved", "captum 0.9.0")
    np.testing.assert_allclose(ng.conventions["npgradcam, saved"].apply(e), e.signed_cam, atol=1e-15)
    assert "matches what npgradcam saves and captum 0.9.0" in found.text()
    assert ng.diagnose(e.cam, net(), x, 2, "relu2").matches[0] == "paper, L^c"


def test_a_network_in_training_mode_is_named():
    """By its own numbers: a batch norm that takes mean and variance from the pictures, and differentiates both."""
    random = np.random.default_rng(3)
    variance = random.uniform(0.5, 2, 6)
    norm = BatchNorm2d(*random.standard_normal((3, 6)), variance)
    spread = {"padding": (1, 1, 1, 1), "stride": (2, 2)}
    small = Network.sequential([
        ("conv1", conv(random, 6, 3, **spread)), ("norm", norm), ("relu1", ReLU()), ("flatten", Flatten()),
        ("fc", linear(random, 4, 6 * 7 * 11)),
    ], dtype="float64")
    x = pictures(1, *SIZE)
    y = small.forward(x, ["conv1"]).activation("conv1")
    seen = y.mean(axis=(0, 2, 3)), y.var(axis=(0, 2, 3))
    frozen = replace(norm, mean=seen[0], variance=seen[1])  # right behind it: there the mode alone changes A, not g
    other = replace(small, nodes=tuple(replace(n, layer=frozen) if n.name == "norm" else n for n in small.nodes))
    found = ng.diagnose(ng.grad_cam(other, x, 1, "relu1").cam, small, x, 1, "relu1")
    assert any("is an eval() missing?" in d for f in found.findings for d in f.departures), found
    check_gradient(InTraining(norm), random.standard_normal((3, 6, 4, 5)))


def test_the_answer_is_text_json_and_a_picture():
    x = pictures(2, *SIZE)
    found = ng.diagnose(upsampled(ours(x, [2, 0])), net(), x, [2, 0], "relu2")
    assert found.text() == str(found)
    assert found.text().startswith("Grad-CAM of relu2, classes 2, 0: matches the paper to ")
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["explained"] is True
    assert told["matches"] == ["paper"]
    assert told["findings"][0]["target"] == [2, 0]
    assert found.picture().dtype == np.uint8
    assert found.picture().shape[2] == 3


def test_a_dropout_cannot_be_told_from_what_it_drops_nothing_of():
    x = pictures(1, *SIZE)
    found = ng.diagnose(upsampled(ours(x, 2)), net(), x, 2, "relu1")
    assert {f.layer for f in found.findings} == {"relu2", "dropout"}
    assert {len(f.departures) for f in found.findings} == {1}  # and in no more words than needed


def test_several_methods_that_coincide_on_a_pooled_linear_head_are_all_named():
    x, gap = pictures(1, 12, 14), gap_net()
    maps = definitions.upsample(ng.xgrad_cam(gap, x, 1).cam, (12, 14))
    found = ng.diagnose(maps, gap, x, 1, method="layer-cam")
    assert {f.method for f in found.findings} >= {"grad-cam", "hires-cam", "xgrad-cam"}


def test_a_function_is_asked_for_its_map():
    x = pictures(2, *SIZE)
    asked = []

    def mine(images, target):
        asked.append(target)
        return upsampled(ours(images, target))

    assert ng.diagnose(mine, net(), x, [2, 0]).matches == ("paper",)
    assert asked == [[2, 0]]


def test_a_row_of_zeros_is_left_out_and_said():
    """As where one class is given for two images, and the second is never asked for."""
    x = pictures(2, *SIZE)
    maps = upsampled(ours(x, [2, 2]))
    assert maps[1].any()
    maps[1] = 0
    found = ng.diagnose(maps, net(), x, 2)
    assert found.matches == ("paper",)
    assert "row 1 of the map is zero everywhere" in found.text()


@pytest.mark.parametrize("size", [(4, 6), SIZE])
def test_a_right_map_of_zeros_is_the_papers(size):
    """Where nothing speaks for the class: a ReLU of negative cells, at the layer's size and the picture's."""
    random = np.random.default_rng(0)
    layers = [("conv", conv(random, 4, 3, padding=(1, 1, 1, 1), stride=(4, 4))), ("relu", ReLU()),
              ("flatten", Flatten()), ("fc", Linear(-random.uniform(0.1, 1, (5, 4 * 4 * 6)), np.zeros(5)))]
    against, x = Network.sequential(layers, dtype="float64"), pictures(1, *SIZE)
    right = ng.grad_cam(against, x, 2, "relu")
    assert right.signed_cam.max() <= 0
    assert ng.diagnose(upsampled(right, size), against, x, 2, "relu").verdict == "paper"


def test_levels_of_a_picture_are_enough():
    x = pictures(1, *SIZE)
    levels = np.uint8(255 * ng.conventions["npgradcam"].apply(ours(x, 2), SIZE))
    found = ng.diagnose(levels, net(), x, 2)
    assert "npgradcam" in found.matches
    assert found.tolerance == pytest.approx(1.01 / 255)
    for same in (levels.astype(float), levels.astype(int)):
        again = ng.diagnose(same, net(), x, 2)
        assert again.matches == found.matches
        assert "whole numbers from 0 to 255 are taken for levels" in again.text()
    small = Image.fromarray(np.uint8(255 * ng.maps.normalise(ours(x, 2).cam)[0]))
    twice = ng.diagnose(np.asarray(small.resize(SIZE[::-1], Image.Resampling.BILINEAR)), net(), x, 2)
    assert any("before enlarging" in d for f in twice.findings for d in f.departures)


@pytest.mark.parametrize("kind", [np.uint8, bool, np.float64])
def test_levels_that_nothing_explains_are_looked_at_once(kind, monkeypatch):
    asked, x = [], pictures(1, *SIZE)
    ask = stages.compare
    monkeypatch.setattr(stages, "compare", lambda *a: asked.append(1) or ask(*a))
    noise = np.random.default_rng(0).integers(0, 256, (1, *SIZE))
    given = noise > 200 if kind is bool else noise.astype(kind)
    assert ng.diagnose(given, net(), x, 2).verdict == "unexplained"
    once = len(asked)
    ng.diagnose(noise + 0.5, net(), x, 2)
    assert once <= 2 * (len(asked) - once)  # as numbers, and as levels


@pytest.mark.parametrize("size", [SIZE, (4, 6)])
@pytest.mark.parametrize("given", [np.asarray, np.float64, lambda m: m / 255])
def test_a_map_truncated_to_levels_is_said_to_be(size, given):
    """Divided by its maximum, enlarged, and cut off to whole levels: its own largest number is below 255."""
    x = pictures(1, *SIZE)
    m = ours(x, 2).cam / ours(x, 2).cam.max()
    found = ng.diagnose(given(np.uint8(255 * (m if size == (4, 6) else upsampled_map(m)))), net(), x, 2)
    assert found.explained
    assert "levels of 256" in found.text(), found
    assert "multiplied by" not in found.text(), found


def upsampled_map(m):
    return definitions.upsample(m, SIZE)


def test_a_map_of_zeros_is_told_of_which_classes_it_could_be():
    x = pictures(1, *SIZE)
    for seed in range(1, 30):
        some = net(seed=seed)
        maps = [ng.grad_cam(some, x, c, "relu2").cam for c in range(5)]
        zero, asked = ([c for c in range(5) if maps[c].any() == wanted] for wanted in (False, True))
        if zero and asked:
            break
    said = ng.diagnose(np.zeros(SIZE), some, x, asked[0], "relu2").text()
    assert f"or it is of class {', '.join(map(str, zero))}, zero everywhere here too" in said
    if len(asked) > 1:
        assert f"class {asked[1]}" not in said


def test_what_cannot_be_tried_is_said_where_nothing_explains():
    x = pictures(1, *SIZE)
    noise = np.random.default_rng(0).normal(size=SIZE)
    said = ng.diagnose(noise, net(), x, 2).text()
    assert "give the photograph" in said
    assert "batch norm as in training cannot be tried: this network has none left" in said
    small = ng.load("shapes")
    x = small.preprocess(ng.images.sample("two_shapes"))
    assert "give the photograph" not in ng.diagnose(np.random.default_rng(0).normal(size=x.shape[2:]), small, x).text()


def test_numbers_too_small_to_have_digits_are_refused():
    with pytest.raises(ShapeError, match=r"^map: expected numbers that float64 holds in full, got none above 1e-310, "):
        ng.diagnose(np.eye(14, 22) * 1e-310, net(), pictures(1, *SIZE), 2)


def test_a_map_of_nothing_but_nan_is_traced_to_who_divides_by_zero():
    x = recorded(TORCH)["negative/images"]
    maps = recorded(TORCH)["negative/act2/kazuto1011"]
    assert np.isnan(maps).all()
    found = ng.diagnose(maps, network("relu", False), x, 3, "act2")
    assert "kazuto1011" in found.matches
    assert "constant" in found.text()


def test_cells_that_are_nan_in_both_maps_do_not_differ():
    x, of_relu = np.repeat(recorded(TORCH)["negative/images"][:1], 2, axis=0), network("relu", False)
    x[1] = np.random.default_rng(0).random(x[1].shape)
    maps = ng.conventions["kazuto1011"].apply(ng.grad_cam(of_relu, x, [3, 2], "act2"), x.shape[2:])
    assert np.isnan(maps[0]).all()
    maps[1, 3, 5] += 1e-5
    found = ng.diagnose(maps, of_relu, x, [3, 2], "act2")
    assert "kazuto1011" in found.matches
    assert found.worst == (1, 3, 5)


def test_a_map_of_nan_beside_one_of_zeros_is_told_what_makes_such():
    maps = np.stack([np.zeros(SIZE), np.where(np.arange(22) < 5, np.nan, np.ones(SIZE))])
    found = ng.diagnose(maps, net(), pictures(2, *SIZE), [2, 1])
    assert found.text().startswith("the map is NaN in 70 of 308 cells, and Grad-CAM of ")
    assert "\n" not in found.text()


FLAT = {
    "zero": (np.zeros(SIZE), ["the map is zero everywhere, and Grad-CAM of relu2, class 2, goes from 0 to",
                              "the gradient never came"]),
    "whole numbers": (np.zeros(SIZE, np.uint8), ["the gradient never came"]),
    "NaN": (np.full(SIZE, np.nan), ["the map is NaN everywhere", "half precision that overflows"]),
    "a NaN": (np.where(np.arange(22) < 5, np.nan, np.ones(SIZE)), ["the map is NaN in 70 of 308 cells"]),
    "one number": (np.full((1, *SIZE), 0.5), ["the map is 0.5 in every cell", "a layer of one cell"]),
    "ones": (np.ones(SIZE), ["the map is 1 in every cell"]),
}


@pytest.mark.parametrize("kind", FLAT)
def test_a_map_without_a_shape_is_told_what_makes_such_and_no_nearest(kind):
    maps, said = FLAT[kind]
    found = ng.diagnose(maps, net(), pictures(1, *SIZE), 2)
    assert all(words in found.text() for words in said), found
    assert "\n" not in found.text()
    assert not any(words in found.text() for words in ("nearest", "averaged", "torchcam"))
    assert found.as_dict()["flat"] == found.text()
    assert not found.explained
    json.dumps(found.as_dict(), allow_nan=False)
    assert found.picture().shape[2] == 3


def test_so_few_cells_that_anything_fits_explain_nothing():
    found = ng.diagnose(np.array([[0.2, 1.0]]), net(), pictures(1, *SIZE), 2)
    assert not found.explained
    assert found.text() == "the map has 2 cells, and so few numbers fit much by chance; give one of more cells"


@pytest.mark.parametrize("tolerance", [-1, float("nan"), float("inf"), 1e9, 0.2, "x", None])
def test_a_tolerance_that_decides_nothing_is_refused(tolerance):
    with pytest.raises(ng.NpGradcamError, match=r"^tolerance: expected a number from 0 to 0\.1, got"):
        ng.diagnose(np.eye(14, 22), net(), pictures(1, *SIZE), 2, tolerance=tolerance)


def test_rows_of_several_lengths_are_no_map():
    with pytest.raises(ng.NpGradcamError, match="got rows of several lengths"):
        ng.diagnose([[1.0, 2.0], [3.0]], net(), pictures(1, *SIZE), 2)


def test_a_map_too_large_to_be_compared_is_refused_before_it_is():
    with pytest.raises(ng.NpGradcamError, match=r"^map: expected at most 2,097,152 numbers, got 12,000,000; give"):
        ng.diagnose(np.broadcast_to(np.float32(1), (3000, 4000)), net(), pictures(1, *SIZE), 2)


def test_what_can_have_made_a_map_of_zeros_is_told_of_the_case_at_hand():
    x, right = pictures(1, *SIZE), pictures(1, *SIZE) * 300
    small = ng.diagnose(np.zeros(SIZE), net(), x, 2).text()
    sure = ng.diagnose(np.zeros(SIZE), net(), right, int(net()(right).argmax())).text()
    assert ("numbers below 1" in small) == (ours(x, 2).cam.max() < 1)
    assert "its gradient vanishes" in sure
    assert "its gradient vanishes" not in small
    assert "numbers below 1" not in sure


def test_the_preprocessing_of_a_model_tells_which_pictures_may_have_gone_in():
    small = ng.load("shapes", dtype="float64")
    x = small.preprocess(ng.images.sample("two_shapes"))
    made = small.preprocessing
    pixels = x * np.reshape(made.std, (3, 1, 1)) + np.reshape(made.mean, (3, 1, 1))
    mean, std = (np.reshape(v, (3, 1, 1)) / 255 for v in (made.mean, made.std))
    reshaped = pixels.transpose(0, 2, 3, 1).reshape(x.shape) / 255
    for wrong, words in ((pixels / 255, "pictures of 0 to 1"), ((x - mean) / std, "normalised twice"),
                         ((reshaped - mean) / std, "reshaped, not transposed"),
                         (pixels, "pictures of 0 to 255, not normalised"),
                         (x[:, ::-1], "channels in the order BGR, not RGB")):
        e = ng.grad_cam(small, np.ascontiguousarray(wrong), 1)
        if e.cam.any() and np.abs(wrong - x).max() > 1e-6:
            found = ng.diagnose(definitions.upsample(e.cam, x.shape[2:]), small, x, 1)
            assert any(words in d for f in found.findings for d in f.departures), found


def test_maps_of_a_network_with_channels_last_are_explained_the_same():
    keras = ng.load(TORCH.parent / "onnx" / "tiny" / "keras_tf2onnx13.onnx", preprocess="tf")
    x = keras.preprocess(ng.images.sample("chelsea"))
    reversed_ = np.ascontiguousarray(x[..., ::-1])
    c = max(range(3), key=lambda k: ng.grad_cam(keras, reversed_, k).cam.max())
    e = ng.grad_cam(keras, x, c)
    found = ng.diagnose(ng.conventions["tf-keras-vis"].apply(e, keras.size), keras, x, c)
    assert "tf-keras-vis 0.8.7" in found.matches
    e = ng.grad_cam(keras, reversed_, c)
    assert e.cam.any()
    found = ng.diagnose(ng.conventions["xplique"].apply(e, keras.size), keras, x, c)
    assert any("channels in the order BGR" in d for f in found.findings for d in f.departures)


def raising(images, target):
    raise KeyError("relu2")


@pytest.mark.parametrize(("maps", "said"), [
    (None, r"^map: expected real numbers .*, got NoneType; is a return missing\?$"),
    ((m for m in range(3)), r"^map: expected real numbers .*, got generator; make an array of it first$"),
    (lambda images, target: None, r"got .*; "),
    (raising, r"^map: the function that was given for it, called with \(images, target\), raised KeyError: 'relu2'$"),
    (lambda images: images, r"raised TypeError: .*takes 1 positional argument but 2 were given"),
    (np.array(["a"]), r"^map: expected real numbers"),
    (np.zeros((14, 22, 3)), r"a picture in colour is no map"),
    (np.zeros((2, 14, 22)), r"one for each picture, got \(2, 14, 22\)"),
    (np.zeros(14), r"expected real numbers \(H, W\)"),
    (np.zeros((14, 22), complex), r"expected real numbers"),
    (np.full((14, 22), np.inf), r"expected finite numbers"),
    (np.zeros((0, 22)), r"expected real numbers"),
])
def test_what_is_no_map_is_refused(maps, said):
    with pytest.raises(ng.NpGradcamError, match=said):
        ng.diagnose(maps, net(), pictures(1, *SIZE), 2)


def test_a_functions_own_error_is_kept_as_the_cause():
    with pytest.raises(ng.NpGradcamError) as caught:
        ng.diagnose(raising, net(), pictures(1, *SIZE), 2)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_layer_without_maps_and_an_unknown_method_are_refused():
    x = pictures(1, *SIZE)
    with pytest.raises(ShapeError, match="expected feature maps"):
        ng.diagnose(np.zeros(SIZE), net(), x, 2, "fc")
    with pytest.raises(ng.NpGradcamError, match="expected one of grad-cam"):
        ng.diagnose(np.zeros(SIZE), net(), x, 2, method="score-cam")
    with pytest.raises(ng.NpGradcamError, match="expected one of grad-cam"):
        ng.diagnose(np.zeros(SIZE), net(), x, 2, method=["grad-cam"])


# ---------------------------------------------------------------- how it is chosen


@given(st.integers(0, 2**32 - 1), st.sampled_from(["none", "bilinear", "cubic", "nearest", "spline", "mirrored"]))
def test_the_screening_sees_the_correlation_of_the_enlarged_maps(seed, kernel):
    """From sums over the small map alone it is what the large ones give."""
    random = np.random.default_rng(seed)
    maps = random.standard_normal((3, 2, 4, 5))
    H, W = (4, 5) if kernel == "none" else (9, 12)
    large = np.stack([resize(m, kernel, (H, W)) for m in maps])
    given_ = large[0] * random.uniform(1, 5) + random.uniform(-3, 3) + 0.1 * random.standard_normal((2, H, W))
    for n, r in enumerate(residual(given_, maps, kernel)):
        correlations = [np.corrcoef(g.ravel(), m.ravel())[0, 1] for g, m in zip(given_, large[n], strict=True)]
        expected = max(np.sqrt(1 - max(c, 0) ** 2) for c in correlations)
        assert r == pytest.approx(expected, abs=1e-7)
    assert axis_matrix("bilinear", 4, 9).shape == (9, 4)


def test_a_factor_that_two_images_share_is_named():
    net = ng.load("shapes")
    x = net.preprocess(ng.images.sample("two_shapes"))
    both = np.concatenate([x, x[:, :, ::-1]])
    maps = ng.grad_cam(net, both, [1, 2]).cam
    assert ng.diagnose(3 * maps, net, both, [1, 2]).findings[0].departures[0].startswith("multiplied by 3 ")
    assert "multiplied by" in ng.diagnose(maps / maps.max(), net, both, [1, 2]).text()  # by the largest of the batch
    assert not ng.diagnose(np.float32([1, 3])[:, None, None] * maps, net, both, [1, 2]).explained
