"""VGG: 3x3 convolutions in five groups, three linear layers (Simonyan & Zisserman 2015, table 1: A, B, D and E).

Batch normalisation is younger than the paper; torchvision trained each network with it as well.
"""

from __future__ import annotations

from npgradcam.layers import AdaptiveAvgPool2d, Dropout, Flatten, MaxPool2d, ReLU

from .graph import Graph
from .weights import Weights

CHANNELS = (64, 128, 256, 512, 512)  # of each group
CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # in each group


def vgg(w: Weights, depth: int, norm: bool = False, classes: int = 1000) -> Graph:
    """Draw the network with `depth` layers that hold weights; parameter names are torchvision's."""
    g = Graph()
    inputs, at = 3, 0  # `at` counts the places of torchvision's `features`: conv, (norm,) relu, conv, ..., pool
    for group, (channels, count) in enumerate(zip(CHANNELS, CONVOLUTIONS[depth], strict=True), start=1):
        for i in range(1, count + 1):
            g.add(f"conv{group}_{i}", w.conv(f"features.{at}", channels, inputs, 3, padding=1))
            if norm:
                at += 1
                g.add(f"norm{group}_{i}", w.norm(f"features.{at}", channels))
            g.add(f"relu{group}_{i}", ReLU())
            inputs, at = channels, at + 2
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
