"""Row 14: networks and pictures with nothing to explain: a zero map and words, or an error; never NaN in a picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import pytest
from invariants import Mode, made, modes, picture
from small_nets import conv, linear, norm

import npgradcam as ng
from npgradcam import maps
from npgradcam.layers import Conv2d, Flatten, GlobalAvgPool2d, Layer, Linear, ReLU, Softmax

pytestmark = pytest.mark.usefixtures("warm")
Layers = list[tuple[str, Layer]]
ONE = (1, 1)


def net(channels: int = 4, weight: float = 1.0, bias: float = 0.0, head: float = 1.0, softmax: bool = False,
        planted: float | None = None, where: str = "conv") -> Layers:
    """conv - norm - ReLU - global average - linear: weights and biases scaled, one weight planted."""
    random = np.random.default_rng(1)
    first, last = conv(random, channels, 3, padding="same"), linear(random, 4, channels)
    kernel, matrix = weight * first.weight, head * last.weight
    if planted is not None:
        (kernel if where == "conv" else matrix).flat[0] = planted
    layers: Layers = [
        ("conv", Conv2d(kernel, first.bias * weight + bias, padding="same")), ("norm", norm(random, channels)),
        ("maps", ReLU()), ("pool", GlobalAvgPool2d()), ("flat", Flatten()), ("fc", Linear(matrix, last.bias)),
    ]
    return [*layers, ("softmax", Softmax())] if softmax else layers


def dead(channels: int = 4) -> Layers:
    """No rectifier ever opens."""
    layers = net(channels)
    return [(name, Conv2d(0 * layer.weight, layer.bias * 0 - 9, padding="same") if isinstance(layer, Conv2d) else layer)
            for name, layer in layers if name != "norm"]


Case = tuple[Callable[[], Layers], tuple[int, int], str, str]
# the network, the picture's size, what it holds, and what must be true: "fine", "zero map", "one value" or "error"
CASES: dict[str, Case] = {
    "dead network": (dead, (6, 7), "noise", "zero map"),
    "dead, one channel": (lambda: dead(1), (6, 7), "noise", "zero map"),
    "dead, one cell": (dead, ONE, "noise", "zero map"),
    "head of zeros": (lambda: net(head=0), (6, 7), "noise", "zero map"),
    "head of zeros, one channel": (lambda: net(1, head=0), (6, 7), "noise", "zero map"),
    "black picture": (net, (6, 7), "zeros", "fine"), "black picture, one cell": (net, ONE, "zeros", "fine"),
    "weights of zeros": (lambda: net(weight=0), (6, 7), "noise", "one value"),
    "weights of zeros, one channel": (lambda: net(1, weight=0), (6, 7), "noise", "one value"),
    "weights of zeros, large biases": (lambda: net(weight=0, bias=1e4), (6, 7), "noise", "one value"),
    "one channel": (lambda: net(1), (6, 7), "noise", "fine"), "one cell": (net, ONE, "noise", "one value"),
    "one channel, one cell": (lambda: net(1), ONE, "noise", "one value"), "one row": (net, (1, 9), "noise", "fine"),
    "one column": (net, (9, 1), "noise", "fine"), "two cells": (net, (1, 2), "noise", "fine"),
    "saturated softmax": (lambda: net(head=1e4, softmax=True), (6, 7), "noise", "fine"),
    "softmax of equal logits": (lambda: net(head=0, softmax=True), (6, 7), "noise", "zero map"),
    "tiny numbers": (lambda: net(head=1e-30), (6, 7), "noise", "fine"),
    "large numbers": (lambda: net(weight=1e4, head=1e4), (6, 7), "noise", "fine"),
    **{f"{kind} in {where}": (lambda bad=bad, where=where: net(planted=bad, where=where), (6, 7), "noise", "error")
       for (kind, bad), where in product({"NaN": np.nan, "inf": np.inf, "-inf": -np.inf}.items(), ("conv", "fc"))},
    **{f"{kind} in the picture": (net, (6, 7), kind, "error") for kind in ("nan", "inf", "-inf")},
    **{f"{kind} in a picture of one cell": (net, ONE, kind, "error") for kind in ("nan", "inf", "-inf")},
    **{f"one picture value {value}": (net, (6, 7), f"all {value}", "fine") for value in (-1, 1e-38, 1e6)},
    "no channel is negative": (lambda: net(bias=50), (6, 7), "noise", "fine"),
    "one channel of one pixel, head of zeros": (lambda: net(1, head=0), ONE, "noise", "zero map"),
    "softmax, one channel": (lambda: net(1, softmax=True), (6, 7), "noise", "fine"),
    "softmax, one cell": (lambda: net(softmax=True), ONE, "noise", "one value"),
    "saturated softmax, one cell": (lambda: net(head=1e4, softmax=True), ONE, "noise", "one value"),
    "dead, softmax": (lambda: [*dead(), ("softmax", Softmax())], (6, 7), "noise", "zero map"),
    "a long row": (net, (1, 300), "noise", "fine"),
}


def seen(size: tuple[int, int], holds: str, dtype: str) -> np.ndarray:
    x = picture(np.random.default_rng(2), dtype, height=size[0], width=size[1])
    if holds.startswith("all "):
        x[:] = float(holds[4:])
    elif holds == "zeros":
        x[:] = 0
    elif holds != "noise":
        x[0, 0, 0, 0] = float(holds)
    return x


METHODS: dict[str, Callable[[ng.Network, np.ndarray], ng.methods.Explanation]] = {
    **{method.__name__: partial(method, target=1, layer="maps") for method in (
        ng.grad_cam, ng.counterfactual_grad_cam, ng.grad_cam_plus_plus, ng.xgrad_cam, ng.hires_cam, ng.layer_cam,
        ng.guided_grad_cam)},
    "cam": partial(ng.cam, target=1), **{rule: partial(ng.backprop, target=1, rule=rule) for rule in ng.rules.RULES},
}


@modes
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[-1] == "error"])
@pytest.mark.filterwarnings("error")
def test_row_14_no_method_explains_what_is_not_a_number(name: str, method: str, mode: Mode) -> None:
    make, size, holds, _ = CASES[name]
    with pytest.raises(ng.NpGradcamError, match=r"NaN|finite") as caught:
        METHODS[method](made(make(), mode), seen(size, holds, mode[0]))
    assert "\n" not in str(caught.value)


@modes
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[-1] != "error"])
def test_row_14_nothing_to_explain_is_said_and_never_nan(name: str, mode: Mode) -> None:
    make, size, holds, what = CASES[name]
    layers, x = make(), seen(size, holds, mode[0])
    network = made(layers, mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [method(network, x) for method in METHODS.values()]
        found += [ng.grad_cam(network, x, 1, "maps", score="output")] if layers[-1][0] == "softmax" else []
        for e in found:
            assert np.isfinite(e.array()).all(), e.method
            assert e.picture().dtype == np.uint8
            if isinstance(e, ng.methods.ClassActivationMap):
                large = maps.normalise(maps.upsample(e.cam[0], (20, 30)))
                assert np.isfinite(large).all()
                assert large.max() == (1 if e.cam.any() else 0)
                assert bool(e.note()) == (not e.cam.any())  # the flag: words for a map of zeros
            elif not e.array().any():
                assert "zero" in e.note()
        first = found[0]
        if what == "zero map":
            assert not first.cam.any()
            assert "no cell of maps has positive evidence" in first.note()
        if what == "one value":  # but for the edges, where a convolution sees its frame
            inner = first.cam[0][1:-1, 1:-1] if min(size) > 2 else first.cam[0]
            assert np.ptp(inner) <= 1e-5 * np.abs(first.cam).max(initial=0)


def test_row_14_there_are_at_least_forty_cases() -> None:
    assert len(CASES) >= 40
