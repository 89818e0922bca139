"""What a file may put into a message, a label or a folder's name is one readable line."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from onnx_graphs import load, model, n, numbers

import npgradcam as ng
from npgradcam import errors
from npgradcam.cli.folder import folder_names
from npgradcam.errors import ModelFormatError, ShapeError
from npgradcam.formats import read_text
from npgradcam.layers import Constant
from npgradcam.models import Labels
from npgradcam.models.load import load as load_model

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.NpGradcamError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_one_line_of_what_can_be_printed(kind):
    error = kind("layer a\x1b[2J\nb\u202e\u2028: été ☃")
    assert str(error) == r"layer a\x1b[2J\nb\u202e\u2028: été ☃"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_name_in_a_graph_does_not_reach_the_terminal(tmp_path):
    with pytest.raises(ModelFormatError) as caught:
        load(model(n("MaxPool", "x", kernel_shape=[2, 2], auto_pad="\x1b[2JSAME")), tmp_path)
    assert str(caught.value).isprintable()


def test_labels_are_names_that_can_be_printed():
    assert Labels.parse(["n01\ttench,  white \t shark"]).names == (("n01 tench", "white shark"),)
    for bad in ("\x1b[2J", "a\0", "a\u202eb", "a" * 2000):
        with pytest.raises(ModelFormatError, match="class 1: expected names"):
            Labels((("fine",), (bad,)))


def test_a_text_is_a_whole_regular_file_of_utf_8(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffä\nb".encode())
    assert read_text(path, 99) == "ä\nb"
    os.mkfifo(tmp_path / "pipe")
    for bad, match in ((tmp_path / "pipe", "regular file"), (tmp_path, "regular file"), ("/dev/zero", "regular file"),
                       (tmp_path / "none", "no such file"), (path, "at most 3 bytes")):
        with pytest.raises(ModelFormatError, match=match):
            read_text(bad, 3)
    with pytest.raises(ModelFormatError, match="labels: expected a text file with one class a line"):
        load_model("shapes", labels=tmp_path / "pipe")


def test_names_of_folders_leave_room_in_the_bytes_that_a_system_counts():
    names = folder_names(["𠮷" * 99] * 12)  # four bytes each
    assert max(len(os.fsencode(name)) for name in names) <= 200
    assert len(set(names)) == 12


def test_maps_of_more_images_than_the_output_has_are_refused_in_words(tmp_path):
    """Two images become one: the maps of the layer before belong to no row of the output."""
    made = model(n("Conv", "x k", "a"), n("Reshape", "a s", "b"), n("ReduceMean", "b", "y", axes=[2], keepdims=0),
                 inputs={"x": (2, 3, 4, 4)}, k=numbers(2, 3, 1, 1, seed=1), s=np.array([1, 4, 16]))
    net = load(made, tmp_path)
    with pytest.raises(ShapeError, match="layer 'a': expected maps of 1 images as the output has, got 2"):
        ng.grad_cam(net, np.ones((2, 3, 4, 4)), target=0, layer="a")


def test_what_has_no_derivative_is_refused_in_words(tmp_path):
    made = model(n("Softplus", "x"), inputs={"x": (1, 3)}, types={"x": TensorProto.UINT16, "y": TensorProto.FLOAT})
    with pytest.raises(ShapeError, match="Softplus 'y': it cannot be computed"):
        ng.backprop(load(made, tmp_path), np.ones((1, 3), np.int64), target=0)


def test_weights_beyond_the_largest_float32_become_infinity_without_a_warning():
    assert Constant(np.array([1e300, -1e300, 1.0])).astype("float32").value.tolist() == [np.inf, -np.inf, 1.0]


def test_the_plain_backend_compiles_nothing(tmp_path):
    """Neither where a graph is folded nor where maps are weighed: a process that may not compile, or was forked."""
    made = model(n("MatMul", "a a", "b"), n("Add", "x b", "c"), n("Conv", "c k", "d"), n("GlobalAveragePool", "d", "e"),
                 n("Flatten", "e", "y"), a=numbers(4, 4, seed=1), k=numbers(2, 3, 1, 1, seed=2))
    load(made, tmp_path, "model.onnx")
    code = f"""
import sys, numpy as np, npgradcam as ng
net = ng.load({str(tmp_path / "model.onnx")!r}, backend="numpy")
x = np.ones((1, 3, 4, 4), np.float32)
for method in (ng.grad_cam, ng.counterfactual_grad_cam, ng.backprop):
    method(net, x, target=0)
print("numba" in sys.modules)
"""
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout == "False\n"
