"""What a method gives on a case, under every convention that somebody may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from npgradcam.convention import Convention, conventions
from npgradcam.diagnosis import words
from npgradcam.diagnosis.finishings import Finishing, finishings
from npgradcam.errors import NpGradcamError
from npgradcam.kernels.session import session
from npgradcam.methods import (
    ClassActivationMap,
    backprop,
    cam,
    counterfactual_grad_cam,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    xgrad_cam,
)
from npgradcam.methods.start import Score
from npgradcam.typing import Array

from .case import Case

MAPS: dict[str, Callable[..., ClassActivationMap]] = {
    "cam": lambda net, x, target, layer, score: cam(net, x, target, score=score),
    "grad-cam": grad_cam, "counterfactual-grad-cam": counterfactual_grad_cam,
    "grad-cam-plus-plus": grad_cam_plus_plus, "xgrad-cam": xgrad_cam, "hires-cam": hires_cam, "layer-cam": layer_cam,
}
RULES = {"gradient": "gradient", "guided-backprop": "guided", "deconvnet": "deconvnet"}
PRODUCT = "guided-grad-cam"
METHODS = (*MAPS, *RULES, PRODUCT)
TITLES = words.TITLES | {
    "cam": "CAM", "counterfactual-grad-cam": "counterfactual Grad-CAM", "gradient": "the gradient",
    "guided-backprop": "guided backpropagation", "deconvnet": "the deconvnet", PRODUCT: "Guided Grad-CAM",
}
UNRECTIFIED, RAW = ("cam", "hires-cam"), ("none", "none", "none")  # papers without a ReLU
SCORES: tuple[Score, ...] = ("logit", "output")
CHOICES = {  # weights that no paper forbids: the paper's own first
    "grad-cam": ("weights", ("mean", "sum")),
    "grad-cam-plus-plus": ("plus_plus", ("equation 19", "equation 19 + 1e-6")),
    "xgrad-cam": ("xgrad", ("share", "share + 1e-7")), PRODUCT: ("weights", ("mean", "sum")),
}


@dataclass(frozen=True)
class Choice:
    """One convention that a method may follow, and how to name it.

    Attributes
    ----------
    convention : Convention
        Without its owner's faults.
    text : str
        "as captum 0.9.0", or "as the paper but: ReLU missing".
    exact : bool
        Whether no epsilon is in the weights.
    """

    convention: Convention
    text: str
    exact: bool = True

    def of(self, case: Case, method: str) -> Array:
        """Return what the method gives on a case: maps (N, H, W) or (N, I, J), or a signal (N, C, H, W)."""
        c = self.convention
        if method in RULES:
            return signal(case, RULES[method], c.score)
        if method == PRODUCT:
            return signal(case, "guided", c.score) * c.apply(record(case, "grad-cam", c.score), case.size)[:, None]
        return c.apply(record(case, method, c.score), case.size)


@lru_cache(64)
def record(case: Case, method: str, score: Score) -> ClassActivationMap:
    """Return A^k, the weights and the signed map of a method."""
    with session("numpy"):
        return MAPS[method](case.network, case.x, list(case.target), layer=case.layer, score=score)


@lru_cache(64)
def signal(case: Case, rule: str, score: Score = "logit") -> Array:
    """Return what comes back to the images under a rule; the plain gradient where no rectifier is there to act."""
    rule = rule if case.rectifiers else "gradient"
    with session("numpy"):
        return backprop(case.network, case.x, list(case.target), rule, score=score).signal


def choices(method: str) -> Iterator[Choice]:
    """Yield every convention under which a method is still what its paper says, those nearest to a known one first."""
    if method in RULES:
        yield from (Choice(replace(conventions["paper"], score=score), _scored(score)) for score in SCORES)
        return
    field, weighings = CHOICES.get(method, ("weights", ("mean",)))
    ways = [f for same in finishings().values() for f in same if not f.convention.start]
    every = {weighing: sorted(((f, *_nearest(f, method, weighing)) for f in ways),
                              key=lambda told: (len(told[2]), "paper" not in told[1])) for weighing in weighings}
    for score in SCORES[: 1 if method == "cam" else 2]:  # CAM reads the weights of the logits
        for weighing in weighings:
            for f, names, said in every[weighing]:
                yield from _finished(method, f, names, said, score, field, weighing, weighing == weighings[0])


def _finished(method: str, f: Finishing, names: list[str], said: tuple[str, ...], score: Score, field: str,
              weighing: str, own: bool) -> Iterator[Choice]:
    names = [name for name in names if conventions[name].score == score] or names
    base = " and ".join(words.OWNERS.get(name, name) for name in names)
    if method in UNRECTIFIED and own and (f.convention.relu, f.convention.normalise, f.convention.resize) == RAW:
        base, said = "the paper's map, without a ReLU", ()
    text = f"as {base}{' but: ' if said else ''}{'; '.join(said)}{_scored(score)}"
    changed: Any = {"score": score, field: weighing}
    c = replace(f.convention, faults=(), gates="rectifiers", **changed)
    exact = own or field == "weights"
    if method != PRODUCT:
        yield Choice(c, text, exact)
    elif c.resize != "none":  # else there is no product
        captum = (c.resize, c.relu, c.normalise) == ("nearest", "before", "none") and own
        yield Choice(c, "as captum 0.9.0" + _scored(score) if captum else f"times the map {text}", exact)


def _nearest(f: Finishing, method: str, weighing: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the known conventions from which a way to weigh and finish maps departs least, and in what."""
    told = [(base.name, departures + _weights(base, method, weighing)) for base, departures in f.bases]
    least = min((departures for _, departures in told), key=len)
    return [name for name, departures in told if departures == least], least


