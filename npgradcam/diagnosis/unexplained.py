"""What is told of a map that nothing explains: how far the nearest is, where they differ, and what to try next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npgradcam.typing import Array

from . import words
from .findings import Finding
from .search import apart

NEAR = 0.03  # of the largest magnitude, on the mean: what is further off does not resemble the map
LITTLE, ROUNDED = 0.25, 0.05  # of the cells; of the largest magnitude: what rounding and a JPEG take
ELSEWHERE = (
    "try: another class, layer or method; the weights and the preprocessing that made the map; the map's own numbers, "
    "as large as the layer, not its colours or an overlay; and of code npgradcam.testing.check, which asks it itself"
)


def unexplained(given: Array, nearest: Finding, worst: tuple[int, int, int], tolerance: float, untried: str,
                picture: str) -> list[str]:
    """Say it in a few lines.

    The map (R, H, W), the cell that differs most, what could not be tried, and where a picture is or comes from.
    """
    elsewhere = f"{ELSEWHERE}; {untried}" if untried else ELSEWHERE
    largest, (error, typical) = np.nanmax(np.abs(given)) or 1.0, (nearest.error, nearest.hypothesis.typical)
    map, (row, h, w) = nearest.map, worst
    off = apart(given, map) > tolerance * largest
    near = typical <= NEAR
    who = f"{nearest.subject}, as {nearest.who}" if near else nearest.subject
    said = nearest.difference if near and nearest.departures else ""
    lines = [f"nothing explains the map to {words.rounded(tolerance)}{'' if near else ', or comes near it'}"]
    lines.append(f"the nearest is off by {words.rounded(error)} of the map's largest magnitude, by "
                 f"{words.rounded(typical)} on the mean: {f'{nearest.subject}, {said}' if said else who}")
    lines.append(f"they differ in {off.sum()} of {off.size} cells{_where(off)}, most in cell ({h}, {w})"
                 f"{f' of row {row}' if len(given) > 1 else ''}: {given[row, h, w]:.4g} given, {map[row, h, w]:.4g} "
                 f"there; a picture of both: {picture}")
    if not near:
        return [*lines, elsewhere]
    if error <= ROUNDED:
        return [*lines, "try: the map before it was rounded or compressed (half precision, levels, a JPEG), or where "
                        f"that is all there is a tolerance of {1.1 * error:.2g} (--tolerance)"]
    if off.mean() <= LITTLE:
        return [*lines, "try: look at what was done to these cells alone; the others are explained"]
    return [*lines, elsewhere]


def _where(off: NDArray[np.bool_]) -> str:
    """Say in which rows and columns, if these are not nearly all; cells (R, H, W)."""
    h, w = (np.flatnonzero(off.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if not h.size or np.ptp(h) + np.ptp(w) > 0.8 * sum(off.shape[1:]):
        return ""
    return f" (rows {h[0]} to {h[-1]}, columns {w[0]} to {w[-1]})"
