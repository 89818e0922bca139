"""MobileNetV2: where the inverted residual block comes from (Sandler et al. 2018, table 2)."""

from __future__ import annotations

from npgradcam.layers import Dropout, Flatten, GlobalAvgPool2d, ReLU6

from .graph import Graph
from .inverted_residual import inverted_residual
from .steps import conv_norm
from .weights import Weights

HEAD = 1280
STAGES = (  # expansion, channels, repeats, stride
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(w: Weights, classes: int = 1000) -> Graph:
    """Draw the network; parameter names are torchvision's."""
    g, relu = Graph(), ReLU6()
    conv_norm(g, w, "features.0", ("features.0.0", "features.0.1"), 32, 3, 3, stride=2, activation=relu)
    inputs, at = 32, 1  # `at` counts the places of torchvision's `features`: stem, block, block, ..., head
    for expansion, outputs, repeats, stride in STAGES:
        for repeat in range(repeats):
            saved = f"features.{at}.conv"
            last = 1 if expansion == 1 else 2
            names = [(f"{saved}.{i}.0", f"{saved}.{i}.1") for i in range(last)]
            inverted_residual(g, w, f"features.{at}", [*names, (f"{saved}.{last}", f"{saved}.{last + 1}")], inputs,
                              expansion * inputs, outputs, 3, stride if repeat == 0 else 1, relu)
            inputs, at = outputs, at + 1
    conv_norm(g, w, f"features.{at}", (f"features.{at}.0", f"features.{at}.1"), HEAD, inputs, 1, activation=relu)
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("dropout", Dropout(0.2))
    g.add("classifier", w.linear("classifier.1", classes, HEAD))
    return g
