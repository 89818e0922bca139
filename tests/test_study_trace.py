"""The record of steps: the numbers worked out by hand, what adds up to what, the text, the file."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import study_net
from small_nets import relative

import npgradcam as ng
from npgradcam.errors import NpGradcamError, ShapeError, TargetError
from npgradcam.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU6


@pytest.fixture(scope="module")
def by_hand():
    return ng.trace(study_net.model(), study_net.X, ["cat", "cup"])


@pytest.fixture(scope="module")
def shapes():
    net = ng.load("shapes")
    return ng.trace(net, net.preprocess(ng.images.sample("two_shapes")), [0, 1, 2])


def test_every_step_is_what_a_person_computes(by_hand):
    np.testing.assert_array_equal(by_hand.activations, study_net.A)
    np.testing.assert_array_equal(by_hand.alpha, study_net.ALPHA)
    np.testing.assert_array_equal(by_hand.gradients, np.broadcast_to(study_net.ALPHA[:, :, None, None], (2, 2, 3, 3)))
    np.testing.assert_array_equal(by_hand.signed_cam, study_net.SIGNED)
    np.testing.assert_array_equal(by_hand.cam, np.maximum(study_net.SIGNED, 0))
    np.testing.assert_allclose(by_hand.tape.logits, [[14, 3]], rtol=1e-6)
    np.testing.assert_array_equal(by_hand.normalised.max(axis=(1, 2)), [1, 1])


def test_contributions_add_up_exactly_to_the_map(shapes):
    for row in range(3):
        total = np.zeros(shapes.signed_cam.shape[1:])
        for part in shapes.contributions(row):
            total += part
        np.testing.assert_array_equal(total, shapes.signed_cam[row])
    assert relative(shapes.signed_cam, shapes.grad_cam.signed_cam) < 1e-5


def test_alpha_is_the_mean_of_a_maps_gradients_to_the_last_digit(shapes):
    trace = ng.trace(shapes.net, shapes.tape, [0], "relu1")  # where the gradients of a map differ
    for k in range(len(trace.activations)):
        total = 0.0
        for g in trace.gradients[0, k].ravel().tolist():
            total += g
        assert trace.alpha[0, k] == total / trace.gradients[0, k].size


def test_there_is_a_signal_at_every_layer_under_each_rule_and_it_is_the_one_of_backprop(shapes):
    network = shapes.tape.network
    assert set(shapes.outputs) == {"input", *(node.name for node in network.nodes)}
    for rule, signals in shapes.signals.items():
        assert set(signals) == set(shapes.outputs)
        own = ng.backprop(shapes.net, shapes.outputs["input"], [[0, 1, 2]], rule)
        at_input = shapes.at_input(rule)
        np.testing.assert_array_equal(signals["input"], own.signal)
        assert (repr(at_input), at_input.label(2)) == (repr(own), own.label(2))
    np.testing.assert_array_equal(shapes.signals["gradient"]["relu3"], shapes.gradients)
    assert (shapes.signals["guided"]["conv1"] >= 0).all()


def test_the_text_has_the_equations_with_the_numbers_of_the_cell_asked_for(by_hand):
    text = by_hand.text(k=1, cell=(1, 1))
    for line in (
        "A^1_(1,1) = 2", "relu: ReLU(2) = 2",
        "+3 [from map 0] +0 [0 others] -1 [bias] = 2",  # 3 - 0 - 1
        "dy^0/dA^1_(1,1) = -2", "alpha^0_1 = 1/9 ((-2) + (-2) + (-2) + (-2) + (-2) + (-2) + ...) = -2",
        "alpha_1 A^1_(1,1) = -2 x 2 = -4", "k = 0    +1 x 2 = +2", "total -2, after the ReLU 0",
        "L_(1,1) = max(-2, 0) = 0; 1 of 9 cells are cut off",
        "y^c = y[0] = 14: the score before softmax",
    ):
        assert line in text, f"{line!r} is not in\n{text}"
    assert "class c = 1 (cup)" in by_hand.text(row=1)
    with pytest.raises(ShapeError, match=r"cell: expected one from \(0, 0\) to \(2, 2\), got \(3, 0\)"):
        by_hand.text(cell=(3, 0))
    with pytest.raises(ShapeError, match="channel: expected a number from 0 to 1, got 2"):
        by_hand.text(k=2)
    with pytest.raises(TargetError, match="row"):
        by_hand.text(row=2)


def test_the_three_rules_differ_on_real_cells_as_their_table_says(shapes):
    text = shapes.text(row=2)
    cells = [line for line in text.splitlines() if " -> gradient " in line]
    assert len(cells) == 4  # both signs of x and of the signal occur
    assert cells[3].endswith("gradient 0, deconvnet 0, guided 0")


def test_the_slope_beside_the_rules_is_the_rectifiers_own_also_above_six():
    layers = [("conv", Conv2d(np.float32([[[[1]]]]))), ("relu6", ReLU6()), ("pool", GlobalAvgPool2d()),
              ("flatten", Flatten()), ("fc", Linear(np.float32([[4], [-4]]), np.zeros(2, np.float32)))]
    x = np.float32([[[[7, 3, -2, -1]]]])  # shut above 6, open, shut twice
    text = ng.trace(ng.Network.sequential(layers), x, 0, "conv").text()
    assert "[x > 0]" not in text
    assert "relu6[0, 0, 0]: x = 7, slope = 0, s = 1 -> gradient 0, deconvnet 1, guided 0" in text


def test_the_file_loads_without_this_package_and_holds_every_step(by_hand, tmp_path):
    by_hand.save(tmp_path / "trace.npz")
    by_hand.save(tmp_path / "again.npz")
    assert (tmp_path / "trace.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    code = ("import sys, json, numpy as np; f = np.load(sys.argv[1]); assert 'npgradcam' not in sys.modules; "
            "c = f['contributions']; assert (c.sum(axis=1) == f['signed_cam']).all(); "
            "print(json.loads(str(f['about']))['layer'], f['output/conv'][0, 1, 0, 2], f['signal/guided/conv'].shape)")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "trace.npz")], capture_output=True, text=True,
                          check=True, cwd=tmp_path)
    assert done.stdout.split() == ["relu", "-3.0", "(2,", "2,", "3,", "3)"]
    with np.load(tmp_path / "trace.npz") as f:
        assert json.loads(str(f["about"]))["labels"] == ["cat", "cup"]


def test_a_record_cannot_be_changed(by_hand):
    for array in (by_hand.alpha, by_hand.signed_cam, by_hand.activations, by_hand.signals["guided"]["input"]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_one_image_and_the_network_as_it_is_drawn():
    net = study_net.model()
    with pytest.raises(ShapeError, match="one image, got 2"):
        ng.trace(net, np.concatenate([study_net.X, study_net.X]))
    lite = ng.trace(ng.load("shapes"), ng.load("shapes").preprocess(ng.images.sample("two_shapes")), layer="relu1")
    assert lite.layer == "relu1"
    assert lite.tape.network.rewrite is None
    again = ng.trace(lite.net, lite.tape, layer="relu2")  # another layer of the same forward
    assert again.tape is lite.tape


def test_a_result_tells_one_cell_and_its_steps():
    e = ng.grad_cam(study_net.model(), study_net.X, [["cat", "cup"]])
    why = e.why(1, 1)
    assert [(t.channel, t.contribution) for t in (*why.positive, *why.negative)] == [(0, 2), (1, -4)]
    assert (why.total, why.rest, why.others) == (-2, 0, 0)
    assert "total -2, after the ReLU 0" in str(why)
    few = ng.grad_cam(study_net.model(), study_net.X, "cat").why(1, 1, top=0)
    assert (few.rest, few.others, few.total) == (-2, 2, -2)
    assert [step.name for step in e.steps] == ["activations of relu", "gradients", "alpha", "weighted sum", "ReLU"]
    assert "alpha^c_k = 1/Z sum_ij dy^c/dA^k_ij" in str(e.steps)
    assert e.why(0, 1, row=1).total == 0
    for told in (e, ng.trace(study_net.model(), study_net.X, ["cat", "cup"])):
        for cell in ((3, 0), (-1, 0), (1.5, 0), ("1", 0)):
            with pytest.raises(ShapeError, match="why: expected a cell"):
                told.why(*cell)
        for top in (-1, 1.5):
            with pytest.raises(ShapeError, match="why: expected as top"):
                told.why(0, 0, top=top)
        for row in (2, -1, 0.5):
            with pytest.raises(TargetError, match="row: expected a number from 0 to 1"):
                told.why(0, 0, row)


@pytest.mark.parametrize("method", [ng.cam, ng.hires_cam, ng.layer_cam, ng.grad_cam_plus_plus, ng.xgrad_cam])
def test_each_relative_adds_up_cell_by_cell(method):
    net = ng.load("shapes")
    e = method(net, net.preprocess(ng.images.sample("two_shapes")))
    for i, j in ((0, 0), (6, 5), (15, 3)):
        assert abs(e.why(i, j).total - e.signed_cam[0, i, j]) <= 1e-5 * np.abs(e.signed_cam).max()


def test_results_show_themselves_in_a_notebook_and_labels_stay_text():
    net = study_net.model(("<b>cat", "cup"))
    e = ng.grad_cam(net, study_net.X, [[0, 1]])
    html = e._repr_html_()
    assert html.count("<img ") == 2
    assert "&lt;b&gt;cat" in html
    assert "<b>" not in html
    assert "of relu" in html
    assert len(html) < 20_000
    many = ng.grad_cam(net, np.concatenate([study_net.X] * 9))
    assert "1 more rows" in many._repr_html_()
    nothing = ng.grad_cam(net, np.zeros_like(study_net.X), "cup")
    assert "no cell of relu has positive evidence" in nothing._repr_html_()
    trace = ng.trace(net, study_net.X)._repr_html_()
    assert "<pre>1. The network" in trace
    assert "<b>" not in trace


def test_the_text_says_the_same_numbers_in_korean(shapes):
    english, korean = (shapes.text(lang=lang) for lang in ("en", "ko"))
    numbers = [sorted(re.findall(r"-?\d+\.\d+(?:e-\d+)?", text)) for text in (english, korean)]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) > 50
    assert len(english.splitlines()) == len(korean.splitlines())
    assert "소프트맥스 이전의 점수" in korean
    assert not re.search(r"[{}]", english + korean)
    with pytest.raises(NpGradcamError, match="expected one of en, ko, got 'de'"):
        shapes.text(lang="de")
