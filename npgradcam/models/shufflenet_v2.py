"""ShuffleNetV2: half of the channels go through untouched, then the halves are shuffled (Ma et al. 2018, figure 3).

    unit          split in halves; one stays, one goes 1x1, depthwise 3x3, 1x1; put side by side; shuffle
    smaller unit  no split: both branches see everything and halve the sides

The shuffle deals the channels of the two halves alternately, like cards: y[2 k + b] = x[b C/2 + k].
"""

from __future__ import annotations

import numpy as np

from npgradcam.layers import Concat, Flatten, Gather, GlobalAvgPool2d, MaxPool2d, ReLU, Slice

from .graph import Graph
from .steps import conv_norm
from .weights import Weights

STEM = 24
REPEATS = (4, 8, 4)
CHANNELS = {  # of stages 2, 3 and 4, and of the last convolution (table 5)
    "x0_5": (48, 96, 192, 1024),
    "x1_0": (116, 232, 464, 1024),
    "x1_5": (176, 352, 704, 1024),
    "x2_0": (244, 488, 976, 2048),
}


def shufflenet_v2(w: Weights, width: str, classes: int = 1000) -> Graph:
    """Draw the network of width "x0_5", "x1_0", "x1_5" or "x2_0"; parameter names are torchvision's."""
    g = Graph()
    *stages, head = CHANNELS[width]
    conv_norm(g, w, "conv1", ("conv1.0", "conv1.1"), STEM, 3, 3, stride=2, activation=ReLU())
    g.add("maxpool", MaxPool2d((3, 3), (2, 2), (1, 1, 1, 1)))
    inputs = STEM
    for stage, (channels, repeats) in enumerate(zip(stages, REPEATS, strict=True), start=2):
        _smaller(g, w, f"stage{stage}.0", inputs, channels)
        for repeat in range(1, repeats):
            _unit(g, w, f"stage{stage}.{repeat}", channels)
        inputs = channels
    conv_norm(g, w, "conv5", ("conv5.0", "conv5.1"), head, inputs, 1, activation=ReLU())
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("fc", w.linear("fc", classes, head))
    return g


def _unit(g: Graph, w: Weights, name: str, channels: int) -> None:
    """One half stays as it is (figure 3c)."""
    x, half = g.last, channels // 2
    stays = g.add(f"{name}.stays", Slice((0,), (half,), (1,)), x)
    goes = g.add(f"{name}.goes", Slice((half,), (channels,), (1,)), x)
    _shuffle(g, name, channels, stays, _branch2(g, w, name, half, half, 1, goes))


def _smaller(g: Graph, w: Weights, name: str, inputs: int, outputs: int) -> None:
    """Both branches see all channels and halve the sides (figure 3d)."""
    x, half, saved = g.last, outputs // 2, f"{name}.branch1"
    conv_norm(g, w, f"{saved}.depthwise", (f"{saved}.0", f"{saved}.1"), inputs, inputs, 3, stride=2, groups=inputs, x=x)
    first = conv_norm(g, w, f"{saved}.last", (f"{saved}.2", f"{saved}.3"), half, inputs, 1, activation=ReLU())
    _shuffle(g, name, outputs, first, _branch2(g, w, name, inputs, half, 2, x))


def _branch2(g: Graph, w: Weights, name: str, inputs: int, outputs: int, stride: int, x: str) -> str:
    """1x1, depthwise 3x3 without a ReLU, 1x1; return what came last."""
    saved = f"{name}.branch2"
    conv_norm(g, w, f"{saved}.first", (f"{saved}.0", f"{saved}.1"), outputs, inputs, 1, activation=ReLU(), x=x)
    conv_norm(g, w, f"{saved}.depthwise", (f"{saved}.3", f"{saved}.4"), outputs, outputs, 3, stride=stride,
              groups=outputs)
    return conv_norm(g, w, f"{saved}.last", (f"{saved}.5", f"{saved}.6"), outputs, outputs, 1, activation=ReLU())


def _shuffle(g: Graph, name: str, channels: int, first: str, second: str) -> None:
    """Put two halves side by side and deal their channels alternately."""
    g.add(f"{name}.concat", Concat(), first, second)
    g.add(f"{name}.shuffle", Gather(np.arange(channels).reshape(2, -1).T.ravel(), axis=1))
