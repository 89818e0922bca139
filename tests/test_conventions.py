"""Each named convention gives what its owner returned for the small network of peers_net.py."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers_net import CASES, KERAS, LAYERS, TORCH
from small_nets import flat_net, pictures

import npgradcam as ng
from npgradcam.convention import KERNELS, WEIGHINGS, guided_backprop, guided_grad_cam
from npgradcam.convention.resizing import axis_matrix, resize
from npgradcam.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, ReLU6, Softmax
from npgradcam.methods import ClassActivationMap
from npgradcam.network import Network

METHODS = {"grad-cam": ng.grad_cam, "grad-cam-plus-plus": ng.grad_cam_plus_plus, "xgrad-cam": ng.xgrad_cam,
           "hires-cam": ng.hires_cam, "layer-cam": ng.layer_cam}
ROUNDING = 1e-6  # of the largest number: sums over channels and cells in another order, in float32

# what was recorded: (file, key, method, convention, largest difference from the owner given the owner's A and dA)
ROWS = [
    *((TORCH, f"pytorch-grad-cam/{m}", m, "pytorch-grad-cam 1.5.7", ROUNDING) for m in METHODS),
    (TORCH, "captum", "grad-cam", "captum 0.9.0", ROUNDING),
    (TORCH, "captum/interpolated", "grad-cam", "captum 0.9.0, interpolated", ROUNDING),
    *((TORCH, f"torchcam/{m}", m, "torchcam 0.5.0", ROUNDING) for m in list(METHODS)[:2]),
    *((TORCH, f"torchcam/{m}/raw", m, "torchcam 0.5.0, raw", ROUNDING) for m in list(METHODS)[:2]),
    (TORCH, "saliency", "grad-cam", "saliency 0.2.1", 0),  # to the last bit
    (TORCH, "ramprs", "grad-cam", "ramprs", ROUNDING),
    (TORCH, "kazuto1011", "grad-cam", "kazuto1011", ROUNDING),
    (TORCH, "utkuozbulak", "grad-cam", "utkuozbulak", 1e-7),  # the same of 256 levels in every cell
    (KERAS, "tf-keras-vis/grad-cam", "grad-cam", "tf-keras-vis 0.8.7", ROUNDING),
    (KERAS, "tf-keras-vis/grad-cam-plus-plus", "grad-cam-plus-plus", "tf-keras-vis 0.8.7", 1e-5),  # a sum near 0
    *((KERAS, f"xplique/{m}", m, "xplique 2.0.2", ROUNDING) for m in list(METHODS)[:2]),
]


@cache
def recorded(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def places(path):
    """Where answers were recorded: (case, prefix of the keys, layer, what was explained)."""
    for name, case in CASES.items():
        for layer in LAYERS:
            if path == TORCH:
                yield case, name, f"{name}/{layer}/", layer, "logit"
            else:
                yield case, name, f"{name}/{layer}/output/", layer, "output"
                if name == "odd":
                    yield case, name, f"{name}/{layer}/logit/", layer, "logit"


def network(rectifier, softmax, dtype="float32"):
    d, act = recorded(TORCH), {"relu": ReLU, "relu6": ReLU6}[rectifier]
    pair = lambda name: (d[f"{name}.weight"], d[f"{name}.bias"])  # noqa: E731
    spread = {"stride": (2, 2), "padding": (1, 1, 1, 1)}
    layers = [("conv1", Conv2d(*pair("conv1"), **spread)), ("act1", act()), ("conv2", Conv2d(*pair("conv2"), **spread)),
              ("act2", act()), ("pool", GlobalAvgPool2d()), ("flatten", Flatten()), ("fc", Linear(*pair("fc")))]
    return Network.sequential([*layers, ("softmax", Softmax())] if softmax else layers, dtype=dtype)


def record_of(d, prefix, case, method):
    """Make a record of the owner's own A and dA, so that only what comes after them is compared."""
    A, dA = d[f"{prefix}activations"], d[f"{prefix}gradients"]
    y = d.get(f"{prefix}logits", d.get(f"{prefix}output"))
    alpha = dA.mean(axis=(2, 3))
    signed = np.einsum("rk,rkij->rij", alpha, A)
    return ClassActivationMap(method=method, output="fc", logits=y, target=np.array(case.target), layer="",
                              image=np.arange(len(A)), activations=A, gradients=dA, alpha=alpha, signed_cam=signed,
                              cam=np.maximum(signed, 0))


