"""A convention: every choice between A^k, dy/dA^k and a picture that changes numbers, as one frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from npgradcam.errors import NpGradcamError, ShapeError
from npgradcam.methods import ClassActivationMap
from npgradcam.methods.start import Score
from npgradcam.typing import Array

from .resizing import KERNELS, resize
from .weighing import WEIGHINGS, signed_map

Scaling = Literal["none", "max", "minmax"]
When = Literal["before", "after", "both", "none"]
Product = Literal["none", "map", "nearest"]
Gates = Literal["rectifiers", "ReLU"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What somebody does to a class activation map, in the order in which it is done.

    Attributes
    ----------
    name, source : str
        Whose, with the version; and how it is known: recorded with it, or read in its source.
    score : {"logit", "output"}
        What is differentiated: the logit before a last Softmax, or what the network itself returns.
    weights, plus_plus, xgrad : str
        How A^k are weighed in Grad-CAM, Grad-CAM++ and XGrad-CAM; see `WEIGHINGS`.
    start : float
        Added to the sum over the channels; 0 in every paper.
    relu : {"before", "after", "both", "none"}
        Whether negative numbers are cut off before resizing, after it, or both.
    normalise : {"none", "max", "minmax"}
        Each map m becomes m, m / max m, or (m - min m) / (max(m - min m) + epsilon).
    when : {"before", "after", "both", "none"}
        Whether that is done before resizing, after it, or both.
    epsilon : float
        What is added to the denominator.
    levels : int
        Where not 0, the map is rounded down to multiples of 1/levels before resizing, and each value to one after it.
    resize : str
        One of `KERNELS`.
    swapped : bool
        Whether height and width change places in the size that is asked for.
    product : {"none", "map", "nearest"}
        By what guided backpropagation is multiplied in Guided Grad-CAM: by this map, or by the ReLU of the raw one,
        enlarged by the nearest cell; "none": the owner has no Guided Grad-CAM.
    gates : {"rectifiers", "ReLU"}
        At which layers the guided rule acts; the plain gradient passes the others.
    faults : tuple of str
        What of this is a mistake, or gives no number; reproduced under this name alone.
    """

    name: str
    source: str
    score: Score = "logit"
    weights: str = "mean"
    plus_plus: str = "equation 19"
    xgrad: str = "share"
    start: float = 0.0
    relu: When = "before"
    normalise: Scaling = "none"
    when: When = "none"
    epsilon: float = 0.0
    levels: int = 0
    resize: str = "bilinear"
    swapped: bool = False
    product: Product = "map"
    gates: Gates = "rectifiers"
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field, known in (("score", get_args(Score)), ("weights", WEIGHINGS["grad-cam"]), ("resize", KERNELS),
                             ("plus_plus", WEIGHINGS["grad-cam-plus-plus"]), ("xgrad", WEIGHINGS["xgrad-cam"]),
                             ("relu", get_args(When)), ("normalise", get_args(Scaling)), ("when", get_args(When)),
                             ("product", get_args(Product)), ("gates", get_args(Gates))):
            if (value := getattr(self, field)) not in known:
                raise NpGradcamError(f"convention: expected {field} among {', '.join(known)}, got {value!r}")

    def apply(self, explanation: ClassActivationMap, size: tuple[int, int] | None = None) -> Array:
        """Return the maps of a record as this convention's owner returns them.

        Parameters
        ----------
        explanation : ClassActivationMap
            Of `grad_cam` or a relative; with `score=convention.score`, the owner's own score.
        size : tuple (H, W), optional
            The picture's; where nothing is said, that of the model's preprocessing.

        Returns
        -------
        ndarray of shape (R, H, W), or (R, I, J) where the owner leaves maps at the layer's size
            NaN where the owner returns NaN, which `faults` then says.

        Raises
        ------
        NpGradcamError
            If a size is needed and nobody says it.
        """
        weighing = {"grad-cam-plus-plus": self.plus_plus, "xgrad-cam": self.xgrad, "grad-cam": self.weights}
        default = next(iter(WEIGHINGS.get(explanation.method, {"": ""})))
        signed = signed_map(explanation, weighing.get(explanation.method, default))
        if size is None and self.resize != "none":
            if explanation.preprocessing is None:
                raise NpGradcamError(
                    f"convention {self.name!r} enlarges maps: expected size=(H, W), the picture's, got nothing"
                )
            size = explanation.preprocessing.size
        return self.finish(signed, size or (1, 1))

    def finish(self, signed: Array, size: tuple[int, int]) -> Array:
        """Return what becomes of signed maps (R, I, J) in a picture of `size` (H, W)."""
        if signed.ndim != 3:
            raise ShapeError(f"convention {self.name!r}: expected maps (R, I, J), got {signed.shape}; add an axis?")
        maps: Array = signed + signed.dtype.type(self.start)
        maps = self._rectified_and_scaled(maps, "before")
        if self.levels:  # NaN, which a whole number cannot hold, becomes 0
            maps = np.nan_to_num(np.floor(maps * signed.dtype.type(self.levels)))
        maps = resize(maps, self.resize, size[::-1] if self.swapped else size)
        if self.levels:
            maps = np.asarray(maps / signed.dtype.type(self.levels))
        return self._rectified_and_scaled(maps, "after")

    def _rectified_and_scaled(self, maps: Array, when: When) -> Array:
        """Cut off negative numbers and scale each map, if that is done `when`: (R, H, W) -> the same."""
        if self.relu in (when, "both"):
            maps = np.maximum(maps, 0)
        return scale(maps, self.normalise, self.epsilon) if self.when in (when, "both") else maps


def scale(maps: Array, normalise: Scaling, epsilon: float = 0.0) -> Array:
    """Scale each of the maps (R, H, W); see `Convention.normalise`."""
    if normalise == "none":
        return maps
    if normalise == "max":  # a map without a positive cell stays as it is
        largest = maps.max(axis=(1, 2), keepdims=True)
        return np.asarray(np.divide(maps, largest, out=maps.copy(), where=largest > 0))
    above = maps - maps.min(axis=(1, 2), keepdims=True)
    with np.errstate(invalid="ignore"):  # 0 / 0 where there is no epsilon, as its owner has it
        return np.asarray(above / (above.max(axis=(1, 2), keepdims=True) + maps.dtype.type(epsilon)))
