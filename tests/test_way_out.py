"""Sentences about files that are not what was asked for: each names the file, what came instead, and a way out."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import npgradcam as ng
from npgradcam.cli import main
from npgradcam.errors import close_matches

TINY = Path(__file__).parent / "data" / "onnx" / "tiny" / "torch_dynamo18.onnx"
AGAIN = "; download it again, or write it with torch.save"
CASES = {
    "diagnose empty.npy a.png": "empty.npy: expected numbers or text as its array, got an empty file; save plain",
    "diagnose objects.npy a.png": "objects.npy: .* got Python objects, which only code could read; save plain",
    "diagnose complex.npy a.png": "complex.npy: .* got complex numbers; save plain real numbers with numpy.save",
    "diagnose cut.npy a.png": "cut.npy: its array has 96 bytes for float32 of shape .*; is the file complete",
    "diagnose picture.npy a.png": r"picture.npy: .* got no array but bytes that begin b'\\x89PNG.*; save plain",
    "diagnose good.npy empty.npy": "empty.npy: expected numbers or text as its array, got an empty file",
    "diagnose folder.npy a.png": "folder.npy: expected a regular file, got a folder; name a file in it",
    "diagnose pipe.npy a.png": "pipe.npy: expected a regular file, got a device or a pipe; write it to a file first",
    "predict a.png --model cut.onnx": "cut.onnx: .* got something else or a part of one .*; download or export",
    "predict a.png --model empty.onnx": "empty.onnx: .* got no graph in it; download or export it again",
    "predict a.png --model folder.npy": "folder.npy: expected a name, or a file .*, got a folder; name a file in it",
    "predict a.png --weights whole.onnx": "whole.onnx: expected weights of .*, got a model.*--model whole.onnx without",
    "predict a.png --weights folder.npy": "folder.npy: expected a regular file, got a folder; name a file in it",
    "predict a.png --weights empty.pth": f"empty.pth: .* got an empty file{AGAIN}",
    "predict a.png --weights page.pth": f"page.pth: .* got a web page{AGAIN}",
    "predict a.png --weights lfs.pth": "lfs.pth: this is a Git LFS pointer, .*; fetch it with git lfs pull, or ",
    "predict a.png --weights text.pth": f"text.pth: .* got b'hello wo' as first bytes{AGAIN}",
    "predict a.png --labels text.pth": "labels of shapes in text.pth: expected 4, one line .*, got 1; an empty line is",
    "predict a.png --model ": "model '': expected a name or a file; `npgradcam models` lists the names",
    "profile ": "model '': expected a name or a file; `npgradcam models` lists the names",
    "verify shapes good.npz": "input good.npz: this network has one input; expected a photograph, or an .npy file as",
    "verify shapes nan.npy": "input nan.npy: expected finite numbers, got NaN or infinity",
    "verify ": "model '': expected a name or a file; `npgradcam models` lists the names",
    "predict a.png --model resnet": "no model 'resnet'; near it: resnet50, .*; `npgradcam models` lists all",
    "predict a.png --model SHAPESS": "no model 'SHAPESS'; near it: shapes;",
    "predict ": "predict: expected a photograph, got an empty name; give its path",
    "predict http://a/b.jpg": "predict http://a/b.jpg: expected a photograph on this machine, .*; download it first",
    "diagnose good.npy": "expected a photograph or an .npy file .*, got none; give its path, or --sample NAME",
    "diagnose good.npy a.png --class 1 --class 2": r"--class: expected one, or one for each image \(1\), got 2",
    "predict a.png --model nonsense": "no model 'nonsense'; `npgradcam models` lists all",
    "reference /proc/pack": "cannot write /proc/pack: [^;]*; choose another folder",
    "predict pipe.npy": "'pipe.npy': .*, got a device or a pipe; write it to a file first",
    "explain a.png --class tirangle": r"no class 'tirangle'; near it: triangle \(2\); or take the index, 0 to 3",
    "explain a.png --class zzz": r"no class 'zzz'; there are circle \(0\), square .*, cross \(3\); or take the index",
    "explain a.png --layer RELU": "--layer RELU: .* near it: relu.*; `npgradcam layers` lists all",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    shutil.copy(ng.images.sample("two_shapes"), folder / "a.png")
    shutil.copy(ng.images.sample("two_shapes"), folder / "picture.npy")
    np.save(folder / "good.npy", np.ones((1, 5, 5), np.float32))
    np.save(folder / "nan.npy", np.full((1, 3, 32, 32), np.nan))
    np.savez(folder / "good.npz", x=np.ones((1, 3, 32, 32)))
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.save(folder / "complex.npy", np.ones((5, 5), complex))
    (folder / "cut.npy").write_bytes((folder / "good.npy").read_bytes()[:-4])
    shutil.copy(TINY, folder / "whole.onnx")
    (folder / "cut.onnx").write_bytes(TINY.read_bytes()[:1000])
    for name in ("empty.npy", "empty.onnx", "empty.pth"):
        (folder / name).touch()
    (folder / "page.pth").write_text("\n<!DOCTYPE html><html>Not found")
    (folder / "lfs.pth").write_text("version https://git-lfs.github.com/spec/v1\n")
    (folder / "text.pth").write_text("hello world")
    (folder / "folder.npy").mkdir()
    os.mkfifo(folder / "pipe.npy")
    return folder


@pytest.mark.parametrize("asked", CASES)
def test_it_says_what_came_and_the_way_out(files, monkeypatch, capsys, asked):
    pytest.importorskip("onnx")
    monkeypatch.chdir(files)
    words = asked.split(" ")
    named = [] if "--model" in words or words[0] in ("profile", "verify") else ["--model", "shapes"]
    code = main(words if words[0] == "reference" else [*words, *named, "--backend", "numpy"])
    printed = capsys.readouterr()
    assert code in (2, 3, 4)
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert printed.err.startswith("npgradcam: error: ")
    assert re.search(CASES[asked], printed.err), printed.err


@pytest.mark.parametrize(("name", "near"), [("CONV1", "conv1"), ("or", "stem.norm"), ("relv", "relu"),
                                            ("", "relu, Head"), ("head", "Head")])
def test_a_name_is_near_in_any_case_and_in_part(name, near):
    names = ["conv1", "stem.conv", "stem.norm", "relu", "Head"]
    assert close_matches(name, names, limit=2) == near
    assert close_matches(name, []) == "none"
