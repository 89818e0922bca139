"""Exported files of real architectures: every number against PyTorch in float64 and onnxruntime, as recorded.

The weights are drawn (onnx_skeletons.py); what PyTorch and onnxruntime say of them was recorded by make_onnx_truth.py.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx_skeletons import DATA, fill, load
from onnx_truths import ELSEWHERE, MANIFEST, NOT_THE_DEFAULT, TAILS, distance, image_of, seed_of
from small_nets import relative

import npgradcam as ng
from npgradcam.errors import NpGradcamError

FACTS = json.loads(MANIFEST.read_text())
LARGE = ("vgg11_bn-script13", "light_vgg19-caffe2")  # more than 130 million weights
NAMES = [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in FACTS]
RULES = ("gradient", "guided", "deconvnet")


class Exported:
    """One file with its weights drawn, as it would lie on somebody's disk, and what is known of it."""

    def __init__(self, name, folder):
        self.name, self.facts, self.path = name, FACTS[name], folder / f"{name}.onnx"
        self.skeleton = load(DATA / "skeletons" / f"{name}.onnx.xz")
        self.path.write_bytes(fill(self.skeleton).SerializeToString())
        with np.load(DATA / "truths" / f"{name}.npz") as file:
            self.truth = {key: file[key] for key in file.files}

    def image(self, dtype, sizes=None):
        return image_of(self.skeleton, self.name, sizes).astype(dtype)

    def explain(self, dtype):
        """Return Grad-CAM at the recorded layer, and the signal at the image under each rule that applies."""
        net, layer = ng.load(self.path, dtype=dtype), self.facts["layer"]
        image = net.network.inputs[0]
        output = net.network.resolve(self.facts["output"])
        tape = net.forward(self.image(dtype), observe=(layer, image), output=output)
        seed = seed_of(tape.logits)
        seen = ng.grad_cam(net, tape, layer=layer, seed=seed, score="logit")
        rules = RULES if self.facts["gates"] else RULES[:1]
        return net, seen, {rule: ng.backprop(net, tape, seed=seed, rule=rule) for rule in rules}


@pytest.fixture(scope="module", params=NAMES)
def exported(request, tmp_path_factory):
    made = Exported(request.param, tmp_path_factory.mktemp("exported"))
    yield made
    made.path.unlink()


@pytest.fixture(scope="module")
def exact(exported):
    return exported.explain("float64")


@pytest.fixture(scope="module")
def single(exported):
    return exported.explain("float32")


def test_exact_mode_agrees_with_autograd(exported, exact):
    _, seen, signals = exact
    named = {"logits": seen.logits, "activations": seen.activations, "gradients": seen.gradients, "alpha": seen.alpha,
             "signed_cam": seen.signed_cam, **{f"{rule}/image": b.signal for rule, b in signals.items()}}
    far = {key: distance(key, x, exported.truth) for key, x in named.items()}
    assert max(far.values()) < 1e-9, far


def test_float32_agrees_with_autograd(exported, exact, single):
    _, seen, signals = single
    named = {"logits": seen.logits, "alpha": seen.alpha, "signed_cam": seen.signed_cam}
    far = {key: distance(key, x, exported.truth) for key, x in named.items()}
    assert max(far.values()) < 1e-4, far
    for rule, b in signals.items():  # in exact mode these are autograd's, as the other test says
        a, b = exact[2][rule].signal.ravel(), b.signal.ravel().astype(np.float64)
        # where rounding flips a kink or a tie, PyTorch in float32 does not reach PyTorch in float64 either
        allowed = max(1e-4, 4 * exported.facts["angle of torch's own float32"][rule])
        assert 1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) < allowed, rule


def test_forward_agrees_with_onnxruntime(exported, single):
    recorded = exported.truth["onnxruntime/logits"].ravel()
    assert relative(single[1].logits.ravel()[: recorded.size], recorded) < 1e-4


@pytest.mark.parametrize("exported", ELSEWHERE, indirect=True)
def test_other_sizes_go_through(exported, single):
    x = exported.image("float32", ELSEWHERE[exported.name])
    tape = single[0].forward(x, output=single[0].network.resolve(exported.facts["output"]))
    assert distance("logits at another size", tape.logits, exported.truth) < 1e-4


def test_the_default_layer_is_the_last_with_maps(exported, single):
    net, recorded = single[0], exported.facts["layer"]
    chosen = ng.grad_cam(net, exported.image("float32"), seed=seed_of(single[1].logits)).layer
    expected = NOT_THE_DEFAULT.get(exported.name, recorded)
    assert chosen == net.network.resolve(expected)


def test_the_score_is_the_logit_before_a_softmax(exported, single):
    net, seen, _ = single
    ends = {name: node.op_type for node in exported.skeleton.graph.node for name in node.output}
    own = ends[exported.skeleton.graph.output[0].name]
    explained = ng.grad_cam(net, exported.image("float32"), layer=exported.facts["layer"], seed=seed_of(seen.logits))
    assert explained.logits.tobytes() == seen.logits.tobytes()
    assert (net.network.score(net.network.outputs[0]) == net.network.outputs[0]) == (own not in TAILS)


def test_gates_are_counted_and_none_is_an_error(exported, single):
    net, seen, signals = single
    if exported.facts["gates"]:
        assert signals["guided"].gates == exported.facts["gates"]
    else:
        with pytest.raises(NpGradcamError, match="rectifier"):
            ng.backprop(net, exported.image("float32"), seed=seed_of(seen.logits), rule="guided")
