"""The kit passes what is right in every convention, and says in a sentence what a planted mistake is."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from kit_implementations import (
    cells,
    finished,
    finished_by_case,
    first_image_alone,
    guided_at_relu_alone,
    minmax,
    network,
    normalised_where_many,
    of_the_class_before,
    of_the_default_layer,
    of_the_probability,
    of_the_top_class,
    ours,
    plus_plus,
    product_at_relu_alone,
    raising,
    right,
    seeing,
    silent_about_missing_targets,
    total,
    training,
    weighed,
    with_gradients_below,
    wrong_where_normed,
)

import npgradcam as ng
from npgradcam.testing import check, kit, slow_methods
from npgradcam.testing.kit.case import in_float32
from npgradcam.testing.kit.cases import cases
from npgradcam.testing.kit.truth import MAPS, PRODUCT, RULES, choices


def test_npgradcam_passes_its_own_kit():
    report = check(right, kit.METHODS, drawn=10)
    assert report.passed, report.text()
    assert {r.status for r in report.results} == {"right"}
    assert len(report.results) > 180
    assert max(r.error for r in report.results) < 5e-5  # float32 against float64
    assert {m for m, r in ((r.method, r) for r in report.results) if r.check == "drawn networks"} == set(kit.METHODS)


@pytest.mark.parametrize("case", cases(), ids=lambda c: c.name)
def test_the_kits_truth_is_that_of_the_slow_definitions(case):
    target = list(case.target)
    for method in MAPS:
        if method != "cam" or case.pooled:
            slow = getattr(slow_methods, method.replace("-", "_"))(case.network, case.x, target, case.layer)
            truth = next(c for c in choices(method) if c.convention.resize == "none" and c.convention.relu == "before"
                         and c.convention.normalise == "none" and c.convention.score == "logit").of(case, method)
            np.testing.assert_allclose(truth, slow.map, rtol=0, atol=1e-10 * max(1e-9, np.abs(slow.map).max()))
    for method, rule in RULES.items():
        slow = slow_methods.backprop(case.network, case.x, target, rule)
        truth = next(choices(method)).of(case, method)
        np.testing.assert_allclose(truth, slow, rtol=0, atol=1e-10 * max(1e-9, np.abs(slow).max()))


def test_the_cases_hold_what_they_are_for():
    by_name = {c.name: c for c in cases()}
    for case in cases():
        assert case.network is not None
        assert all((a == a.astype(np.float32)).all() for n in case.network.nodes for a in n.layer.arrays.values())
        H, W = case.size
        assert H != W
    relu6 = by_name["ReLU6"]
    before = relu6.network.forward(relu6.x, ["conv2"]).activation("conv2")
    assert (before > 6).any() and (before < 0).any()  # noqa: PT018
    signs = [ng.backprop(c.network, c.x, list(c.target), "gradient").signal for c in cases()]
    assert all((s < 0).any() and (s > 0).any() for s in signs)
    negative = by_name["negative evidence only"]
    e = ng.grad_cam(negative.network, negative.x, list(negative.target), negative.layer)
    assert not e.cam.any() and (e.signed_cam < 0).any()  # noqa: PT018
    for case in cases():
        if case is not negative:  # an answer of zeros would pass
            assert ng.grad_cam(case.network, case.x, list(case.target), case.layer).cam.any(axis=(1, 2)).all()


MISTAKES = {
    "alpha without its sign": ("grad-cam", weighed(lambda A, g: cells(np.abs(g.mean(axis=(2, 3)))) * A),
                               "the sign of alpha is lost: its magnitude weighs the channels"),
    "negative alphas cut off": ("grad-cam", weighed(lambda A, g: cells(np.maximum(g.mean(axis=(2, 3)), 0)) * A),
                                "negative alphas are cut off: what speaks against the class is left out"),
    "magnitudes averaged": ("grad-cam", weighed(lambda A, g: cells(np.abs(g).mean(axis=(2, 3))) * A),
                            "mean of the gradients' magnitudes"),
    "negative gradients cut off": ("grad-cam", weighed(lambda A, g: cells(np.maximum(g, 0).mean(axis=(2, 3))) * A),
                                   "negative gradients are cut off before their mean"),
    "largest gradient": ("grad-cam", weighed(lambda A, g: cells(g.max(axis=(2, 3))) * A),
                         "alpha is the largest gradient of a channel"),
    "no gradient": ("grad-cam", weighed(lambda A, g: A / A.shape[1]), "feature maps are averaged"),
    "HiResCAM": ("grad-cam", weighed(lambda A, g: g * A), "HiResCAM, not Grad-CAM"),
    "a loss": ("grad-cam", weighed(lambda A, g: cells(-g.mean(axis=(2, 3))) * A), "sign reversed"),
    "mirrored": ("grad-cam", finished(lambda m: m[:, :, ::-1]), "left and right swapped"),
    "transposed": ("grad-cam", finished(lambda m: m.swapaxes(1, 2)), "height and width swapped"),
    "the top class": ("grad-cam", of_the_top_class, "of the top class, whatever class is asked for"),
    "the class before": ("grad-cam", of_the_class_before, "of the class before: classes are counted from 0"),
    "the default layer": ("grad-cam", of_the_default_layer, "of the last layer with maps, not of the layer that was"),
    "grad_input": ("grad-cam", with_gradients_below, "maps of the layer, but gradients at the layer's input"),
    "over rows": ("grad-cam", weighed(lambda A, g: g.mean(axis=2, keepdims=True) * A), "a mean over the rows alone"),
    "over columns": ("grad-cam", weighed(lambda A, g: g.mean(axis=3, keepdims=True) * A),
                     "a mean over the columns alone"),
    "one mean, one sum": ("grad-cam", weighed(lambda A, g: cells(g.mean(axis=2).sum(axis=2)) * A),
                          "a mean over the rows, but a sum over the columns"),
    "alpha's length": ("grad-cam", weighed(lambda A, g: cells(g.mean(axis=(2, 3)) / np.linalg.norm(
        g.mean(axis=(2, 3)), axis=1, keepdims=True)) * A), "alphas are divided by their length"),
    "softmax": ("grad-cam", weighed(lambda A, g: cells(np.exp(g.mean(axis=(2, 3))) / np.exp(g.mean(axis=(2, 3))).sum(
        axis=1, keepdims=True)) * A), "alphas went through a softmax"),
    "reshaped gradients": ("grad-cam", weighed(lambda A, g: cells(g.reshape(
        len(g), *g.shape[2:], g.shape[1]).mean(axis=(1, 2))) * A), "gradients are reshaped, not transposed"),
    "the first image's alpha": ("grad-cam", weighed(lambda A, g: cells(g[:1].mean(axis=(2, 3))) * A),
                                "alpha is that of the batch's first image"),
    "mirrored before": ("grad-cam", seeing(lambda x: x[..., ::-1]), "the map of a mirrored picture"),
    "reshaped": ("grad-cam", seeing(lambda x: x.transpose(0, 2, 3, 1).reshape(x.shape)),
                 "pictures reshaped, not transposed"),
    "in training": ("grad-cam", training("grad-cam"), "is an eval() missing?; the rest as the paper's L^c"),
    "signals in training": ("guided-backprop", training("guided-backprop"), "is an eval() missing?"),
    "averaged channels": ("grad-cam", finished_by_case(lambda m, e: m / e.activations.shape[1]),
                          "weighed channels are averaged, not summed"),
    "each term": ("grad-cam", weighed(lambda A, g: np.maximum(cells(g.mean(axis=(2, 3))) * A, 0)),
                  "each weighed channel is rectified before the sum"),
    "root mean square": ("grad-cam", weighed(lambda A, g: cells((g / (np.sqrt((g**2).mean()) + 1e-5)).mean(axis=(2, 3)))
                                             * A), "divided by the root of their mean square"),
    "abs": ("grad-cam", finished_by_case(lambda m, e: np.abs(e.signed_cam)), "magnitudes in the place of the ReLU"),
    "over the batch": ("grad-cam", weighed(lambda A, g: g.mean(axis=(0, 2, 3))[None, :, None, None] * A),
                       "alpha is averaged over all images of the batch"),
    "last first": ("grad-cam", finished(lambda m: m[::-1]), "the images' order is reversed"),
    "scaled as a batch": ("grad-cam", finished(lambda m: m / (m.max() or 1)), "scaled over the whole batch"),
    "a mean loss": ("grad-cam", finished(lambda m: m / len(m)), "a mean over the images of the batch"),
    "inverted": ("grad-cam", finished(lambda m: 1 - minmax(m, 1e-7)), "inverted: one minus the map"),
    "pixels": ("grad-cam", finished(lambda s: np.abs(s).max(axis=1), "gradient"), "is of the pixels"),
    "BGR in": ("grad-cam", lambda model, x, *rest: right(model, x[:, ::-1].copy(), *rest, "grad-cam"),
               "channels in the reversed order"),
    "batch statistics": ("grad-cam", wrong_where_normed, "was it in training mode, and is an eval() missing?"),
    "nothing": ("grad-cam", finished(lambda m: None), "expected an array, got None: is a return missing?"),
    "no batch": ("grad-cam", finished(lambda m: m[0]), "the axis of the images is missing"),
    "in colour": ("grad-cam", finished(lambda m: np.repeat(m[..., None], 3, -1)), "got a picture in colour"),
    "0/0": ("grad-cam", finished(minmax), "0/0 where there is no evidence"),
    "a batch's first image": ("grad-cam", first_image_alone, "images of a batch were left out"),
    "missing targets": ("grad-cam", silent_about_missing_targets, "the second map is zero, silently"),
    "two conventions": ("grad-cam", normalised_where_many, "another convention than elsewhere"),
    "no counterfactual": ("counterfactual-grad-cam", ours("grad-cam"), "the gradient was not negated"),
    "no denominator": ("grad-cam-plus-plus", plus_plus(lambda A, g: np.ones_like(g)),
                       "denominator of Grad-CAM++ missing"),
    "one cell's A": ("grad-cam-plus-plus", plus_plus(lambda A, g: 2 * g**2 + A * g**3), "each cell's own A"),
    "no ReLU in Grad-CAM++": ("grad-cam-plus-plus", weighed(lambda A, g: cells(
        (g / (2 + total(A) * g)).sum(axis=(2, 3))) * A), "gradients of both signs, not ReLU(g) alone"),
    "product inside": ("grad-cam-plus-plus", plus_plus(lambda A, g: 2 * g**2 + total(A * g**3)),
                       "the sum of A g^3, not the sum of A times g^3"),
    "no A": ("grad-cam-plus-plus", plus_plus(lambda A, g: 2 * g**2), "no A in the denominator"),
    "one for two": ("grad-cam-plus-plus", plus_plus(lambda A, g: g**2 + total(A) * g**3), "1 for 2"),
    "all channels": ("grad-cam-plus-plus", plus_plus(
        lambda A, g: 2 * g**2 + A.sum(axis=(1, 2, 3), keepdims=True) * g**3), "over all channels too"),
    "a mean of weights": ("grad-cam-plus-plus", finished_by_case(
        lambda m, e: m / e.gradients[0, 0].size, "grad-cam-plus-plus"), "a mean over the cells, not their sum"),
    "exp(score)": ("grad-cam-plus-plus", finished_by_case(
        lambda m, e: m * np.exp(e.logits[e.image, e.target])[:, None, None], "grad-cam-plus-plus"),
                   "a factor exp(score)"),
    "an epsilon": ("grad-cam-plus-plus", plus_plus(lambda A, g: 2 * g**2 + total(A) * g**3 + 1e-6),
                   "1e-6 in the denominator of Grad-CAM++, which outweighs small squared gradients"),
    "Grad-CAM": ("grad-cam-plus-plus", ours("grad-cam"), "Grad-CAM, not Grad-CAM++"),
    "CAM over Z": ("cam", finished(lambda m: m / m[0].size, "cam"), "is Grad-CAM: CAM divided by the number of cells"),
    "inert guided": ("guided-backprop", ours("gradient"),
                     "equals the plain gradient: the rule was not applied at any rectifier"),
    "inert at ReLU6": ("guided-backprop", guided_at_relu_alone,
                       "equals the plain gradient: the rule was not applied at ReLU6"),
    "guided, not deconvnet": ("deconvnet", ours("guided-backprop"), "is the signal of guided backpropagation"),
    "cut off at the end": ("guided-backprop", finished(lambda s: np.maximum(s, 0), "gradient"),
                           "negative numbers were cut off at the image alone"),
    "magnitudes": ("gradient", finished(np.abs, "gradient"), "the sign was lost"),
    "reversed": ("gradient", finished(np.negative, "gradient"), "the sign is reversed"),
    "BGR": ("gradient", finished(lambda s: s[:, ::-1], "gradient"), "channels of the image are in the reversed order"),
    "twice": ("gradient", finished(lambda s: 2 * s, "gradient"), "multiplied by 2"),
    "product, inert": ("guided-grad-cam", product_at_relu_alone, "not applied at ReLU6"),
    "zeros": ("grad-cam", finished(np.zeros_like), "zero everywhere"),
    "whole numbers": ("grad-cam", finished(lambda m: (99 * m).astype(int)), "whole numbers alone"),
    "a picture": ("grad-cam", finished(lambda m: np.uint8(255 * m / (m.max() + 1e-8))), "the levels of a picture"),
    "half precision": ("grad-cam", finished(np.float16), "rounded to half precision"),
    "too short": ("grad-cam", finished(lambda m: m[:1]), "expected an answer for each image"),
    "words": ("grad-cam", lambda *given: "a map", "expected an array of real numbers"),
    "broken": ("grad-cam", raising(KeyError("relu2")), "KeyError: 'relu2'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_named(name):
    method, function, sentence = MISTAKES[name]
    report = check(function, method, drawn=0)
    assert not report.passed
    assert sentence in report.text()


# two things are wrong, or one that shows in two ways
MIXED = {"missing targets", "too short", "no batch", "0/0", "inverted", "magnitudes averaged", "product inside"}


@pytest.mark.parametrize("name", [name for name in MISTAKES if name not in MIXED])
def test_one_mistake_is_one_sentence_on_one_screen_whatever_it_breaks(name):
    method, function, sentence = MISTAKES[name]
    report = check(function, method, drawn=4)
    causes = {r.sentence for r in report.failures}
    assert len(causes) == 1, report
    assert sentence in causes.pop()
    assert len(report.text().splitlines()) < 12
    assert all(len(line) < 200 for line in report.text().splitlines())


def test_the_sentence_names_the_checks_and_the_largest_error():
    report = check(finished(lambda m: 2 * m), drawn=0)
    head, cause, *names = report.text().splitlines()
    assert head.startswith("Grad-CAM: ")
    assert cause.startswith("  wrong     multiplied by 2")
    assert cause.endswith("(off by up to 1)")
    told = " ".join(line.strip() for line in names)
    assert told == f"in {len(report.failures)} checks: {'; '.join(r.check for r in report.failures)}"


def test_two_mistakes_are_two_sentences():
    def two(model, images, target, layer):
        maps = right(model, images, target, layer, "grad-cam")
        return maps[::-1] if len(images) > 1 else np.abs(ng.grad_cam(network(model), images, target, layer).signed_cam)

    causes = {r.sentence.split(":")[0] for r in check(two, drawn=0).failures}
    assert {"magnitudes in the place of the ReLU", "the images' order is reversed"} <= causes


def test_who_is_held_to_the_paper_may_enlarge_or_return_its_own_map():
    def enlarged(model, images, target, layer):
        return ng.maps.upsample(right(model, images, target, layer, "grad-cam"), images.shape[2:])

    for function, said in ((ours("grad-cam"), "as the paper's L^c"), (enlarged, "as the paper")):
        report = check(function, convention="paper", drawn=0)
        assert report.passed, report
        assert report.conventions["grad-cam"] == said
    assert not check(enlarged, convention="paper, L^c", drawn=0).passed


def corner_aligned(model, images, target, layer):
    e = ng.grad_cam(network(model), images, target, layer)
    return replace(ng.conventions["paper"], resize="corner-aligned").apply(e, images.shape[2:])


def unrectified(model, images, target, layer):
    return ng.grad_cam(network(model), images, target, layer).signed_cam


HELD = {  # what is asked, held to which convention, and what is different from that one
    "mean": (corner_aligned, "ramprs", "alpha is the mean of the gradients, not their sum; the rest as ramprs"),
    "paper": (corner_aligned, "paper", "corner-aligned upsampling, not bilinear upsampling with half-pixel centres"),
    "no ReLU": (unrectified, "paper", "ReLU missing; the rest as the paper's L^c"),
    "logit": (of_the_probability, "paper, L^c", "not of the logit; the rest as the paper's L^c"),
}


@pytest.mark.parametrize("kind", HELD)
def test_who_is_held_to_a_convention_is_told_what_is_different_from_that_one(kind):
    function, name, said = HELD[kind]
    report = check(function, convention=name, drawn=0)
    sentences = {r.sentence for r in report.failures}
    assert len(sentences) == 1, report
    assert said in sentences.pop()


def test_the_convention_that_is_named_is_told_with_what_departs_from_it():
    """The mean, enlarged as ramprs enlarges, is not ramprs: that takes the sum."""
    report = check(corner_aligned, drawn=0)
    assert report.passed, report
    assert report.conventions["grad-cam"] == ("as the paper but: corner-aligned upsampling, not bilinear upsampling "
                                              "with half-pixel centres")


CONVENTIONS = {
    "pytorch-grad-cam 1.5.7": "as pytorch-grad-cam 1.5.7", "captum 0.9.0": "as captum 0.9.0",
    "torchcam 0.5.0": "as torchcam 0.5.0", "tf-keras-vis 0.8.7": "as tf-keras-vis 0.8.7",
    "saliency 0.2.1": "as saliency 0.2.1", "ramprs": "as ramprs",
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_documented_convention_is_named_and_is_no_mistake(name):
    convention = ng.conventions[name]

    def theirs(model, images, target, layer):
        e = ng.grad_cam(network(model), images, target, layer, score=convention.score)
        return convention.apply(e, images.shape[2:])

    report = check(theirs, drawn=5)
    assert report.passed, report.text()
    assert CONVENTIONS[name] in report.conventions["grad-cam"]
    assert check(theirs, convention=name, drawn=0).passed
    assert not check(theirs, convention="npgradcam", drawn=0).passed


def test_the_probability_is_a_convention_and_said():
    report = check(of_the_probability, drawn=0)
    assert report.passed, report.text()
    assert "the score is what the network returns" in report.conventions["grad-cam"]
    assert not check(of_the_probability, convention="paper, L^c", drawn=0).passed


def test_a_conventions_own_mistake_is_no_excuse():
    assert check(plus_plus(lambda A, g: 2 * g**2 + total(A) * g**3, "output"), "grad-cam-plus-plus",
                 convention="torchcam 0.5.0, raw", drawn=0).passed
    report = check(plus_plus(lambda A, g: np.ones_like(g)), "grad-cam-plus-plus", convention="torchcam 0.5.0, raw",
                   drawn=0)
    assert not report.passed
    with pytest.raises(ng.NpGradcamError, match="made of faults"):
        check(ours("grad-cam"), convention="utkuozbulak", drawn=0)


def test_what_a_function_cannot_do_is_left_out_and_nothing_at_all_is_no_pass():
    def some(model, images, target, layer):
        if len(images) > 1:
            raise NotImplementedError("one image at a time")
        return right(model, images, target, layer, "grad-cam")

    report = check(some, drawn=0)
    assert report.passed
    assert [r.check for r in report.results if r.status == "left out"] == ["two images, two classes"]
    assert "left out  raises NotImplementedError\n" in str(check(raising(NotImplementedError()), drawn=0))
    nothing = check(raising(NotImplementedError("no")), drawn=2)
    assert not nothing.passed and not nothing.conventions["grad-cam"]  # noqa: PT018
    chosen = {c.model for c in cases()}

    def chosen_alone(model, *given):
        if model not in chosen:
            raise NotImplementedError("auto_pad")
        return right(model, *given, "grad-cam")

    assert "left out  drawn networks: auto_pad" in str(check(chosen_alone, drawn=2))


def test_channels_last_and_an_axis_of_one_are_understood():
    assert check(finished(lambda s: s.transpose(0, 2, 3, 1), "gradient"), "gradient", drawn=2).passed
    assert check(finished(lambda m: m[:, None]), drawn=0).passed
    assert check(finished(lambda m: m[..., None]), drawn=0).passed


def test_drawn_networks_find_what_the_chosen_ones_do_not_ask_and_tell_the_smallest():
    chosen = {c.model for c in cases()}
    report = check(lambda model, *given: right(model, *given, "grad-cam") * (1 if model in chosen else 1.01), drawn=8)
    (failure,) = [r for r in report.failures if r.check == "drawn networks"]
    assert failure.where.startswith("8 of 8, the smallest: Conv2d")
    assert failure.sentence.startswith("multiplied by 1.01")
    assert f"drawn networks ({failure.where}): multiplied by" in report.text()


def test_a_report_is_text_for_people_and_json_for_programs():
    report = check(ours("gradient"), "guided-backprop", drawn=0)
    said = json.loads(json.dumps(report.as_dict()))
    assert said["schema"] == "npgradcam/check/1" and said["passed"] is False  # noqa: PT018
    assert said["results"][0]["status"] == "wrong"
    assert str(report) == repr(report) == report.text()
    assert report.text().startswith("Guided backpropagation: ")


def test_an_unknown_method_is_an_error_with_the_way_out():
    with pytest.raises(ng.NpGradcamError, match="did you mean grad-cam"):
        check(right, ["gradcam"])
    with pytest.raises(ng.NpGradcamError, match="got none"):
        check(right, [])
    with pytest.raises(ng.NpGradcamError, match=r"got 'nonsense'$"):  # nothing is near it
        check(right, "nonsense")
    for given in (7, [7], None):
        with pytest.raises(ng.NpGradcamError, match=r"^methods: expected some of cam, .*, got (7|None)$"):
            check(right, given)


@pytest.mark.parametrize("given", [
    {"tolerance": -1}, {"tolerance": math.nan}, {"tolerance": math.inf}, {"tolerance": "x"}, {"tolerance": True},
    {"drawn": -3}, {"drawn": "x"}, {"drawn": 2.0}, {"drawn": True}, {"drawn": None},
])
def test_a_number_that_decides_nothing_is_refused_before_the_function_is_asked(given):
    asked = []
    ((name, value),) = given.items()
    with pytest.raises(ng.NpGradcamError, match=f"^{name}: expected a .*, got {re.escape(repr(value))}; .*"):
        check(lambda *a: asked.append(a), **given)
    assert not asked
    assert check(ours("grad-cam"), tolerance=np.float32(1e-3), drawn=np.int64(0)).passed


def test_a_case_is_rounded_to_what_the_file_holds():
    net = in_float32(cases()[0].network)
    assert net.dtype == "float64"
    assert (net["conv1"].layer.weight == cases()[0].network["conv1"].layer.weight).all()


def test_the_product_is_known_by_its_map():
    report = check(lambda *given: right(*given, PRODUCT), PRODUCT, drawn=0)
    assert report.conventions[PRODUCT] == "times the map as the paper"


def test_the_finishing_of_whose_weights_these_are_is_said_to_be_theirs():
    """Where few answers are right, several known conventions are left; the owner's is one of them."""
    theirs = ng.conventions["tf-keras-vis 0.8.7"]

    def mine(model, images, target, layer):
        e = ng.grad_cam_plus_plus(network(model), images, target, layer, score="output")
        return theirs.apply(e, images.shape[2:])

    report = check(mine, "grad-cam-plus-plus")
    assert report.conventions["grad-cam-plus-plus"] == "as tf-keras-vis 0.8.7"
    assert "as in tf-keras-vis 0.8.7" in report.text()


