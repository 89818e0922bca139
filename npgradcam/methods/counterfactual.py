"""The counterfactual: what would have to go away for the score to rise (Selvaraju et al. 2017, section 7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from npgradcam.models import Model
from npgradcam.network import Network
from npgradcam.typing import Array

from .grad_cam import grad_cam, maps_and_gradients, mean_over_cells, weighted_sum
from .records import COUNTERFACTUAL, ClassActivationMap
from .start import Images, Score


def counterfactual_grad_cam(net: Network | Model, images: Images, target: Any = None, layer: str | None = None, *,
                            seed: Array | None = None, region: Array | None = None, output: str | None = None,
                            score: Score = "logit") -> ClassActivationMap:
    r"""Show where one layer's feature maps hold evidence against a class.

    Parameters
    ----------
    net, images, target, layer, seed, region, output, score
        As for `grad_cam`.

    Returns
    -------
    ClassActivationMap
        `gradients` is dy^c/dA as it is; `alpha` is its negated mean.

    Raises
    ------
    UnknownLayerError, TargetError, ShapeError
        If there is no such layer or class, or the layer has no maps.
    NpGradcamError
        If there is no network.

    Notes
    -----
    .. math:: \alpha^c_k = \frac{1}{Z} \sum_{ij} -\frac{\partial y^c}{\partial A^k_{ij}}

    and the map as in Grad-CAM. Before its ReLU it is the negative of Grad-CAM's signed map.

    References
    ----------
    .. [1] Selvaraju et al., "Counterfactual Explanations": ICCV 2017, section 7; IJCV 2020, section 3.3.

    Examples
    --------
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> x = net.preprocess(ng.images.sample("two_shapes"))
    >>> against, speaks_for = ng.counterfactual_grad_cam(net, x, "cross"), ng.grad_cam(net, x, "cross")
    >>> bool((against.signed_cam == -speaks_for.signed_cam).all())
    True
    """
    e = grad_cam(net, images, target, layer, seed=seed, region=region, output=output, score=score)
    return counterfactual_of(e)


def counterfactual_of(e: ClassActivationMap) -> ClassActivationMap:
    """Return the counterfactual of what Grad-CAM's record holds."""
    _, dA = maps_and_gradients(e)  # dy^c/dA^k_ij                         (R, K, I, J)

    alpha = -mean_over_cells(dA)  # alpha^c_k = 1/Z sum_ij -dy^c/dA^k_ij
    signed_cam = weighted_sum(alpha, e.activations, e.image)  # sum_k alpha^c_k A^k
    return replace(e, method=COUNTERFACTUAL, alpha=alpha, signed_cam=signed_cam, cam=np.maximum(signed_cam, 0))
