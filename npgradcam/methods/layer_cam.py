"""LayerCAM: Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", TIP 2021."""

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


def layer_cam(net: Network | Model, images: Images, target: Any = None, layer: str | None = None, *,
              seed: Array | None = None, region: Array | None = None, output: str | None = None,
              score: Score = "logit") -> ClassActivationMap:
    r"""Show where one layer's cells raise a class's score, in any layer, the early and fine ones included.

    Parameters
    ----------
    net, images, target, layer, seed, region, output, score
        As for `grad_cam`.

    Returns
    -------
    ClassActivationMap
        `cell_weights` w^kc_ij (R, K, I, J) is the positive part of `gradients`, and `alpha` is None: no channel has one
        weight. `signed_cam` is the sum before its ReLU; behind a rectifier nothing in it is negative.

    Raises
    ------
    UnknownLayerError, TargetError, ShapeError
        If there is no such layer or class, or the layer has no maps.
    NpGradcamError
        If there is no network.

    Notes
    -----
    .. math:: w^{kc}_{ij} = \mathrm{ReLU}\Big(\frac{\partial y^c}{\partial A^k_{ij}}\Big), \qquad
              M^c = \mathrm{ReLU}\Big(\sum_k w^{kc} \odot A^k\Big)

    The weight is 0 where the gradient is 0. The paper goes on to scale the maps of early layers by a tanh and to join
    those of several layers; that comes after this equation, and is not done here.

    References
    ----------
    .. [1] Jiang, Zhang, Hou, Cheng, Wei, IEEE Transactions on Image Processing 30, 2021, section III.

    Examples
    --------
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> x = net.preprocess(ng.images.sample("two_shapes"))
    >>> e = ng.layer_cam(net, x, "cross", layer="relu1")
    >>> e.cell_weights.shape, e.cam.shape, bool((e.cell_weights >= 0).all())
    ((1, 12, 16, 16), (1, 16, 16), True)
    """
    e = grad_cam(net, images, target, layer, seed=seed, region=region, output=output, score=score)
    return layer_cam_of(e)


def layer_cam_of(e: ClassActivationMap) -> ClassActivationMap:
    """Return LayerCAM of what Grad-CAM's record holds."""
    A, dA = maps_and_gradients(e)  # A^k_ij, dy^c/dA^k_ij                           (R, K, I, J)

    w = np.maximum(dA, 0)  # w^kc_ij = ReLU( dy^c/dA^k_ij )                         (R, K, I, J)
    signed_cam = np.einsum("rkij,rkij->rij", w, A)  # sum_k w^kc (*) A^k            (R, I, J)
    cam = np.maximum(signed_cam, 0)  # M^c = ReLU( sum_k w^kc (*) A^k )
    return replace(e, method="layer-cam", alpha=None, cell_weights=w, signed_cam=signed_cam, cam=cam)
