"""What the kit found, for people, for programs, and as a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import fill
from typing import Any, Literal

from npgradcam.diagnosis.words import rounded

from .truth import TITLES

WIDTH, INDENT = 110, " " * 12
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
        What is different, where something is; the same for checks that fail for the same reason.
    where : str
        What is special about this check: the smallest of several networks, or the shapes.
    """

    method: str
    check: str
    status: Status
    error: float = 0.0
    sentence: str = ""
    where: str = ""


def told(results: Sequence[Result], asked: int) -> str:
    """Say results that have one status and one sentence, of `asked` checks."""
    first, errors = results[0], [r.error for r in results if 0 < r.error < float("inf")]
    most = "up to " if len(results) > 1 else ""
    off = f" (off by {most}{rounded(max(errors))})" if first.status == "wrong" and errors else ""
    if len(results) == 1:
        name = f"{first.check} ({first.where})" if first.where else first.check
        return f"  {first.status:<8}  {name}{': ' if first.sentence else ''}{first.sentence}{off}"
    every = "all " if len(results) == asked else ""
    lines = [f"in {every}{len(results)} checks: {'; '.join(r.check for r in results)}"]
    lines += [f"in the first: {first.where}"] if first.where else []
    lines = [fill(line, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT) for line in lines]
    return "\n".join([f"  {first.status:<8}  {first.sentence}{off}", *lines])


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
        """Say it to a person: each reason once, with the checks that fail for it; what most fail for comes first."""
        lines: list[str] = []
        for method in dict.fromkeys(r.method for r in self.results):
            mine = self.of(method)
            asked = [r for r in mine if r.status != "left out"]
            failed = [r for r in mine if r in self.failures]
            title = TITLES.get(method, method)
            head = f"{title[0].upper()}{title[1:]}: {len(asked) - len(failed)} of {len(asked)} checks pass"
            lines.append(f"{head}; {self.conventions[method]}" if self.conventions.get(method) else head)
            alike: dict[tuple[str, str], list[Result]] = {}
            for r in mine:
                alike.setdefault((r.status, r.sentence), []).append(r)
            said = [some for (status, _), some in alike.items() if status != "right"]
            lines += [told(some, len(asked)) for some in sorted(said, key=len, reverse=True)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        """Return the text."""
        return self.text()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        results = [{**vars(r), "error": r.error if r.error < float("inf") else None} for r in self.results]
        return {"schema": "npgradcam/check/1", "passed": self.passed, "conventions": dict(self.conventions),
                "results": results, "notes": list(self.notes)}
