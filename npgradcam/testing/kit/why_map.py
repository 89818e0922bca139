"""Mistakes that may explain a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from npgradcam.convention import conventions
from npgradcam.convention.record import scale
from npgradcam.convention.weighing import score_of
from npgradcam.diagnosis import Diagnosis, Finding, diagnose, words
from npgradcam.diagnosis.finishings import departures as finished
from npgradcam.errors import NpGradcamError
from npgradcam.typing import Array

from .case import Case
from .elsewhere import elsewhere
from .mistake import Mistake
from .truth import CHOICES, MAPS, SCORES, Choice, apart, record, signal

MANY = 9  # as much as so many departures
NEAR = 0.2  # what is further off is no clue
HALF = 2.0**-10  # what rounding to float16 may take from the largest number
ROUNDED = 1e-5  # what float32 may take from exp(y), relative, for each unit of y
LARGE = 2.0**24  # every number of float32 beyond is whole
Nearest = Callable[[Case, Array], list[Choice]]


def of_any_answer(method: str, nearest: Nearest, tolerance: float) -> list[Mistake]:
    """Return mistakes that every method knows, of an answer (N, ...): what is left of it, and of its batch.

    `nearest` gives the conventions that an answer may have.
    """

    def right(case: Case, found: Array) -> list[Array]:
        return [c.of(case, method) for c in nearest(case, found)]

    def half(case: Case, found: Array) -> bool:
        with np.errstate(over="ignore"):
            rounded = found.astype(np.float16)
        return bool((found == rounded).all()) and any(apart(found, r) < HALF for r in right(case, found))

    def whole(case: Case, found: Array) -> bool:
        return bool((found == np.rint(found)).all() and np.abs(found).max() < LARGE)

    def left_out(case: Case, found: Array) -> bool:
        first = next(iter(right(case, found)), found)
        missing = [n for n, row in enumerate(found) if not row.any()]
        return len(found) > 1 and any(first[n].any() for n in missing)

    def first_again(case: Case, found: Array) -> bool:
        return len(found) > 1 and bool(found[0].any()) and all(np.array_equal(row, found[0]) for row in found[1:])

    def last_first(case: Case, found: Array) -> bool:
        return len(found) > 1 and any(apart(found, r[::-1]) <= tolerance for r in right(case, found))

    def batch_scaled(case: Case, found: Array) -> bool:
        return len(found) > 1 and any(
            apart(found, scale(m.reshape(1, -1, m.shape[-1]), c.convention.normalise, c.convention.epsilon)
                  .reshape(m.shape)) <= tolerance
            for c in nearest(case, found) if c.convention.normalise != "none"
            for m in [replace(c, convention=replace(c.convention, normalise="none")).of(case, method)]
        )

    def inverted(case: Case, found: Array) -> bool:
        return any(apart(found, 1 - c.of(case, method)) <= tolerance
                   for c in nearest(case, found) if c.convention.normalise != "none")

    def exponential(case: Case, found: Array) -> bool:
        y = score_of(record(case, method, "logit"))  # (R,)
        with np.errstate(over="ignore"):
            without = found * np.exp(-y)[:, None, None]
        slack = tolerance + ROUNDED * float(np.abs(y).max())
        return any(apart(without, r) <= slack for r in right(case, found))

    def of_the_pixels(case: Case, found: Array) -> bool:
        signals = (np.abs(signal(case, "gradient", score)) for score in SCORES)  # (N, C, H, W)
        return any(apart(found, over(axis=1)) <= tolerance for s in signals for over in (s.mean, s.max, s.sum))

    found = [Mistake("zero everywhere", lambda case, found: not found.any()),
             Mistake("whole numbers alone: rounded, or the levels of a picture", whole, 2),
             Mistake("rounded to half precision", half),
             Mistake("images of a batch were left out: their rows are zero everywhere", left_out, 2),
             Mistake("every row of the batch is that of the first image", first_again),
             Mistake(words.TURNED["last first"], last_first)]
    if method == "grad-cam-plus-plus":  # whose factor is another in each row and network
        found.append(Mistake(words.weighed("exponential", ""), exponential))
    if method in MAPS:
        found.append(Mistake("scaled over the whole batch, not image by image", batch_scaled))
        found.append(Mistake("inverted: one minus the map", inverted))
        found.append(Mistake("is of the pixels: magnitudes of dy/dx, into which no layer's maps come", of_the_pixels))
    return found


def _factor(found: Array, right: Array, tolerance: float) -> float | None:
    """Return a with found = a right, a != 0; None where there is none."""
    square = float((right * right).sum())
    a = float((found * right).sum()) / square if square and found.shape == right.shape else 0.0
    return a if a and apart(found, a * right) <= tolerance else None


def of_a_factor(case: Case, method: str, found: Array, nearest: Nearest, tolerance: float) -> list[Mistake]:
    """Return the mistake that a number multiplies what is right, this one or another in each case, if it is one."""

    def factor(case: Case, found: Array) -> float | None:
        every = (_factor(found, c.of(case, method), tolerance) for c in nearest(case, found))
        return next((a for a in every if a is not None), None)

    def by(a: float, case: Case, found: Array) -> bool:
        return any(apart(found, a * c.of(case, method)) <= tolerance for c in nearest(case, found))

    a = factor(case, found)
    if a is None:
        return []
    sentence = "the sign is reversed" if abs(a + 1) < tolerance else f"multiplied by {a:.4g}"
    return [Mistake(sentence, partial(by, a), 3), Mistake("right but for a factor, which is another in each network",
                                                       lambda case, found: factor(case, found) is not None, MANY)]


def of_a_map(case: Case, method: str, found: Array, asked: Sequence[Choice],
             tolerance: float) -> tuple[list[Mistake], str]:
    """Return what a diagnosis says of a map, as mistakes to be tried elsewhere; or how far the nearest is.

    `asked` are the choices of who is held to a convention; of who is not, none.
    """
    d = _diagnosed(case, method, found, tolerance)
    if d is None or not d.explained or d.flat:
        return [], "" if d is None else _nearest(d)
    mistakes = []
    for finding in d.findings:
        for place, departures in elsewhere(finding, case):
            if asked:
                sentence, count = told_from(asked, finding, departures)
                size = 2 * count
            else:
                sentence = told(finding, tuple(d for d in departures if d != words.OWN), method)
                size = 2 * len(departures) + (not any(name.startswith("paper") for name in finding.matches))
            mistakes.append(Mistake(sentence, partial(place.explains, tolerance=tolerance), size))
    return mistakes, ""


def _diagnosed(case: Case, method: str, found: Array, tolerance: float) -> Diagnosis | None:
    try:
        return diagnose(found, case.network, case.x, list(case.target), case.layer, method=method, tolerance=tolerance)
    except NpGradcamError:  # it is no map
        return None


def _nearest(d: Diagnosis) -> str:
    best, (_, h, w) = d.nearest[0], d.worst
    if best.error > NEAR:
        return ""
    said = f"as {best.who}{': ' if best.departures else ''}{'; '.join(best.departures)}"
    return f"the nearest in one check is {said}, off by {words.rounded(best.error)}, most in cell ({h}, {w})"


def told_from(asked: Sequence[Choice], finding: Finding, departures: tuple[str, ...]) -> tuple[str, int]:
    """Say what is different from the convention that somebody is held to, and in how many choices."""
    base, field = conventions[finding.matches[0]], CHOICES.get(finding.method, ("", ()))[0]
    theirs = {*finished(finding.convention, base), words.weighed(finding.weighing, getattr(base, field, "mean"))}
    shared = [d for d in departures if d not in theirs]  # whatever the map is compared with
    ways = [finding.convention] if finding.departures else [conventions[name] for name in finding.matches]
    every = []
    for choice, way in product(asked, ways):
        c, said = choice.convention, [d for d in shared if d != words.OWN or choice.convention.score == "logit"]
        usual = getattr(c, field, finding.weighing)
        said += [words.weighed(finding.weighing, usual)] if finding.weighing != usual else []
        every.append(([*said, *finished(way, c)], choice.text))
    said, text = min(every, key=lambda told: len(told[0]))
    said = said or ["gradient of the logit, not of what the network returns"]
    return f"{'; '.join(said)}; the rest {text}", len(said)


def told(finding: Finding, departures: tuple[str, ...], method: str) -> str:
    """Say what is different: an owner's own weights under the owner's name, everything else as departures."""
    field, (usual, *_) = CHOICES.get(method, ("", (finding.weighing,)))
    paper = [name for name in finding.matches if name.startswith("paper")]
    who = " and ".join(words.OWNERS.get(name, name) for name in (paper or finding.matches))
    if finding.method == method and finding.weighing != usual:
        weights = words.weighed(finding.weighing, usual)
        if weights not in departures:  # those are the owner's own, too
            owner = any(getattr(conventions[name], field) == finding.weighing for name in finding.matches)
            departures = (f"{weights}{f', as in {who}' if owner else ''}", *departures)
            return "; ".join(departures)
    if departures:
        return f"{'; '.join(departures)}; the rest as {who}"
    faults = "; ".join(fault for name in finding.matches[:1] for fault in conventions[name].faults)
    return f"as {who}: {faults}"
