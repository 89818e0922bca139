"""VGG-16: thirteen 3x3 convolutions in five groups, three linear layers (Simonyan & Zisserman 2015, table 1, D)."""

from __future__ import annotations

from npgradcam.layers import AdaptiveAvgPool2d, Dropout, Flatten, MaxPool2d, ReLU

from .graph import Graph
from .weights import Weights

GROUPS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16(w: Weights, classes: int = 1000) -> Graph:
    """Draw the network; parameter names are torchvision's."""
    g = Graph()
    inputs, at = 3, 0  # `at` counts the places of torchvision's `features` list: conv, relu, conv, relu, ..., pool
    for group, channels in enumerate(GROUPS, start=1):
        for i, outputs in enumerate(channels, start=1):
            g.add(f"conv{group}_{i}", w.conv(f"features.{at}", outputs, inputs, 3, padding=1))
            g.add(f"relu{group}_{i}", ReLU())
            inputs, at = outputs, at + 2
        g.add(f"pool{group}", MaxPool2d((2, 2), (2, 2)))
        at += 1
    g.add("avgpool", AdaptiveAvgPool2d((7, 7)))  # the identity for 224 x 224 pictures
    g.add("flatten", Flatten())
    g.add("fc6", w.linear("classifier.0", 4096, 512 * 7 * 7))
    g.add("relu6", ReLU())
    g.add("drop6", Dropout())
    g.add("fc7", w.linear("classifier.3", 4096, 4096))
    g.add("relu7", ReLU())
    g.add("drop7", Dropout())
    g.add("fc8", w.linear("classifier.6", classes, 4096))
    return g
