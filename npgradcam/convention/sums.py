"""Sums over channels and cells that weights are made of."""

from __future__ import annotations

import numpy as np

from npgradcam.typing import Array


def weighted(w: Array, A: Array) -> Array:
    """sum_k w_k A^k: (R, K), (R, K, I, J) -> (R, I, J)."""
    return np.asarray(np.einsum("rk,rkij->rij", w, A))


def over_cells(x: Array) -> Array:
    """Sum over the cells of each channel: (R, K, I, J) -> (R, K, 1, 1)."""
    return np.asarray(x.sum(axis=(2, 3), keepdims=True))


def quotient(a: Array, b: Array) -> Array:
    """A / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)
