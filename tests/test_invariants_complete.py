"""Rows 5 and 6: the whole backward adds up to the score, and CAM is Grad-CAM where the head is CAM's."""

from __future__ import annotations

import numpy as np
import pytest
from invariants import Mode, body, channels_of, error, expect, made, modes, picture, pooled

import npgradcam as ng
from npgradcam.layers import Conv2d, Flatten, GlobalAvgPool2d, ReLU
from npgradcam.testing import check_completeness

pytestmark = pytest.mark.usefixtures("warm")


@modes
def test_row_5_gradient_times_input_and_biases_are_the_score(mode: Mode) -> None:
    """Relative to the sum of absolute terms. Every layer is looked at, so a plan fuses nothing here; see the next."""
    errors = []
    for number in range(100):
        random = np.random.default_rng(number)
        layers, x = pooled(random), picture(random, mode[0], count=2)
        errors.append(check_completeness(made(layers, mode), x, tolerance=1))
    expect(errors, {"float64": 1e-12, "float32": 1e-4}, mode)


@modes
def test_row_5_without_biases_gradient_times_input_is_the_score_at_one_look(mode: Mode) -> None:
    """Euler: nothing but the input and the score is looked at, so the plan folds and fuses all it can."""
    errors = []
    for number in range(100):
        random = np.random.default_rng(number)
        layers = pooled(random, bias=False)
        net, x = made(layers, mode), picture(random, mode[0])
        e = ng.backprop(net, x, 1)
        terms = e.signal.astype(np.float64) * x
        errors.append(error(terms.sum(), e.logits[0, 1], np.abs(terms).sum()))
    expect(errors, {"float64": 1e-12, "float32": 1e-5}, mode)


@modes
def test_row_6_cam_is_grad_cam_times_the_number_of_cells(mode: Mode) -> None:
    """alpha_k = w_k / Z; with maxima taken out the maps are the same.

    In float32 to 2e-6 of the largest value, not 1e-6: terms of both signs cancel in a cell, and BLAS libraries differ.
    """
    errors = []
    for number in range(200):
        random = np.random.default_rng(number)
        net, x = made(pooled(random), mode), picture(random, mode[0])
        z = ng.cam(net, x, [[0, 3]])
        e = ng.grad_cam(net, x, [[0, 3]], z.layer)  # "maps", or the pooling behind it
        cells = e.signed_cam[0].size
        errors += [error(cells * e.alpha, z.alpha), error(cells * e.signed_cam, z.signed_cam)]
        errors += [error(*(ng.maps.normalise(one.cam[row]) for one in (e, z))) for row in (0, 1)]
    assert len(errors) == 800
    expect(errors, {"float64": 1e-13, "float32": 2e-6}, mode)


@modes
def test_row_6_where_scores_are_means_of_maps_alpha_is_one_over_z(mode: Mode) -> None:
    """SqueezeNet's head: a class's alpha is 1/Z at its own map and 0 at the others."""
    for number in range(200):
        random = np.random.default_rng(number)
        layers = body(random)
        last = Conv2d(random.standard_normal((4, channels_of(layers), 1, 1)), np.full(4, 9.0))
        layers = [*((f"{name}0" if name == "maps" else name, layer) for name, layer in layers), ("last", last),
                  ("maps", ReLU()), ("pool", GlobalAvgPool2d()), ("flat", Flatten())]
        e = ng.grad_cam(made(layers, mode), picture(random, mode[0]), [[0, 1, 2, 3]], "maps")
        cells = e.signed_cam[0].size
        assert error(cells * e.alpha, np.eye(4)) <= {"float64": 1e-13, "float32": 1e-6}[mode[0]]
