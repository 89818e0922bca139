"""The counterfactual: what would have to go away for the score to rise (Selvaraju et al. 2017, section 7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgradcam.models import Model
from npgradcam.network import Network
from npgradcam.typing import Array

from .grad_cam import weighted_sum
from .records import COUNTERFACTUAL, ClassActivationMap, about
from .start import Images, Score, layer_of, network_of, spatial, tape_of
from .target import rows


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

    Notes
    -----
    .. math:: \alpha^c_k = \frac{1}{Z} \sum_{ij} -\frac{\partial y^c}{\partial A^k_{ij}}

    and the map as in Grad-CAM. Before its ReLU it is the negative of Grad-CAM's signed map.

    References
    ----------
    .. [1] Selvaraju et al., "Counterfactual Explanations": ICCV 2017, section 7; IJCV 2020, section 3.3.
    """
    layer = layer_of(net, images, layer, output, score)
    tape = tape_of(net, images, (layer,), output, score)
    row = rows(tape, target, seed, region, getattr(net, "labels", None))

    A = spatial(tape.activation(layer), layer)  # A^k_ij                                     (N, K, I, J)
    dA = network_of(net).backward(tape, row.seed, down_to=layer, image=row.image)  # dy^c/dA^k_ij   (R, K, I, J)

    alpha = -dA.mean(axis=(2, 3))  # alpha^c_k = 1/Z sum_ij -dy^c/dA^k_ij
    signed_cam = weighted_sum(alpha, A, row.image)
    cam = np.maximum(signed_cam, 0)
    return ClassActivationMap(**about(net, tape, row, COUNTERFACTUAL), layer=layer, activations=A,
                              gradients=dA, alpha=alpha, signed_cam=signed_cam, cam=cam)
