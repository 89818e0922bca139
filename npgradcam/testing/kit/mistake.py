"""A mistake as something that can be tried on every check: what it says, how simple it is, and what it explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from npgradcam.typing import Array

from .case import Case


@dataclass(frozen=True)
class Mistake:
    """What somebody may have done differently.

    Attributes
    ----------
    sentence : str
        The same for every check that it explains.
    explains : function of (case, found)
        Whether it gives this answer.
    size : int
        How much is different: of mistakes that explain as many checks the smallest is told.
    """

    sentence: str
    explains: Callable[[Case, Array], bool]
    size: int = 1
