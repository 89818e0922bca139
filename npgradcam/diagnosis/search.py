"""Which of all maps is the given one: first up to a shift and a factor, for thousands; then exactly, for few."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from npgradcam.convention.resizing import axis_matrix
from npgradcam.typing import Array

from .finishings import Finishing, Shape, finishings
from .sources import Source

TURNS: dict[str, Callable[[Array], Array]] = {
    "": lambda m: m,
    "transposed": lambda m: m.swapaxes(-2, -1),
    "mirrored": lambda m: m[..., ::-1],
    "upside down": lambda m: m[..., ::-1, :],
    "half turn": lambda m: m[..., ::-1, ::-1],
    "last first": lambda m: m[..., ::-1, :, :],
}
SIGNS: dict[str, Callable[[Array], Array]] = {"": lambda m: m, "reversed": np.negative, "lost": np.abs}
SMALLEST = 1e-150  # the square of a smaller number may be 0
FLAT = 1e-12  # of its largest magnitude: a map that differs less is one number, but for rounding
ALIKE = 2e-2  # residuals below this are looked at exactly: what levels and cubic overshoots bend is less
RESEMBLING = 0.85  # of sources that were not asked for: those whose map explains a quarter of the given one's variance
MOST = 75  # and of the others so many, the best ones
NEARLY, BEST = 2e-3, 12  # with scalings: those so near but for a shift and a factor; or so many, if none explains


class Candidate(NamedTuple):
    """A source, turned and with one of `SIGNS`, whose map may be the given one up to what `Shape` does not bend."""

    residual: float
    source: Source
    turn: str
    sign: str
    shape: Shape

    @property
    def signed(self) -> Array:
        """The signed map (R, I, J) as it goes into a finishing."""
        return TURNS[self.turn](SIGNS[self.sign](self.source.signed))


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A map that has been compared in full.

    Attributes
    ----------
    error : float
        max|given - map| / max|given|.
    typical : float
        mean|given - map| / max|given|: by which the nearest map is chosen where none is the given one.
    size : tuple (H, W)
    fit : tuple (a, b) or None
        Where no scaling that has a name fits: given = a map + b.
    """

    error: float
    typical: float
    candidate: Candidate
    finishing: Finishing
    size: tuple[int, int]
    fit: tuple[float, float] | None = None

    @property
    def map(self) -> Array:
        """The map itself, (R, H, W) in float64, made anew."""
        a, b = self.fit or (1.0, 0.0)
        return a * self.finishing.convention.finish(self.candidate.signed, self.size) + b


def promising(given: Array, sources: Sequence[Source]) -> list[Source]:
    """Drop sources whose map, enlarged bilinearly, hardly resembles the given one; other kernels change it less."""
    found: list[Source] = []
    for layer in dict.fromkeys(s.signed.shape for s in sources):
        some = [s for s in sources if s.signed.shape == layer]
        bent = _bent(np.stack([s.signed for s in some])).values()
        kernel = "none" if given.shape == layer else "bilinear"
        nearest = np.min([residual(given, maps, kernel) for maps in bent], axis=0)
        found += [s for s, r in zip(some, nearest, strict=True) if r < RESEMBLING]
    return found


def screen(given: Array, sources: Sequence[Source], picture: tuple[int, int],
           tolerance: float, turns: Sequence[str] = ("",)) -> list[Candidate]:
    """Return the sources that are worth a full comparison, best first.

    For a kernel with matrices B and C the enlarged map is B S C^T. How much of the given map G no a B S C^T + b
    explains needs <G, B S C^T> = <B^T G C, S> and |B S C^T|^2 = <B^T B S C^T C, S>: sums over the small map alone.
    """
    found: list[Candidate] = []
    for layer in dict.fromkeys(s.signed.shape for s in sources):
        some = [s for s in sources if s.signed.shape == layer]
        signed = np.stack([s.signed for s in some])  # (n, R, I, J)
        for turn in turns:
            maps = TURNS[turn](signed)
            for kernel in _kernels(given.shape[1:], maps.shape[2:], picture):
                for (start, relu, sign), bent in _bent(maps).items():
                    residuals = residual(given, bent, kernel)
                    for source, r in zip(some, residuals, strict=True):
                        found += [Candidate(float(r), source, turn, sign, shape)
                                  for shape in _shapes(start, relu, kernel)]
    order = {id(source): n for n, source in enumerate(sources)}  # of equal ones, what was thought of first
    found.sort(key=lambda c: (round(c.residual, 6), order[id(c.source)]))
    limit = max(ALIKE, residual_of(given, tolerance))
    alike = sum(c.residual < limit for c in found)
    return found[: max(MOST, min(alike, 5 * MOST))]


