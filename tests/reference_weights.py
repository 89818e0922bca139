"""Weights and images of the small network whose answers PyTorch recorded; nothing but NumPy is needed here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RECORDED = Path(__file__).parent / "data" / "reference_net.npz"
RELATIVES_RECORDED = RECORDED.with_name("relatives_reference.npz")
TARGETS = [[0, 3], [4, 1]]


def reference_arrays():
    """Return weights and images, from one generator; only PyTorch's answers are stored."""
    random = np.random.default_rng(20171022)

    def draw(*shape, scale=1.0):
        return scale * random.standard_normal(shape)

    return {
        "images": draw(2, 3, 9, 11, scale=2),
        "stem.weight": draw(8, 3, 3, 3), "stem.bias": draw(8),
        "norm.weight": draw(8, scale=0.3) + 1, "norm.bias": draw(8), "norm.mean": draw(8),
        "norm.variance": draw(8) ** 2 + 0.5,
        "depthwise.weight": draw(8, 1, 3, 3, scale=0.5), "depthwise.bias": draw(8),
        "grouped.weight": draw(8, 4, 1, 1, scale=0.5), "grouped.bias": draw(8),
        "dilated.weight": draw(10, 16, 3, 3, scale=0.2), "dilated.bias": draw(10),
        "fc.weight": draw(5, 10), "fc.bias": draw(5),
    }