def difference(got, want):
    """The largest difference, relative to the largest magnitude; where one has NaN the other has it."""
    assert got.shape == want.shape
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    got, want = np.nan_to_num(got.astype(float)), np.nan_to_num(want.astype(float))
    return np.abs(got - want).max() / (np.abs(want).max() or 1)


owners = pytest.mark.parametrize(("path", "key", "method", "convention", "limit"), ROWS,
                                 ids=[f"{row[3]}: {row[1]}" for row in ROWS])


@owners
def test_a_convention_makes_the_owners_map_of_the_owners_maps_and_gradients(path, key, method, convention, limit):
    for case, _, prefix, _, _ in places(path):
        e = record_of(recorded(path), prefix, case, method)
        maps = ng.conventions[convention].apply(e, (case.height, case.width))
        assert difference(maps, recorded(path)[prefix + key]) <= limit, prefix


@owners
def test_and_of_our_network_with_the_same_weights(path, key, method, convention, limit):
    for case, name, prefix, layer, score in places(path):
        net = network(case.rectifier, path == KERAS and score == "output")
        e = METHODS[method](net, recorded(TORCH)[f"{name}/images"], list(case.target), layer, score=score)
        maps = ng.conventions[convention].apply(e, (case.height, case.width))
        steps = 1 / 255 if convention == "utkuozbulak" else 0  # a number on the edge between two levels may fall over
        assert difference(maps, recorded(path)[prefix + key]) <= 2e-5 + steps, prefix


@pytest.mark.parametrize("name", CASES)
def test_guided_backpropagation_and_its_product_as_captum_and_pytorch_grad_cam_have_them(name):
    case, d = CASES[name], recorded(TORCH)
    net, x, target = network(case.rectifier, False), d[f"{name}/images"], list(case.target)
    captum = ng.conventions["captum 0.9.0"]
    signal = guided_backprop(captum, net, x, target)
    assert difference(signal, d[f"{name}/act2/captum/guided"]) <= 1e-5
    assert difference(signal, d[f"{name}/act2/pytorch-grad-cam/guided"]) <= 1e-5
    product = guided_grad_cam(captum, net, x, target, "act2")
    assert difference(product, d[f"{name}/act2/captum/guided-grad-cam"]) <= 1e-5


def test_on_relu6_their_guided_backpropagation_is_the_gradient_and_ours_is_not():
    net, x = network("relu6", False), recorded(TORCH)["relu6/images"]
    gradient, ours = (ng.backprop(net, x, 1, rule).signal for rule in ("gradient", "guided"))
    theirs = guided_backprop(ng.conventions["captum"], net, x, 1)
    np.testing.assert_array_equal(theirs, gradient)
    assert difference(ours, gradient) > 0.1
    np.testing.assert_array_equal(guided_backprop(ng.conventions["paper"], net, x, 1), ours)


def test_the_papers_and_our_own_convention_are_what_the_methods_and_maps_say():
    net, x = flat_net(7, 10), pictures()
    for method in METHODS.values():
        e = method(net, x, [0, 3])
        large = ng.maps.upsample(e.cam, (28, 30))
        np.testing.assert_allclose(ng.conventions["paper"].apply(e, (28, 30)), large, rtol=1e-12, atol=1e-14)
        ours = ng.conventions["npgradcam"].apply(e, (28, 30))
        np.testing.assert_allclose(ours, ng.maps.normalise(large), rtol=1e-12, atol=1e-14)
    e = ng.guided_grad_cam(net, x, [0, 3])
    np.testing.assert_allclose(guided_grad_cam(ng.conventions["paper"], net, x, [0, 3]), e.signal, rtol=1e-12)


def test_only_who_says_so_returns_no_number_for_a_map_of_zeros():
    """All conventions but kazuto1011's give zeros for a map without positive cells."""
    nothing = np.full((1, 4, 3), -1.0)
    for name, convention in ng.conventions.items():
        maps = convention.finish(nothing, (8, 6))
        if np.isnan(maps).any():
            assert any("NaN" in fault for fault in convention.faults), name
        elif convention.relu != "none" and not convention.start:
            assert not maps.any(), name


