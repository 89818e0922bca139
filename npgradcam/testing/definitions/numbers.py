"""Whole numbers stay whole: int64 where everything is an integer, else float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[Any]


def wide(x: Any) -> Numbers:
    """Return a copy as int64 (whole numbers) or float64."""
    x = np.asarray(x)
    return np.array(x, np.int64 if x.dtype.kind in "iub" else np.float64)


def zeros(shape: Sequence[int], *like: Any) -> Numbers:
    """Return int64 zeros if all of `like` are whole numbers, else float64 zeros."""
    return np.zeros(tuple(shape), np.int64 if all(np.asarray(x).dtype.kind in "iub" for x in like) else np.float64)