def test_zeros_where_zeros_are_right_agree_with_no_convention():
    """A map of next to nothing is right where there is no evidence; that tells nobody's convention."""
    report = check(lambda model, images, target, layer: np.full(images[:, 0].shape, 1e-9), drawn=0)
    assert {r.check for r in report.results if r.status == "right"} >= {"negative evidence only"}
    assert report.conventions["grad-cam"] == ""


NO_ANSWERS = {
    "a generator": (lambda *given: (m for m in range(3)), r"expected an array of real numbers, got generator"),
    "rows": (lambda *given: [[1.0], [1.0, 2.0]], r"expected an array of real numbers, got rows of several shapes"),
    "a number": (lambda *given: 0.5, r"expected an array with an answer for each image, got the shape \(\)"),
    "a line": (lambda *given: np.zeros(5), r"expected an array with an answer for each image, got the shape \(5,\)"),
    "complex": (lambda model, x, *given: x[:, 0] * 1j, r"expected an array of real numbers, got complex64 \("),
    "nobody": (lambda: None, r"TypeError: .*takes 0 positional arguments but 4 were given"),
}


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_what_is_no_answer_is_one_sentence(kind):
    function, said = NO_ANSWERS[kind]
    report = check(function, drawn=0)
    assert not report.passed
    assert {r.status for r in report.results} == {"error"}
    assert all(re.search(said, r.sentence) for r in report.results), report


def test_a_convention_that_is_none_is_refused():
    with pytest.raises(ng.NpGradcamError, match=r"^convention: expected a Convention or the name of one, got int$"):
        check(right, convention=5)
