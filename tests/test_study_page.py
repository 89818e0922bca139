"""The page as a file: its bytes, its size, what is in it before any script runs, and what can never get into it."""

import base64
import gzip
import hashlib
import json
import re

import numpy as np
import pytest
import study_net

import npgradcam as ng
from npgradcam.cli import main
from npgradcam.errors import NpGradcamError
from npgradcam.study.page import page, words, write_page
from npgradcam.study.receipt import receipt

EVIL = '</script><img src="http://127.0.0.1:9/x" onerror="document.title=1">{model}'


@pytest.fixture(scope="module")
def shapes():
    net = ng.load("shapes")
    prepared = net.prepare(ng.images.sample("two_shapes"))
    return ng.trace(net, net.arranged(prepared.x), [0, 2]), prepared


def data_of(text):
    return json.loads(re.search(r'id="npgradcam-data">(.*?)</script>', text, re.S)[1])


def numbers(tensor):
    return np.frombuffer(gzip.decompress(base64.b64decode(tensor["data"])), tensor["dtype"]).reshape(tensor["shape"])


def test_the_same_traces_give_the_same_bytes(shapes, tmp_path):
    trace, prepared = shapes
    sizes = [write_page(tmp_path / name, trace, prepared, name="two_shapes") for name in "ab"]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    packed = base64.b64decode(data_of((tmp_path / "a").read_text("utf-8"))["layers"][0]["A"]["data"])
    assert packed[4:8] == bytes(4)  # gzip's date: none
    assert sizes[0] == (tmp_path / "a").stat().st_size < 500_000


def test_tensors_are_the_numbers_as_computed(shapes):
    trace, prepared = shapes
    layer = data_of(page(trace, prepared))["layers"][0]
    np.testing.assert_array_equal(numbers(layer["A"]), trace.activations)
    np.testing.assert_array_equal(numbers(layer["dA"][1]), trace.gradients[1])
    np.testing.assert_array_equal(numbers(layer["alpha"]), trace.alpha)
    assert layer["A"]["sha256"] == hashlib.sha256(trace.activations.tobytes()).hexdigest()


