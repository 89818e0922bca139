"""EfficientNet-Lite: the inverted residual blocks of EfficientNet (Tan & Le 2019, table 1), simplified for phones.

    3 x H x W -> stem 3x3 /2 -> 7 stages of blocks -> head 1x1 -> global average pooling -> linear

A block: 1x1 expands the channels, a depthwise 3x3 or 5x5 looks around, a linear 1x1 projects; where neither size nor
channels change, the block's input is added. TensorFlow trained it, so convolutions are padded "same" and batch
normalisation has epsilon 1e-3. Width and depth scale the stages; stem and head keep their size, and the first and the
last stage keep their depth. That, ReLU6 instead of swish, and no squeeze-and-excitation make the Lite variant, which
its authors published as code (TensorFlow's TPU models, 2020) and not as a paper.
"""

from __future__ import annotations

from math import ceil

from npgradcam.layers import Add, Dropout, Flatten, GlobalAvgPool2d, ReLU6

from .graph import Graph
from .weights import Weights

EPSILON = 1e-3
HEAD = 1280
STAGES = (  # repeats, kernel, stride, expansion, channels
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
    g = Graph()
    g.add("stem.conv", w.conv("_conv_stem", 32, 3, 3, (2, 2), "same", bias=False))
    g.add("stem.norm", w.norm("_bn0", 32, EPSILON))
    g.add("stem.relu", ReLU6())

    inputs, block = 32, 0
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
        outputs = scaled(channels, width)
        fixed = stage in (0, len(STAGES) - 1)
        for repeat in range(repeats if fixed else ceil(depth * repeats)):
            _block(g, w, block, kernel, stride if repeat == 0 else 1, expansion, inputs, outputs)
            inputs, block = outputs, block + 1

    g.add("head.conv", w.conv("_conv_head", HEAD, inputs, 1, bias=False))
    g.add("head.norm", w.norm("_bn1", HEAD, EPSILON))
    g.add("head.relu", ReLU6())  # A^k: what CAM and Grad-CAM weigh
    g.add("pool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("dropout", Dropout(0.2))
    g.add("fc", w.linear("_fc", classes, HEAD))
    return g


def _block(g: Graph, w: Weights, index: int, kernel: int, stride: int, expansion: int, inputs: int,
           outputs: int) -> None:
    """Expand, look around, project; add the input where shapes allow it."""
    name, saved, x = f"blocks.{index}", f"_blocks.{index}", g.last
    wide = inputs * expansion
    if expansion > 1:
        g.add(f"{name}.expand.conv", w.conv(f"{saved}._expand_conv", wide, inputs, 1, bias=False))
        g.add(f"{name}.expand.norm", w.norm(f"{saved}._bn0", wide, EPSILON))
        g.add(f"{name}.expand.relu", ReLU6())
    depthwise = w.conv(f"{saved}._depthwise_conv", wide, wide, kernel, (stride, stride), "same", wide, bias=False)
    g.add(f"{name}.depthwise.conv", depthwise)
    g.add(f"{name}.depthwise.norm", w.norm(f"{saved}._bn1", wide, EPSILON))
    g.add(f"{name}.depthwise.relu", ReLU6())
    g.add(f"{name}.project.conv", w.conv(f"{saved}._project_conv", outputs, wide, 1, bias=False))
    g.add(f"{name}.project.norm", w.norm(f"{saved}._bn2", outputs, EPSILON))
    if stride == 1 and inputs == outputs:
        g.add(f"{name}.add", Add(), g.last, x)


def scaled(channels: int, width: float) -> int:
    """Round width * channels to a multiple of 8, never more than a tenth below it.

    Examples
    --------
    >>> [scaled(c, 1.1) for c in (16, 24, 320)]
    [16, 24, 352]
    """
    rounded = max(8, int(width * channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width * channels else rounded
