"""The two kinds of result, with every intermediate the equations name: a map of a layer, a signal at the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam import maps
from npgradcam.colours import BLUE_WHITE_RED, TURBO, colourise
from npgradcam.errors import ShapeError
from npgradcam.images import Prepared, read_image
from npgradcam.models import Model
from npgradcam.network import Network, Tape
from npgradcam.typing import Array

from .explanation import Explanation, Picture
from .target import Rows
from .why import Steps, Why, steps, why

COUNTERFACTUAL = "counterfactual-grad-cam"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ClassActivationMap(Explanation):
    """CAM, Grad-CAM and their relatives: maps that are weighted by how much a class likes them, and summed.

    A method weighs either whole channels (`alpha`) or every cell of every channel (`cell_weights`); the other is None.

    Attributes
    ----------
    layer : str
        Whose feature maps A^k are weighed.
    activations : ndarray of shape (N, K, I, J)
        A^k.
    gradients : ndarray of shape (R, K, I, J), or None
        dy^c/dA^k; None for CAM, which needs none.
    alpha : ndarray of shape (R, K), or None
        The channels' weights: alpha^c_k for Grad-CAM and XGrad-CAM, w^c_k for Grad-CAM++, the head's w^c_k for CAM
        (`class_weights`).
    signed_cam : ndarray of shape (R, I, J)
        sum_k alpha_k A^k, or sum_k cell_weights^k A^k cell by cell; in units of the score (but for Grad-CAM++).
    cam : ndarray of shape (R, I, J)
        Its ReLU: where there is evidence for the class.
    cell_weights : ndarray of shape (R, K, I, J), or None
        The cells' weights: dy^c/dA^k for HiResCAM, its positive part for LayerCAM.
    """

    layer: str
    activations: Array
    gradients: Array | None
    alpha: Array | None
    signed_cam: Array
    cam: Array
    cell_weights: Array | None = None

    @property
    def class_weights(self) -> Array | None:
        """w^c_k, CAM's name for the channels' weights; the same array as `alpha`."""
        return self.alpha

    @property
    def steps(self) -> Steps:
        """The steps from A^k to the map, with their equations; prints one a line."""
        return steps(self)

    def why(self, i: int, j: int, row: int = 0, top: int = 10) -> Why:
        """Return the arithmetic of one cell of the map: weight_k A^k_ij for each k, and their sum.

        Parameters
        ----------
        i, j : int
            Row and column of the cell, from 0.
        row : int
            Which of the R explanations.
        top : int
            How many channels of either sign are told apart, the largest first; the others are one number.

        Raises
        ------
        ShapeError, TargetError
            If there is no such cell or row, or `top` is negative.
        """
        return why(self, i, j, row, top)

    def note(self, row: int = 0) -> str:
        """Say so where no cell has positive evidence."""
        self.check_row(row)
        if not maps.is_zero(self.cam[row]):
            return ""
        which = "evidence against" if self.method == COUNTERFACTUAL else "positive evidence for"
        return (
            f"{self.method}: no cell of {self.layer} has {which} {self.label(row)}; the map is zero everywhere, the "
            "signed map is in signed_cam"
        )

    def array(self, row: int = 0) -> Array:
        """Return the signed map of a row, (I, J)."""
        self.check_row(row)
        return np.asarray(self.signed_cam[row])

    def picture(self, row: int = 0) -> Picture:
        """Return the map of a row at 16 pixels a cell, turbo over its own maximum."""
        self.check_row(row)
        large = maps.upsample(self.cam[row], (16 * self.cam.shape[1], 16 * self.cam.shape[2]))
        return colourise(maps.normalise(large), TURBO)

    def overlay(self, image: Any, row: int = 0, opacity: float = 0.5, signed: bool = False) -> Picture:
        """Draw the map of a row over its photograph.

        Parameters
        ----------
        image : Prepared, or what `images.read_image` takes
            The photograph; without a model's preprocessing, the picture exactly as the network saw it.
        row : int
        opacity : float in [0, 1]
        signed : bool
            The map before its ReLU, red for and blue against the class, instead of the map.

        Returns
        -------
        ndarray of uint8, shape (H, W, 3)
        """
        self.check_row(row)
        values, table = (self.signed_cam, BLUE_WHITE_RED) if signed else (self.cam, TURBO)
        if not isinstance(image, Prepared) and self.preprocessing is not None:
            image = self.preprocessing.prepare(image)
        if isinstance(image, Prepared):
            large = maps.normalise(maps.place(values[row], image))
            return maps.overlay(image.photograph, large, opacity, table, maps.inside(image))
        photograph = np.asarray(read_image(image))
        large = maps.normalise(maps.upsample(values[row], (photograph.shape[0], photograph.shape[1])))
        return maps.overlay(photograph, large, opacity, table)

    def shown(self, image: Any, row: int = 0) -> Picture:
        """Return the overlay."""
        return self.overlay(image, row)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class InputSignal(Explanation):
    """What arrives at the input: the gradient, or the signal that another rule lets through.

    Attributes
    ----------
    rule : str
        "gradient", "deconvnet" or "guided"; only under the first is the signal a derivative.
    signal : ndarray of shape (R, C, H, W), or (R, H, W, C)
        As the input, one for each row.
    gates : int
        How many rectifier layers the rule acted on.
    layout : {"NCHW", "NHWC"}
        The order of the input's axes.
    """

    rule: str
    signal: Array
    gates: int
    layout: str

    def note(self, row: int = 0) -> str:
        """Say so where nothing arrived."""
        self.check_row(row)
        if self.signal[row].any():
            return ""
        return f"{self.method}: nothing arrives at the input for {self.label(row)}; the signal is zero"

    def array(self, row: int = 0) -> Array:
        """Return the signal of a row, (C, H, W) whatever the layout."""
        self.check_row(row)
        return np.asarray(self.signal[row].transpose([self.layout.index(axis) - 1 for axis in "CHW"]))

    def picture(self, row: int = 0) -> Picture:
        """Return the signal of a row as a picture around mid grey, black or white from `limit` on.

        The limit is the 99.5th percentile of |signal|, so that a few large numbers do not hide the others; `signal`
        itself is raw.
        """
        channels = self.preprocessing.channels if self.preprocessing else "RGB"
        return maps.signal_image(self.array(row), self.limit(row) or None, "BGR" if channels == "BGR" else "RGB")

    def limit(self, row: int = 0) -> float:
        """Return the magnitude from which on `picture` draws black or white; see `maps.signal_limit`."""
        return maps.signal_limit(self.array(row))


def about(net: Network | Model, tape: Tape, row: Rows, method: str) -> dict[str, Any]:
    """Return the fields that every record shares."""
    return {
        "method": method,
        "output": tape.output,
        "logits": tape.logits,
        "target": row.target,
        "image": row.image,
        "preprocessing": getattr(net, "preprocessing", None),
        "labels": getattr(net, "labels", None),
    }


def check_signal_shape(signal: Array) -> None:
    """Refuse a signal that is not one of pictures."""
    if signal.ndim != 4:
        raise ShapeError(f"expected an input of pictures (N, C, H, W), got a signal of shape {signal.shape}")
