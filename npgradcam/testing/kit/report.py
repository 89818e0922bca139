"""What the kit found, for people, for programs, and as a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from npgradcam.diagnosis.words import rounded

from .truth import TITLES

Status = Literal["right", "wrong", "error", "left out"]


@dataclass(frozen=True)
class Result:
    """One check of one method.

    Attributes
    ----------
    method, check : str
    status : {"right", "wrong", "error", "left out"}
        "error": the function raised one; "left out": it raised NotImplementedError.
    error : float
        The largest difference from the nearest tolerated answer, relative to that one's largest number; infinite
        where shapes or NaN differ.
    sentence : str
        What is different, where something is.
    """

    method: str
    check: str
    status: Status
    error: float = 0.0
    sentence: str = ""

    def text(self) -> str:
        """Say it in one line."""
        off = f" (off by {rounded(self.error)})" if self.status == "wrong" and 0 < self.error < float("inf") else ""
        return f"  {self.status:<8}  {self.check}{': ' if self.sentence else ''}{self.sentence}{off}"


@dataclass(frozen=True, repr=False)
class Report:
    """Every check of every method, and the conventions that were found: `print` it, or take its `text()`.

    Attributes
    ----------
    results : tuple of Result
    conventions : dict
        By method, the known convention that all right answers follow: a choice, not a mistake.
    notes : tuple of str
    """

    results: tuple[Result, ...]
    conventions: dict[str, str]
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong, and something is right."""
        return not self.failures and any(r.status == "right" for r in self.results)

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that are wrong, and the errors."""
        return tuple(r for r in self.results if r.status in ("wrong", "error"))

    def of(self, method: str) -> Sequence[Result]:
        """Return the results of one method."""
        return [r for r in self.results if r.method == method]

    def text(self) -> str:
        """Say it to a person: first what fails, with the reason."""
        lines: list[str] = []
        for method in dict.fromkeys(r.method for r in self.results):
            mine = self.of(method)
            asked = [r for r in mine if r.status != "left out"]
            failed = [r for r in mine if r in self.failures]
            title = TITLES.get(method, method)
            head = f"{title[0].upper()}{title[1:]}: {len(asked) - len(failed)} of {len(asked)} checks pass"
            lines.append(f"{head}; {self.conventions[method]}" if self.conventions.get(method) else head)
            lines += [r.text() for r in mine if r.status != "right"]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        """Return the text."""
        return self.text()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        results = [{**vars(r), "error": r.error if r.error < float("inf") else None} for r in self.results]
        return {"schema": "npgradcam/check/1", "passed": self.passed, "conventions": dict(self.conventions),
                "results": results, "notes": list(self.notes)}
