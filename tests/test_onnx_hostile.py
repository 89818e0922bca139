"""No ONNX file crashes the reader, hangs it, fills the memory or opens other files: it is read, or refused in words."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx import TensorProto
from onnx_graphs import model, n, numbers, whole
from onnx_hostile_models import ODD, REFUSED

import npgradcam as ng
from npgradcam.errors import ModelFormatError, NpGradcamError
from npgradcam.formats import _payloads
from npgradcam.formats.onnx import load_onnx, network_of
from npgradcam.formats.onnx_file import onnx_file, read_onnx

ROOT = str(Path(__file__).parent.parent)
EACH = 25_000 if os.environ.get("NPGRADCAM_SLOW") else 700  # mutations of each seed


def dressed(folder):
    """A folder with a file of weights, links to it and to a secret beside the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "data").write_bytes(np.array([1, 2, 3], np.float32).tobytes())
    (folder / "folder").mkdir()
    (folder.parent / "secret").write_bytes(bytes(12))
    (folder / "link").symlink_to(folder.parent / "secret")
    os.link(folder.parent / "secret", folder / "hard")
    (folder / "linked").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    return folder


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
        with np.errstate(all="ignore"):
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


def seeds():
    """A few small valid files of many kinds of fields."""
    k, v, half = numbers(2, 3, 3, 3, seed=1), numbers(4, 2, seed=2), numbers(2, seed=3).astype(np.float16)
    typed = type(model(n("Relu", "x")).graph.initializer.add())(name="a", data_type=1, dims=[2], float_data=[1, 2])
    tail = (n("GlobalAveragePool", "r", "p"), n("Flatten", "p", "f"), n("Gemm", "f v", "y", transB=1))
    return [
        model(n("Conv", "x k h", "c", name="conv", pads=[1] * 4), n("Relu", "c", "r"), *tail, k=k, h=half, v=v),
        model(n("Conv", "x k a", "c", strides=[2, 2]), n("Clip", "c", "r", min=0.0, max=6.0), *tail[:2],
              n("Gemm", "f v e", "y", transB=1),
              n("Softmax", "y", "z"),
              outputs="z", opset=6, k=k, v=v, a=typed, e=numbers(4, seed=4),
              metadata={"npgradcam.labels": '["a", "b", "c", "d"]'}),
        model(n("Shape", "x", "s"), n("Gather", "s i", "b"), n("Unsqueeze", "b z", "u"),
              n("Concat", "u l", "t", axis=0),
              n("Reshape", "x t", "q"), n("ReduceMean", "q", "m", axes=[1]), i=np.array(0), z=whole(0), l=whole(-1),
              outputs="m"),
        model(n("Transpose", "x", "t", perm=[0, 3, 1, 2]), n("MaxPool", "t", "m", kernel_shape=[2, 2]),
              n("Resize", "m - e", "y", mode="linear"), e=np.array([1, 1, 2, 2], np.float32),
              inputs={"x": ("N", 8, 8, 3)}),
        model(n("Constant", "", "c", value=TensorProto(data_type=7, dims=[2], int64_data=[1, 2])),
              n("Cast", "c", "d", to=1),
              n("Split", "x", "a b -", axis=1), n("Mul", "a b", "y"), outputs="y d", inputs={"x": (1, 3, 4, 4)}),
    ]


def mutated(data, chance):
    copy = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        at = chance.randrange(len(copy))
        match chance.randrange(6):
            case 0:
                copy[at] ^= 1 << chance.randrange(8)
            case 1:
                copy[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                copy[at] = (copy[at] + chance.choice((-1, 1,
                                                      copy[at]))) % 256  # lengths are single bytes in small files
            case 3:
                copy[at : at + 1] = chance.choice((b"\xff\xff\xff\xff\x07", b"\xff" * 9 + b"\x01", b"\x80\x80\x01"))
            case 4:
                del copy[at : at + chance.randrange(1, 9)]
            case 5:
                start = chance.randrange(len(copy))
                copy[at:at] = copy[start : start + chance.randrange(1, 40)]
        copy = copy or bytearray(b"\0")
    return bytes(copy)


def test_no_part_of_a_file_is_taken_for_the_whole(tmp_path):
    path, data = tmp_path / "model.onnx", seeds()[0].SerializeToString()
    read = 0
    for length in range(len(data)):
        path.write_bytes(data[:length])
        read += explained(path)
    assert read == 0
    path.write_bytes(data)
    assert explained(path)


@pytest.mark.parametrize("seed", range(5))
def test_mutated_files_are_read_or_refused(tmp_path, seed):
    chance, path, data = random.Random(seed), tmp_path / "model.onnx", seeds()[seed].SerializeToString()  # noqa: S311
    read = 0
    for _ in range(EACH):
        path.write_bytes(mutated(data, chance))
        read += explained(path)
    assert EACH // 50 < read < EACH  # some mutations only change numbers: the others did not fail for a trivial reason


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
    chance, data = random.Random(9), seeds()[0].SerializeToString()  # noqa: S311
    differ = 0
    for _ in range(3 * EACH):
        changed = mutated(data, chance)
        small, large = (weights_of(tmp_path, changed, size, monkeypatch) for size in (4, 2**30))
        assert small is None or large is None or small == large
        differ += (small is None) != (large is None)
    assert differ <= EACH // 10


def test_a_weight_that_is_no_message_does_not_move_the_others(tmp_path, monkeypatch):
    made = seeds()[0]
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


def test_hostile_files_open_nothing_else_and_stay_small(tmp_path):
    """Every hostile file in a process that may use 1 GiB more, and records all that Python lets a hook see."""
    folder = dressed(tmp_path / "models")
    made = [made for _, made in REFUSED.values()] + list(ODD.values())
    files = [one.SerializeToString() for one in made]
    for index, data in enumerate(files):
        (folder / f"{index:04}.onnx").write_bytes(data)
    script = """
        import json, resource, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_onnx_hostile import explained
        files = sorted(Path(sys.argv[1]).glob("*.onnx"))
        explained(files[-1])  # so that what is imported late by the libraries themselves is there
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + 2**30,) * 2)
        seen, wrong = [], []
        sys.addaudithook(lambda event, arguments: seen.append((event, arguments[:2])))
        for path in files:
            try:
                explained(path)
            except Exception as error:
                wrong.append((path.name, type(error).__name__))
        paths = {str(a[0]) for event, a in seen if event == "open" and type(a[0]) is not int}
        strange = {event for event, _ in seen if event.startswith(("socket", "subprocess", "os.system", "os.exec",
                                                                   "os.fork",
                                                                 "pickle", "ctypes", "os.remove", "os.rename",
                                                                 "shutil"))}
        print(json.dumps([sorted(paths - set(map(str, files))), sorted(strange), wrong]))
    """
    run = [sys.executable, "-c", textwrap.dedent(script), str(folder), str(Path(__file__).parent)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False,
                          env={"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ROOT, "PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr[-2000:]
    opened, strange, wrong = json.loads(done.stdout)
    assert set(opened) <= {str(folder / name) for name in ("data", "folder", "pipe")}  # in its own folder
    assert (strange, wrong) == ([], [])
