"""ResNet-50: bottleneck blocks around identities (He et al. 2016, table 1).

The paper puts a stage's stride into the first 1x1 convolution; torchvision, whose weights fit here, into the 3x3.
"""

from __future__ import annotations

from npgradcam.layers import Add, Flatten, GlobalAvgPool2d, MaxPool2d, ReLU

from .graph import Graph
from .weights import Weights

BLOCKS = (3, 4, 6, 3)


def resnet50(w: Weights, classes: int = 1000) -> Graph:
    """Draw the network; parameter names are torchvision's."""
    g = Graph()
    g.add("conv1", w.conv("conv1", 64, 3, 7, (2, 2), 3, bias=False))
    g.add("bn1", w.norm("bn1", 64))
    g.add("relu", ReLU())
    g.add("maxpool", MaxPool2d((3, 3), (2, 2), (1, 1, 1, 1)))
    inputs = 64
    for stage, repeats in enumerate(BLOCKS, start=1):
        channels = 64 * 2 ** (stage - 1)
        for block in range(repeats):
            stride = 2 if stage > 1 and block == 0 else 1
            _bottleneck(g, w, f"layer{stage}.{block}", inputs, channels, stride)
            inputs = 4 * channels
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("fc", w.linear("fc", classes, inputs))
    return g


def _bottleneck(g: Graph, w: Weights, name: str, inputs: int, channels: int, stride: int) -> None:
    """1x1 narrows, 3x3 looks around, 1x1 widens by four; then the shortcut is added and rectified."""
    x, outputs = g.last, 4 * channels
    g.add(f"{name}.conv1", w.conv(f"{name}.conv1", channels, inputs, 1, bias=False))
    g.add(f"{name}.bn1", w.norm(f"{name}.bn1", channels))
    g.add(f"{name}.relu1", ReLU())
    g.add(f"{name}.conv2", w.conv(f"{name}.conv2", channels, channels, 3, (stride, stride), 1, bias=False))
    g.add(f"{name}.bn2", w.norm(f"{name}.bn2", channels))
    g.add(f"{name}.relu2", ReLU())
    g.add(f"{name}.conv3", w.conv(f"{name}.conv3", outputs, channels, 1, bias=False))
    main = g.add(f"{name}.bn3", w.norm(f"{name}.bn3", outputs))
    if stride > 1 or inputs != outputs:  # the shortcut changes shape as well
        shortcut = w.conv(f"{name}.downsample.0", outputs, inputs, 1, (stride, stride), bias=False)
        g.add(f"{name}.downsample.conv", shortcut, x)
        x = g.add(f"{name}.downsample.bn", w.norm(f"{name}.downsample.1", outputs))
    g.add(f"{name}.add", Add(), main, x)
    g.add(f"{name}.relu", ReLU())
