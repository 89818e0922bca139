"""Rows 7, 8 and 9: what a map owes to its target, all classes together, and a linear head."""

from __future__ import annotations

import numpy as np
import pytest
from invariants import Mode, error, expect, made, modes, picture, pooled

import npgradcam as ng
from npgradcam.layers import Linear, Softmax

pytestmark = pytest.mark.usefixtures("warm")
CLASSES = [0, 1, 2, 3]


@modes
def test_row_7_the_raw_map_is_linear_in_its_target(mode: Mode) -> None:
    """L[a y_c + b y_d] = a L_c + b L_d, relative to |a| |L_c| + |b| |L_d|: the sum itself may cancel."""
    errors = []
    for number in range(200):
        random = np.random.default_rng(number)
        net, x = made(pooled(random), mode), picture(random, mode[0])
        (a, b), (c, d), classes = random.standard_normal(2), random.permutation(4)[:2], np.eye(4)
        tape = net.forward(x, "maps")
        one, other, both = (
            ng.grad_cam(net, tape, seed=seed[None].astype(mode[0]), layer="maps").signed_cam.astype(np.float64)
            for seed in (classes[c], classes[d], a * classes[c] + b * classes[d])
        )
        errors.append(error(both, a * one + b * other, (np.abs(a * one) + np.abs(b * other)).max()))
    expect(errors, {"float64": 1e-12, "float32": 1e-5}, mode)


@modes
def test_row_7_all_classes_together_are_each_alone(mode: Mode) -> None:
    errors = []
    for number in range(200):
        random = np.random.default_rng(number)
        net = made(pooled(random), mode)
        tape = net.forward(picture(random, mode[0]), "maps")
        together = ng.grad_cam(net, tape, [CLASSES], "maps").signed_cam
        errors += [error(together[c], ng.grad_cam(net, tape, c, "maps").signed_cam[0]) for c in CLASSES]
    expect(errors, {"float64": 1e-12, "float32": 1e-5}, mode)


@modes
def test_row_8_what_raises_one_probability_lowers_the_others(mode: Mode) -> None:
    """sum_c dp_c/dA = 0, and p and dp/dA do not change when every logit is raised by the same number.

    Relative to the largest dy_c/dA, not dp_c/dA: p_c (dy_c - sum_d p_d dy_d) takes nearly equal numbers from each other
    where the softmax is saturated, and what is left may be smaller than their rounding.
    """
    sums, shifted = [], []
    for number in range(200):
        random = np.random.default_rng(number)
        layers, x = [*pooled(random), ("softmax", Softmax())], picture(random, mode[0])
        e = ng.grad_cam(made(layers, mode), x, [CLASSES], "maps", score="output")
        scale = np.abs(ng.grad_cam(made(layers[:-1], mode), x, [CLASSES], "maps").gradients).max()
        sums.append(error(e.gradients.sum(axis=0, dtype=np.float64), 0 * e.gradients[0], scale))
        head = dict(layers)["fc"]
        raised = [(name, Linear(head.weight, head.bias + 2.5) if name == "fc" else layer) for name, layer in layers]
        f = ng.grad_cam(made(raised, mode), x, [CLASSES], "maps", score="output")
        shifted += [error(f.logits, e.logits), error(f.gradients, e.gradients, scale)]
    expect(sums, {"float64": 1e-13, "float32": 1e-6}, mode)
    expect(shifted, {"float64": 1e-13, "float32": 1e-6}, mode)


@modes
def test_row_9_below_a_linear_head_map_times_gradient_is_the_score(mode: Mode) -> None:
    """sum_kij A^k_ij dy_c/dA^k_ij = y_c - b_c, relative to the sum of absolute terms.

    Then XGrad-CAM's weights, alpha_k sum A^k = <A^k, dA^k>, make a raw map whose cells add up to the same number.
    """
    products, cells = [], []
    for number in range(100):
        random = np.random.default_rng(number)
        layers, x = pooled(random), picture(random, mode[0])
        net, bias = made(layers, mode), dict(layers)["fc"].bias
        tape = net.forward(x, "maps")
        e, xgrad = (method(net, tape, [CLASSES], "maps") for method in (ng.grad_cam, ng.xgrad_cam))
        terms = e.gradients.astype(np.float64) * e.activations
        score, scale = e.logits[0].astype(np.float64) - bias, np.abs(terms).sum(axis=(1, 2, 3)).max()
        products.append(error(terms.sum(axis=(1, 2, 3)), score, scale))
        cells.append(error(xgrad.signed_cam.sum(axis=(1, 2), dtype=np.float64), score, scale))
    limits = {"float64": 1e-12, "float32": 1e-5}
    expect(products, limits, mode)
    expect(cells, limits, mode)
