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
    network = network_of(net)
    output = network.resolve(output or network.outputs[0])
    about = (network.given(shape), output)
    return network.remember("default layer", about, lambda: _default_layer(network, dict(about[0]), output))


def _default_layer(network: Topology, shape: Mapping[str, Shape], output: str) -> str:
    shapes, layers, letters = network.shapes(shape), network.layers(shape), layout.axes(network, shape)
    cells = {name: _cells(shapes[name], letters[name]) for name in shapes}
    channels = {name: _channels(shapes[name], letters[name]) for name in shapes}
    pictures = [name for name in network.inputs if cells[name] > 1]  # other inputs have no place to show
    stand, maker = _step_over(network, layers), _step_over(network, layers, after_convolution=True)
    reshaped = _only_reshaped(network, layers, output)
    for name in dominators(network, output, pictures or network.inputs):
        if cells[name] > 1:
            chosen = stand[name]
            made = chosen in reshaped and channels[chosen] == channels[output] and layers.get(maker[chosen])
            if isinstance(made, Conv2d) and made.weight.shape[2:] == (1, 1):  # maps of classes
                chosen = stand[network[maker[chosen]].inputs[0]]
            if chosen not in network.inputs:
                return chosen
    spatial = [node.name for node in network.nodes if cells[node.name] > 1]
    raise UnknownLayerError(
        f"no layer of spatial features lies on every path to {output!r}; name it: "
        f"{', '.join(spatial[-8:]) or 'none has any'}"
    )


def dominators(network: Topology, output: str, pictures: Sequence[str]) -> list[str]:
    """Return the nodes that every signal from `output` to one of the pictures passes, nearest to the output first.

    Written in a row, each after its inputs, these are the nodes that no wire passes by.
    """
    passed = network.between(output, pictures)
    row = [node for node in network.nodes if node.name in passed]
    last = {name: place for place, node in enumerate(row) for name in node.pays}  # where it is read for the last time
    found, farthest = list[str](), max((last[name] for name in pictures if name in last), default=0)
    for place, node in enumerate(row):
        if farthest <= place:
            found.append(node.name)
        farthest = max(farthest, last.get(node.name, 0))
    return found[-2::-1]  # without the output itself


def _cells(shape: Shape, letters: str | None) -> int:
    """How many places a map of this shape tells apart: H W where the axes are known to be rows and columns, else 1."""
    first = layout.channels_first(letters)
    return 1 if first is None or len(shape) != 4 else shape[first[2]] * shape[first[3]]


def _channels(shape: Shape, letters: str | None) -> int:
    """How many channels or classes there are: on axis 1 where nothing else is known."""
    return shape[letters.index("C") if letters and "C" in letters else 1] if len(shape) > 1 else 1


def _step_over(network: Topology, layers: Mapping[str, Layer], after_convolution: bool = False) -> dict[str, str]:
    """Where one comes to stand who steps back from each node over poolings, or over all that follows a convolution."""
    stand = {name: name for name in network.inputs}
    for node in network.nodes:
        layer = layers[node.name]
        shifts = isinstance(layer, Add) and layer.constant is not None
        follows = after_convolution and (layer.rectifies or shifts or isinstance(layer, (BatchNorm, Resize)))
        stand[node.name] = stand[node.inputs[0]] if isinstance(layer, STEP_OVER) or follows else node.name
    return stand


def _only_reshaped(network: Topology, layers: Mapping[str, Layer], output: str) -> set[str]:
    """Return `output` and the nodes before it between which and it only poolings, rectifiers and reshapings lie."""
    at, found = output, {output}
    while (layer := layers.get(at)) and (isinstance(layer, (*STEP_OVER, *RESHAPES)) or layer.rectifies):
        at = network[at].inputs[0]
        found.add(at)
    return found