def _bent(maps: Array) -> dict[tuple[float, str, str], Array]:
    """Return the ways in which a signed map goes into an enlargement: as it is, rectified, begun at 1; of each sign."""
    return {(0.0, "none", ""): maps, (0.0, "none", "reversed"): -maps, (0.0, "before", ""): np.maximum(maps, 0),
            (0.0, "before", "reversed"): np.maximum(-maps, 0), (0.0, "before", "lost"): np.abs(maps),
            (1.0, "before", ""): np.maximum(1 + maps, 0)}


def _shapes(start: float, relu: str, kernel: str) -> Iterator[Shape]:
    """Yield what a finishing may be whose map is, or is nearly, this enlargement."""
    if start:
        yield (start, 255, relu, "lanczos")
        return
    yield (start, 0, relu, kernel)
    if kernel != "none":  # a ReLU after enlarging bends little where few cells are negative
        yield (start, 0, {"none": "after", "before": "both"}[relu], kernel)


def _kernels(given: tuple[int, ...], layer: tuple[int, ...], picture: tuple[int, int]) -> list[str]:
    """Return the kernels that can have brought a map of the layer's size to that of the given map."""
    every = list(dict.fromkeys(shape[3] for shape in finishings()))
    if given == layer:
        return every if layer in (picture, picture[::-1]) else ["none"]
    return [kernel for kernel in every if kernel != "none"]


def residual(given: Array, maps: Array, kernel: str) -> Array:
    """Return the share of the given map (R, H, W) that is no multiple of a map (n, R, I, J), enlarged and shifted.

    Returns
    -------
    ndarray (n,)
        sqrt(1 - r^2), r the correlation, for the worst of the rows; a constant map explains only a constant one.
    """
    (_, H, W), (I, J) = given.shape, maps.shape[2:]
    B, C = (np.eye(I), np.eye(J)) if kernel == "none" else (axis_matrix(kernel, I, H), axis_matrix(kernel, J, W))
    G, S = _centred(given), _centred(maps)
    inner = np.einsum("rij,nrij->nr", B.T @ G @ C, S)  # <G, B S C^T>
    mean = np.einsum("i,nrij,j->nr", B.sum(axis=0), S, C.sum(axis=0)) / (H * W)
    inside = np.tensordot(S @ (C.T @ C), B.T @ B, axes=(2, 0))  # (n, R, J, I): two products of matrices for all maps
    square = np.einsum("nrji,nrij->nr", inside, S) - H * W * mean**2  # |B S C^T - its mean|^2
    total = (G * G).sum(axis=(1, 2))
    scale = np.maximum(square, 0) * total
    cosine = np.divide(np.maximum(inner, 0), np.sqrt(scale), out=np.zeros_like(inner), where=scale > 0)
    flat = (total == 0) & (square <= 1e-20)  # both constant: nothing is left to explain
    return np.asarray(np.sqrt(np.maximum(0, 1 - np.where(flat, 1, cosine) ** 2)).max(axis=1))


def _centred(maps: Array) -> Array:
    """Divide each map (..., H, W) by its magnitude and shift it to the mean 0; a constant one becomes 0."""
    largest = np.abs(maps).max(axis=(-2, -1), keepdims=True)
    unit = np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)
    centred = unit - unit.mean(axis=(-2, -1), keepdims=True)
    return np.where(np.abs(centred).max(axis=(-2, -1), keepdims=True) < FLAT, 0, centred)


