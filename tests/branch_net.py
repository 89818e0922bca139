"""A network whose layer is two branches in one, worked out by hand: a max pooling and a convolution, put side by side.

    x = 1 2 0 1      branch 0: the largest of       branch 1: x[i,j] + x[i+1,j+1], as in `study_net`
        0 1 3 0      2 x 2 cells of -x
        2 0 1 1      0 0 0                          2 5 0
        1 1 0 2      0 0 0                          0 2 4
                     0 0 0                          3 0 3

-x is 0 where x is: the pooling takes the first of them, (1, 0), (0, 2), (0, 2) / (1, 0), (2, 1), (1, 3) / (2, 1) twice,
(3, 2). So that its maps are not all 0, the convolution before it makes 4 - x of x.
"""

from __future__ import annotations

import numpy as np

from npgradcam.layers import Concat, Conv2d, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Transpose
from npgradcam.models.labels import Labels
from npgradcam.models.model import Model
from npgradcam.network import Network
from npgradcam.topology import Node

WINNERS = [[(1, 0), (0, 2), (0, 2)], [(1, 0), (2, 1), (1, 3)], [(2, 1), (2, 1), (3, 2)]]


def model(last: bool = False) -> Model:
    """Return it; with `last`, the branches are put side by side with their channels last."""
    nodes = [Node("negative", Conv2d(np.float32([[[[-1]]]]), np.float32([4])), ("input",)),
             Node("pool", MaxPool2d((2, 2), (1, 1)), ("negative",)),
             Node("diagonal", Conv2d(np.float32([[[[1, 0], [0, 1]]]]), np.float32([0])), ("input",))]
    if last:
        nodes += [Node(f"{name} last", Transpose((0, 2, 3, 1)), (name,)) for name in ("pool", "diagonal")]
        nodes += [Node("both last", Concat(3), ("pool last", "diagonal last")),
                  Node("relu", ReLU(), ("both last",)), Node("first", Transpose((0, 3, 1, 2)), ("relu",))]
    else:
        nodes += [Node("both", Concat(), ("pool", "diagonal")), Node("relu", ReLU(), ("both",))]
    nodes += [Node("gap", GlobalAvgPool2d(), (nodes[-1].name,)), Node("flatten", Flatten(), ("gap",)),
              Node("fc", Linear(np.float32([[9, -18], [0, 9]]), np.float32([1, 0])), ("flatten",))]
    return Model("branches", Network(tuple(nodes)), labels=Labels((("cat",), ("cup",))))
