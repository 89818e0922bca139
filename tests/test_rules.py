"""The three rules of a rectifier on the way back, against their papers' tables."""

from __future__ import annotations

import numpy as np
import pytest

from npgradcam import rules
from npgradcam.errors import NpGradcamError

SIGNAL = np.array([-2.0, -2.0, 0.0, 0.0, 3.0, 3.0])
SLOPE = np.array([False, True, False, True, False, True])


@pytest.mark.parametrize(("name", "expected"), [
    ("gradient", [0, -2, 0, 0, 0, 3]),  # the forward gate
    ("deconvnet", [0, 0, 0, 0, 3, 3]),  # the sign of the signal
    ("guided", [0, 0, 0, 0, 0, 3]),  # both
])
def test_each_rule_lets_through_what_its_paper_says(name: str, expected: list[float]) -> None:
    signal = SIGNAL.copy()
    np.testing.assert_array_equal(rules.find(name)(signal, SLOPE), expected)
    np.testing.assert_array_equal(signal, SIGNAL)
    for dtype in ("float32", "float64"):
        assert rules.find(name)(SIGNAL.astype(dtype), SLOPE).dtype == dtype


def test_guided_is_deconvnet_and_gradient_at_once() -> None:
    random = np.random.default_rng(0)
    signal, slope = random.standard_normal((4, 5)), random.random((4, 5)) > 0.5
    both = rules.gradient(rules.deconvnet(signal, slope), slope)
    np.testing.assert_array_equal(rules.guided(signal, slope), both)
    np.testing.assert_array_equal(rules.guided(np.abs(signal), slope), rules.gradient(np.abs(signal), slope))
    np.testing.assert_array_equal(rules.guided(signal, np.ones_like(slope)), rules.deconvnet(signal, slope))


def test_a_leaky_slope_is_a_factor() -> None:
    np.testing.assert_array_equal(rules.guided(np.array([2.0, -2.0, 2.0]), np.array([0.1, 0.1, 1.0])), [0.2, 0, 2])


def test_a_rule_is_found_by_name_or_is_a_function() -> None:
    assert rules.find("guided") is rules.guided
    assert rules.find(np.multiply) is np.multiply
    with pytest.raises(NpGradcamError, match="expected one of gradient, deconvnet, guided or a function, got 'relu'"):
        rules.find("relu")
