"""The arithmetic of one cell of a map: which channels put it there, and the steps that lead from A^k to the map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import ShapeError
from npgradcam.typing import Array

if TYPE_CHECKING:
    from .records import ClassActivationMap

SHOWN = 10  # of each sign


@dataclass(frozen=True)
class Term:
    """One channel's part of a cell: `contribution` = `weight` x `activation`."""

    channel: int
    weight: float
    activation: float
    contribution: float

    def __str__(self) -> str:
        """Return the product with its numbers."""
        return f"k = {self.channel:<5d}{self.weight:+.6g} x {self.activation:.6g} = {self.contribution:+.6g}"


@dataclass(frozen=True)
class Why:
    """One cell of a map as a sum over channels; prints itself.

    Attributes
    ----------
    cell : (i, j)
        Row and column.
    label : str
        The class.
    positive, negative : tuple of Term
        The largest contributions of either sign, the largest first.
    rest : float
        The sum of all other channels' contributions.
    others : int
        How many these are.
    total : float
        `signed_cam` at this cell, as the sum over k of float64 products in the order of k.
    """

    cell: tuple[int, int]
    label: str
    positive: tuple[Term, ...]
    negative: tuple[Term, ...]
    rest: float
    others: int
    total: float

    def __str__(self) -> str:
        """Return the sum as lines, one a channel."""
        i, j = self.cell
        lines = [f"L[{i}, {j}] for {self.label}: the sum over k of weight_k A^k[{i}, {j}]"]
        lines += [f"  {term}" for term in (*self.positive, *self.negative)]
        lines += [f"  {self.others} other channels: {self.rest:+.6g}"] if self.others else []
        return "\n".join([*lines, f"  total {self.total:+.6g}, after the ReLU {max(self.total, 0.0):.6g}"])

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class Step:
    """One line of the derivation: what it is, its equation, the numbers, and where it is written.

    Attributes
    ----------
    name, equation, source : str
    values : ndarray
    """

    name: str
    equation: str
    values: NDArray[Any]
    source: str = ""

    def __str__(self) -> str:
        """Return the name and equation, the shape and range, and the source."""
        x = self.values
        shape = " x ".join(map(str, x.shape)) or "one number"
        bounds = f", {np.min(x):.6g} to {np.max(x):.6g}" if x.size else ""
        return f"{self.name}: {self.equation}  [{shape}{bounds}]" + (f"  {self.source}" if self.source else "")

    __repr__ = __str__


class Steps(tuple[Step, ...]):
    """The steps in their order; prints one a line."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return one line a step."""
        return "\n".join(f"{n}. {step}" for n, step in enumerate(self, start=1))

    __repr__ = __str__


def contributions(weights: Array, activations: Array) -> NDArray[np.float64]:
    """Return w_k A^k_ij in float64: (K,), (K, I, J) -> (K, I, J)."""
    return np.multiply(weights[:, None, None], activations, dtype=np.float64)


def in_order(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over axis 0, added one after the other as on paper, so that anybody gets the same last digit."""
    total = np.zeros(terms.shape[1:])
    for term in terms:
        total = total + term
    return total


def why(e: ClassActivationMap, i: int, j: int, row: int, top: int) -> Why:
    """Return the arithmetic of cell (i, j) of a row's map.

    Raises
    ------
    ShapeError
        If the map has no such cell.
    """
    e.check_row(row)
    return why_of(_weights(e, row), e.activations[e.image[row]], e.label(row), i, j, top)


def why_of(weights: Array, A: Array, label: str, i: int, j: int, top: int = SHOWN) -> Why:
    """Return the arithmetic of cell (i, j) for weights (K,) or (K, I, J) and maps (K, I, J)."""
    I, J = A.shape[1:]
    if not all(isinstance(n, (int, np.integer)) and 0 <= n < size for n, size in ((i, I), (j, J))):
        raise ShapeError(f"why: expected a cell from (0, 0) to ({I - 1}, {J - 1}), got ({i}, {j})")
    if not isinstance(top, (int, np.integer)) or top < 0:
        raise ShapeError(f"why: expected as top a number of channels of either sign, got {top}")
    w = weights if weights.ndim == 1 else weights[:, i, j]
    parts = np.multiply(w, A[:, i, j], dtype=np.float64)
    order = np.argsort(-parts, kind="stable")
    most = [int(k) for k in order[:top] if parts[k] > 0]
    least = [int(k) for k in order[::-1][:top] if parts[k] < 0]
    others = np.setdiff1d(np.arange(len(parts)), [*most, *least])
    first, last = ([Term(k, float(w[k]), float(A[k, i, j]), float(parts[k])) for k in some] for some in (most, least))
    return Why((i, j), label, tuple(first), tuple(last), float(in_order(parts[others])), len(others),
               float(in_order(parts)))


def steps(e: ClassActivationMap) -> Steps:
    """Return the steps from the layer's maps to the class's map."""
    found = [Step(f"activations of {e.layer}", "A^k_ij", e.activations)]
    if e.gradients is not None:
        found.append(Step("gradients", "dy^c/dA^k_ij", e.gradients))
    name, equation, source = _OF.get(e.method, ("weights", "w^c_k", ""))
    weights = e.alpha if e.alpha is not None else e.cell_weights
    if weights is not None:
        found.append(Step(name, equation, weights, source))
    found.append(Step("weighted sum", "S_ij = sum_k weight_k A^k_ij", e.signed_cam))
    return Steps([*found, Step("ReLU", "L_ij = max(S_ij, 0)", e.cam)])


_OF = {
    "grad-cam": ("alpha", "alpha^c_k = 1/Z sum_ij dy^c/dA^k_ij", "Selvaraju et al. 2017, equation (1)"),
    "cam": ("class weights", "w^c_k, the head's own", "Zhou et al. 2016, equation (2)"),
}


def _weights(e: ClassActivationMap, row: int) -> Array:
    weights = e.alpha if e.alpha is not None else e.cell_weights
    if weights is None:
        raise ShapeError(f"why: expected a map with weights, got {e.method} without any; take one of grad_cam")
    return np.asarray(weights[row])
