"""Inception-v3: large kernels become small ones in a row, or a row and a column (Szegedy et al. 2016, table 1).

The modules are those of figures 5 (5x5 as two 3x3), 6 (7x7 as 1x7 and 7x1) and 7 (a row and a column side by side),
with the poolings of figure 10 between them. The auxiliary classifier belongs to training; its parameters may be in a
checkpoint and are not read.

torchvision's weights came from TensorFlow and want pixels in -1..1. torchvision converts inside the network
(`transform_input=True`) from what all its networks are given; here the preprocessing says it: x = pixel / 127.5 - 1.
Weights that were trained without that switch want `preprocess="imagenet"`.
"""

from __future__ import annotations

from npgradcam.layers import AvgPool2d, Concat, Dropout, Flatten, GlobalAvgPool2d, MaxPool2d, ReLU
from npgradcam.typing import Pair

from .graph import Graph
from .steps import conv_norm
from .weights import Weights

EPSILON = 1e-3
ROW, COLUMN = (1, 7), (7, 1)
Step = tuple[str, int, int | Pair]  # what a convolution is called, its channels, its kernel


def inception_v3(w: Weights, classes: int = 1000) -> Graph:
    """Draw the network; parameter names are torchvision's."""
    g = Graph()
    w.ignore("AuxLogits.")
    _conv(g, w, "Conv2d_1a_3x3", 32, 3, 3, stride=2, padding=0)
    _conv(g, w, "Conv2d_2a_3x3", 32, 32, 3, padding=0)
    _conv(g, w, "Conv2d_2b_3x3", 64, 32, 3)
    g.add("maxpool1", MaxPool2d((3, 3), (2, 2)))
    _conv(g, w, "Conv2d_3b_1x1", 80, 64, 1)
    _conv(g, w, "Conv2d_4a_3x3", 192, 80, 3, padding=0)
    g.add("maxpool2", MaxPool2d((3, 3), (2, 2)))
    inputs = 192
    for name, pooled in (("5b", 32), ("5c", 64), ("5d", 64)):
        inputs = _figure_5(g, w, f"Mixed_{name}", inputs, pooled)
    inputs = _smaller(g, w, "Mixed_6a", inputs, (("branch3x3", 384, 3),), (
        ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)))
    for name, narrow in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        inputs = _figure_6(g, w, f"Mixed_{name}", inputs, narrow)
    inputs = _smaller(g, w, "Mixed_7a", inputs, (("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)), (
        ("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, ROW), ("branch7x7x3_3", 192, COLUMN),
        ("branch7x7x3_4", 192, 3)))
    for name in ("7b", "7c"):
        inputs = _figure_7(g, w, f"Mixed_{name}", inputs)
    g.add("avgpool", GlobalAvgPool2d())
    g.add("dropout", Dropout())
    g.add("flatten", Flatten())
    g.add("fc", w.linear("fc", classes, inputs))
    return g


def _figure_5(g: Graph, w: Weights, name: str, inputs: int, pooled: int) -> int:
    """1x1, 5x5, two 3x3, pooling: side by side. Return the channels that come out."""
    x = g.last
    return _side_by_side(g, name, (64, 64, 96, pooled), (
        _row(g, w, name, x, inputs, (("branch1x1", 64, 1),)),
        _row(g, w, name, x, inputs, (("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5))),
        _row(g, w, name, x, inputs, (("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3))),
        _pooled(g, w, name, x, inputs, pooled),
    ))


def _figure_6(g: Graph, w: Weights, name: str, inputs: int, narrow: int) -> int:
    """1x1, one 7x7, two 7x7, pooling; each 7x7 is a row and a column."""
    x = g.last
    return _side_by_side(g, name, (192,) * 4, (
        _row(g, w, name, x, inputs, (("branch1x1", 192, 1),)),
        _row(g, w, name, x, inputs, (
            ("branch7x7_1", narrow, 1), ("branch7x7_2", narrow, ROW), ("branch7x7_3", 192, COLUMN))),
        _row(g, w, name, x, inputs, (
            ("branch7x7dbl_1", narrow, 1), ("branch7x7dbl_2", narrow, COLUMN), ("branch7x7dbl_3", narrow, ROW),
            ("branch7x7dbl_4", narrow, COLUMN), ("branch7x7dbl_5", 192, ROW))),
        _pooled(g, w, name, x, inputs, 192),
    ))


def _figure_7(g: Graph, w: Weights, name: str, inputs: int) -> int:
    """1x1, 3x3, two 3x3, pooling; the last 3x3 of each is a row beside a column."""
    x = g.last
    return _side_by_side(g, name, (320, 768, 768, 192), (
        _row(g, w, name, x, inputs, (("branch1x1", 320, 1),)),
        _fork(g, w, name, "branch3x3", ("2a", "2b"), _row(g, w, name, x, inputs, (("branch3x3_1", 384, 1),))),
        _fork(g, w, name, "branch3x3dbl", ("3a", "3b"), _row(g, w, name, x, inputs, (
            ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)))),
        _pooled(g, w, name, x, inputs, 192),
    ))


def _smaller(g: Graph, w: Weights, name: str, inputs: int, short: tuple[Step, ...], long: tuple[Step, ...]) -> int:
    """Two rows of convolutions and a max pooling that all halve the sides (figure 10)."""
    x = g.last
    a = _row(g, w, name, x, inputs, short, halves=True)
    b = _row(g, w, name, x, inputs, long, halves=True)
    pool = g.add(f"{name}.branch_pool", MaxPool2d((3, 3), (2, 2)), x)
    return _side_by_side(g, name, (short[-1][1], long[-1][1], inputs), (a, b, pool))


def _row(g: Graph, w: Weights, name: str, x: str, inputs: int, steps: tuple[Step, ...], halves: bool = False) -> str:
    """One convolution after the other from `x` on; `halves`: the last one with stride 2 and without padding."""
    for i, (step, outputs, kernel) in enumerate(steps, start=1):
        last = halves and i == len(steps)
        x = _conv(g, w, f"{name}.{step}", outputs, inputs, kernel, 2 if last else 1, 0 if last else None, x)
        inputs = outputs
    return x


def _fork(g: Graph, w: Weights, name: str, branch: str, ends: tuple[str, str], x: str) -> str:
    """A row and a column side by side, both of `x`."""
    row = _conv(g, w, f"{name}.{branch}_{ends[0]}", 384, 384, (1, 3), x=x)
    column = _conv(g, w, f"{name}.{branch}_{ends[1]}", 384, 384, (3, 1), x=x)
    return g.add(f"{name}.{branch}.concat", Concat(), row, column)


def _pooled(g: Graph, w: Weights, name: str, x: str, inputs: int, outputs: int) -> str:
    """The mean of 3x3 cells (zeros around the picture count), then 1x1."""
    pool = g.add(f"{name}.branch_pool.pool", AvgPool2d((3, 3), (1, 1), (1, 1, 1, 1)), x)
    return _row(g, w, name, pool, inputs, (("branch_pool", outputs, 1),))


def _side_by_side(g: Graph, name: str, channels: tuple[int, ...], branches: tuple[str, ...]) -> int:
    g.add(f"{name}.concat", Concat(), *branches)
    return sum(channels)


def _conv(g: Graph, w: Weights, name: str, outputs: int, inputs: int, kernel: int | Pair, stride: int = 1,
          padding: int | None = None, x: str | None = None) -> str:
    """Convolution, batch normalisation, ReLU."""
    return conv_norm(g, w, name, (f"{name}.conv", f"{name}.bn"), outputs, inputs, kernel, stride=stride,
                     padding=padding, epsilon=EPSILON, activation=ReLU(), x=x)
