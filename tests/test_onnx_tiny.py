"""Small files as five exporters wrote them, weights included: each against what its own framework says of one image.

PyTorch's two exporters, tf2onnx from Keras, jax2onnx from Flax and paddle2onnx; make_onnx_tiny.py made them.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx_skeletons import DATA
from small_nets import relative

import npgradcam as ng

FILES = sorted((DATA / "tiny").glob("*.onnx"))
DOUBLE = ("jax_jax2onnx21",)  # JAX computed in float64, the others in float32


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def file(request):
    with np.load(request.param.with_suffix(".npz")) as recorded:
        return request.param, dict(recorded)


def explained(path, x, dtype):
    """Return the file's own output and the gradient of its largest entry by the image."""
    net = ng.load(path, dtype=dtype)
    image = net.network.inputs[0]
    tape = net.forward(x.astype(dtype), observe=image, output=net.network.outputs[0])
    seed = np.eye(tape.logits.shape[1], dtype=dtype)[tape.logits.argmax(1)]
    return tape.logits, net.backward(tape, seed, down_to=image)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_output_and_gradient_are_the_frameworks(file, dtype):
    path, recorded = file
    y, gradient = explained(path, recorded["image"], dtype)
    tolerance = 1e-12 if dtype == "float64" and path.stem in DOUBLE else 1e-5
    assert relative(y, recorded["output"]) < tolerance
    assert relative(gradient, recorded["gradient"]) < 10 * tolerance


def test_one_image_alone_and_among_others_is_the_same(file):
    path, recorded = file
    both, gradients = explained(path, recorded["image"], "float64")
    for n in range(len(both)):
        y, gradient = explained(path, recorded["image"][n:n + 1], "float64")
        assert relative(y[0], both[n]) < 1e-12
        assert relative(gradient[0], gradients[n]) < 1e-12


def test_several_classes_of_several_images_from_one_forward(file):
    path, recorded = file
    net = ng.load(path, dtype="float64")
    x = recorded["image"].astype("float64")
    together = ng.grad_cam(net, x, target=[[0, 3], [1]])
    for row, (n, target) in enumerate([(0, 0), (0, 3), (1, 1)]):
        alone = ng.grad_cam(net, x[n:n + 1], target=target)
        assert together.image[row] == n
        assert relative(together.signed_cam[row], alone.signed_cam[0]) < 1e-12


def test_gradients_agree_with_finite_differences(file):
    path, recorded = file
    net = ng.load(path, dtype="float64")
    x = recorded["image"].astype("float64")
    e = ng.backprop(net, x, target=1)
    direction = np.random.default_rng(1).standard_normal(x.shape)
    score = net.network.score(net.network.outputs[0])
    scores = [net.network.forward(x + h * direction, output=score).logits[:, 1].sum() for h in (1e-6, -1e-6)]
    assert np.sum(e.signal * direction) == pytest.approx((scores[0] - scores[1]) / 2e-6, rel=1e-6)


def test_the_two_exporters_of_one_net_give_the_same_explanation():
    found = []
    for name in ("torch_script13", "torch_dynamo18"):
        with np.load(DATA / "tiny" / f"{name}.npz") as recorded:
            net = ng.load(DATA / "tiny" / f"{name}.onnx")
            found.append(ng.guided_grad_cam(net, recorded["image"], target=2))
    for key in ("signal", "cam"):
        a, b = (np.asarray(getattr(e, key) if key == "signal" else e.grad_cam.cam) for e in found)
        assert relative(a, b) < 1e-5


def test_a_larger_picture_goes_through_a_file_with_open_height_and_width():
    for name in ("torch_script13", "torch_dynamo18"):
        net = ng.load(DATA / "tiny" / f"{name}.onnx")
        x = np.random.default_rng(2).standard_normal((1, 3, 53, 37)).astype("float32")
        assert ng.grad_cam(net, x).cam.shape == (1, 14, 10)
