"""EfficientNet: inverted residual blocks with squeeze-and-excitation, scaled in width and depth (Tan & Le 2019).

    3 x H x W -> stem 3x3 /2 -> 7 stages of blocks (table 1) -> head 1x1 -> global average pooling -> linear

SiLU (swish) is no rectifier, so guided backpropagation and deconvnet have nothing to act on. Paddings are symmetric and
epsilon is 1e-5, as torchvision has it; TensorFlow's own weights want "same" and 1e-3, and are not meant here.
"""

from __future__ import annotations

from math import ceil

from npgradcam.layers import Dropout, Flatten, GlobalAvgPool2d, Sigmoid, SiLU

from .efficientnet_lite import STAGES
from .graph import Graph
from .inverted_residual import Squeeze, inverted_residual
from .steps import conv_norm, scaled
from .weights import Weights


def efficientnet(w: Weights, width: float, depth: float, classes: int = 1000) -> Graph:
    """Draw the network; `width` multiplies channels (rounded to multiples of 8), `depth` multiplies repeats."""
    g, silu = Graph(), SiLU()
    inputs = scaled(32, width)
    conv_norm(g, w, "features.0", ("features.0.0", "features.0.1"), inputs, 3, 3, stride=2, activation=silu)
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES, start=1):
        outputs = scaled(channels, width)
        for repeat in range(ceil(depth * repeats)):
            name = f"features.{stage}.{repeat}"
            parts = [f"{name}.block.{i}" for i in range(3 if expansion == 1 else 4)]  # squeeze stands before the last
            inverted_residual(
                g, w, name, [(f"{part}.0", f"{part}.1") for part in (*parts[:-2], parts[-1])], inputs,
                expansion * inputs, outputs, kernel, stride if repeat == 0 else 1, silu,
                squeeze=Squeeze(parts[-2], inputs // 4, silu, Sigmoid()),
            )
            inputs = outputs
    head = 4 * inputs
    conv_norm(g, w, "features.8", ("features.8.0", "features.8.1"), head, inputs, 1, activation=silu)
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("dropout", Dropout(0.2))
    g.add("classifier", w.linear("classifier.1", classes, head))
    return g
