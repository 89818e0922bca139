"""XGrad-CAM: Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC 2020."""

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


def xgrad_cam(net: Network | Model, images: Images, target: Any = None, layer: str | None = None, *,
              seed: Array | None = None, region: Array | None = None, output: str | None = None,
              score: Score = "logit") -> ClassActivationMap:
    r"""Show where one layer's feature maps hold evidence for a class, with weights that follow from two axioms.

    Parameters
    ----------
    net, images, target, layer, seed, region, output, score
        As for `grad_cam`.

    Returns
    -------
    ClassActivationMap
        `alpha` (R, K) weighs the channels; maps are in units of the score.

    Raises
    ------
    UnknownLayerError, TargetError, ShapeError
        If there is no such layer or class, or the layer has no maps.
    NpGradcamError
        If there is no network.

    Notes
    -----
    .. math:: \alpha^c_k = \sum_{ij} \frac{A^k_{ij}}{\sum_{ab} A^k_{ab}} \frac{\partial y^c}{\partial A^k_{ij}}, \qquad
              L^c = \mathrm{ReLU}\Big(\sum_k \alpha^c_k A^k\Big)

    Grad-CAM's mean of the gradient, with cells counted by their activation. A channel's weighted map then sums to
    <dy^c/dA^k, A^k>, its share of the score: to what the score loses without the channel (sensitivity), and all
    channels together to the score (conservation), exactly where the layers above are linear without offsets. In a
    piecewise-linear network with offsets conservation misses them, and sensitivity holds to first order.

    Where a channel sums to 0 the quotient has no value and alpha is 0. Behind a rectifier such a channel is 0 in every
    cell and adds nothing whatever its weight; in a layer with both signs its share is lost, and where the sum nearly
    cancels alpha is large: the method is meant for rectified maps. There is no epsilon in the denominator.

    References
    ----------
    .. [1] Fu, Hu, Dong, Guo, Gao, Li, BMVC 2020, arXiv:2008.02312, section 3; equation (5) is the score as the sum
       over channels of <dy^c/dA^k, A^k> and an offset.

    Examples
    --------
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> x = net.preprocess(ng.images.sample("two_shapes"))
    >>> e = ng.xgrad_cam(net, x, "cross")
    >>> bool(abs(e.alpha - ng.grad_cam(net, x, "cross").alpha).max() < 1e-6)  # its head is global pooling: one gradient
    True
    """
    e = grad_cam(net, images, target, layer, seed=seed, region=region, output=output, score=score)
    return xgrad_cam_of(e)


def xgrad_cam_of(e: ClassActivationMap) -> ClassActivationMap:
    """Return XGrad-CAM of what Grad-CAM's record holds."""
    A, dA = maps_and_gradients(e)  # A^k_ij, dy^c/dA^k_ij                                     (R, K, I, J)

    share = np.einsum("rkij,rkij->rk", dA, A)  # sum_ij A^k_ij dy^c/dA^k_ij                   (R, K)
    T = A.sum(axis=(2, 3))  #                    sum_ab A^k_ab                                (R, K)
    alpha = np.divide(share, T, out=np.zeros_like(share), where=T != 0)
    signed_cam = np.einsum("rk,rkij->rij", alpha, A)  # sum_k alpha^c_k A^k                   (R, I, J)
    return replace(e, method="xgrad-cam", alpha=alpha, signed_cam=signed_cam, cam=np.maximum(signed_cam, 0))
