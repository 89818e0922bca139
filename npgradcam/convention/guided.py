"""Guided backpropagation and Guided Grad-CAM as others compute them: at which layers the rule acts, times which map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npgradcam.errors import NpGradcamError, ShapeError
from npgradcam.layers import Layer, ReLU
from npgradcam.methods import backprop, grad_cam
from npgradcam.methods.start import Score
from npgradcam.models import Model, network_of
from npgradcam.network import Network
from npgradcam.typing import Array

from .record import Convention


@dataclass(frozen=True, eq=False, repr=False)
class Ungated(Layer):
    """A rectifier at which no rule acts: its own derivative passes whatever the rule."""

    rectifier: Layer

    def forward(self, x: Array) -> tuple[Array, Any]:  # type: ignore[override]
        """Return the rectifier's output."""
        return self.rectifier.forward(x)

    def backward(self, signal: Array, cache: Any) -> tuple[Array | None, ...]:
        """Return the rectifier's derivative applied to the signal."""
        return self.rectifier.backward(signal, cache)


def guided_backprop(convention: Convention, net: Network | Model, images: Array, target: Any = None,
                    score: Score = "logit") -> Array:
    """Return guided backpropagation (R, C, H, W) with the rule at those rectifiers where the convention has it.

    Where it acts at none of them this is the plain gradient under another name, silently: that is how others do it,
    and `ng.backprop` does not.
    """
    network = network_of(net)
    if convention.gates == "ReLU":
        others = {n.name for n in network.nodes if n.layer.rectifies and not isinstance(n.layer, ReLU)}
        network = replace(network, nodes=tuple(
            replace(n, layer=Ungated(n.layer)) if n.name in others else n for n in network.nodes
        ))
    output = network.score(network.outputs[0]) if score == "logit" else network.outputs[0]
    gated = network.rectifiers(output, network.inputs[0])
    return backprop(network, images, target, "guided" if gated else "gradient", score=score).signal


def guided_grad_cam(convention: Convention, net: Network | Model, images: Array, target: Any = None,
                    layer: str | None = None, score: Score = "logit") -> Array:
    """Return Guided Grad-CAM (R, C, H, W) of pictures (N, C, H, W), by the convention's `product`.

    Raises
    ------
    NpGradcamError
        If the convention's owner has no Guided Grad-CAM.
    ShapeError
        If height and width changed places on the way, so that there is no product.
    """
    if convention.product == "none":
        raise NpGradcamError(f"convention {convention.name!r} has no Guided Grad-CAM; take another, as 'paper'")
    if convention.product == "nearest":
        convention = replace(convention, relu="before", resize="nearest", normalise="none")
    size = (images.shape[2], images.shape[3])
    factor = convention.apply(grad_cam(net, images, target, layer, score=score), size)  # (R, H, W)
    if factor.shape[1:] != size:
        raise ShapeError(f"convention {convention.name!r}: a map of {factor.shape[1:]} cannot weigh pictures of {size}")
    return np.asarray(guided_backprop(convention, net, images, target, score) * factor[:, None])
