"""The same checkpoint read twice: into an architecture by name, and out of the ONNX file that PyTorch made of it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx import numpy_helper
from onnx_skeletons import DATA, load
from small_nets import relative

import npgradcam as ng
from npgradcam.models import build, random_weights

# exports that keep a batch norm beside its convolution, so that every parameter has its own name in the file
FILES = {
    "densenet121-script13": "densenet121", "mobilenet_v3_small_b-script14": "mobilenet_v3_small",
    "resnet18_old-script8": "resnet18", "squeezenet1_1-script10": "squeezenet1_1",
}


@pytest.fixture(scope="module", params=FILES)
def twins(request, tmp_path_factory):
    """The named network and the imported one, with the same weights, and a picture that fits the file."""
    weights, name = random_weights(4), FILES[request.param]
    build(name, weights)
    # unrewritten: a folded batch norm rounds its epsilon, which the file has in float32, into every weight
    named = ng.load(name, weights=weights.taken, optimise=False)
    model = load(DATA / "skeletons" / f"{request.param}.onnx.xz")
    for tensor in model.graph.initializer:
        if tensor.name in weights.taken:
            tensor.CopyFrom(numpy_helper.from_array(weights.taken[tensor.name], tensor.name))
    path = tmp_path_factory.mktemp("twins") / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    imported = ng.load(path, optimise=False)
    return named, imported, picture(imported)


def picture(imported):
    """A picture that fits the file."""
    (declared,) = imported.network.declared.values()
    shape = tuple((1 if axis == 0 else 64) if n is None else n for axis, n in enumerate(declared))
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def test_grad_cam_is_the_same(twins):
    named, imported, x = twins
    e, f = (ng.grad_cam(net, x, target=[[1, 7]] * len(x)) for net in (named, imported))
    for kind in ("logits", "activations", "gradients", "alpha", "signed_cam", "cam"):
        assert relative(getattr(e, kind).reshape(getattr(f, kind).shape), getattr(f, kind)) < 1e-5, kind


@pytest.mark.parametrize("rule", ["gradient", "guided", "deconvnet"])
def test_what_arrives_at_the_picture_is_the_same(twins, rule):
    named, imported, x = twins
    b, c = (ng.backprop(net, x, target=7, rule=rule) for net in (named, imported))
    assert b.gates == c.gates > 0
    assert relative(b.signal, c.signal) < 1e-5
