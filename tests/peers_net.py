"""The small network that other implementations explained: weights, pictures and cases; nothing but NumPy is needed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

TORCH = Path(__file__).parent / "data" / "peers_torch.npz"
KERAS = TORCH.with_name("peers_keras.npz")
LAYERS = ("act1", "act2")  # at a half and a quarter of the picture's size


class Case(NamedTuple):
    """What was explained: N pictures of H x W, one class each, through ReLU or ReLU6."""

    images: int
    height: int
    width: int
    target: tuple[int, ...]
    rectifier: str = "relu"


CASES = {
    "even": Case(1, 16, 16, (1,)),
    "batch": Case(2, 12, 20, (0, 2)),
    "odd": Case(1, 13, 18, (1,)),
    "negative": Case(1, 14, 12, (3,)),  # no cell of act2 speaks for class 3
    "relu6": Case(1, 13, 18, (1,), "relu6"),
}


def arrays():
    """Return weights and pictures, float32, from one generator."""
    random = np.random.default_rng(20171022)

    def draw(*shape, scale=1.0):
        return (scale * random.standard_normal(shape)).astype(np.float32)

    weights = {"conv1.weight": draw(5, 3, 3, 3), "conv1.bias": draw(5), "conv2.weight": draw(6, 5, 3, 3, scale=0.4),
               "conv2.bias": draw(6), "fc.weight": draw(4, 6), "fc.bias": draw(4)}
    weights["fc.weight"][3] = -np.abs(weights["fc.weight"][3])
    pictures = {f"{name}/images": draw(c.images, 3, c.height, c.width, scale=1.5) for name, c in CASES.items()}
    return {**weights, **pictures}
