"""MNASNet: inverted residual blocks that a search chose for phones (Tan et al. 2019; variant B1, without squeezes).

Variants multiply the channels by 0.5, 0.75 or 1.3. The very first checkpoints of torchvision's 0.5 kept a wider stem;
they have other shapes and are refused.
"""

from __future__ import annotations

from npgradcam.layers import Dropout, Flatten, GlobalAvgPool2d, ReLU

from .graph import Graph
from .inverted_residual import inverted_residual
from .steps import conv_norm, scaled
from .weights import Weights

HEAD = 1280
STEM, FIRST = 32, 16
STAGES = (  # channels, kernel, stride, expansion, repeats
    (24, 3, 2, 3, 3),
    (40, 5, 2, 3, 3),
    (80, 5, 2, 6, 3),
    (96, 3, 1, 6, 2),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
)


def mnasnet(w: Weights, width: float, classes: int = 1000) -> Graph:
    """Draw the network; `width` multiplies channels (rounded to multiples of 8); parameter names are torchvision's."""
    g, relu = Graph(), ReLU()
    stem, inputs = scaled(STEM, width), scaled(FIRST, width)
    conv_norm(g, w, "layers.0", ("layers.0", "layers.1"), stem, 3, 3, stride=2, activation=relu)
    conv_norm(g, w, "layers.3", ("layers.3", "layers.4"), stem, stem, 3, groups=stem, activation=relu)
    conv_norm(g, w, "layers.6", ("layers.6", "layers.7"), inputs, stem, 1)
    for at, (channels, kernel, stride, expansion, repeats) in enumerate(STAGES, start=8):
        outputs = scaled(channels, width)
        for repeat in range(repeats):
            name = f"layers.{at}.{repeat}"
            names = [(f"{name}.layers.{i}", f"{name}.layers.{i + 1}") for i in (0, 3, 6)]
            inverted_residual(g, w, name, names, inputs, expansion * inputs, outputs, kernel,
                              stride if repeat == 0 else 1, relu)
            inputs = outputs
    conv_norm(g, w, "layers.14", ("layers.14", "layers.15"), HEAD, inputs, 1, activation=relu)
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("dropout", Dropout(0.2))
    g.add("classifier", w.linear("classifier.1", classes, HEAD))
    return g
