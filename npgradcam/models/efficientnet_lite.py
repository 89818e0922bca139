"""EfficientNet-Lite: the inverted residual blocks of EfficientNet (Tan & Le 2019, table 1), simplified for phones.

    3 x H x W -> stem 3x3 /2 -> 7 stages of blocks -> head 1x1 -> global average pooling -> linear

TensorFlow trained it, so convolutions are padded "same" and batch normalisation has epsilon 1e-3. Width and depth scale
the stages; stem and head keep their size, and the first and the last stage keep their depth. That, ReLU6 instead of
swish, and no squeeze-and-excitation make the Lite variant, which its authors published as code (TensorFlow's TPU
models, 2020) and not as a paper.
"""

from __future__ import annotations

from math import ceil

from npgradcam.layers import Dropout, Flatten, GlobalAvgPool2d, ReLU6

from .graph import Graph
from .inverted_residual import inverted_residual
from .steps import conv_norm, scaled
from .weights import Weights

EPSILON = 1e-3
HEAD = 1280
STAGES = (  # repeats, kernel, stride, expansion, channels: of EfficientNet too
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def efficientnet_lite(w: Weights, width: float, depth: float, classes: int = 1000) -> Graph:
    """Draw the network; `width` multiplies channels (rounded to multiples of 8), `depth` multiplies repeats."""
    g, relu = Graph(), ReLU6()
    conv_norm(g, w, "stem", ("_conv_stem", "_bn0"), 32, 3, 3, stride=2, padding="same", epsilon=EPSILON,
              activation=relu)
    inputs, block = 32, 0
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
        outputs = scaled(channels, width)
        fixed = stage in (0, len(STAGES) - 1)
        for repeat in range(repeats if fixed else ceil(depth * repeats)):
            saved = f"_blocks.{block}"
            names = [(f"{saved}._depthwise_conv", f"{saved}._bn1"), (f"{saved}._project_conv", f"{saved}._bn2")]
            if expansion > 1:
                names.insert(0, (f"{saved}._expand_conv", f"{saved}._bn0"))
            inverted_residual(g, w, f"blocks.{block}", names, inputs, expansion * inputs, outputs, kernel,
                              stride if repeat == 0 else 1, relu, EPSILON, "same")
            inputs, block = outputs, block + 1
    conv_norm(g, w, "head", ("_conv_head", "_bn1"), HEAD, inputs, 1, epsilon=EPSILON, activation=relu)
    g.add("pool", GlobalAvgPool2d())  # of head.relu, A^k: what CAM and Grad-CAM weigh
    g.add("flatten", Flatten())
    g.add("dropout", Dropout(0.2))
    g.add("fc", w.linear("_fc", classes, HEAD))
    return g
