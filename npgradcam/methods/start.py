"""What every method does first: one forward (or the tape of one), and the rows that are explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from npgradcam.errors import NpGradcamError, ShapeError
from npgradcam.layers import Softmax
from npgradcam.models import Model
from npgradcam.network import Network, Tape
from npgradcam.typing import Array

from .layer import default_layer

Score = Literal["logit", "output"]
Images = Array | Mapping[str, Array] | Tape


def network_of(net: Network | Model) -> Network:
    """Return the mathematics behind a model."""
    return net.network if isinstance(net, Model) else net


def explained_output(net: Network | Model, output: str | None = None, score: Score = "logit") -> str:
    """Return the node whose output is explained: with `score="logit"` a last Softmax is cut, and the logit before it
    is explained; `score="output"` keeps the network's own output.
    """
    network = network_of(net)
    output = output or network.outputs[0]
    if score not in ("logit", "output"):
        raise NpGradcamError(f"score: expected 'logit' or 'output', got {score!r}")
    node = network[output]
    return node.inputs[0] if score == "logit" and isinstance(node.layer, Softmax) else output


def layer_of(net: Network | Model, images: Images, layer: str | None, output: str | None, score: Score) -> str:
    """Return the layer to explain: the one named, or the default for inputs of this size."""
    network = network_of(net)
    if layer is not None:
        network.check_name(layer)
        return layer
    if isinstance(images, Tape):
        return default_layer(network, {name: images.shapes[name] for name in network.inputs}, images.output)
    shapes = {k: v.shape for k, v in images.items()} if isinstance(images, Mapping) else images.shape
    return default_layer(network, shapes, explained_output(net, output, score))


def tape_of(net: Network | Model, images: Images, observe: tuple[str, ...], output: str | None, score: Score) -> Tape:
    """Run the forward that keeps what `observe` names; a tape passes through, if it is one of this network."""
    network = network_of(net)
    explained = explained_output(net, output, score)
    if not isinstance(images, Tape):
        return network.forward(images, observe, explained)
    if images.network is not network:
        raise ShapeError("expected a tape of this network, got one of another; run net.forward(x, observe=...) again")
    if output is not None and images.output not in (explained, output):
        raise ShapeError(f"the tape explains {images.output!r}; for {explained!r} run forward(x, output={explained!r})")
    return images


def spatial(activations: Array, layer: str) -> Any:
    """Return feature maps, or say that this layer has none."""
    if activations.ndim != 4:
        raise ShapeError(
            f"layer {layer!r}: expected feature maps (N, K, I, J), got {activations.shape}; choose a layer before the "
            "features are flattened"
        )
    return activations
