"""The answer: what explains a map, else how far the nearest explanation is and where it differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.colours import BLUE_WHITE_RED, TURBO, colourise
from npgradcam.figure import Cell, grid
from npgradcam.typing import Array

from . import words
from .findings import Finding

SHOWN = 4  # other explanations in a text


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """What was found about a map.

    Attributes
    ----------
    given : ndarray float64 (R, H, W)
        The map, as it was given.
    findings : tuple of Finding
        The best explanations, with the fewest departures first; all of these are equally good on this input. Where
        nothing explains the map, the nearest.
    tolerance : float
        The largest error, relative to the map's largest magnitude, that counts as an explanation.
    notes : tuple of str
        What else there is to know.
    flat : str
        Where nothing explains a map that is the same in every cell (NaN, 0, another number): what typically makes one.
    """

    given: Array
    findings: tuple[Finding, ...]
    tolerance: float
    notes: tuple[str, ...] = ()
    flat: str = ""

    @property
    def explained(self) -> bool:
        """Whether the best finding is within the tolerance, and not by chance."""
        return self.findings[0].error <= self.tolerance and not self.flat

    @property
    def matches(self) -> tuple[str, ...]:
        """The named conventions that give just this map; none where a departure is needed, or nothing explains it."""
        exact = [f for f in self.findings if self.explained and not f.departures]
        return tuple(dict.fromkeys(name for f in exact for name in f.matches))

    @property
    def departures(self) -> tuple[tuple[str, ...], ...]:
        """The departures of each finding."""
        return tuple(f.departures for f in self.findings)

    @property
    def worst(self) -> tuple[int, int, int]:
        """(row, h, w): where the given map and the nearest one differ most."""
        difference = np.nan_to_num(np.abs(self.given - self.findings[0].map), nan=np.inf)
        row, h, w = np.unravel_index(int(difference.argmax()), difference.shape)
        return int(row), int(h), int(w)

    def __repr__(self) -> str:
        """Return the text."""
        return self.text()

    def text(self) -> str:
        """Say it to a person."""
        if self.flat:
            return self.flat
        best, lines = self.findings[0], []
        if self.explained:
            lines.append(best.text())
        else:
            row, h, w = self.worst
            lines.append(
                f"nothing explains the map to {words.rounded(self.tolerance)}; the nearest is off by "
                f"{words.rounded(best.error)} of its largest magnitude, most in cell ({h}, {w})"
                f"{f' of row {row}' if len(self.given) > 1 else ''}: {self.given[row, h, w]:.4g} there, "
                f"{best.map[row, h, w]:.4g} here"
            )
            lines.append(f"nearest: {best.text()}")
        lines += [f"in other words: {f.difference}" for f in self.findings[1:] if f.same_as(best)][:SHOWN]
        others = [f for f in self.findings[1:] if not f.same_as(best)]
        if others:
            lines.append("on this input it cannot be told from:")
            lines += [f"  {f.text()}" for f in others[:SHOWN]]
        if len(others) > SHOWN:
            lines.append(f"  and {len(others) - SHOWN} more")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "schema": "npgradcam/diagnosis/1",
            "explained": self.explained,
            "tolerance": self.tolerance,
            "matches": list(self.matches),
            "flat": self.flat or None,
            "shape": list(self.given.shape),
            "worst": dict(zip(("row", "h", "w"), self.worst, strict=True)),
            "findings": [
                {
                    "error": f.error if np.isfinite(f.error) else None, "matches": list(f.matches),
                    "departures": list(f.departures), "method": f.method, "weights": f.weighing, "score": f.score,
                    "layer": f.layer, "target": list(f.target), "input": f.input or None,
                    "convention": {name: getattr(f.convention, name) for name in (
                        "relu", "normalise", "when", "epsilon", "start", "levels", "resize",
                    )},
                }
                for f in self.findings
            ],
            "notes": list(self.notes),
        }

    def picture(self) -> NDArray[np.uint8]:
        """Draw the given map, the nearest one and their difference, a row for each; uint8 (H, W, 3)."""
        best = self.findings[0]
        cells = [[_cell(g), _cell(m), _cell(g - m, signed=True)] for g, m in zip(self.given, best.map, strict=True)]
        rows = [f"class {c}" for c in best.target]
        title = best.text() if self.explained else self.flat or f"not explained; nearest: {best.text()}"
        return grid(cells, rows, ["given", "nearest", "given - nearest"], title=title)


def _cell(map: Array, signed: bool = False) -> Cell:
    """Return one map with the scale of its colours: turbo where nothing is negative."""
    map = np.nan_to_num(map, posinf=0, neginf=0)
    scale = float(np.abs(map).max())
    table = BLUE_WHITE_RED if signed or map.min() < 0 else TURBO
    return Cell(colourise(map / (scale or 1), table), table, scale)
