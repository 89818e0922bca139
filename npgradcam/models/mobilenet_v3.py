"""MobileNetV3: searched blocks, squeeze-and-excitation, hard swish (Howard et al. 2019, tables 1 and 2).

HardSwish is no rectifier: the rules of guided backpropagation and deconvnet act on the ReLUs alone, which stand in the
first blocks and inside squeeze-and-excitation. Two linear layers follow the pooling, so there is no head for CAM.
"""

from __future__ import annotations

from npgradcam.layers import Dropout, Flatten, GlobalAvgPool2d, HardSigmoid, HardSwish, ReLU

from .graph import Graph
from .inverted_residual import Squeeze, inverted_residual
from .steps import conv_norm, scaled
from .weights import Weights

EPSILON = 1e-3
BLOCKS = {  # kernel, wide, outputs, squeeze-and-excitation, hard swish (or ReLU), stride
    "large": (
        (3, 16, 16, False, False, 1),
        (3, 64, 24, False, False, 2),
        (3, 72, 24, False, False, 1),
        (5, 72, 40, True, False, 2),
        (5, 120, 40, True, False, 1),
        (5, 120, 40, True, False, 1),
        (3, 240, 80, False, True, 2),
        (3, 200, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 480, 112, True, True, 1),
        (3, 672, 112, True, True, 1),
        (5, 672, 160, True, True, 2),
        (5, 960, 160, True, True, 1),
        (5, 960, 160, True, True, 1),
    ),
    "small": (
        (3, 16, 16, True, False, 2),
        (3, 72, 24, False, False, 2),
        (3, 88, 24, False, False, 1),
        (5, 96, 40, True, True, 2),
        (5, 240, 40, True, True, 1),
        (5, 240, 40, True, True, 1),
        (5, 120, 48, True, True, 1),
        (5, 144, 48, True, True, 1),
        (5, 288, 96, True, True, 2),
        (5, 576, 96, True, True, 1),
        (5, 576, 96, True, True, 1),
    ),
}
HIDDEN = {"large": 1280, "small": 1024}


def mobilenet_v3(w: Weights, size: str, classes: int = 1000) -> Graph:
    """Draw the network of size "large" or "small"; parameter names are torchvision's."""
    g, swish = Graph(), HardSwish()
    conv_norm(g, w, "features.0", ("features.0.0", "features.0.1"), 16, 3, 3, stride=2, epsilon=EPSILON,
              activation=swish)
    inputs = 16
    for at, (kernel, wide, outputs, squeezed, hard, stride) in enumerate(BLOCKS[size], start=1):
        steps = [] if wide == inputs else ["expand"]
        steps += ["depthwise", "squeeze", "project"] if squeezed else ["depthwise", "project"]
        saved = {step: f"features.{at}.block.{i}" for i, step in enumerate(steps)}
        squeeze = None
        if "squeeze" in saved:
            gate = HardSigmoid(alpha=1 / 6, beta=0.5)
            squeeze = Squeeze(saved.pop("squeeze"), scaled(wide // 4), ReLU(), gate)
        inverted_residual(g, w, f"features.{at}", [(f"{part}.0", f"{part}.1") for part in saved.values()], inputs,
                          wide, outputs, kernel, stride, swish if hard else ReLU(), EPSILON, squeeze=squeeze)
        inputs = outputs
    head, at = 6 * inputs, len(BLOCKS[size]) + 1
    conv_norm(g, w, f"features.{at}", (f"features.{at}.0", f"features.{at}.1"), head, inputs, 1, epsilon=EPSILON,
              activation=swish)
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("classifier.0", w.linear("classifier.0", HIDDEN[size], head))
    g.add("classifier.1", swish)
    g.add("classifier.2", Dropout(0.2))
    g.add("classifier.3", w.linear("classifier.3", classes, HIDDEN[size]))
    return g