def test_every_preset_that_differs_from_the_paper_by_mistake_says_so():
    for convention in ng.conventions.values():
        wrong = convention.plus_plus in ("no denominator", "mean activation", "normalised alphas")
        wrong |= bool(convention.start) or convention.swapped or convention.gates == "ReLU"
        assert convention.faults if wrong else True, convention.name
        assert convention.source


# ---------------------------------------------------------------- resizing


LINEAR = [kernel for kernel in KERNELS if kernel not in ("none", "lanczos")]


@pytest.mark.parametrize("kernel", [*LINEAR, "lanczos"])
@given(length=st.integers(1, 9), size=st.integers(1, 40))
def test_every_kernel_keeps_a_constant_map(kernel, length, size):
    if kernel == "spline" and size == 1:
        return
    sums = axis_matrix(kernel, length, size).sum(axis=1)
    if kernel == "spline" and sums[-1] == 0:  # from 8 to 26 SciPy rounds the last cell out of the map: it is 0
        sums = sums[:-1]
    np.testing.assert_allclose(sums, 1, atol=1e-6)


@pytest.mark.parametrize("kernel", [*LINEAR, "none"])
@given(length=st.integers(2, 9))
def test_every_kernel_leaves_a_map_of_the_right_size_alone(kernel, length):
    maps = np.random.default_rng(length).standard_normal((2, length, length + 1))
    np.testing.assert_allclose(resize(maps, kernel, maps.shape[1:]), maps, atol=1e-12)


def test_bilinear_is_maps_upsample_and_the_others_are_not():
    maps = np.random.default_rng(0).standard_normal((2, 4, 5))
    large = {kernel: resize(maps, kernel, (14, 11)) for kernel in LINEAR}
    np.testing.assert_allclose(large["bilinear"], ng.maps.upsample(maps, (14, 11)), atol=1e-12)
    near = {("cubic, a = -0.5", "cubic, table")}
    for a in LINEAR:
        for b in LINEAR[: LINEAR.index(a)]:
            assert np.abs(large[a] - large[b]).max() > (1e-5 if (b, a) in near else 1e-2), (a, b)


# ---------------------------------------------------------------- the record


def test_conventions_are_found_by_name_with_or_without_the_version():
    assert ng.conventions["torchcam"] is ng.conventions["torchcam 0.5.0"]
    assert len(ng.conventions) == len(list(ng.conventions)) == 15
    assert repr(ng.conventions).startswith("conventions: 'paper'; 'paper, L^c'; ")  # a comma is in some names
    with pytest.raises(ng.NpGradcamError, match=r"expected one of 'paper'; 'paper, L\^c'; .*without its version"):
        ng.conventions["torchcam 0.6"]


def test_a_convention_is_frozen_and_its_choices_are_checked():
    paper = ng.conventions["paper"]
    with pytest.raises(FrozenInstanceError):
        paper.relu = "none"
    for name in ("score", "weights", "plus_plus", "xgrad", "relu", "normalise", "when", "resize", "product", "gates"):
        with pytest.raises(ng.NpGradcamError, match=f"expected {name} among"):
            replace(paper, **{name: "else"})
        assert name in {field.name for field in fields(paper)}


def test_a_size_that_nobody_says_is_asked_for():
    e = ng.grad_cam(flat_net(7, 10), pictures())
    with pytest.raises(ng.NpGradcamError, match=r"'paper' enlarges maps: expected size=\(H, W\)"):
        ng.conventions["paper"].apply(e)
    assert ng.conventions["captum"].apply(e).shape == (2, 7, 10)


def test_weighings_begin_with_what_the_methods_compute():
    net, x = flat_net(7, 10), pictures()
    for method, known in WEIGHINGS.items():
        e = METHODS[method](net, x, [0, 3])
        first = next(iter(known))
        y = e.logits[[0, 1], [0, 3]]
        np.testing.assert_allclose(known[first](e.activations, e.gradients, y), e.signed_cam, rtol=1e-9, atol=1e-12)
