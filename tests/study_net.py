"""A network small enough to be worked out by hand: one photograph of 4 x 4, two maps of 3 x 3, two classes.

    x = 1 2 0 1      map 0: x[i,j] + x[i+1,j+1]          map 1: ReLU(x[i,j+1] - x[i+1,j] - 1)
        0 1 3 0             2 5 0                               1 0 0
        2 0 1 1             0 2 4    sum 19                     0 2 0    sum 3
        1 1 0 2             3 0 3                               0 0 0

The head pools and weighs with (9, -18) and (0, 9), biases 1 and 0, so y = (19 - 6 + 1, 3) = (14, 3); dy/dA is the
weight over Z = 9, alpha = (1, -2) and (0, 1), and the map of class 0 is map 0 - 2 map 1:

    0  5  0
    0 -2  4      sum 13, and 13 + 1 = 14; the ReLU cuts off one cell
    3  0  3
"""

from __future__ import annotations

import numpy as np

from npgradcam.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU
from npgradcam.models.labels import Labels
from npgradcam.models.model import Model
from npgradcam.network import Network

X = np.array([[1, 2, 0, 1], [0, 1, 3, 0], [2, 0, 1, 1], [1, 1, 0, 2]], np.float32)[None, None]
A = np.array([[[2, 5, 0], [0, 2, 4], [3, 0, 3]], [[1, 0, 0], [0, 2, 0], [0, 0, 0]]])
ALPHA = np.array([[1, -2], [0, 1]])
SIGNED = np.array([[[0, 5, 0], [0, -2, 4], [3, 0, 3]], [[1, 0, 0], [0, 2, 0], [0, 0, 0]]])


def network(**settings):
    return Network.sequential([
        ("conv", Conv2d(np.float32([[[[1, 0], [0, 1]]], [[[0, 1], [-1, 0]]]]), np.float32([0, -1]))),
        ("relu", ReLU()), ("pool", GlobalAvgPool2d()), ("flatten", Flatten()),
        ("fc", Linear(np.float32([[9, -18], [0, 9]]), np.float32([1, 0]))),
    ], **settings)


def model(labels=("cat", "cup"), **settings):
    return Model("by hand", network(**settings), labels=Labels(tuple((name,) for name in labels)))


def pixels():
    """Return a network that labels pixels: of the maps x and -x, rectified, class 0 sums both, class 1 is 1."""
    head = Conv2d(np.float32([[1, 1], [0, 0]])[:, :, None, None], np.float32([0, 1]))
    layers = [("conv", Conv2d(np.float32([[[[1]]], [[[-1]]]]))), ("relu", ReLU()), ("out", head)]
    return Model("pixels", Network.sequential(layers), labels=Labels((("cat",), ("cup",))))
