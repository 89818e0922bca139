"""Ask a user's function, and hold its answer against every convention that it may still have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from npgradcam.convention import Convention, conventions
from npgradcam.diagnosis import words
from npgradcam.errors import NpGradcamError
from npgradcam.typing import Array

from .case import Case
from .cases import NEGATIVE
from .causes import UNKNOWN, Pair, causes, explains, in_common
from .mistake import Mistake
from .report import Result
from .shape import TURNED, shape_of
from .truth import MAPS, RULES, Choice, apart, choices, held_to
from .why_map import of_a_factor, of_a_map, of_any_answer
from .why_signal import of_any_signal, of_some_rectifiers

Function = Callable[..., Any]
GRAD_CAM_ITSELF = {
    "counterfactual-grad-cam": "is Grad-CAM itself: the gradient was not negated",
    "cam": "is Grad-CAM: CAM divided by the number of cells",
}
NOT_FINITE = "NaN or infinity"
DIVIDED = f"{NOT_FINITE}: 0/0 where there is no evidence? the map should be zero"


class Asking:
    """One method of a function, the conventions that all answers so far allow, and the answers that are wrong."""

    def __init__(self, function: Function, method: str, convention: Convention | str | None, tolerance: float,
                 named: bool) -> None:
        self.function, self.method, self.tolerance = function, method, tolerance
        self.named = {"method": method} if named else {}
        self.asked = [] if convention is None else held_to(convention, method)
        self.every = self.asked or list(choices(method))
        self.choices, self.agrees = self.every, False
        self.answers: list[Pair] = []  # all of them, the latest last
        self.wrong: dict[str, list[Pair]] = {}  # by check, as far as they have the shape and numbers of an answer
        self.compared: dict[str, list[Pair]] = {}  # by identity
        self.right: list[Case] = []
        self.owners: list[str] = []  # whose weights explain what is wrong
        self.nearest = ""  # what is told where nothing explains an answer

    def answer(self, case: Case) -> Array:
        """Return what the function says: float64, (N, ...), channels before rows and columns."""
        given = self.function(case.model, case.images.copy(), list(case.target), case.layer, **self.named)
        if given is None:
            raise NpGradcamError("expected an array, got None: is a return missing?")
        try:
            found = np.asarray(given)
        except ValueError:
            raise NpGradcamError("expected an array of real numbers, got rows of several shapes") from None
        if found.dtype.kind not in "biuf":
            kind = type(given).__name__ if found.dtype == object else f"{found.dtype} {found.shape}"
            raise NpGradcamError(f"expected an array of real numbers, got {kind}")
        if found.ndim < 2:
            raise NpGradcamError(f"expected an array with an answer for each image, got the shape {found.shape}")
        N, C, H, W = case.images.shape
        if self.method in MAPS and found.ndim == 4 and 1 in (found.shape[1], found.shape[3]):
            found = found[:, 0] if found.shape[1] == 1 else found[..., 0]
        if self.method not in MAPS and found.shape == (N, H, W, C) != (N, C, H, W):
            found = found.transpose(0, 3, 1, 2)
        found = found.astype(np.float64)
        self.answers.append((case, found))
        return found

    def ask(self, case: Case) -> Result:
        """Return how the answer to a case compares; an answer that some convention gives rules out all others."""
        try:
            found = self.answer(case)
        except NotImplementedError as error:
            return Result(self.method, case.name, "left out", sentence=str(error) or "raises NotImplementedError")
        except Exception as error:  # whatever a user's function raises is the finding
            return Result(self.method, case.name, "error", sentence=in_words(error))
        sentence, here = shape_of(case, self.method, found)
        near = [] if sentence else self.compare(self.choices, case, found) or self.compare(self.every, case, found)
        if not sentence and not near:
            sentence, here = f"expected maps as large as the images, {self.every[0].text}", f"got {found.shape}"
        if not sentence and not np.isfinite(found).all():
            sentence = NOT_FINITE
        off = float("inf") if sentence else min(error for error, _ in near)
        if off <= self.tolerance:
            left = [c for error, c in near if error <= self.tolerance]
            kept = {id(c) for c in left}
            self.choices = [c for c in self.choices if id(c) in kept] or self.choices
            self.agrees |= bool(left[0].of(case, self.method).any())  # nothing agrees with zeros alone
            self.right.append(case)
            return Result(self.method, case.name, "right", off)
        if np.isfinite(found).all() and (not sentence or sentence == TURNED or _of_another_layer(case, found)):
            self.wrong[case.name] = [(case, found)]
        return Result(self.method, case.name, "wrong", off, sentence, here)

    def compare(self, some: list[Choice], case: Case, found: Array) -> list[tuple[float, Choice]]:
        """Return how far an answer is from what each convention gives, of those that may have given this shape."""
        return [(apart(found, c.of(case, self.method)), c) for c in self.fitting(some, case, found)]

    def fitting(self, some: list[Choice], case: Case, found: Array) -> list[Choice]:
        """Return the conventions that may have given an answer of this shape."""
        return [c for c in some if (c.exact or not case.exact) and (
            self.method not in MAPS or c.convention.resize == "none" or found.shape[1:] == case.size)]

    def explained(self, results: Iterable[Result]) -> list[Result]:
        """Return the results with what explains those that are wrong: the same sentence where it is the same mistake.

        What fails in an identity, because the answers that it compares have a mistake, has that mistake.
        """
        known, found, results = self._known(), dict[str, Mistake](), list(results)
        if {r.check for r in results if r.sentence == NOT_FINITE} == {NEGATIVE}:
            results = [replace(r, sentence=DIVIDED) if r.check == NEGATIVE else r for r in results]
        if self.wrong:
            found = causes(self.wrong, known, self._look)
            smallest = {check: pairs[:1] for check, pairs in self.wrong.items() if check not in found and pairs[1:]}
            for check, pairs in smallest.items():
                again = [m for m in found.values() if explains(m, pairs)]
                found |= {check: again[0]} if again else causes({check: pairs}, known, self._look)
        self.owners = [name for name in conventions if any(f"as in {name}" in m.sentence for m in found.values())]
        rest = [case for check, pairs in self.wrong.items() if check not in found for case, _ in pairs]
        clue = in_common(rest, self.right) or self.nearest
        unknown = f"{UNKNOWN}; {clue}" if clue else UNKNOWN
        return [replace(r, sentence=self._why(r, found, unknown)) if r.status == "wrong" else r for r in results]

    def _why(self, result: Result, found: Mapping[str, Mistake], unknown: str) -> str:
        """Return what explains a result that is wrong."""
        if result.check in found:
            return found[result.check].sentence
        wrong = [pair for pair in self.compared.get(result.check, ()) if not self._allows(*pair)]
        same = (m.sentence for m in found.values() if wrong and explains(m, wrong))
        return next(same, result.sentence or unknown)

    def _allows(self, case: Case, found: Array) -> bool:
        """Whether a convention that is left gives this answer."""
        return any(error <= self.tolerance for error, _ in self.compare(self.choices, case, found))

    def _fitting(self, case: Case, found: Array) -> list[Choice]:
        return self.fitting(self.choices, case, found) or self.fitting(self.every, case, found)

    def _known(self) -> list[Mistake]:
        """Return the mistakes that are tried on whatever is wrong."""
        known = of_any_answer(self.method, self._fitting, self.tolerance)
        if self.method not in MAPS:
            known += of_any_signal(self.method, lambda: self.choices[0], self.tolerance)
        if self.method in GRAD_CAM_ITSELF:
            known.append(Mistake(GRAD_CAM_ITSELF[self.method], lambda case, found: any(
                apart(found, c.of(case, "grad-cam")) <= self.tolerance for c in self._fitting(case, found))))
        return known

    def _look(self, case: Case, found: Array) -> list[Mistake]:
        """Return mistakes that explain this answer, of those that are too many to be tried on all."""
        for off, other in self.compare(self.every, case, found) if self.agrees else ():
            if off <= self.tolerance:
                return [Mistake(f"another convention than elsewhere: {other.text}", partial(self._is, other))]
        more: list[Mistake] = []
        if self.method in words.TITLES:
            more, nearest = of_a_map(case, self.method, found, self.asked, self.tolerance)
            self.nearest = self.nearest or nearest
        elif self.method not in MAPS:
            more = of_some_rectifiers(case, self.method, found, lambda: self.choices[0], self.tolerance)
        return more + of_a_factor(case, self.method, found, self._fitting, self.tolerance)

    def _is(self, choice: Choice, case: Case, found: Array) -> bool:
        return apart(found, choice.of(case, self.method)) <= self.tolerance

    @property
    def convention(self) -> str:
        """The convention that is left, as a known one; "" where no answer was right, or there is nothing to say.

        Of several that are left it is that of whose weights these are, if they are somebody's own.
        """
        if not self.agrees:
            return ""
        if self.method in RULES:
            return "" if self.choices[0].convention.score == "logit" else self.choices[0].text.removeprefix(", ")
        texts = [c.text for c in self.choices]
        return next((f"as {name}" for name in self.owners if f"as {name}" in texts), texts[0])


def in_words(error: Exception) -> str:
    """Return what a user's function raised; our own sentences as they are."""
    return str(error) if isinstance(error, NpGradcamError) else f"{type(error).__name__}: {error}"


def _of_another_layer(case: Case, found: Array) -> bool:
    """Whether an answer may be the maps of a layer of another size."""
    shapes = case.network.shapes(case.images.shape).values()
    return found.ndim == 3 and len(found) == len(case.images) and found.shape[1:] in {s[2:] for s in shapes}
