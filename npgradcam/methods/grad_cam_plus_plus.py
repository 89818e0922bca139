"""Grad-CAM++: Chattopadhay et al., "Grad-CAM++: Improved Visual Explanations for Deep CNNs", WACV 2018."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam.models import Model
from npgradcam.network import Network
from npgradcam.typing import Array

from .grad_cam import grad_cam, maps_and_gradients
from .records import ClassActivationMap
from .start import Images, Score


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class GradCamPlusPlus(ClassActivationMap):
    """The map, with the weights of the gradients inside.

    Attributes
    ----------
    gradient_weights : ndarray of shape (R, K, I, J)
        alpha^kc_ij, which the paper calls alpha; `alpha` is the paper's w^c_k, as it weighs the channels.
    """

    gradient_weights: Array


def grad_cam_plus_plus(net: Network | Model, images: Images, target: Any = None, layer: str | None = None, *,
                       seed: Array | None = None, region: Array | None = None, output: str | None = None,
                       score: Score = "logit") -> GradCamPlusPlus:
    r"""Show where one layer's feature maps hold evidence for a class, many small places as well as one large one.

    Parameters
    ----------
    net, images, target, layer, seed, region, output, score
        As for `grad_cam`.

    Returns
    -------
    GradCamPlusPlus
        `gradient_weights` alpha^kc_ij (R, K, I, J), `alpha` w^c_k (R, K), `signed_cam` and `cam` (R, I, J).

    Raises
    ------
    UnknownLayerError, TargetError, ShapeError
        If there is no such layer or class, or the layer has no maps.
    NpGradcamError
        If there is no network.

    Notes
    -----
    With T^k = sum_ab A^k_ab and g = dS^c/dA^k_ij, S^c the logit:

    .. math:: \alpha^{kc}_{ij} = \frac{g^2}{2 g^2 + T^k g^3} = \frac{1}{2 + T^k g}, \qquad
              w^c_k = \sum_{ij} \alpha^{kc}_{ij} \, \mathrm{ReLU}(g), \qquad
              L^c = \mathrm{ReLU}\Big(\sum_k w^c_k A^k\Big)

    That is equation (19): equation (10) for the score Y^c = exp(S^c) of (12), whose second and third derivative are
    exp(S^c) g^2 and exp(S^c) g^3 (17, 18) if everything above the layer is piecewise linear. With smooth activations
    above it, (17) and (18) leave terms out, and so does every implementation.

    - Computed as 1 / (2 + T g): the same number, without squares and cubes that underflow, and without an epsilon.
    - Where g = 0, (19) is 0/0 and alpha^kc_ij is 0; the ReLU stops that cell anyway.
    - Where 2 + T g = 0, (19) has a pole and alpha^kc_ij is 0. Behind a rectifier T >= 0, and then that concerns
      negative g alone, which the ReLU stops.
    - Equation (5) with Y^c = exp(S^c) has the factor exp(S^c) in every weight. It is left out: it changes no map but
      for its scale, and no number here can overflow.
    - `score="output"` puts that output, `seed` its score in the place of S^c.

    References
    ----------
    .. [1] Chattopadhay, Sarkar, Howlader, Balasubramanian, WACV 2018; equation numbers of arXiv:1710.11063v3, sections
       3.2 and 3.3: (5), (10), (12)-(19), and (20) for the map.

    Examples
    --------
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> x = net.preprocess(ng.images.sample("two_shapes"))
    >>> e = ng.grad_cam_plus_plus(net, x, "cross")
    >>> e.gradient_weights.shape, e.alpha.shape, e.cam.shape               # alpha^kc_ij, w^c_k, L^c
    ((1, 24, 16, 16), (1, 24), (1, 16, 16))
    """
    e = grad_cam(net, images, target, layer, seed=seed, region=region, output=output, score=score)
    return grad_cam_plus_plus_of(e)


def grad_cam_plus_plus_of(e: ClassActivationMap) -> GradCamPlusPlus:
    """Return Grad-CAM++ of what Grad-CAM's record holds."""
    A, g = maps_and_gradients(e)  # A^k_ij, dS^c/dA^k_ij                                                  (R, K, I, J)

    T = A.sum(axis=(2, 3), keepdims=True)  # sum_ab A^k_ab                                                (R, K, 1, 1)
    d = 2 + T * g
    a = np.divide(1, d, out=np.zeros_like(d), where=(g != 0) & (d != 0))  # alpha^kc_ij           eq. (19), (R, K, I, J)
    w = np.einsum("rkij,rkij->rk", a, np.maximum(g, 0))  # w^c_k = sum_ij alpha^kc_ij ReLU(g)     eq. (5),  (R, K)
    signed_cam = np.einsum("rk,rkij->rij", w, A)  #        sum_k w^c_k A^k                                  (R, I, J)
    cam = np.maximum(signed_cam, 0)  #                     L^c = ReLU( sum_k w^c_k A^k )          eq. (20)
    changed = {"method": "grad-cam-plus-plus", "alpha": w, "signed_cam": signed_cam, "cam": cam, "gradient_weights": a}
    return GradCamPlusPlus(**{**vars(e), **changed})
