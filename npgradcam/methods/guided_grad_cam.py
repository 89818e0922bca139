"""Guided Grad-CAM: where (Grad-CAM) times what (guided backpropagation); Selvaraju et al. 2017, section 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam import maps
from npgradcam.models import Model, network_of
from npgradcam.network import Network
from npgradcam.typing import Array

from .backprop import backprop
from .grad_cam import grad_cam
from .records import ClassActivationMap, InputSignal
from .start import Images, Score, layer_of, tape_of


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class GuidedGradCam(InputSignal):
    """The product, with both factors inside.

    Attributes
    ----------
    grad_cam : ClassActivationMap
    backprop : InputSignal
        Guided backpropagation.
    upsampled : ndarray of shape (R, H, W)
        The map at the input's size: the factor as it was multiplied.
    """

    grad_cam: ClassActivationMap
    backprop: InputSignal
    upsampled: Array

    @property
    def layer(self) -> str:
        """The layer of the map."""
        return self.grad_cam.layer


def guided_grad_cam(net: Network | Model, images: Images, target: Any = None, layer: str | None = None, *,
                    seed: Array | None = None, region: Array | None = None, output: str | None = None,
                    score: Score = "logit", input: str | None = None) -> GuidedGradCam:
    """Show which pixels speak for a class: sharp like guided backpropagation, class-discriminative like Grad-CAM.

    Parameters
    ----------
    net, images, target, layer, seed, region, output, score, input
        As for `grad_cam` and `backprop`; a tape must observe both the layer and the input.

    Returns
    -------
    GuidedGradCam
        `signal` (R, C, H, W) with `grad_cam`, `backprop` and `upsampled` (R, H, W).

    Raises
    ------
    UnknownLayerError, TargetError, ShapeError
        If there is no such layer or class, or the layer has no maps.
    NpGradcamError
        If there is no network, or no rectifier in it for the rule to act on.

    Notes
    -----
    Both factors are raw: the map is not normalised, and is brought to the input's size by bilinear interpolation with
    half-pixel centres (the paper says bilinear and leaves the grid open).

    References
    ----------
    .. [1] Selvaraju et al., "Guided Grad-CAM": ICCV 2017, section 3; IJCV 2020, section 3.2.

    Examples
    --------
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> x = net.preprocess(ng.images.sample("two_shapes"))
    >>> e = ng.guided_grad_cam(net, x, "cross")
    >>> e.signal.shape, e.upsampled.shape
    ((1, 3, 32, 32), (1, 32, 32))
    >>> bool((e.signal == e.backprop.signal * e.upsampled[:, None]).all())
    True
    """
    input = input or network_of(net).inputs[0]
    layer = layer_of(net, images, layer, output, score)
    tape = tape_of(net, images, (layer, input), output, score)
    which = {"target": target, "seed": seed, "region": region, "output": output, "score": score}

    where = grad_cam(net, tape, layer=layer, **which)  #                             L^c              (R, I, J)
    what = backprop(net, tape, rule="guided", input=input, **which)  #               guided signal    (R, C, H, W)
    return product(where, what)


def product(where: ClassActivationMap, what: InputSignal) -> GuidedGradCam:
    """Multiply Grad-CAM (R, I, J) and guided backpropagation (R, C, H, W) of the same rows."""
    height, width = (what.signal.shape[what.layout.index(axis)] for axis in "HW")
    upsampled = maps.upsample(where.cam, (height, width))  #                                          (R, H, W)
    with np.errstate(all="ignore"):  # beyond the largest number lies infinity, which no picture shows
        signal = what.signal * np.expand_dims(upsampled, what.layout.index("C"))  # the element-wise product
    shared = {name: getattr(what, name) for name in ("output", "logits", "target", "image", "preprocessing", "labels")}
    return GuidedGradCam(**shared, method="guided-grad-cam", rule="guided", gates=what.gates, layout=what.layout,
                         signal=signal,
                         grad_cam=where, backprop=what, upsampled=upsampled)
