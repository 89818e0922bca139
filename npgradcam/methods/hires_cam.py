"""HiResCAM: Draelos & Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of CNNs", 2020."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from npgradcam.models import Model
from npgradcam.network import Network
from npgradcam.typing import Array

from .grad_cam import grad_cam, maps_and_gradients
from .records import ClassActivationMap
from .start import Images, Score


def hires_cam(net: Network | Model, images: Images, target: Any = None, layer: str | None = None, *,
              seed: Array | None = None, region: Array | None = None, output: str | None = None,
              score: Score = "logit") -> ClassActivationMap:
    r"""Show how much each cell of one layer adds to a class's score.

    Parameters
    ----------
    net, images, target, layer, seed, region, output, score
        As for `grad_cam`.

    Returns
    -------
    ClassActivationMap
        `cell_weights` is `gradients` (R, K, I, J), and `alpha` is None: no channel has one weight. `signed_cam` is the
        paper's map, in units of the score; `cam` is its ReLU.

    Raises
    ------
    UnknownLayerError, TargetError, ShapeError
        If there is no such layer or class, or the layer has no maps.
    NpGradcamError
        If there is no network.

    Notes
    -----
    .. math:: \tilde{A}^c = \sum_k \frac{\partial y^c}{\partial A^k} \odot A^k

    The gradient is not averaged over the cells before it weighs them, so that no cell is lit up by what others did.
    Where only one linear layer follows (flattened maps, or global average pooling), the cells of `signed_cam` sum to
    the logit without its bias, which is the paper's guarantee; elsewhere they sum to <dy^c/dA, A>, and what is missing
    are the offsets of the layers in between. On a pooled linear head HiResCAM is Grad-CAM.

    The paper's map has no ReLU: that is `signed_cam`.

    References
    ----------
    .. [1] Draelos, Carin, arXiv:2011.08891, section 3.

    Examples
    --------
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> x = net.preprocess(ng.images.sample("two_shapes"))
    >>> e = ng.hires_cam(net, x, "cross")
    >>> bias = net.network.nodes[-1].layer.bias[e.target]
    >>> bool(abs(e.signed_cam.sum() - (e.logits[0, e.target] - bias)).max() < 1e-5)  # the paper's guarantee
    True
    """
    e = grad_cam(net, images, target, layer, seed=seed, region=region, output=output, score=score)
    return hires_cam_of(e)


def hires_cam_of(e: ClassActivationMap) -> ClassActivationMap:
    """Return HiResCAM of what Grad-CAM's record holds."""
    A, dA = maps_and_gradients(e)  # A^k_ij, dy^c/dA^k_ij                             (R, K, I, J)

    signed_cam = np.einsum("rkij,rkij->rij", dA, A)  # sum_k dy^c/dA^k (*) A^k        (R, I, J)
    return replace(e, method="hires-cam", alpha=None, cell_weights=dA, signed_cam=signed_cam,
                   cam=np.maximum(signed_cam, 0))