def residual_of(given: Array, tolerance: float) -> float:
    """Return the largest residual that a map within the tolerance may have: max|G - M| <= t max|G| bounds |G - M|^2."""
    given = np.nan_to_num(given)
    spread = given.std(axis=(1, 2))
    return float(1.01 * tolerance * np.abs(given).max() / spread[spread > 0].min(initial=np.inf))


def compare(given: Array, candidates: Sequence[Candidate], tolerance: float, best: int = BEST) -> list[Hypothesis]:
    """Finish candidates in every way of their shape, and compare with the given map cell by cell.

    Each is first finished without scaling; only where the given map is nearly that, shifted and stretched, or for the
    `best` first of all, the scalings matter.
    """
    size, ways = (given.shape[1], given.shape[2]), finishings()
    plain: list[tuple[float, int, Candidate, Array]] = []
    for n, candidate in enumerate(candidates):
        if candidate.shape not in ways:
            continue
        if candidate.shape[1]:  # levels come after a scaling: there is nothing without one
            plain.append((candidate.residual, n, candidate, given))
        else:
            raw = replace(ways[candidate.shape][0].convention, normalise="none").finish(candidate.signed, size)
            plain.append((_unexplained(given, raw), n, candidate, raw))
    plain.sort(key=lambda p: (round(p[0], 6), p[1]))
    found: list[Hypothesis] = []
    limit = max(NEARLY, residual_of(given, tolerance))
    levels = max(ALIKE, limit)  # what is rounded bends more, and is seen without it
    for n, (unexplained, _, candidate, map) in enumerate(plain):
        if n >= best and unexplained > (levels if candidate.shape[1] else limit):
            continue
        mine = [Hypothesis(*difference(given, f.convention.finish(candidate.signed, size)), candidate, f, size)
                for f in ways[candidate.shape]]
        found += mine
        if min(h.error for h in mine) > 1e-6 and not candidate.shape[1]:
            found += _fitted(given, candidate, ways[candidate.shape], map)
    return found


def _unexplained(given: Array, map: Array) -> float:
    """sqrt(1 - r^2), r the correlation over all cells of the worst row; NaN counts as 0."""
    G, M = (_centred(np.nan_to_num(x)) for x in (given, map))
    square = (M * M).sum(axis=(1, 2)) * (G * G).sum(axis=(1, 2))
    r = np.divide((G * M).sum(axis=(1, 2)), np.sqrt(square), out=np.zeros(len(G)), where=square > 0)
    flat = ~G.any(axis=(1, 2)) & ~M.any(axis=(1, 2))
    return float(np.sqrt(np.maximum(0, 1 - np.where(flat, 1, np.maximum(r, 0)) ** 2)).max())


def _fitted(given: Array, candidate: Candidate, ways: Sequence[Finishing], map: Array) -> Iterator[Hypothesis]:
    """Yield the map with the factor and the shift that bring it nearest to the given one: the same for all rows."""
    raw = next((f for f in ways if f.convention.normalise == "none"), None)
    if raw is not None and np.ptp(map) > max(SMALLEST, FLAT * np.abs(map).max()) and np.isfinite(given).all():
        a, b = np.polyfit(map.ravel(), given.ravel(), 1)
        if a > 0:
            size, fit = (given.shape[1], given.shape[2]), (float(a), float(b))
            yield Hypothesis(*difference(given, a * map + b), candidate, raw, size, fit)


def apart(given: Array, map: Array) -> Array:
    """Return |given - map| of each cell (R, H, W): infinite where only one of them is NaN, 0 where both are."""
    cells = np.abs(given - map)
    cells[np.isnan(given) & np.isnan(map)] = 0
    return np.nan_to_num(cells, copy=False, nan=np.inf)


def difference(given: Array, map: Array) -> tuple[float, float]:
    """Return max|given - map| and mean|given - map|, both over max|given|; infinite where NaN is in other cells."""
    cells = apart(given, map) / (np.nanmax(np.abs(given), initial=0.0) or 1.0)
    return float(cells.max()), float(cells.mean())
