"""Why checks fail: of all known mistakes the fewest, and of these the simplest, that explain the most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from npgradcam.layers import BatchNorm2d
from npgradcam.methods.grad_cam import maps_and_gradients
from npgradcam.typing import Array

from .case import Case
from .mistake import Mistake
from .truth import record

Pair = tuple[Case, Array]  # a case, and what somebody answered
PATIENCE = 4  # checks that nothing known explains; then no more are looked into
UNKNOWN = "nothing known explains it"


def causes(wrong: Mapping[str, Sequence[Pair]], known: Sequence[Mistake], look: Callable[[Case, Array], list[Mistake]],
           ) -> dict[str, Mistake]:
    """Return the mistake that explains each check, where one does.

    Parameters
    ----------
    wrong : mapping
        By check its answers that are wrong.
    known : sequence of Mistake
        Tried first.
    look : function of (case, found)
        Finds more that explain an answer.
    """
    tried, puzzles = list(known), 0
    for pairs in wrong.values():
        if puzzles < PATIENCE and not any(explains(m, pairs) for m in tried):
            more = look(*pairs[0])
            tried += more
            puzzles += not more
    covers = {m: [check for check, pairs in wrong.items() if explains(m, pairs)] for m in tried}
    found: dict[str, Mistake] = {}
    while left := {m: rest for m, checks in covers.items() if (rest := [c for c in checks if c not in found])}:
        best = min(left, key=lambda m: (-len(left[m]), m.size))
        found |= dict.fromkeys(left[best], best)
    return found


def explains(mistake: Mistake, pairs: Sequence[Pair]) -> bool:
    """Whether a mistake gives every one of these answers."""
    return all(mistake.explains(case, found) for case, found in pairs)


def in_common(failing: Sequence[Case], passing: Sequence[Case]) -> str:
    """Say what all cases have that fail, and none that passes: a clue, where no mistake explains them."""
    if not passing or not failing:
        return ""
    traits = set.intersection(*map(_traits, failing)).difference(*map(_traits, passing))
    if f"a {BatchNorm2d.__name__}" in traits:
        return "only networks with a BatchNorm2d fail: was it in training mode, and is an eval() missing?"
    return f"only those fail that have {' and '.join(sorted(traits))}" if traits else ""


def _traits(case: Case) -> set[str]:
    found = {f"a {type(n.layer).__name__}" for n in case.network.nodes}
    found |= {"several images"} if len(case.images) > 1 else set()
    _, g = maps_and_gradients(record(case, "grad-cam", "logit"))
    return found | ({"gradients that differ from cell to cell"} if np.ptp(g, axis=(2, 3)).max() > 1e-9 else set())
