"""SqueezeNet: fire modules, and a convolution as classifier (Iandola et al. 2016, table 1; 1.1 is the authors').

A fire module squeezes the channels by 1x1 convolutions and expands them by 1x1 and 3x3 convolutions side by side. The
last convolution makes one map per class, whose mean is the logit. Such class maps are answers, not features, so the
default layer is the last fire module; and `cam` wants a linear layer, which is not here.
"""

from __future__ import annotations

from npgradcam.layers import Concat, Dropout, Flatten, GlobalAvgPool2d, MaxPool2d, ReLU

from .graph import Graph
from .weights import Weights

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))  # squeeze, each expand
STEMS = {"1_0": (96, 7, (4, 8)), "1_1": (64, 3, (3, 5))}  # channels, kernel, the fire modules that a pooling follows


def squeezenet(w: Weights, version: str, classes: int = 1000) -> Graph:
    """Draw version "1_0" or "1_1"; parameter names are torchvision's."""
    g = Graph()
    channels, kernel, pooled = STEMS[version]
    g.add("conv1", w.conv("features.0", channels, 3, kernel, 2))
    g.add("relu1", ReLU())
    g.add("pool1", MaxPool2d((3, 3), (2, 2), ceil=True))
    at = 3  # counts the places of torchvision's `features`: conv, relu, pool, fire, fire, ...
    for number, (squeeze, expand) in enumerate(FIRES, start=2):  # the paper calls the first one fire2
        _fire(g, w, f"fire{number}", f"features.{at}", channels, squeeze, expand)
        channels, at = 2 * expand, at + 1
        if number in pooled:
            g.add(f"pool{number}", MaxPool2d((3, 3), (2, 2), ceil=True))
            at += 1
    g.add("drop9", Dropout())
    g.add("conv10", w.conv("classifier.1", classes, channels, 1))
    g.add("relu10", ReLU())
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    return g


def _fire(g: Graph, w: Weights, name: str, saved: str, inputs: int, squeeze: int, expand: int) -> None:
    """Squeeze by 1x1, expand by 1x1 and by 3x3, and put the two side by side."""
    g.add(f"{name}.squeeze", w.conv(f"{saved}.squeeze", squeeze, inputs, 1))
    squeezed = g.add(f"{name}.squeeze.relu", ReLU())
    g.add(f"{name}.expand1x1", w.conv(f"{saved}.expand1x1", expand, squeeze, 1))
    one = g.add(f"{name}.expand1x1.relu", ReLU())
    g.add(f"{name}.expand3x3", w.conv(f"{saved}.expand3x3", expand, squeeze, 3, padding=1), squeezed)
    three = g.add(f"{name}.expand3x3.relu", ReLU())
    g.add(f"{name}.concat", Concat(), one, three)
