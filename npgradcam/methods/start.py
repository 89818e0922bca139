"""What every method does first: one forward (or the tape of one), and which output and layer it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from npgradcam.errors import NpGradcamError, ShapeError
from npgradcam.layout import axes, channels_first
from npgradcam.models import Model, network_of
from npgradcam.network import Network, Tape
from npgradcam.typing import Array

from .layer import default_layer

Score = Literal["logit", "output"]
Images = Array | Mapping[str, Array] | Tape


def explained_output(net: Network | Model, images: Images | None = None, output: str | None = None,
                     score: Score = "logit") -> str:
    """Return the node whose output is explained.

    With `score="logit"` a last Softmax, LogSoftmax or Sigmoid is cut: the logit before it is explained.
    `score="output"` keeps the network's own output. A tape was made for one node; anything else is an error that says
    which tape is needed.
    """
    network = network_of(net)
    if score not in ("logit", "output"):
        raise NpGradcamError(f"score: expected 'logit' or 'output', got {score!r}")
    taped = images.output if isinstance(images, Tape) else None
    output = network.resolve(output or taped or network.outputs[0])
    wanted = network.score(output) if score == "logit" else output
    if score == "output" and output not in network.outputs:
        raise NpGradcamError(f"score='output': expected one of {', '.join(network.outputs)}, got {output!r}")
    if taped not in (None, wanted):
        raise NpGradcamError(
            f"score={score!r}: expected a tape of {wanted!r}, got one of {taped!r}; "
            f"run forward(x, observe=..., output={wanted!r}), or change score"
        )
    return wanted


def layer_of(net: Network | Model, images: Images, layer: str | None, output: str | None, score: Score) -> str:
    """Return the layer to explain: the one named, or the default for inputs of this size."""
    network = network_of(net)
    if layer is not None:
        return network.resolve(layer)
    if isinstance(images, Tape):
        shapes = {name: images.shapes[name] for name in network.inputs}
    else:
        shapes = {name: x.shape for name, x in network.checked_inputs(images).items()}
    return default_layer(network, shapes, explained_output(net, images, output, score))


def tape_of(net: Network | Model, images: Images, observe: tuple[str, ...], output: str | None, score: Score) -> Tape:
    """Run the forward that keeps what `observe` names; a tape passes through, if it is one of this network."""
    network = network_of(net)
    explained = explained_output(net, images, output, score)
    if not isinstance(images, Tape):
        return network.forward(images, observe, explained)
    if images.network is not network:
        raise ShapeError("expected a tape of this network, got one of another; run forward(x, observe=...) again")
    return images


def spatial(tape: Tape, layer: str) -> tuple[Array, tuple[int, ...]]:
    """Return feature maps as (N, K, I, J), and the order of axes that makes such of what the layer gives.

    Raises
    ------
    ShapeError
        If the layer has none.
    """
    activations, letters = tape.activation(layer), layout_of(tape, layer)
    order = channels_first(letters) or tuple(range(4))  # where letters are lost, channels come first
    if activations.ndim != 4:
        raise ShapeError(
            f"layer {layer!r}: expected feature maps (N, K, I, J), got {activations.shape}; choose a layer before the "
            "features are flattened"
        )
    axis = max(0, (layout_of(tape, tape.output) or "").find("N"))
    maps, images = activations.transpose(order), tape.logits.shape[axis]
    if len(maps) != images:
        raise ShapeError(
            f"layer {layer!r}: expected maps of {images} images as the output has, got {len(maps)}; choose a layer "
            "where the images are still apart"
        )
    return maps, order


def layout_of(tape: Tape, name: str) -> str | None:
    """Return the letters of a node's or input's axes, as "NCHW"; None where they are lost."""
    network = tape.network
    shapes = {source: tape.shapes[source] for source in network.inputs}
    return axes(network, shapes)[network.resolve(name)]
