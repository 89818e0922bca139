"""The reference pack: made again to the last byte, read with NumPy alone, the same in PyTorch and onnxruntime."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import npgradcam as ng
from npgradcam.cli import main, reference
from npgradcam.errors import NpGradcamError
from npgradcam.testing.pack import CASES, answers, write_pack
from npgradcam.testing.pack.readme import SNIPPET, readme
from npgradcam.testing.pack.write import EXACT, VERSION, check

PACK = Path(ng.__file__).parent / "reference"
CHECKED = json.loads((Path(__file__).parent / "data" / "reference_pack_checked.json").read_text())


def right(name):
    with np.load(PACK / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def exact(arrays):
    return [name for name in arrays if name.split("/")[-1] in EXACT]


def test_the_command_makes_the_pack_again_to_the_last_byte(tmp_path):
    pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
    write_pack(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in PACK.iterdir())
    for path in PACK.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
    assert sum(path.stat().st_size for path in PACK.iterdir()) < 2_000_000


@pytest.mark.parametrize("name", CASES)
def test_pytorch_and_onnxruntime_say_the_same_of_these_very_files(name):
    told = CHECKED["cases"][name]
    for file, known in told["sha256"].items():
        assert hashlib.sha256((PACK / file).read_bytes()).hexdigest() == known, "run make_reference_pack_checked.py"
    layers = right(name)["layers"]
    assert set(told["onnxruntime float32"]) == {"logits", *(f"{layer}/A" for layer in layers)}
    assert {"gradient", "guided", "deconvnet", *(f"{layer}/dA" for layer in layers)} < set(told["torch float64"])
    assert max(told["torch float64"].values()) == 0  # exact sums: not a bit apart
    assert max(told["onnxruntime float32"].values()) == 0


@pytest.mark.parametrize("name", CASES)
def test_exact_numbers_are_the_same_bits_in_float32_too(name):
    pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
    found = right(name)
    net = ng.load(PACK / f"{name}.onnx", optimise=False)
    x = found["images"].astype(np.float32)
    assert (x == found["images"]).all()
    targets = CASES[name].targets
    for rule in ("gradient", "guided", "deconvnet"):
        b = ng.backprop(net, x, targets, rule)
        assert b.signal.dtype == np.float32
        assert (b.signal == found[rule]).all(), rule
    for layer in found["layers"]:
        e = ng.grad_cam(net, x, targets, layer)
        for key, value in {"A": e.activations, "dA": e.gradients, "alpha": e.alpha, "signed_map": e.signed_cam,
                           "map": e.cam}.items():
            assert (value == found[f"{layer}/{key}"]).all(), (layer, key)
        assert (e.logits == found["logits"]).all()


def test_the_pack_meets_kinks_ties_saturation_and_degenerate_maps():
    for name in CASES:
        found = right(name)
        used = found["image"] != 1 if name == "batch" else slice(None)
        assert np.abs(found["gradient"][used]).max() > 0, name
        for rule in ("guided", "deconvnet"):
            assert (found[rule] != found["gradient"]).any(), (name, rule)
    plain, depthwise, vgg = right("plain"), right("depthwise"), right("vgg")
    assert (plain["relu1/A"] == 0).any()
    assert (depthwise["relu2/A"] == 6).any()
    windows = vgg["relu2/A"].reshape(6, 2, 2, 4, 2).swapaxes(2, 3).reshape(-1, 4)
    tied = (windows == windows.max(axis=1, keepdims=True)).sum(axis=1) > 1
    assert (tied & (windows.max(axis=1) == 0)).any()
    pre = CASES["plain"].network.forward(plain["images"], observe="conv1").activations["conv1"]
    assert (pre == 0).any()  # a rectifier's kink itself
    negative = right("negative")
    assert (negative["relu2/map"][0] == 0).all()
    assert (negative["relu2/signed_map"][0] < 0).any()
    assert right("one_cell")["relu2/A"].shape[2:] == (1, 1)
    assert (right("batch")["images"][1] == 0).all()
    assert list(right("batch")["image"]) == [0, 0, 1, 2]
    assert any(np.isnan(right("negative")[f"relu2/convention/{name}"]).any() for name in ("kazuto1011",))


def test_exact_numbers_fit_in_24_bits_and_nothing_is_minus_zero():
    for name in CASES:
        found = right(name)
        assert len(exact(found)) == 4 + 6 * len(found["layers"])
        for key in exact(found):
            assert (found[key].astype(np.float32) == found[key]).all(), (name, key)
            assert not np.signbit(found[key][found[key] == 0]).any(), (name, key)


@pytest.mark.parametrize("name", ["captum-0.9.0-interpolated", "ramprs", "xplique-2.0.2", "saliency-0.2.1",
                                  "pytorch-grad-cam-1.5.7", "paper", "npgradcam"])
def test_conventions_are_what_the_compiled_ones_say(name):
    case, found = CASES["plain"], right("plain")
    known = next(c for c in ng.conventions.values()
                 if c.name.replace(", ", "-").replace(" ", "-") == name)
    e = ng.grad_cam(case.network, case.images, case.targets, "relu2")
    np.testing.assert_allclose(found[f"relu2/convention/{name}"], known.apply(e, (8, 16)), rtol=0, atol=1e-12)


def test_a_mistake_in_the_layers_or_in_the_definitions_stops_the_pack():
    case = CASES["average"]
    found = answers(case)
    check(case, found, case.network)
    wrong = replace(case.network, nodes=tuple(
        replace(n, layer=replace(n.layer, count_include_pad=False)) if n.name == "average2" else n
        for n in case.network.nodes))
    with pytest.raises(NpGradcamError, match="case average: the definition and the layers differ in logits"):
        check(case, found, wrong)
    for name in ("relu2/plus_plus_map", "guided", "relu2/alpha"):
        moved = found | {name: found[name] + 2.0**-12}
        with pytest.raises(NpGradcamError, match=name):
            check(case, moved, case.network)


def test_it_loads_with_numpy_alone_as_its_page_shows(tmp_path):
    """The snippet of the page runs in a process that cannot import npgradcam; a right map is right, a wrong one not."""
    (tmp_path / "my_project.py").write_text(
        "import numpy as np\n"
        "def my_grad_cam(model, images, image, target, layer):\n"
        "    with np.load(model.replace('.onnx', '.npz'), allow_pickle=False) as file:\n"
        "        signed = file[f'{layer}/signed_map']\n"
        "    return signed if 'leaky' in model else np.maximum(signed, 0)\n"
    )
    page = (PACK / "README.md").read_text()
    assert page == readme(VERSION, CASES.values())
    code = page.split("```python\n")[1].split("```")[0]
    assert code.endswith(SNIPPET)
    assert len(SNIPPET.splitlines()) <= 10
    hidden = "import sys; sys.modules['npgradcam'] = None; sys.path.insert(0, sys.argv[1])\n"
    done = subprocess.run([sys.executable, "-c", hidden + code, str(tmp_path)], cwd=PACK, capture_output=True,
                          text=True, check=True, timeout=60)
    said = dict(line.rsplit(" ", 1) if line.endswith("right") else line.split(" off by ")
                for line in done.stdout.splitlines())
    assert len(said) == sum(len(case.layers) for case in CASES.values())
    assert {name for name, verdict in said.items() if verdict != "right"} == {"leaky leaky1", "leaky leaky2"}


def test_the_command_copies_it_and_overwrites_nothing(tmp_path, capsys):
    out = tmp_path / "new" / "pack"
    assert main(["reference", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {path.name for path in PACK.iterdir()}
    assert "README.md says what is in it" in capsys.readouterr().err
    assert main(["reference", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_damaged_pack_is_not_copied(tmp_path, monkeypatch, capsys):
    damaged = tmp_path / "damaged"
    assert main(["reference", str(damaged), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    (damaged / "vgg.npz").write_bytes(b"nothing")
    monkeypatch.setattr(reference, "PACK", damaged)
    assert main(["reference", str(tmp_path / "out")]) == 3
    assert "vgg.npz is not what came with this package" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_readme_says_how_a_conventions_name_becomes_an_arrays():
    by_name = {c: re.sub("[^a-z0-9.]+", "-", c.lower()) for c in ng.conventions}
    told = dict(re.findall(r"`([^`]+)` becomes\s+`([^`]+)`", (PACK / "README.md").read_text()))
    assert told == {name: by_name[name] for name in told} != {}
    found = {name.split("/convention/")[1] for name in right("plain") if "/convention/" in name}
    assert found == {*by_name.values()} - {"utkuozbulak", "npgradcam-saved"}  # the signed map is there as such
