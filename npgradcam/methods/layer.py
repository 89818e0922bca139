"""Which layer's maps are explained where nobody says: the last one that still knows where things are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from npgradcam import layout
from npgradcam.errors import UnknownLayerError
from npgradcam.layers import (
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm,
    Cast,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Identity,
    Layer,
    MaxPool2d,
    Pad,
    PadAxes,
    ReduceMax,
    ReduceMean,
    Reshape,
    Resize,
    Softmax,
    Squeeze,
    Transpose,
    Unsqueeze,
)
from npgradcam.models import Model, network_of
from npgradcam.network import Network
from npgradcam.topology import Topology
from npgradcam.typing import Shape

POOLS = (MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, ReduceMean, ReduceMax)
STEP_OVER = (*POOLS, Dropout, Identity, Transpose, Cast, Pad, PadAxes)
RESHAPES = (Flatten, Reshape, Squeeze, Unsqueeze, Resize, Softmax)


def default_layer(net: Network | Model, shape: Shape | Mapping[str, Shape], output: str | None = None) -> str:
    """Return the layer that Grad-CAM explains by default.

    Walk from the output towards the image through the nodes that every path passes, to the first whose maps have more
    than one cell, and step over poolings, dropout and padding: relu5_3 in VGG-16, the last block's output after
    addition and ReLU in a ResNet. Where those maps are already one per class (only pooling, resizing and reshaping
    follow, and a 1x1 convolution with as many channels as classes makes them), take that convolution's input instead:
    its maps are features, not answers. Rows and columns are found whatever the order of the axes (`layout.axes`).

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
    network = net if isinstance(net, Topology) else network_of(net)
    output = network.resolve(output or network.outputs[0])
    about = (network.given(shape), output)
    return network.remember("default layer", about, lambda: _default_layer(network, dict(about[0]), output))


def _default_layer(network: Network, shape: Mapping[str, Shape], output: str) -> str:
    shapes, layers, letters = network.shapes(shape), network.layers(shape), layout.axes(network, shape)
    cells = {name: _cells(shapes[name], letters[name]) for name in shapes}
    pictures = [name for name in network.inputs if cells[name] > 1]  # other inputs have no place to show
    for name in dominators(network, output, pictures or network.inputs):
        if name not in network.inputs and cells[name] > 1:
            chosen = _skip(network, layers, name)
            if _are_class_maps(network, layers, chosen, output, shapes, letters):
                convolution = _skip(network, layers, chosen, after_convolution=True)
                chosen = _skip(network, layers, network[convolution].inputs[0])
            if chosen not in network.inputs:
                return chosen
    spatial = [node.name for node in network.nodes if cells[node.name] > 1]
    raise UnknownLayerError(
        f"no layer of spatial features lies on every path to {output!r}; name it: "
        f"{', '.join(spatial[-8:]) or 'none has any'}"
    )


def dominators(network: Network, output: str, pictures: Sequence[str]) -> list[str]:
    """Return the nodes that every signal from `output` to one of the pictures passes, nearest to the output first."""
    passed: dict[str, list[str]] = {name: [name] for name in pictures}
    for node in network.nodes:
        paths = [passed[name] for name in node.pays if name in passed]
        if paths:  # else no signal gets from here to an input
            first, *others = paths
            passed[node.name] = [node.name, *(name for name in first if all(name in other for other in others))]
    return passed.get(network.resolve(output), [])[1:]


def _cells(shape: Shape, letters: str | None) -> int:
    """How many places a map of this shape tells apart: H W where the axes are known to be rows and columns, else 1."""
    first = layout.channels_first(letters)
    return 1 if first is None or len(shape) != 4 else shape[first[2]] * shape[first[3]]


def _skip(network: Network, layers: Mapping[str, Layer], name: str, after_convolution: bool = False) -> str:
    """Step from a node to its input while its layer only pools or moves; also over what follows a convolution."""
    while name not in network.inputs:
        layer = layers[name]
        shifts = isinstance(layer, Add) and layer.constant is not None
        follows = after_convolution and (layer.rectifies or shifts or isinstance(layer, (BatchNorm, Resize)))
        if not (isinstance(layer, STEP_OVER) or follows):
            break
        name = network[name].inputs[0]
    return name


def _are_class_maps(network: Network, layers: Mapping[str, Layer], name: str, output: str,
                    shapes: Mapping[str, Shape], letters: Mapping[str, str | None]) -> bool:
    """Whether only pooling and reshaping lie between `name` and the output, and a 1x1 convolution makes class maps."""
    if _channels(shapes[name], letters[name]) != _channels(shapes[output], letters[output]):
        return False
    at = output
    while at != name:
        layer = layers.get(at)
        if not (isinstance(layer, (*STEP_OVER, *RESHAPES)) or (layer is not None and layer.rectifies)):
            return False
        at = network[at].inputs[0]
    maker = _skip(network, layers, name, after_convolution=True)
    layer = layers.get(maker)
    return isinstance(layer, Conv2d) and layer.weight.shape[2:] == (1, 1)


def _channels(shape: Shape, letters: str | None) -> int:
    """How many channels or classes there are: on axis 1 where nothing else is known."""
    return shape[letters.index("C") if letters and "C" in letters else 1] if len(shape) > 1 else 1
