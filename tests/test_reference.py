"""Our numbers against PyTorch's: the real network on real photographs, and a small one that travels along."""

from functools import cache

import numpy as np
import pytest
from reference_weights import RECORDED, TARGETS, reference_arrays
from small_nets import (
    lite0,
    needs_imagenet,
    needs_shared,
    reference_net,
    relative,
    shared_images,
    shared_reference,
)

import npgradcam as ng

KEYS = {"gradient": "input_grad", "guided": "guided", "deconvnet": "deconvnet"}
RULES = tuple(KEYS)
LIMITS = {"float64": 1e-12, "float32": 2e-5}


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_grad_cam_and_every_intermediate_equal_pytorch_on_the_small_network(recorded, dtype, backend):
    net = reference_net(dtype)
    net = ng.Network(net.nodes, dtype=dtype, backend=backend)
    e = ng.grad_cam(net, reference_arrays()["images"].astype(dtype), TARGETS)
    assert e.layer == "features"
    for name in ("logits", "activations", "alpha", "cam"):
        assert relative(getattr(e, name), recorded[name]) <= LIMITS[dtype], name


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", LIMITS)
def test_every_rule_equals_pytorch_on_the_small_network(recorded, rule, dtype):
    b = ng.backprop(reference_net(dtype), reference_arrays()["images"].astype(dtype), TARGETS, rule=rule)
    assert relative(b.signal, recorded[rule]) <= (LIMITS[dtype] if dtype == "float64" else 1e-4)


def test_the_small_network_visits_what_it_is_there_to_test():
    net, x = reference_net(), reference_arrays()["images"]
    tape = net.forward(x, observe=("norm", "relu6", "max"))
    before, after = tape.activations["norm"], tape.activations["relu6"]
    assert (before > 6).mean() > 0.02
    assert (before < 0).mean() > 0.2
    windows = np.lib.stride_tricks.sliding_window_view(after, (3, 3), axis=(2, 3)).reshape(-1, 9)
    tied = (windows == windows.max(axis=1, keepdims=True)).sum(axis=1) > 1
    assert tied.mean() > 0.05
    signals = [ng.backprop(net, x, TARGETS, rule=rule).signal for rule in RULES]
    assert all(relative(a, b) > 0.1 for a, b in [(signals[0], signals[1]), (signals[1], signals[2])])
    assert RECORDED.stat().st_size < 60_000


@cache
def pixel_tape(dtype):
    return lite0(dtype).forward(shared_images(4, dtype), observe="input")


@needs_shared
@needs_imagenet
class TestEfficientNetLite0:
    """The tolerances are those that the project promises."""

    @pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-6), ("float32", 2e-5)])
    def test_logits_alpha_and_cam_equal_pytorch_on_ten_photographs(self, dtype, limit):
        reference = shared_reference()
        e = ng.grad_cam(lite0(dtype), shared_images(10, dtype), reference["target"])
        assert e.layer == "head.relu"
        assert relative(e.logits, reference["logits"]) <= limit
        assert relative(e.alpha, reference["weights"]) <= limit
        assert relative(e.cam, reference["cam"]) <= limit
        assert (e.logits.argmax(axis=1) == reference["label"]).sum() == 10

    def test_top_class_is_the_default_target(self):
        tape = lite0().forward(shared_images(4, "float32"), observe="head.relu")
        e = ng.grad_cam(lite0(), tape)
        np.testing.assert_array_equal(e.target, shared_reference()["target"][:4])

    @pytest.mark.parametrize(("rule", "key"), list(KEYS.items()))
    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_the_signal_at_the_pixels_equals_pytorch(self, dtype, rule, key):
        reference = shared_reference()
        signal = ng.backprop(lite0(dtype), pixel_tape(dtype), reference["target"][:4], rule=rule).signal
        if dtype == "float64":
            assert relative(signal, reference[key]) <= 1e-6
        elif rule != "gradient":
            assert relative(signal, reference[key]) <= 1e-4
        else:  # a few near-ties of ReLU6 flip in any float32 gradient: no bound on single elements
            for ours, theirs in zip(signal.astype(np.float64), reference[key].astype(np.float64), strict=True):
                cosine = (ours * theirs).sum() / np.sqrt((ours**2).sum() * (theirs**2).sum())
                assert cosine >= 0.9999


@pytest.fixture(scope="module")
def lite0_recorded():
    with np.load(RECORDED.with_name("lite0_reference.npz")) as file:
        return {name: file[name] for name in file.files}


@needs_imagenet
class TestEfficientNetLite0OnTheSamples:
    """The same on the photographs that come along; recorded in full precision, so float64 is held much closer."""

    @pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-11), ("float32", 2e-5)])
    def test_grad_cam_equals_pytorch(self, lite0_recorded, dtype, limit):
        x = (lite0_recorded["pixels"].transpose(0, 3, 1, 2).astype(dtype) - 127) / 128
        e = ng.grad_cam(lite0(dtype), x)
        assert e.target.tolist() == lite0_recorded["target"].tolist() == [282, 967, 285]
        for name in ("logits", "alpha", "signed_cam"):
            assert relative(getattr(e, name), lite0_recorded[name]) <= limit, name

    @pytest.mark.parametrize("rule", RULES)
    def test_every_rule_equals_pytorch_in_float64(self, lite0_recorded, rule):
        x = (lite0_recorded["pixels"].transpose(0, 3, 1, 2).astype(np.float64) - 127) / 128
        signal = ng.backprop(lite0("float64"), x, rule=rule).signal[:, :, ::8, ::8]
        assert relative(signal, lite0_recorded[rule]) <= 1e-11
