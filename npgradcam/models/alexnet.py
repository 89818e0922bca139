"""AlexNet: five convolutions, three linear layers (Krizhevsky 2014, "One weird trick ...", section 5).

The network that won in 2012 was split over two graphics cards and normalised its responses; the one-column version of
2014 has neither, and it is the one that torchvision's weights fit.
"""

from __future__ import annotations

from npgradcam.layers import AdaptiveAvgPool2d, Dropout, Flatten, MaxPool2d, ReLU

from .graph import Graph
from .weights import Weights

CONVOLUTIONS = (  # outputs, kernel, stride, padding, place in torchvision's `features`, whether a pooling follows
    (64, 11, 4, 2, 0, True),
    (192, 5, 1, 2, 3, True),
    (384, 3, 1, 1, 6, False),
    (256, 3, 1, 1, 8, False),
    (256, 3, 1, 1, 10, True),
)


def alexnet(w: Weights, classes: int = 1000) -> Graph:
    """Draw the network; parameter names are torchvision's."""
    g = Graph()
    inputs = 3
    for i, (outputs, kernel, stride, padding, at, pooled) in enumerate(CONVOLUTIONS, start=1):
        g.add(f"conv{i}", w.conv(f"features.{at}", outputs, inputs, kernel, stride, padding))
        g.add(f"relu{i}", ReLU())
        if pooled:
            g.add(f"pool{i}", MaxPool2d((3, 3), (2, 2)))
        inputs = outputs
    g.add("avgpool", AdaptiveAvgPool2d((6, 6)))  # the identity for 224 x 224 pictures
    g.add("flatten", Flatten())
    g.add("drop6", Dropout())
    g.add("fc6", w.linear("classifier.1", 4096, 256 * 6 * 6))
    g.add("relu6", ReLU())
    g.add("drop7", Dropout())
    g.add("fc7", w.linear("classifier.4", 4096, 4096))
    g.add("relu7", ReLU())
    g.add("fc8", w.linear("classifier.6", classes, 4096))
    return g
