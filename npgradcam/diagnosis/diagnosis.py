"""The answer: what explains a map, else how far the nearest explanation is and where it differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from npgradcam.colours import BLUE_WHITE_RED, TURBO, colourise
from npgradcam.figure import Cell, grid
from npgradcam.typing import Array

from .findings import Finding
from .search import apart
from .unexplained import unexplained

SHOWN = 4  # other explanations in a text
Verdict = Literal["paper", "convention", "departure", "unexplained"]


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """What was found about a map.

    Attributes
    ----------
    given : ndarray float64 (R, H, W)
        The map, as it was given.
    nearest : tuple of Finding
        What comes nearest to the map, with the fewest departures; all of these are equally near on this input.
    tolerance : float
        The largest error, relative to the map's largest magnitude, that counts as an explanation.
    notes : tuple of str
        What else there is to know.
    flat : str
        Where nothing explains a map that is the same in every cell (NaN, 0, another number): what typically makes one.
    untried : str
        What could not be tried of this network and these pictures, and what it takes to try it.
    alike : tuple of str
        Where a named convention matches: departures that give the same map on this input, which does not show them.
    """

    given: Array
    nearest: tuple[Finding, ...]
    tolerance: float
    notes: tuple[str, ...] = ()
    flat: str = ""
    untried: str = ""
    alike: tuple[str, ...] = ()

    @property
    def explained(self) -> bool:
        """Whether the best finding is within the tolerance, and not by chance."""
        return self.nearest[0].error <= self.tolerance and not self.flat

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The explanations: what is nearest where it is within the tolerance, else none."""
        return self.nearest if self.explained else ()

    @property
    def verdict(self) -> Verdict:
        """What explains the map.

        "paper": it is the paper's map, enlarged or L^c itself; "convention": another named convention's; "departure":
        something was done differently, which the findings say; "unexplained".
        """
        if not self.explained:
            return "unexplained"
        if not self.matches:
            return "departure"
        return "paper" if self.matches[0].startswith("paper") else "convention"

    @property
    def matches(self) -> tuple[str, ...]:
        """The named conventions that give just this map; none where a departure is needed, or nothing explains it."""
        return tuple(dict.fromkeys(name for f in self.findings if not f.departures for name in f.matches))

    @property
    def departures(self) -> tuple[tuple[str, ...], ...]:
        """The departures of each finding."""
        return tuple(f.departures for f in self.findings)

    @property
    def worst(self) -> tuple[int, int, int]:
        """(row, h, w): where the given map and the nearest one differ most."""
        cells = apart(self.given, self.nearest[0].map)
        row, h, w = np.unravel_index(int(cells.argmax()), cells.shape)
        return int(row), int(h), int(w)

    def __repr__(self) -> str:
        """Return the text."""
        return self.text()

    def text(self, picture: str = "--picture FILE, or picture()") -> str:
        """Say it to a person, and of what nothing explains where a picture is or comes from."""
        if self.flat:
            return self.flat
        lines = self._explanations() if self.explained else unexplained(
            self.given, self.nearest[0], self.worst, self.tolerance, self.untried, picture)
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def _explanations(self) -> list[str]:
        """Say the best explanation, whether it is the paper's map, and what cannot be told from it."""
        best = self.findings[0]
        lines = [best.text()]
        lines += [f"in other words: {f.difference}" for f in self.findings[1:] if f.same_as(best)][:SHOWN]
        lines.append({"paper": "it is the paper's map", "departure": "it is not the map that was asked for",
                      "convention": f"not the paper's map: {best.from_the_paper}"}[self.verdict])
        others = [f.text() for f in self.findings[1:] if not f.same_as(best)]
        lines += _listed("on this input it cannot be told from:", others, SHOWN)
        return lines + _listed("on this input the map is the same with:", self.alike, 2 * SHOWN)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "schema": "npgradcam/diagnosis/2",
            "explained": self.explained,
            "verdict": self.verdict,
            "tolerance": self.tolerance,
            "matches": list(self.matches),
            "flat": self.flat or None,
            "shape": list(self.given.shape),
            "worst": dict(zip(("row", "h", "w"), self.worst, strict=True)),
            "findings": [f.as_dict() for f in self.findings],
            "alike": list(self.alike),
            "nearest": None if self.explained or self.flat else self.nearest[0].as_dict(),
            "notes": list(self.notes),
        }

    def picture(self) -> NDArray[np.uint8]:
        """Draw the given map, the nearest one and their difference, a row for each; uint8 (H, W, 3)."""
        best = self.nearest[0]
        cells = [[_cell(g), _cell(m), _cell(g - m, signed=True)] for g, m in zip(self.given, best.map, strict=True)]
        rows = [f"class {c}" for c in best.target]
        title = best.text() if self.explained else self.flat or f"not explained; nearest: {best.subject}, as {best.who}"
        return grid(cells, rows, ["given", "nearest", "given - nearest"], title=title)


def _listed(head: str, texts: Sequence[str], most: int) -> list[str]:
    """Return lines below a head; none where there is nothing to list."""
    more = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return [head, *(f"  {text}" for text in [*texts[:most], *more])] if texts else []


def _cell(map: Array, signed: bool = False) -> Cell:
    """Return one map with the scale of its colours: turbo where nothing is negative."""
    map = np.nan_to_num(map, posinf=0, neginf=0)
    scale = float(np.abs(map).max())
    table = BLUE_WHITE_RED if signed or map.min() < 0 else TURBO
    return Cell(colourise(map / (scale or 1), table), table, scale)
