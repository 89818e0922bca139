"""Ask a user's function, and hold its answer against every convention that it may still have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from npgradcam.convention import Convention
from npgradcam.errors import NpGradcamError
from npgradcam.typing import Array

from .case import Case
from .cases import NEGATIVE
from .report import Result
from .truth import MAPS, RULES, Choice, apart, choice_of, choices
from .why_map import batch, coarse, of_map, shape_of
from .why_signal import of_signal

Function = Callable[..., Any]


class Asking:
    """One method of a function, the conventions that all answers so far allow, and the mistakes that were found."""

    def __init__(self, function: Function, method: str, convention: Convention | str | None, tolerance: float,
                 named: bool) -> None:
        self.function, self.method, self.tolerance = function, method, tolerance
        self.named = {"method": method} if named else {}
        self.every = list(choices(method)) if convention is None else [choice_of(convention, method)]
        self.choices, self.agrees = self.every, False
        self.mistakes: list[tuple[Choice, str]] = []

    def answer(self, case: Case) -> Array:
        """Return what the function says: float64, (N, ...), channels before rows and columns."""
        found = np.asarray(self.function(case.model, case.images.copy(), list(case.target), case.layer, **self.named))
        if found.dtype.kind not in "biuf":
            raise NpGradcamError(f"expected an array of real numbers, got {found.dtype} {found.shape}")
        N, C, H, W = case.images.shape
        if self.method in MAPS and found.ndim == 4 and 1 in (found.shape[1], found.shape[3]):
            found = found[:, 0] if found.shape[1] == 1 else found[..., 0]
        if self.method not in MAPS and found.shape == (N, H, W, C) != (N, C, H, W):
            found = found.transpose(0, 3, 1, 2)
        return found.astype(np.float64)

    def ask(self, case: Case) -> Result:
        """Return how the answer to a case compares; an answer that some convention gives rules out all others."""
        try:
            found = self.answer(case)
        except NotImplementedError as error:
            return Result(self.method, case.name, "left out", sentence=str(error))
        except Exception as error:  # whatever a user's function raises is the finding
            return Result(self.method, case.name, "error", sentence=f"{type(error).__name__}: {error}")
        wrong = shape_of(case, self.method, found, self.tolerance)
        if not wrong and not np.isfinite(found).all():
            zero = ": 0/0 where there is no evidence? the map should be zero" if case.name == NEGATIVE else ""
            wrong = f"NaN or infinity{zero}"
        if wrong:
            return Result(self.method, case.name, "wrong", float("inf"), wrong)
        near = self.compare(self.choices, case, found) or self.compare(self.every, case, found)
        if not near:
            layer = f"{self.every[0].text}: expected maps as large as the images, {case.size}, got {found.shape[1:]}"
            return Result(self.method, case.name, "wrong", float("inf"), layer)
        off = min(error for error, _ in near)
        if off <= self.tolerance:
            left = [c for error, c in near if error <= self.tolerance]
            kept = {id(c) for c in left}
            self.choices = [c for c in self.choices if id(c) in kept] or self.choices
            self.agrees |= bool(found.any())
            return Result(self.method, case.name, "right", off)
        said = coarse(found, off) or self.why(case, found, [c for _, c in near])
        return Result(self.method, case.name, "wrong", off, said)

    def compare(self, some: list[Choice], case: Case, found: Array) -> list[tuple[float, Choice]]:
        """Return how far an answer is from what each convention gives, of those that may have given this shape."""
        fits = [c for c in some if (c.exact or not case.exact) and (
            self.method not in MAPS or c.convention.resize == "none" or found.shape[1:] == case.size)]
        return [(apart(found, c.of(case, self.method)), c) for c in fits]

    def why(self, case: Case, found: Array, near: list[Choice]) -> str:
        """Say what is different."""
        right = near[0].of(case, self.method)
        if right.shape == found.shape and (left_out := batch(found, right)):
            return left_out
        for mistake, sentence in self.mistakes:
            if apart(found, mistake.of(case, self.method)) <= self.tolerance:
                return sentence
        if self.agrees:
            for off, other in self.compare(self.every, case, found):
                if off <= self.tolerance:
                    return f"another convention than elsewhere: {other.text}"
        if self.method not in MAPS:
            return of_signal(case, self.method, found, near[0], self.tolerance)
        sentence, mistake_found = of_map(case, self.method, found, near, self.tolerance)
        self.mistakes += [] if mistake_found is None else [(mistake_found, sentence)]
        return sentence

    @property
    def convention(self) -> str:
        """The convention that is left, as a known one; "" where no answer was right, or there is nothing to say."""
        if not self.agrees:
            return ""
        if self.method in RULES:
            return "" if self.choices[0].convention.score == "logit" else self.choices[0].text.removeprefix(", ")
        return self.choices[0].text
