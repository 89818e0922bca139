"""Names of the arrays and small tuples that pass between the rooms; no code.

Axes: N images, R rows of a result (one for each image and class), C channels in, O channels out, K feature maps,
H x W an input's cells, I x J an output's cells, U x V a kernel's cells.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]
Quad: TypeAlias = tuple[int, int, int, int]