def _weights(base: Convention, method: str, weighing: str) -> tuple[str, ...]:
    """Say weights that are not a convention's; of Grad-CAM++ and XGrad-CAM the equation's are nobody's departure."""
    field, known = CHOICES.get(method, ("", (weighing,)))
    if weighing == getattr(base, field, weighing) or (weighing == known[0] and field != "weights"):
        return ()
    return (words.weighed(weighing, getattr(base, field)),)


def _scored(score: Score) -> str:
    return "" if score == "logit" else ", the score is what the network returns"


def held_to(convention: Convention | str, method: str) -> list[Choice]:
    """Return the choices that somebody has who is held to a convention: the paper's L^c is its map too."""
    asked = choice_of(convention, method)
    if method in MAPS and asked.convention == replace(conventions["paper"], name=asked.convention.name):
        return [asked, choice_of("paper, L^c", method)]
    return [asked]


def choice_of(convention: Convention | str, method: str) -> Choice:
    """Return a convention as the only choice, without its owner's faults.

    Raises
    ------
    NpGradcamError
        If nothing is left of it then, or it is none.
    """
    c = conventions[convention] if isinstance(convention, str) else convention
    if not isinstance(c, Convention):
        raise NpGradcamError(f"convention: expected a Convention or the name of one, got {type(c).__name__}")
    if c.levels or c.start or c.swapped:
        raise NpGradcamError(f"convention {c.name!r}: expected one to hold somebody to, got one that is made of faults")
    field, weighings = CHOICES.get(method, ("weights", (c.weights,)))
    if getattr(c, field) not in weighings:
        c = replace(c, **{field: weighings[0]})  # type: ignore[arg-type]
    kept: Any = replace(c, faults=(), gates="rectifiers")
    if method == PRODUCT and kept.product == "nearest":
        kept = replace(kept, relu="before", resize="nearest", normalise="none")
    elif method == PRODUCT and kept.resize == "none":  # there is no product: the owner has none, or leaves it open
        kept = replace(kept, resize="bilinear")
    return Choice(kept, f"as {words.OWNERS.get(c.name, c.name)}")


def apart(found: Array, right: Array) -> float:
    """max|found - right| / max|right|; where all of it is 0, max|found|; infinite where shapes or NaN differ."""
    if found.shape != right.shape or not np.array_equal(np.isnan(found), np.isnan(right)):
        return float("inf")
    largest = float(np.nanmax(np.abs(right), initial=0.0)) or 1.0
    return float(np.nanmax(np.abs(found - right), initial=0.0)) / largest
