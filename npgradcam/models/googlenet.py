"""GoogLeNet, or Inception-v1: nine modules of four branches side by side (Szegedy et al. 2015, table 1).

As torchvision has it, with batch normalisation, and with a 3x3 convolution where the paper says 5x5: its weights were
trained so. The two auxiliary classifiers belong to training; their parameters may be in a checkpoint and are not read.

torchvision's weights came from TensorFlow and want pixels in -1..1. torchvision converts inside the network
(`transform_input=True`) from what all its networks are given; here the preprocessing says it: x = pixel / 127.5 - 1.
Weights that were trained without that switch want `preprocess="imagenet"`.
"""

from __future__ import annotations

from npgradcam.layers import Concat, Dropout, Flatten, GlobalAvgPool2d, MaxPool2d, ReLU

from .graph import Graph
from .steps import conv_norm
from .weights import Weights

EPSILON = 1e-3
MODULES = (  # name; channels of the 1x1; reduced, 3x3; reduced, "5x5"; after the pooling
    ("3a", 64, 96, 128, 16, 32, 32),
    ("3b", 128, 128, 192, 32, 96, 64),
    ("4a", 192, 96, 208, 16, 48, 64),
    ("4b", 160, 112, 224, 24, 64, 64),
    ("4c", 128, 128, 256, 24, 64, 64),
    ("4d", 112, 144, 288, 32, 64, 64),
    ("4e", 256, 160, 320, 32, 128, 128),
    ("5a", 256, 160, 320, 32, 128, 128),
    ("5b", 384, 192, 384, 48, 128, 128),
)
POOLED = {"3b": 3, "4e": 2}  # the side of the pooling that follows


def googlenet(w: Weights, classes: int = 1000) -> Graph:
    """Draw the network; parameter names are torchvision's."""
    g = Graph()
    w.ignore("aux1.", "aux2.")
    _conv(g, w, "conv1", 64, 3, 7, stride=2)
    g.add("maxpool1", MaxPool2d((3, 3), (2, 2), ceil=True))
    _conv(g, w, "conv2", 64, 64, 1)
    _conv(g, w, "conv3", 192, 64, 3)
    g.add("maxpool2", MaxPool2d((3, 3), (2, 2), ceil=True))
    inputs = 192
    for module, *channels in MODULES:
        inputs = _module(g, w, f"inception{module}", inputs, *channels)
        if module in POOLED:
            g.add(f"maxpool{module[0]}", MaxPool2d((POOLED[module],) * 2, (2, 2), ceil=True))
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("dropout", Dropout(0.2))
    g.add("fc", w.linear("fc", classes, inputs))
    return g


def _module(g: Graph, w: Weights, name: str, inputs: int, one: int, reduced3: int, three: int, reduced5: int,
            five: int, pooled: int) -> int:
    """1x1; 1x1 and 3x3; 1x1 and "5x5"; pooling and 1x1: side by side. Return the channels that come out."""
    x = g.last
    a = _conv(g, w, f"{name}.branch1", one, inputs, 1, x=x)
    _conv(g, w, f"{name}.branch2.0", reduced3, inputs, 1, x=x)
    b = _conv(g, w, f"{name}.branch2.1", three, reduced3, 3)
    _conv(g, w, f"{name}.branch3.0", reduced5, inputs, 1, x=x)
    c = _conv(g, w, f"{name}.branch3.1", five, reduced5, 3)
    g.add(f"{name}.branch4.0", MaxPool2d((3, 3), (1, 1), (1, 1, 1, 1), ceil=True), x)
    d = _conv(g, w, f"{name}.branch4.1", pooled, inputs, 1)
    g.add(f"{name}.concat", Concat(), a, b, c, d)
    return one + three + five + pooled


def _conv(g: Graph, w: Weights, name: str, outputs: int, inputs: int, kernel: int, stride: int = 1,
          x: str | None = None) -> str:
    """Convolution, batch normalisation, ReLU."""
    saved = f"{name}.conv", f"{name}.bn"
    return conv_norm(g, w, name, saved, outputs, inputs, kernel, stride=stride, epsilon=EPSILON, activation=ReLU(), x=x)
