"""No ONNX file crashes the reader, hangs it, fills the memory or opens other files: it is read, or refused in words."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from fuzzing.graphs import hand_written
from fuzzing.mutators import mutated
from hostile import dressed
from onnx_graphs import model, n
from onnx_hostile_models import ODD, REFUSED

import npgradcam as ng
from npgradcam.errors import ModelFormatError, NpGradcamError
from npgradcam.formats import _payloads
from npgradcam.formats._beside import read_beside
from npgradcam.formats.onnx import load_onnx, network_of
from npgradcam.formats.onnx_file import onnx_file, read_onnx

ROOT = str(Path(__file__).parent.parent)
EACH = 25_000 if os.environ.get("NPGRADCAM_SLOW") else 700  # mutations of each seed


def sentence(error, folder):
    """Check that an error is one short line of its own."""
    text = str(error)
    assert "\n" not in text
    assert 20 < len(text.replace(str(folder), "")) < 2500
    return text


def explained(path):
    """Load, run and explain with a small picture, and say whether it loaded; only errors of the package are caught."""
    network = None
    try:
        network, _ = load_onnx(path, backend="numpy")
        shapes = {name: network.declared.get(name, (None, 3, None, None)) for name in network.inputs}
        shapes = {name: tuple((1 if axis == 0 else 8) if d is None else d for axis, d in enumerate(shape))
                  for name, shape in shapes.items()}
        if sum(np.prod(shape, dtype=float) for shape in shapes.values()) > 1e5:
            return True
        x = {name: np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape) if name not in network.whole
             else np.ones(shape, np.int64) for name, shape in shapes.items()}
        ng.backprop(network, x, target=0)
        ng.grad_cam(network, x, target=0)
    except NpGradcamError as error:
        sentence(error, path)
    return network is not None


@pytest.mark.parametrize("name", REFUSED)
def test_graphs_that_make_no_sense_are_refused_for_the_right_reason(tmp_path, name):
    reason, made = REFUSED[name]
    path = dressed(tmp_path / "models") / "model.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ModelFormatError) as caught:
        load_onnx(path, backend="numpy")
    text = sentence(caught.value, path)
    assert text.startswith(str(path))
    assert re.search(reason, text)


@pytest.mark.parametrize("name", ODD)
def test_odd_graphs_are_run_or_refused_in_a_sentence(tmp_path, name):
    path = tmp_path / "model.onnx"
    path.write_bytes(ODD[name].SerializeToString())
    explained(path)


def test_weights_beside_the_model_are_read(tmp_path):
    """What the hostile files ask for in a wrong way, in the right one: they were not refused for a trivial reason."""
    folder = dressed(tmp_path / "models")
    made = REFUSED["elsewhere: no place"][1]
    made = type(made).FromString(made.SerializeToString())
    for key, text in (("location", "./data"), ("offset", "0"), ("length", "12"), ("checksum", "any")):
        made.graph.initializer[0].external_data.add(key=key, value=text)
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    network, _ = load_onnx(folder / "model.onnx", backend="numpy")
    np.testing.assert_array_equal(network(np.zeros((1, 3, 1, 3), np.float32))[0, 0, 0], [1, 2, 3])
    with pytest.raises(ModelFormatError, match="by its path"):  # without a path nothing lies beside it
        onnx_file(made)
    with pytest.raises(ModelFormatError, match="max_bytes"):
        read_onnx(folder / "model.onnx", max_bytes=(folder / "model.onnx").stat().st_size - 1)


@pytest.mark.parametrize("part", ["data", "folder"])
def test_a_link_that_takes_the_place_of_a_weight_at_the_last_moment_is_not_followed(tmp_path, monkeypatch, part):
    folder = dressed(tmp_path / "models")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for place in (folder / "folder" / "data", secrets / "data"):
        place.write_bytes(bytes(12))
    made = REFUSED["elsewhere: no place"][1]
    made = type(made).FromString(made.SerializeToString())
    made.graph.initializer[0].external_data.add(key="location", value="data" if part == "data" else "folder/data")
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    read_onnx(folder / "model.onnx")
    opened = os.open

    def swapped(path, *arguments, **options):
        if Path(path).name == part:
            (folder / part).rename(tmp_path / "away")
            (folder / part).symlink_to(tmp_path / "secret" if part == "data" else secrets)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "supports_dir_fd", {*os.supports_dir_fd, swapped})
    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(ModelFormatError, match="is a link"):
        read_onnx(folder / "model.onnx")


def test_without_folders_held_open_links_are_refused_too(tmp_path, monkeypatch):
    """As on Windows."""
    folder = dressed(tmp_path / "models")
    monkeypatch.setattr(os, "supports_dir_fd", set())
    for name in ("data", "link", "linked/data", "hard"):
        if name == "data":
            assert len(read_beside(folder, {"location": name}, 12, Counter())) == 12
            continue
        with pytest.raises(ModelFormatError, match="is a link"):
            read_beside(folder, {"location": name}, 12, Counter())


def weights_of(folder, data, large, monkeypatch):
    """Every constant of a file, or that it was refused, where weights of `large` bytes are left in the file."""
    monkeypatch.setattr(_payloads, "LARGE", large)
    path = folder / "model.onnx"
    path.write_bytes(data)
    try:
        return {name: (array.dtype, array.shape, array.tobytes()) for name, array in read_onnx(path).constants.items()}
    except NpGradcamError:
        return None


def test_weights_left_in_the_file_are_those_that_a_parser_finds(tmp_path, monkeypatch):
    chance, data = random.Random(9), hand_written()[0].SerializeToString()  # noqa: S311
    differ = 0
    for _ in range(EACH):
        changed = mutated(data, chance, data)
        small, large = (weights_of(tmp_path, changed, size, monkeypatch) for size in (4, 2**30))
        assert small is None or large is None or small == large
        differ += (small is None) != (large is None)
    assert differ <= EACH // 10


def test_a_weight_that_is_no_message_does_not_move_the_others(tmp_path, monkeypatch):
    made = hand_written()[0]
    graph = made.graph.SerializeToString()
    odd = b"\x28\x01" + graph  # field 5 as a number: not an initializer, whatever its place
    made.ClearField("graph")
    length = len(odd).to_bytes(1, "little") if len(odd) < 128 else bytes((len(odd) & 127 | 128, len(odd) >> 7))
    data = made.SerializeToString() + b"\x3a" + length + odd
    small, large = (weights_of(tmp_path, data, size, monkeypatch) for size in (4, 2**30))
    assert small == large


def test_a_graph_of_many_nodes_takes_time_in_proportion(tmp_path):
    """20,000 nodes of one name: a name for each is found without trying all the others."""
    names = ["x", *(f"t{i}" for i in range(20_000)), "y"]
    made = model(*(n("Relu", a, b, name="same") for a, b in pairwise(names)))
    net = network_of(onnx_file(made))
    assert len({node.name for node in net.nodes}) == 20_001
    with pytest.raises(ModelFormatError, match="100000 nodes"):
        network_of(onnx_file(model(*(n("Relu", "x", f"y{i}") for i in range(100_001)), outputs="y0")))
