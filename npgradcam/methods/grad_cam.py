"""Grad-CAM: Selvaraju et al., "Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgradcam import kernels
from npgradcam.errors import NpGradcamError
from npgradcam.models import Model, network_of
from npgradcam.network import Network
from npgradcam.tape import by_image
from npgradcam.typing import Array, IntArray

from .records import ClassActivationMap, about
from .start import Images, Score, layer_of, spatial, tape_of
from .target import rows


def grad_cam(net: Network | Model, images: Images, target: Any = None, layer: str | None = None, *,
             seed: Array | None = None, region: Array | None = None, output: str | None = None,
             score: Score = "logit") -> ClassActivationMap:
    r"""Show where one layer's feature maps hold evidence for a class.

    Parameters
    ----------
    net : Network or Model
    images : ndarray of shape (N, C, H, W), or a Tape that observes `layer`
    target : None, int, str, list of N, or list of N lists
        None: each image's top class; one class for every image; one per image; several per image.
    layer : str, optional
        The layer of A; the last one with spatial maps where nothing is said (see `default_layer`).
    seed : ndarray of the output's shape, optional
        Replaces `target`: where the backward begins.
    region : ndarray of bool, shape (H, W), optional
        For a network that labels pixels: which of them count.
    output : str, optional
        One of several outputs.
    score : {"logit", "output"}
        Explain the logit before a last Softmax, or the network's own output.

    Returns
    -------
    ClassActivationMap
        With `activations` (N, K, I, J), `gradients` (R, K, I, J), `alpha` (R, K), `signed_cam` and `cam` (R, I, J);
        maps are in units of the score.

    Raises
    ------
    UnknownLayerError, TargetError, ShapeError

    Notes
    -----
    .. math:: \alpha^c_k = \frac{1}{Z} \sum_{ij} \frac{\partial y^c}{\partial A^k_{ij}}, \qquad
              L^c = \mathrm{ReLU}\Big(\sum_k \alpha^c_k A^k\Big)

    y^c is the score before softmax. The map stays at the layer's size: `maps.upsample` enlarges it, in sight.
    The paper publishes only L^c; `signed_cam` is the sum before its ReLU.

    References
    ----------
    .. [1] Selvaraju et al., ICCV 2017, section 3, equations (1) and (2).

    Examples
    --------
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> from npgradcam.models.shapes_data import held_out
    >>> x = net.preprocess(held_out().pictures[0])
    >>> e = ng.grad_cam(net, x)
    >>> e.layer, e.activations.shape, e.alpha.shape, e.cam.shape
    ('relu3', (1, 24, 16, 16), (1, 24), (1, 16, 16))
    """
    layer = layer_of(net, images, layer, output, score)
    tape = tape_of(net, images, (layer,), output, score)
    row = rows(tape, target, seed, region, getattr(net, "labels", None))

    A, order = spatial(tape, layer)  # A^k_ij                                                (N, K, I, J)
    dA = network_of(net).backward(tape, row.seed, down_to=layer, image=row.image)
    dA = dA.transpose(order)  # dy^c/dA^k_ij                                                 (R, K, I, J)

    alpha = mean_over_cells(dA)  # alpha^c_k = 1/Z sum_ij dy^c/dA^k_ij                       eq. (1)
    signed_cam = weighted_sum(alpha, A, row.image)  # sum_k alpha^c_k A^k
    cam = np.maximum(signed_cam, 0)  # L^c = ReLU( sum_k alpha^c_k A^k )                     eq. (2)
    return ClassActivationMap(**about(net, tape, row, "grad-cam"), layer=layer, activations=A, gradients=dA,
                              alpha=alpha, signed_cam=signed_cam, cam=cam)


def mean_over_cells(dA: Array) -> Array:
    """1/Z sum_ij dA_ij, Z = I J: (R, K, I, J) -> (R, K)."""
    one_number = dA.strides[2:] == (0, 0)  # below global average pooling, every cell of a map is the same number
    mean: Array = dA[:, :, 0, 0] if one_number else dA.mean(axis=(2, 3))
    return mean


def weighted_sum(alpha: Array, activations: Array, image: IntArray) -> Array:
    """sum_k alpha_k A^k for each row, of its own image: (R, K), (N, K, I, J) -> (R, I, J)."""
    K, I, J = activations.shape[1:]
    total = np.empty((len(alpha), I, J), np.result_type(alpha, activations))
    with kernels.session("numpy"):  # BLAS at one thread, so that any number of threads gives the same bits
        for n, r in by_image(image):  # all classes of an image are one matrix product: (R, K) (K, I J)
            total[r] = (alpha[r] @ activations[n].reshape(K, I * J)).reshape(-1, I, J)
    return total


def maps_and_gradients(e: ClassActivationMap) -> tuple[Array, Array]:
    """Return A^k of each row's own image and dy^c/dA^k, both (R, K, I, J): what Grad-CAM and its relatives weigh.

    Raises
    ------
    NpGradcamError
        If the record has no gradients.
    """
    if e.gradients is None:
        raise NpGradcamError(f"expected a record with gradients, got one of {e.method}; take one of grad_cam")
    return _of_rows(e.activations, e.image), e.gradients


def _of_rows(activations: Array, image: IntArray) -> Array:
    if len(activations) == 1:  # every row reads the same maps, and nothing is copied
        return np.broadcast_to(activations, (len(image), *activations.shape[1:]))
    return np.asarray(activations[image])
