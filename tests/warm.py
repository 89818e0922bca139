"""Every loop over plain arrays compiled once, before a test draws its first example."""

from __future__ import annotations

import numpy as np

from npgradcam.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from npgradcam.network import Network


def compile_all(dtype: str) -> None:
    """Run each kind of layer forward and back in one dtype: what no cache on disk has is compiled."""
    weights = (np.ones(shape, dtype) for shape in ((2, 2, 3, 3), (2, 1, 3, 3), (2, 2, 1, 1)))
    dense, grouped, pointwise = (Conv2d(w, np.zeros(2, dtype), padding="same", groups=2 // w.shape[1]) for w in weights)
    linear = Linear(np.ones((2, 2), dtype), np.zeros(2, dtype))
    layers = (dense, grouped, pointwise, ReLU(), MaxPool2d((3, 3), (1, 1)), Flatten(), linear)
    net = Network.sequential([(f"layer{n}", layer) for n, layer in enumerate(layers)], dtype=dtype)
    tape = net.forward(np.ones((1, 2, 3, 3), dtype), observe="input")
    net.backward(tape, np.ones((1, 2), dtype), "input", "guided")