def test_the_hash_of_style_and_script_is_the_policy_and_nothing_else_is_allowed(shapes):
    text = page(*shapes)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["form-action"] == rules["base-uri"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("style", "script"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)[-1]
        assert rules[f"{tag}-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'"
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.search(r"https?:|\son\w+=|\sstyle=", outside)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|XMLHttp", text)


def test_a_label_is_text_whatever_it_says():
    net = study_net.model((EVIL, "cup"))
    text = page(ng.trace(net, study_net.X, [0, 1]), name=EVIL)
    assert "<img src=\"http" not in text
    assert "&lt;/script&gt;&lt;img" in text
    assert data_of(text)["classes"][0]["label"] == EVIL
    assert text.count("</script>") == 2


def test_it_can_be_read_without_a_script(shapes):
    text = page(*shapes)
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert outside.count('src="data:image/') >= 14
    for said in ("<noscript>", words("en")["sum.notice"], "relu3", "<math", "total"):
        assert said in outside
    assert re.search(r"<td>\d+ others</td>", outside)
    assert not re.search(r'data-words="[\w.]+"></', outside)
    assert len(re.findall(r"<img(?![^>]*\salt=)", outside)) == 0


def test_maps_that_do_not_fit_are_added_up_in_one_so_that_the_sum_is_whole(shapes):
    trace, prepared = shapes
    layer = data_of(page(trace, prepared, budget=60_000))["layers"][0]
    kept = layer["kept"]
    assert 0 < len(kept) < 24
    assert layer["rest"] is not None
    alpha, A = numbers(layer["alpha"]), numbers(layer["A"])
    assert alpha.shape == (2, 24)  # of all of them
    for row in range(2):
        total = (alpha[row, kept, None, None] * A.astype(np.float64)).sum(axis=0) + numbers(layer["rest"])[row]
        np.testing.assert_allclose(total, trace.signed_cam[row], rtol=0, atol=1e-12 * np.abs(trace.signed_cam).max())


def test_the_receipt_is_the_gradient(shapes):
    for trace in (shapes[0], ng.trace(shapes[0].net, shapes[0].tape, [0, 2], "relu1")):
        receipt = data_of(page(trace))["layers"][0]["receipt"]
        assert len({(r["row"], r["k"], r["i"], r["j"]) for r in receipt}) == len(receipt) >= 8
        assert max(r["error"] for r in receipt) < 1e-5


def test_both_languages_say_the_same_things():
    en, ko = words("en"), words("ko")
    assert set(en) == set(ko)
    for key in en:
        assert set(re.findall(r"{(\w+)}", en[key])) == set(re.findall(r"{(\w+)}", ko[key])), key
    text = page(ng.trace(study_net.model(), study_net.X), lang="ko")
    assert '<html lang="ko">' in text
    assert ko["sum.notice"] in text


def test_what_cannot_be_one_page_says_so(shapes, tmp_path, monkeypatch):
    trace, prepared = shapes
    with pytest.raises(NpGradcamError, match="traces of one forward"):
        page([trace, ng.trace(trace.net, trace.outputs["input"], [0, 2])])
    with pytest.raises(NpGradcamError, match="expected one of en, ko, got 'de'"):
        page(trace, lang="de")
    monkeypatch.setattr("npgradcam.study.page.CAP", 1000)
    with pytest.raises(NpGradcamError, match=r"at most 0\.001 MB"):
        write_page(tmp_path / "why.html", trace, prepared)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_labels_pixels_explains_the_sum_over_the_pixels_of_a_class():
    labelled = ng.trace(study_net.pixels(), study_net.X, [0, 1], "relu")
    data = data_of(page(labelled))  # x > 1 four times: 2, 3, 2, 2; it is 1 and tied where the first class wins, 7 times
    assert data["pixels"]
    assert not data["probabilities"]
    won = study_net.X[study_net.X >= 1]
    assert [(one["label"], one["logit"]) for one in data["classes"]] == [("cat", won.sum()), ("cup", 16 - len(won))]
    assert data["classes"][0]["probability"] == len(won) / 16
    assert numbers(data["layers"][0]["alpha"]).tolist() == [[len(won) / 16, len(won) / 16], [0, 0]]
    assert max(r["error"] for r in data["layers"][0]["receipt"]) < 1e-9
    text = page(labelled)
    assert 'body class="pixels"' in text
    assert "share of pixels" in text
    assert f"y^c = {won.sum():g}: the sum of the class's scores over the {len(won)} pixels" in labelled.text()


def test_the_command_writes_a_page_text_or_arrays(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shapes = ["study", "--sample", "two_shapes", "--model", "shapes"]
    assert main([*shapes, "--top-k", "2", "--layer", "relu1", "--layer", "relu3", "--lang", "ko"]) == 0
    assert "open why.html" in capsys.readouterr().out
    data = data_of((tmp_path / "why.html").read_text("utf-8"))
    assert [layer["name"] for layer in data["layers"]] == ["relu1", "relu3"]
    assert (len(data["classes"]), data["lang"]) == (2, "ko")
    assert main(shapes) == 2
    assert "why.html exists" in capsys.readouterr().err
    assert main([*shapes, "--text", "--cell", "6,5", "--channel", "20"]) == 0
    assert "A^20_(6,5) = 47.1996" in capsys.readouterr().out
    assert main([*shapes, "--text", "--lang", "ko"]) == 0
    assert "소프트맥스 이전의 점수" in capsys.readouterr().out
    assert main([*shapes, "--npz", "steps.npz", "--class", "triangle"]) == 0
    with np.load("steps.npz") as steps:
        assert steps["contributions"].shape == (1, 24, 16, 16)
    for wrong, said in ((["--text", "--cell", "a"], "--cell a: expected"), (["--text", "--channel", "24"], "0 to 23"),
                        (["--sample", "coffee"], "photograph, got 2"),
                        (["--layer", "x", "--text"], "no layer has that name")):
        assert main([*shapes, *wrong]) == 2
        assert said in capsys.readouterr().err


def test_a_whole_map_moved_changes_the_score_by_all_its_gradients_and_slices_change_nothing(shapes, monkeypatch):
    trace = ng.trace(shapes[0].net, shapes[0].tape, [0, 2], "relu1")
    found = receipt(trace)
    whole = [r for r in found if r["i"] is None]
    assert {r["row"] for r in whole} == {0, 1}
    for r in whole:
        assert r["gradient"] == pytest.approx(trace.gradients[r["row"], r["k"]].astype(float).sum(), rel=1e-9)
        assert r["error"] < 1e-5
    monkeypatch.setattr("npgradcam.study.receipt.AT_ONCE", 30)  # one map at a time, one output of `fc` at a time
    for r, again in zip(found, receipt(trace), strict=True):
        assert again["measured"] == pytest.approx(r["measured"], rel=1e-6, abs=1e-9)


def test_a_signal_that_does_not_fit_leaves_the_picture_of_its_product(shapes):
    data = data_of(page(*shapes, budget=60_000))
    assert [signal is not None for signal in data["guided"]] == [True, False]
    assert [bool(products) for products in data["products"]] == [True, False]
    assert [product is None for product in data["pictures"]["products"]] == [True, False]
