"""CAM: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgradcam.errors import NpGradcamError
from npgradcam.layers import (
    Add,
    Computed,
    Div,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Layer,
    Linear,
    MatMul,
    ReduceMean,
    ReduceSum,
    Reshape,
    Squeeze,
    Transpose,
)
from npgradcam.models import Model, network_of
from npgradcam.network import Network, Tape
from npgradcam.topology import Topology
from npgradcam.typing import Array

from .grad_cam import weighted_sum
from .records import ClassActivationMap, about
from .start import Images, Score, explained_output, layout_of, spatial, tape_of
from .target import rows


class NoCamHeadError(NpGradcamError, ValueError):
    """The network does not end in global average pooling and one linear layer, which CAM's equation needs."""


def cam(net: Network | Model, images: Images, target: Any = None, *, output: str | None = None,
        score: Score = "logit") -> ClassActivationMap:
    r"""Show where the last feature maps hold evidence for a class, with the head's own weights.

    Parameters
    ----------
    net : Network or Model
        Ending in global average pooling and one linear layer.
    images : ndarray of shape (N, C, H, W), or a Tape that observes the pooling's input
    target, output, score
        As for `grad_cam`.

    Returns
    -------
    ClassActivationMap
        `class_weights` is w^c_k (R, K), `signed_cam` is Zhou's M_c (R, I, J), `cam` its ReLU; `gradients` is None.

    Raises
    ------
    NoCamHeadError
        For any other network; Grad-CAM works there.

    Notes
    -----
    .. math:: M_c(i, j) = \sum_k w^c_k A^k_{ij}

    The paper's map has no ReLU: that is `signed_cam`. The paper pools by summing, networks pool by the mean; either
    way the weights are the head's own. The head's bias is left out, as in the paper, so the mean of `signed_cam` plus
    the bias is the logit. On such a network CAM is Z times Grad-CAM, Z = I J.

    References
    ----------
    .. [1] Zhou et al., CVPR 2016, section 2, equation (2).
    """
    network = network_of(net)
    layer, head = cam_head(network, explained_output(net, images, output, score))
    tape = tape_of(net, images, (layer,), output, score)
    row = rows(tape, target, labels=getattr(net, "labels", None))

    _check_pooled(tape, layer)
    A, _ = spatial(tape, layer)  # A^k_ij                                             (N, K, I, J)
    w = head[row.target]  # w^c_k                                                     (R, K)
    signed_cam = weighted_sum(w, A, row.image)  # M_c(i,j) = sum_k w^c_k A^k_ij  eq. (2)
    return ClassActivationMap(**about(net, tape, row, "cam"), layer=layer, activations=A, gradients=None, alpha=w,
                              signed_cam=signed_cam, cam=np.maximum(signed_cam, 0))


def cam_head(network: Topology, output: str) -> tuple[str, Array]:
    """Return the layer whose maps are pooled, and the weights (classes, K) of the linear layer that weighs the means.

    Raises
    ------
    NoCamHeadError
        Naming what stands in the way.
    """
    node = network[output]
    way = [f"{type(node.layer).__name__} {node.name!r}"]
    if isinstance(node.layer, Add) and node.layer.constant is not None and node.inputs[0] not in network.inputs:
        node = network[node.inputs[0]]  # a bias that a file adds by itself
        way.append(f"{type(node.layer).__name__} {node.name!r}")
    head = _weights(node.layer)
    while head is not None and node.inputs[0] not in network.inputs:
        node = network[node.inputs[0]]
        if _pools_globally(node.layer, any(isinstance(other.layer, Transpose) for other in network.nodes)):
            return node.inputs[0], head
        way.append(f"{type(node.layer).__name__} {node.name!r}")
        scaled = isinstance(node.layer, Div) and node.layer.second is not None and node.layer.second.size == 1
        reshapes = isinstance(node.layer, (Flatten, Dropout, Identity, Reshape, Squeeze)) or _computed_view(node.layer)
        if not (scaled or reshapes):
            break
    raise NoCamHeadError(
        f"CAM needs global average pooling and one linear layer at the end of the network, got {' after '.join(way)}; "
        "Grad-CAM generalises CAM to any network"
    )


def _check_pooled(tape: Tape, layer: str) -> None:
    """Refuse a mean over other axes than rows and columns, where letters tell (`layout.axes`)."""
    letters = layout_of(tape, layer)
    for node in tape.network.nodes:
        if node.inputs == (layer,) and isinstance(node.layer, (ReduceMean, ReduceSum)) and node.layer.axes and letters:
            over = sorted(letters[axis] for axis in node.layer.axes)
            if over != ["H", "W"]:
                raise NoCamHeadError(
                    f"CAM needs the mean over rows and columns, got one over {', '.join(over)} in {node.name!r}; "
                    "Grad-CAM generalises CAM to any network"
                )


def _weights(layer: Layer) -> Array | None:
    """Return a linear layer's weights as (classes, K), else None."""
    if isinstance(layer, Linear):
        return layer.weight
    if isinstance(layer, MatMul) and layer.second is not None and layer.second.ndim == 2:
        return layer.second.T
    return None


def _computed_view(layer: Layer) -> bool:
    """Whether a layer only reshapes, to a shape that is computed on the way."""
    return isinstance(layer, Computed) and layer.kind in ("Flatten", "Reshape", "Squeeze")


def _pools_globally(layer: Layer, turned: bool) -> bool:
    """Whether a layer is the mean over rows and columns; these are axes 1 and 2 only where a graph turns its axes."""
    if isinstance(layer, (ReduceMean, ReduceSum)):  # the paper pools by summing; a sum is divided by Z afterwards
        return layer.axes is not None and sorted(layer.axes) in ([2, 3], [-2, -1], *([[1, 2], [-3, -2]] * turned))
    return isinstance(layer, GlobalAvgPool2d) or getattr(layer, "sizes", None) == (1, 1)
