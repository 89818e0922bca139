"""Files that people have by mistake, and networks that fix one side of their pictures: each sentence helps them on."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import npgradcam as ng
from npgradcam.cli import main

NUMPY = ("--backend", "numpy")
SMALL = ("--model", "shapes", *NUMPY)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command line in a folder with a photograph; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ng.images.sample("two_shapes"), "a.png")

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def exported(path, *shapes):
    """Write an ONNX file that convolves inputs of these shapes, adds them up, and has two classes."""
    onnx = pytest.importorskip("onnx")
    helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
    names = [f"x{n}" for n in range(len(shapes))]
    nodes = [helper.make_node("Conv", [name, "w"], [f"c{name}"], name=f"conv{name}") for name in names]
    nodes += [helper.make_node("Sum", [f"c{name}" for name in names], ["s"]), helper.make_node("Relu", ["s"], ["r"]),
              helper.make_node("GlobalAveragePool", ["r"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    w = onnx.numpy_helper.from_array(np.ones((2, 3, 3, 3), np.float32), "w")
    given = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in zip(names, shapes, strict=True)]
    graph = helper.make_graph(nodes, "g", given, [helper.make_tensor_value_info("y", FLOAT, (1, 2))], [w])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


@pytest.mark.parametrize(("shape", "side"), [
    ((1, 3, None, 32), 32), ((1, 3, -5, 32), 32), ((1, 3, 40, None), 40), ((1, 3, None, None), 224),
])
def test_a_side_that_is_fixed_is_the_length_of_the_one_that_is_free(run, shape, side):
    exported("net.onnx", shape)
    model = ("--model", "net.onnx", *NUMPY)
    code, out, err = run("layers", *model)
    assert (code, err) == (0, "")
    assert f"input 1 x 3 x {side} x {side} " in out
    assert run("explain", "a.png", *model, "--preprocess", "unit", "--method", "grad-cam")[0] == 0
    assert run("profile", "net.onnx", *NUMPY, "--rounds", 1)[0] == 0
    assert run("warmup", *model)[0] == 0


@pytest.mark.parametrize("name", ["net.onnx", "net.npz"])
def test_a_pointer_of_git_lfs_is_called_one(run, name, tmp_path):
    pytest.importorskip("onnx")
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    code, _, err = run("layers", "--model", name)
    assert code == 3
    assert f"{name}: this is a Git LFS pointer" in err
    assert "git lfs pull" in err


@pytest.mark.parametrize(("text", "said"), [
    (json.dumps({"0": "a", "1": "b", "2": "c", "3": "d"}), "this is JSON; write the names alone"),
    (json.dumps(["a", "b", "c", "d"], indent=0), "this is JSON"),
    ("0: a\n1: b\n2: c\n3: d\n", "every line has a number ('0: a'); write the names alone"),
])
def test_labels_that_are_no_lines_of_names_are_refused(run, tmp_path, text, said):
    (tmp_path / "labels.txt").write_text(text)
    code, out, err = run("predict", "a.png", *SMALL, "--labels", "labels.txt")
    assert (code, out) == (3, "")
    assert f"labels: expected a text file with one class a line: {said}" in err


def test_names_that_only_look_like_json_or_numbers_are_names(run, tmp_path):
    (tmp_path / "labels.txt").write_text("[a] first\n1: second\nthird\n3\n")
    code, out, _ = run("predict", "a.png", *SMALL, "--labels", "labels.txt")
    assert code == 0
    assert all(name in out for name in ("[a] first", "1: second", "third"))


def test_upper_case_names_the_same_architecture(run):
    assert run("layers", "--model", "RESNET18", *NUMPY)[:2] == run("layers", "--model", "resnet18", *NUMPY)[:2]


@pytest.mark.parametrize(("text", "said"), [
    ('{"0": 1}', "preprocessing: expected name, size and any of crop, interpolation, mean, std, channels, shorter; "),
    ("[" * 100_000, "got lists in lists, deeper than anybody writes them"),
], ids=["other keys", "deep"])
def test_a_record_that_is_no_preprocessing_is_refused_in_our_words(run, tmp_path, text, said):
    (tmp_path / "p.json").write_text(text)
    code, _, err = run("predict", "a.png", *SMALL, "--preprocess", "p.json")
    assert code == 3
    assert said in err
