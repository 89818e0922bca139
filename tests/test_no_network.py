"""Whoever gives a name, a path or something else in the place of a network is told so in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import npgradcam as ng
from npgradcam.convention import guided_backprop, guided_grad_cam
from npgradcam.errors import TargetError, UnknownLayerError
from npgradcam.testing import check, check_completeness, slow_methods, slow_outputs, slow_signals
from npgradcam.testing.pack import CASES

X = np.zeros((1, 3, 32, 32), np.float32)
MAP = np.zeros((32, 32))
PAPER = ng.conventions["paper"]
TAKES_A_NETWORK = {
    **{f.__name__: lambda net, f=f: f(net, X) for f in (
        ng.backprop, ng.cam, ng.counterfactual_grad_cam, ng.grad_cam, ng.grad_cam_plus_plus, ng.guided_grad_cam,
        ng.hires_cam, ng.layer_cam, ng.trace, ng.verify, ng.xgrad_cam, check_completeness, slow_outputs,
    )},
    "verify without pictures": lambda net: ng.verify(net),
    "default_layer": lambda net: ng.default_layer(net, X.shape),
    "diagnose": lambda net: ng.diagnose(MAP, net, X),
    "save": lambda net: ng.save(net, "nowhere.npz"),
    "a convention's guided_backprop": lambda net: guided_backprop(PAPER, net, X),
    "a convention's guided_grad_cam": lambda net: guided_grad_cam(PAPER, net, X),
    "slow_signals": lambda net: slow_signals(net, {}, "fc", np.zeros((1, 4))),
    **{f"slow {f.__name__}": lambda net, f=f: f(net, X, [0], "relu3") for f in (
        slow_methods.cam, slow_methods.counterfactual_grad_cam, slow_methods.grad_cam,
        slow_methods.grad_cam_plus_plus, slow_methods.guided_grad_cam, slow_methods.hires_cam, slow_methods.layer_cam,
        slow_methods.xgrad_cam, slow_methods.maps_and_gradients,
    )},
    "slow backprop": lambda net: slow_methods.backprop(net, X, [0]),
}


@pytest.mark.parametrize("name", TAKES_A_NETWORK)
def test_a_name_a_path_or_a_picture_is_no_network(name):
    function = TAKES_A_NETWORK[name]
    with pytest.raises(ng.NpGradcamError, match=r"expected a Network or a Model, got the str 'shapes'; ng\.load\('sha"):
        function("shapes")
    with pytest.raises(ng.NpGradcamError, match=r"got the PosixPath 'm\.onnx'; ng\.load\('m\.onnx'\) makes one"):
        function(Path("m.onnx"))
    for other in (None, X, lambda x: x):
        with pytest.raises(ng.NpGradcamError, match=r"expected a Network or a Model, got \w+; ng\.load makes one of a"):
            function(other)


@pytest.mark.parametrize("given", ["shapes", None, ng.load("shapes"), ng.load("shapes").network])
def test_the_kit_asks_a_function_and_says_so(given):
    with pytest.raises(ng.NpGradcamError, match=r"check: expected a function\(model, images, target, layer\), got "):
        check(given)


@pytest.mark.parametrize(("target", "layer", "kind"), [
    ([0, 1], "relu1", TargetError), (0, "relu1", TargetError), ([99], "relu1", TargetError),
    ([-1], "relu1", TargetError), ([0], "relu9", UnknownLayerError), ([0], "fc", ng.NpGradcamError),
])
@pytest.mark.parametrize("method", ["grad_cam", "cam"])
def test_the_slow_methods_refuse_what_cannot_be(method, target, layer, kind):
    plain = CASES["plain"]
    with pytest.raises(kind):
        getattr(slow_methods, method)(plain.network, plain.images, target, layer)
