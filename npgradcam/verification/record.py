"""What was checked, how far off it was, and the verdict; prints itself as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "FAILED", "not applicable"]


class NotApplicableError(Exception):
    """An identity says nothing about this model; the message is the reason. Never leaves this room."""


@dataclass(frozen=True)
class Check:
    """One identity.

    Attributes
    ----------
    name : str
    about : str
        What was compared; why it failed or does not apply.
    figure, tolerance : float or None
        The difference, relative as `about` says, and the most that is right; None where nothing was computed.
    """

    name: str
    about: str
    figure: float | None = None
    tolerance: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether the figure is within the tolerance; NaN is not."""
        if self.figure is None or self.tolerance is None:
            return "not applicable"
        return "ok" if self.figure <= self.tolerance else "FAILED"


@dataclass(frozen=True)
class Randomised:
    """How like its former self each method's map is when layers are randomised from the output down.

    Attributes
    ----------
    layers : tuple of int
        How many layers were randomised, from the one nearest to the output on; the last is all of them.
    correlations : dict of str to tuple of float or None
        For each method Spearman's rank correlation of |map|, one for each of `layers`, the mean over the images; None
        where a map is constant and has no ranks.
    """

    layers: tuple[int, ...]
    correlations: dict[str, tuple[float | None, ...]]

    def __str__(self) -> str:
        """Return a table, one method a line."""
        heads = [str(count) for count in self.layers[:-1]] + [f"all {self.layers[-1]}"]
        lines = [[name, *("-" if r is None else f"{r:.2f}" for r in row)] for name, row in self.correlations.items()]
        table = aligned([["method", *heads], *lines], left=1)
        ranks = any(None in row for row in self.correlations.values())
        return ("layers randomised, from the output down: rank correlation of |map| with the model's own\n" + table
                + ("\n-: no ranks, as the map is the same in every cell or its numbers overflow" if ranks else ""))


@dataclass(frozen=True, repr=False)
class Verification:
    """What `verify` found: `print` it, or take its `text()` or `as_dict()`.

    Attributes
    ----------
    model, layer, label : str
        Which model, layer and class.
    checks : tuple of Check
    randomised : Randomised or None
        Reported, not judged: no number of it is right or wrong.
    """

    model: str
    layer: str
    label: str
    checks: tuple[Check, ...]
    randomised: Randomised | None = None

    @property
    def ok(self) -> bool:
        """Whether no identity failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the identities that failed."""
        return tuple(check.name for check in self.checks if check.verdict == "FAILED")

    def __getitem__(self, name: str) -> Check:
        """Return the check of that name."""
        return next(check for check in self.checks if check.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values; a figure that is no number is None."""
        checks = [asdict(c) | {"figure": _finite(c.figure), "verdict": c.verdict} for c in self.checks]
        found = None if self.randomised is None else asdict(self.randomised)
        return {"model": self.model, "layer": self.layer, "class": self.label, "ok": self.ok, "checks": checks,
                "randomised": found}

    def text(self) -> str:
        """Say it to a person: a table of the checks, one of randomised weights, and how many hold."""
        lines = [["check", "figure", "at most", "verdict", "what was compared"]]
        lines += [[c.name, _shown(c.figure), _shown(c.tolerance), c.verdict, c.about] for c in self.checks]
        counts = {v: sum(c.verdict == v for c in self.checks) for v in ("ok", "FAILED", "not applicable")}
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        parts = [f"{self.model}, layer {self.layer}, class {self.label}", aligned(lines, left=1, last=2)]
        return "\n\n".join([*parts, *([str(self.randomised)] if self.randomised else []), said])

    def __repr__(self) -> str:
        """Return the text."""
        return self.text()


def aligned(lines: list[list[str]], left: int, last: int = 0) -> str:
    """Return text in columns: the first `left` and the last `last` to the left, the others to the right."""
    columns = len(lines[0])
    widths = [max(len(line[c]) for line in lines) for c in range(columns)]
    ways = [str.ljust if c < left or c >= columns - last else str.rjust for c in range(columns)]
    padded = ([way(text, w) for way, text, w in zip(ways, line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _shown(figure: float | None) -> str:
    return "" if figure is None else "0" if figure == 0 else f"{figure:.1e}"


def _finite(figure: float | None) -> float | None:
    return figure if figure is not None and abs(figure) < float("inf") else None
