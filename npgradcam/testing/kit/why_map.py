"""One sentence on what somebody did differently to a map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from npgradcam.convention import conventions
from npgradcam.diagnosis import Diagnosis, Finding, diagnose, words
from npgradcam.errors import NpGradcamError
from npgradcam.typing import Array

from .case import Case
from .truth import CHOICES, MAPS, Choice, apart

HALF = 2.0**-10  # what rounding to float16 may take from the largest number


def shape_of(case: Case, method: str, found: Array, tolerance: float) -> str:
    """Say what is wrong with a result's shape, or "" if nothing is."""
    N, C, H, W = case.images.shape
    if method in MAPS:
        layer = case.network.shapes(case.images.shape)[case.layer][2:]
        fits = found.ndim == 3 and len(found) == N and found.shape[1:] in (layer, (H, W))
        wanted = f"{(N, *layer)} at the layer's size or {(N, H, W)} at the images'"
        turned = found.ndim == 3 and found.shape[1:] in (layer[::-1], (W, H))
    else:
        fits, wanted, turned = found.shape == (N, C, H, W), f"{(N, C, H, W)}", found.shape == (N, C, W, H)
    if fits:
        return ""
    said = f"expected shape {wanted}, got {found.shape}{': height and width change places' if turned else ''}"
    if method in words.TITLES and found.ndim == 3 and len(found) == N and np.isfinite(found).all() and not turned:
        d = _diagnosed(case, method, found, tolerance)
        said += f": {told(_plainest(d), method)}" if isinstance(d, Diagnosis) and d.explained else ""
    return said


def coarse(found: Array, off: float) -> str:
    """Say so where an answer is nothing but zeros or whole numbers, or right to half precision alone: (N, ...)."""
    if not found.any():
        return "zero everywhere"
    if (found == np.rint(found)).all():
        return "whole numbers alone: rounded, or the levels of a picture"
    with np.errstate(over="ignore"):
        half = found.astype(np.float16)
    return "rounded to half precision" if off < HALF and (found == half).all() else ""


def batch(found: Array, right: Array) -> str:
    """Say so where images of a batch were left out, though their maps are not zero, or not those of the first."""
    empty = [str(n) for n, (row, other) in enumerate(zip(found, right, strict=True)) if other.any() and not row.any()]
    if empty and found.any():
        return f"row {', '.join(empty)} of {len(found)} is zero everywhere: images of a batch were left out"
    if len(found) > 1 and found[0].any() and all(np.array_equal(row, found[0]) for row in found[1:]):
        return "every row of the batch is that of the first image"
    return ""


def of_map(case: Case, method: str, found: Array, near: list[Choice], tolerance: float) -> tuple[str, Choice | None]:
    """Say which known mistake explains a map, and return it as a choice if it is one; or how far the nearest is."""
    if method == "counterfactual-grad-cam" and any(apart(found, c.of(case, "grad-cam")) <= tolerance for c in near):
        return "is Grad-CAM itself: the gradient was not negated", None
    if method not in words.TITLES:
        return scaled(found, (c.of(case, method) for c in near), tolerance), None
    d = _diagnosed(case, method, found, tolerance)
    if isinstance(d, str):
        return d, None
    if not d.explained:
        return d.text().splitlines()[0].replace("nothing explains the map", "nothing known explains it", 1), None
    best = _plainest(d)
    return told(best, method), _as_choice(best, case, method)


def _diagnosed(case: Case, method: str, found: Array, tolerance: float) -> Diagnosis | str:
    try:
        return diagnose(found, case.network, case.x, list(case.target), case.layer, method=method, tolerance=tolerance)
    except NpGradcamError as error:
        return str(error)


def _plainest(d: Diagnosis) -> Finding:
    """Return the finding with the fewest departures, from the paper rather than from somebody else."""
    return min(d.findings, key=lambda f: (len(f.departures), not any(name.startswith("paper") for name in f.matches)))


def told(finding: Finding, method: str) -> str:
    """Say a finding, with the weights that are its owner's mistake."""
    said, (field, (usual, *_)) = finding.departures, CHOICES.get(method, ("", (finding.weighing,)))
    if finding.method == method and finding.weighing != usual:
        weights, owners = words.weighed(finding.weighing, usual), [conventions[name] for name in finding.matches]
        said = said if weights in said else (weights, *said)
        if finding.departures or all(getattr(c, field) != finding.weighing for c in owners):
            return f"as {finding.who} but: {'; '.join(said)}"
    return f"matches {finding.who}{': ' if said else ''}{'; '.join(said)}"


def _as_choice(finding: Finding, case: Case, method: str) -> Choice | None:
    """Return a finding as a convention, if it is no more than other weights and another way to finish a map."""
    candidate = finding.hypothesis.candidate
    as_asked = (finding.method, finding.layer, finding.target) == (method, case.layer, case.target)
    if method not in CHOICES or not as_asked or finding.score != "logit" or finding.input or candidate.turn or (
            candidate.sign or finding.hypothesis.fit):
        return None
    changed: Any = {CHOICES[method][0]: finding.weighing, "score": "logit"}
    return Choice(replace(finding.convention, **changed), "")


def scaled(found: Array, answers: Iterable[Array], tolerance: float) -> str:
    """Say whether a factor is all that is wrong with one of the answers."""
    off = float("inf")
    for right in answers:
        square = float((right * right).sum())
        if found.shape != right.shape or not square:
            continue
        off, a = min(off, apart(found, right)), float((found * right).sum()) / square
        if a and apart(found, a * right) <= tolerance:
            return "the sign is reversed" if abs(a + 1) < tolerance else f"multiplied by {a:.4g}"
    return f"nothing known explains it: off by {words.rounded(off)} of its largest number"
