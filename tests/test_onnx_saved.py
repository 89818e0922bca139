"""An imported model travels as one file of ours, computed shapes included."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx_skeletons import DATA

import npgradcam as ng
from npgradcam.layers import Computed

TINY = sorted(path.stem for path in (DATA / "tiny").glob("*.onnx"))


@pytest.mark.parametrize("name", TINY)
def test_a_saved_import_explains_bitwise_the_same(name, tmp_path):
    net = ng.load(DATA / "tiny" / f"{name}.onnx", preprocess="tf")
    ng.save(net, tmp_path / "model.npz")
    back = ng.load(tmp_path / "model.npz")
    assert (back.layout, back.size, back.preprocessing) == (net.layout, net.size, net.preprocessing)
    assert (back.network.aliases, back.network.declared) == (net.network.aliases, net.network.declared)
    with np.load(DATA / "tiny" / f"{name}.npz") as file:
        x = file["image"]
    e, f = (ng.grad_cam(model, x) for model in (net, back))
    assert e.layer == f.layer
    assert e.logits.tobytes() == f.logits.tobytes()
    assert e.cam.tobytes() == f.cam.tobytes()


def test_one_of_them_has_a_computed_layer():
    nets = [ng.load(DATA / "tiny" / f"{name}.onnx").network for name in TINY]
    assert any(isinstance(node.layer, Computed) for net in nets for node in net.nodes)


def test_a_recipe_names_operators_only(tmp_path):
    """What a file says of a computed layer is looked up in the table of operators, and nowhere else."""
    net = ng.load(DATA / "tiny" / "paddle_paddle2onnx11.onnx")
    ng.save(net, tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as file:
        arrays = {key: file[key] for key in file.files}
    (key,) = [key for key, value in arrays.items() if value.dtype.kind == "U" and '"recipe"' in str(value)]
    arrays[key] = np.array(str(arrays[key]).replace('"kind": "Reshape"', '"kind": "system"'))
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(ng.NpGradcamError, match="no such layer"):
        ng.load(tmp_path / "other.npz")(np.zeros((1, 3, 32, 40), np.float32))
