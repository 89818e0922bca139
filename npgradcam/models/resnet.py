"""ResNet: blocks around identities (He et al. 2016, table 1), and two relatives that differ in one number each.

    basic block       3x3, 3x3                    ResNet-18, -34
    bottleneck        1x1 narrows, 3x3, 1x1 widens by four    ResNet-50, -101, -152

ResNeXt-50 32x4d (Xie et al. 2017, table 1) divides the 3x3 into 32 groups of 4 channels; Wide ResNet-50-2 (Zagoruyko &
Komodakis 2016) makes it twice as wide. The paper puts a stage's stride into the first 1x1 convolution; torchvision,
whose weights fit here, into the 3x3.
"""

from __future__ import annotations

from npgradcam.layers import Add, Flatten, GlobalAvgPool2d, MaxPool2d, ReLU

from .graph import Graph
from .weights import Weights

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnet(w: Weights, depth: int, groups: int = 1, width: int = 64, classes: int = 1000) -> Graph:
    """Draw the network; parameter names are torchvision's.

    Parameters
    ----------
    w : Weights
    depth : {18, 34, 50, 101, 152}
        Layers that hold weights.
    groups, width : int
        Groups of a bottleneck's 3x3 convolution, and the channels of each in the first stage; 1 and 64 are the
        paper's, 32 and 4 ResNeXt's, 1 and 128 Wide ResNet-2's.
    classes : int
    """
    g = Graph()
    g.add("conv1", w.conv("conv1", 64, 3, 7, 2, 3, bias=False))
    g.add("bn1", w.norm("bn1", 64))
    g.add("relu", ReLU())
    g.add("maxpool", MaxPool2d((3, 3), (2, 2), (1, 1, 1, 1)))
    inputs = 64
    for stage, repeats in enumerate(BLOCKS[depth], start=1):
        scale = 2 ** (stage - 1)
        for block in range(repeats):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            if depth < 50:
                inputs = _basic(g, w, name, inputs, 64 * scale, stride)
            else:
                inputs = _bottleneck(g, w, name, inputs, groups * width * scale, 256 * scale, stride, groups)
    g.add("avgpool", GlobalAvgPool2d())
    g.add("flatten", Flatten())
    g.add("fc", w.linear("fc", classes, inputs))
    return g


def _basic(g: Graph, w: Weights, name: str, inputs: int, outputs: int, stride: int) -> int:
    """Two 3x3; then the shortcut is added and rectified. Return the channels that come out."""
    x = g.last
    g.add(f"{name}.conv1", w.conv(f"{name}.conv1", outputs, inputs, 3, stride, 1, bias=False))
    g.add(f"{name}.bn1", w.norm(f"{name}.bn1", outputs))
    g.add(f"{name}.relu1", ReLU())
    g.add(f"{name}.conv2", w.conv(f"{name}.conv2", outputs, outputs, 3, 1, 1, bias=False))
    g.add(f"{name}.bn2", w.norm(f"{name}.bn2", outputs))
    return _shortcut(g, w, name, x, inputs, outputs, stride)


def _bottleneck(g: Graph, w: Weights, name: str, inputs: int, channels: int, outputs: int, stride: int,
                groups: int) -> int:
    """1x1 narrows, 3x3 looks around, 1x1 widens; then the shortcut is added and rectified."""
    x = g.last
    g.add(f"{name}.conv1", w.conv(f"{name}.conv1", channels, inputs, 1, bias=False))
    g.add(f"{name}.bn1", w.norm(f"{name}.bn1", channels))
    g.add(f"{name}.relu1", ReLU())
    g.add(f"{name}.conv2", w.conv(f"{name}.conv2", channels, channels, 3, stride, 1, groups, bias=False))
    g.add(f"{name}.bn2", w.norm(f"{name}.bn2", channels))
    g.add(f"{name}.relu2", ReLU())
    g.add(f"{name}.conv3", w.conv(f"{name}.conv3", outputs, channels, 1, bias=False))
    g.add(f"{name}.bn3", w.norm(f"{name}.bn3", outputs))
    return _shortcut(g, w, name, x, inputs, outputs, stride)


def _shortcut(g: Graph, w: Weights, name: str, x: str, inputs: int, outputs: int, stride: int) -> int:
    """Add the block's input to what was added last; where the shape changes, a 1x1 convolution changes the input's."""
    main = g.last
    if stride > 1 or inputs != outputs:
        shortcut = w.conv(f"{name}.downsample.0", outputs, inputs, 1, stride, bias=False)
        g.add(f"{name}.downsample.conv", shortcut, x)
        x = g.add(f"{name}.downsample.bn", w.norm(f"{name}.downsample.1", outputs))
    g.add(f"{name}.add", Add(), main, x)
    g.add(f"{name}.relu", ReLU())
    return outputs
