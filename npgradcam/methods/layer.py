"""Which layer's maps are explained where nobody says: the last one that still knows where things are."""

from __future__ import annotations

from collections.abc import Mapping

from npgradcam.errors import UnknownLayerError
from npgradcam.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    MaxPool2d,
    Pad,
    Softmax,
)
from npgradcam.models import Model
from npgradcam.network import Network
from npgradcam.typing import Shape

POOLS = (MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, GlobalAvgPool2d)
STEP_OVER = (*POOLS, Dropout, Pad)


def default_layer(net: Network | Model, shape: Shape | Mapping[str, Shape], output: str | None = None) -> str:
    """Return the layer that Grad-CAM explains by default.

    Walk from the output towards the image through the nodes that every path passes, to the first whose maps have more
    than one cell, and step over poolings, dropout and padding: relu5_3 in VGG-16, the last block's output after
    addition and ReLU in a ResNet. Where those maps are already one per class (only pooling and reshaping follow, and
    a convolution with as many channels as classes makes them), take that convolution's input instead: its maps are
    features, not answers.

    Parameters
    ----------
    net : Network or Model
    shape : tuple or mapping of str to tuple
        The shape (N, C, H, W) of the input, or one for each named input.
    output : str, optional
        The node that is explained.

    Raises
    ------
    UnknownLayerError
        If no node between image and output has spatial maps; the message lists layers that do.
    """
    network = net.network if isinstance(net, Model) else net
    output = output or network.outputs[0]
    shapes = network.shapes(shape)
    passed = dominators(network, output)
    for name in passed:
        if name not in network.inputs and _cells(shapes[name]) > 1 and name != output:
            chosen = _skip(network, name, STEP_OVER)
            if chosen in network.inputs:
                break
            if _are_class_maps(network, chosen, output, shapes):
                convolution = _skip(network, chosen, STEP_OVER, rectifiers=True)
                chosen = _skip(network, network[convolution].inputs[0], STEP_OVER)
            if chosen not in network.inputs:
                return chosen
    spatial = [node.name for node in network.nodes if _cells(shapes[node.name]) > 1]
    raise UnknownLayerError(
        f"no layer of spatial features lies on every path to {output!r}; say which with layer=: "
        f"{', '.join(spatial[-8:]) or 'none has any'}"
    )


def dominators(network: Network, output: str) -> list[str]:
    """Return the nodes that lie on every path from the inputs to `output`, nearest to the output first."""
    passed: dict[str, list[str]] = {name: [name] for name in network.inputs}
    for node in network.nodes:
        first, *others = (passed[name] for name in node.inputs)
        common = [name for name in first if all(name in other for other in others)]
        passed[node.name] = [node.name, *common]
    return passed[output][1:]


def _cells(shape: Shape) -> int:
    """How many places a map of this shape tells apart: H W for (N, C, H, W), else 1."""
    return shape[2] * shape[3] if len(shape) == 4 else 1


def _skip(network: Network, name: str, kinds: tuple[type, ...], rectifiers: bool = False) -> str:
    """Step from a node to its input while its layer is of one of these kinds."""
    while name not in network.inputs:
        layer = network[name].layer
        if not (isinstance(layer, kinds) or (rectifiers and (layer.rectifies or isinstance(layer, BatchNorm2d)))):
            break
        name = network[name].inputs[0]
    return name


def _are_class_maps(network: Network, name: str, output: str, shapes: Mapping[str, Shape]) -> bool:
    """Whether only pooling and reshaping lie between `name` and the output, and a convolution makes a map per class."""
    classes = shapes[output][1]
    if shapes[name][1] != classes:
        return False
    at = output
    while at != name:
        layer = network[at].layer if at not in network.inputs else None
        if not (isinstance(layer, (*STEP_OVER, Flatten, Softmax)) or (layer is not None and layer.rectifies)):
            return False
        at = network[at].inputs[0]
    maker = _skip(network, name, STEP_OVER, rectifiers=True)
    return maker not in network.inputs and isinstance(network[maker].layer, Conv2d)
