"""DenseNet: each layer reads the maps of all layers before it in its block (Huang et al. 2017, table 1, DenseNet-BC).

    7x7 /2, max pool -> block -> transition -> block -> transition -> block -> transition -> block -> norm, ReLU -> pool

A layer is norm-ReLU-1x1-norm-ReLU-3x3 and adds `growth` channels; a transition halves channels and sides. Version 161
has wider layers; the paper calls it DenseNet-161 (k = 48).
"""

from __future__ import annotations

import re

from npgradcam.layers import AvgPool2d, Concat, Flatten, GlobalAvgPool2d, MaxPool2d, ReLU

from .graph import Graph
from .weights import Weights

VARIANTS = {  # growth, channels of the stem, layers of each block
    121: (32, 64, (6, 12, 24, 16)),
    161: (48, 96, (6, 12, 36, 24)),
    169: (32, 64, (6, 12, 32, 32)),
    201: (32, 64, (6, 12, 48, 32)),
}
_OLD = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def densenet(w: Weights, depth: int, classes: int = 1000) -> Graph:
    """Draw the network; parameter names are torchvision's."""
    g = Graph()
    growth, channels, blocks = VARIANTS[depth]
    g.add("features.conv0", w.conv("features.conv0", channels, 3, 7, 2, 3, bias=False))
    g.add("features.norm0", w.norm("features.norm0", channels))
    g.add("features.relu0", ReLU())
    g.add("features.pool0", MaxPool2d((3, 3), (2, 2), (1, 1, 1, 1)))
    for block, layers in enumerate(blocks, start=1):
        for layer in range(1, layers + 1):
            _layer(g, w, f"features.denseblock{block}.denselayer{layer}", channels, growth)
            channels += growth
        if block < len(blocks):
            channels = _transition(g, w, f"features.transition{block}", channels)
    g.add("features.norm5", w.norm("features.norm5", channels))
    g.add("features.relu5", ReLU())
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("classifier", w.linear("classifier", classes, channels))
    return g


def _layer(g: Graph, w: Weights, name: str, inputs: int, growth: int) -> None:
    """A bottleneck of four times the growth; what comes out is put beside what went in."""
    x = g.last
    g.add(f"{name}.norm1", w.norm(f"{name}.norm1", inputs))
    g.add(f"{name}.relu1", ReLU())
    g.add(f"{name}.conv1", w.conv(f"{name}.conv1", 4 * growth, inputs, 1, bias=False))
    g.add(f"{name}.norm2", w.norm(f"{name}.norm2", 4 * growth))
    g.add(f"{name}.relu2", ReLU())
    new = g.add(f"{name}.conv2", w.conv(f"{name}.conv2", growth, 4 * growth, 3, padding=1, bias=False))
    g.add(f"{name}.concat", Concat(), x, new)


def _transition(g: Graph, w: Weights, name: str, inputs: int) -> int:
    """Half the channels, half the sides; return the channels that come out."""
    g.add(f"{name}.norm", w.norm(f"{name}.norm", inputs))
    g.add(f"{name}.relu", ReLU())
    g.add(f"{name}.conv", w.conv(f"{name}.conv", inputs // 2, inputs, 1, bias=False))
    g.add(f"{name}.pool", AvgPool2d((2, 2), (2, 2)))
    return inputs // 2


def current_name(name: str) -> str:
    """Return what a parameter of torchvision's published checkpoints is called today.

    They were saved when a module's name could hold a dot.

    Examples
    --------
    >>> current_name("features.denseblock1.denselayer2.norm.1.weight")
    'features.denseblock1.denselayer2.norm1.weight'
    """
    return _OLD.sub(r"\1\2", name)
