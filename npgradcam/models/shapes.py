"""A small network of our own that says which shape a picture shows; `shapes_data` draws them, `train_shapes` trains it.

    3 x 32 x 32 -> 12 x 16 x 16 -> 16 x 16 x 16 -> 24 x 16 x 16 -> 24 -> 4

Three convolutions with ReLU, global average pooling, one linear layer: piecewise linear, and small enough to print
every number in it. A cell of the last feature maps looks at 13 x 13 pixels, about one shape, so maps stay close to it.
"""

from __future__ import annotations

from npgradcam.images import Preprocess
from npgradcam.layers import Flatten, GlobalAvgPool2d, ReLU

from .graph import Graph
from .shapes_data import CLASSES, SIDE
from .weights import Weights

MAPS = "relu3"  # A^k, 24 maps of 16 x 16 cells: what CAM and Grad-CAM weigh
MEAN, STD = 128.0, 64.0
PREPROCESS = Preprocess("shapes", (SIDE, SIDE), crop=1.0, interpolation="bicubic", mean=(MEAN,) * 3, std=(STD,) * 3)


def shapes_graph(w: Weights, classes: int = len(CLASSES)) -> Graph:
    """Draw the network."""
    g = Graph()
    g.add("conv1", w.conv("conv1", 12, 3, 5, (2, 2), padding=2))
    g.add("relu1", ReLU())
    g.add("conv2", w.conv("conv2", 16, 12, 3, padding=1))
    g.add("relu2", ReLU())
    g.add("conv3", w.conv("conv3", 24, 16, 3, padding=1))
    g.add(MAPS, ReLU())
    g.add("pool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("fc", w.linear("fc", classes, 24))
    return g
