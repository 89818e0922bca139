"""What was found, as a record: which map explains the given one, by what it departs from whom, and how near it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np

from npgradcam.convention import WEIGHINGS, Convention, conventions
from npgradcam.typing import Array

from . import words
from .finishings import departures
from .search import Hypothesis
from .sources import Source

EQUAL = 10.0  # errors within this factor of the best are no reason to prefer one explanation to another


@dataclass(frozen=True)
class Asked:
    """What the map is meant to be, and how large the picture is."""

    method: str
    layer: str
    target: tuple[int, ...]
    picture: tuple[int, int]
    returns_probability: bool  # whether the network ends with a Softmax or Sigmoid


@dataclass(frozen=True, eq=False)
class Finding:
    """One explanation of the given map.

    Attributes
    ----------
    error : float
        The largest difference from the given map, relative to its largest magnitude.
    matches : tuple of str
        The named conventions from which it departs least; all give this map with the same departures.
    departures : tuple of str
        Sentences; empty where the map is just what those conventions give.
    method, weighing, score, layer, target, input
        Of what it is a map, and how that was weighed.
    convention : Convention
        Every choice after that.
    hypothesis : Hypothesis
        How the map is made.
    """

    error: float
    matches: tuple[str, ...]
    departures: tuple[str, ...]
    method: str
    weighing: str
    score: str
    layer: str
    target: tuple[int, ...]
    input: str
    convention: Convention
    hypothesis: Hypothesis = field(repr=False)

    @property
    def map(self) -> Array:
        """The map itself, as large as the given one, float64 (R, H, W)."""
        return self.hypothesis.map

    def same_as(self, other: Finding) -> bool:
        """Whether both are the same choices, told as departures from others."""
        names = ("method", "weighing", "score", "layer", "target", "input", "convention")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    @property
    def subject(self) -> str:
        """Of what it is a map."""
        return f"{words.TITLES[self.method]} of {self.layer}, {words.classes(self.target)}"

    def text(self) -> str:
        """Say it in one sentence."""
        if not self.departures:
            return f"{self.subject}: matches {self.who} to {words.rounded(self.error)}"
        return f"{self.subject}, {self.difference} (to {words.rounded(self.error)})"

    @property
    def who(self) -> str:
        """The named conventions that it is compared with."""
        return " and ".join(words.OWNERS.get(name, name) for name in self.matches)

    @property
    def difference(self) -> str:
        """Say in what it departs from whom."""
        return f"as {self.who} but: {'; '.join(self.departures)}"

    @property
    def from_the_paper(self) -> str:
        """Say in what a named convention's map is not the paper's, enlarged or not; the fewest words that do."""
        own = next(iter(WEIGHINGS[self.method]))
        weights = [] if self.weighing == own else [words.weighed(self.weighing, own)]
        papers = [c for name, c in conventions.items() if name.startswith("paper")]
        return "; ".join((*weights, *min((departures(conventions[self.matches[0]], c) for c in papers), key=len)))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; `error` and `mean_error` are null where NaN is in other cells."""
        error, typical = ((e if np.isfinite(e) else None) for e in (self.error, self.hypothesis.typical))
        return {
            "error": error, "mean_error": typical, "matches": list(self.matches),
            "departures": list(self.departures), "method": self.method, "weights": self.weighing, "score": self.score,
            "layer": self.layer, "target": list(self.target), "input": self.input or None,
            "convention": {name: getattr(self.convention, name) for name in (
                "relu", "normalise", "when", "epsilon", "start", "levels", "resize",
            )},
        }


def finding(hypothesis: Hypothesis, asked: Asked) -> list[Finding]:
    """Return a hypothesis in words, once for each set of departures that is smallest."""
    source = hypothesis.candidate.source
    told: dict[tuple[str, ...], list[str]] = {}
    for base, differences in _compared(hypothesis, asked):
        told.setdefault(differences, []).append(base.name)
    fewest = min(map(len, told))
    return [
        Finding(hypothesis.error, tuple(names), departures, source.method, source.weighing, source.score, source.layer,
                source.target, source.input, hypothesis.finishing.convention, hypothesis)
        for departures, names in told.items() if len(departures) == fewest
    ]


def _compared(hypothesis: Hypothesis, asked: Asked) -> Iterator[tuple[Convention, tuple[str, ...]]]:
    """Yield each named convention with every departure from it."""
    source, shared = hypothesis.candidate.source, _shared(hypothesis, asked)
    for base, finished in hypothesis.finishing.bases:
        yield base, (*shared, *_of_base(source, base, asked), *_size(hypothesis, base, asked), *finished)


def _shared(hypothesis: Hypothesis, asked: Asked) -> tuple[str, ...]:
    """Departures whoever it is compared with."""
    source, found = hypothesis.candidate.source, []
    if source.input:
        found.append(source.input)
    if source.method != asked.method:
        found.append(f"{words.TITLES[source.method]}, not {words.TITLES[asked.method]}")
    if source.gradients_of not in ("", source.layer):
        found.append(f"maps of {source.layer}, but gradients at {source.gradients_of}")
    elif source.layer != asked.layer:
        found.append(f"layer {source.layer}, not {asked.layer}")
    if source.target != asked.target:
        found.append(f"{words.classes(source.target)}, not {words.classes(asked.target)}")
    if hypothesis.candidate.sign:
        found.append({"reversed": words.NEGATED, "lost": words.LOST}[hypothesis.candidate.sign])
    if hypothesis.candidate.turn:
        found.append(words.TURNED[hypothesis.candidate.turn])
    if hypothesis.fit is not None:
        found.append(_stretched(hypothesis, *hypothesis.fit))
    return tuple(found)


def _stretched(hypothesis: Hypothesis, a: float, b: float) -> str:
    """Say a factor and what is added by their name, if they have one, else by their numbers."""
    map, near = hypothesis.map, 1e-5
    largest = np.abs(map).max()
    if abs(a + 1) < near and abs(b - 1) < near:
        return words.INVERTED
    if len(map) == 1 and abs(map.mean()) < near * largest and abs(map.std() - 1) < near:
        return words.SCALED["deviation"]
    if abs(b) > 1e-6 * largest:
        return f"multiplied by {a:.4g} and {b:+.4g} added (its largest number is {largest:.4g})"
    named = [words.FACTORS[name] for name, factor in hypothesis.candidate.source.factors.items()
             if np.all(np.abs(a - factor) < near * factor)]
    own = {"length": np.sqrt((map * map).sum()), "sum": map.sum()} if len(map) == 1 else {}
    named += [words.SCALED[name] for name, one in own.items() if abs(one - 1) < near]
    return named[0] if named else f"multiplied by {a:.4g} (its largest number is {largest:.4g})"


def _of_base(source: Source, base: Convention, asked: Asked) -> tuple[str, ...]:
    """How the score and the weights are others than a logit and those of a convention."""
    found = []
    if source.score != "logit":
        own = source.score == "probability" and base.score == "output" and asked.returns_probability
        found.append(words.OWN if own else words.SCORED[source.score])
    usual = {"grad-cam": base.weights, "grad-cam-plus-plus": base.plus_plus, "xgrad-cam": base.xgrad}
    if source.weighing != usual.get(source.method, source.weighing):
        found.append(words.weighed(source.weighing, usual[source.method]))
    return tuple(found)


def _size(hypothesis: Hypothesis, base: Convention, asked: Asked) -> tuple[str, ...]:
    """Whether height and width changed places in the size of the enlargement."""
    if hypothesis.finishing.convention.resize == "none" or hypothesis.candidate.turn == "transposed":
        return ()
    size, expected = hypothesis.size, asked.picture[::-1] if base.swapped else asked.picture
    return (words.SWAPPED,) if size != expected and size == expected[::-1] else ()


def ranked(hypotheses: Iterable[Hypothesis], asked: Asked, tolerance: float, floor: float) -> list[Finding]:
    """Return the best explanations: of those that are as good as the best one, those with the fewest departures.

    As good is what is within the tolerance, and `EQUAL` times its error or rounding (`floor`). Where nothing is
    within the tolerance, the nearest is, of what differs hardly more than the least on the mean over all cells, what
    has the fewest departures, and no factor is fitted.
    """
    every = sorted(hypotheses, key=lambda h: h.error)
    named = [h for h in every if h.fit is None]
    if named[0].error <= min(tolerance, max(floor, tolerance / 10)):  # a factor and a shift fit much
        every = named
    explained = every[0].error <= tolerance
    if explained:
        every = [h for h in every if h.error <= min(tolerance, max(floor, EQUAL * every[0].error))]
    else:
        least = min(h.typical for h in named)
        every = [h for h in named if h.typical <= 1.2 * least]
    found = [f for h in every for f in finding(h, asked)]
    fewest = min(len(f.departures) for f in found)
    found = [f for f in found if len(f.departures) == fewest]
    found = [f for f in found if f.hypothesis.fit is None] or found
    return _together(found if explained else _as_near(found, floor))


def alike(hypotheses: Iterable[Hypothesis], found: Finding, asked: Asked, floor: float) -> tuple[str, ...]:
    """Return what departs in one choice from what matches, and gives the same map on this input nevertheless.

    A missing ReLU, say, where no cell is negative; or the largest gradient where all of a channel are one number.
    What only scales, and where else the ReLU may stand, is no mistake.
    """
    if found.departures:
        return ()
    told: dict[str, None] = {}
    base, scaling = conventions[found.matches[0]], attrgetter("normalise", "when", "epsilon", "start", "levels")
    for h in sorted(hypotheses, key=lambda h: h.finishing.convention.relu == base.relu):  # a missing ReLU comes first
        c, layer = h.finishing.convention, h.candidate.source.layer
        as_near = h.fit is None and h.error <= max(floor, EQUAL * found.error) and layer == asked.layer
        if as_near and c.relu in (base.relu, "none") and scaling(c) == scaling(base):
            one = next(differences for each, differences in _compared(h, asked) if each is base)
            told |= dict.fromkeys(one if len(one) == 1 else ())
    return tuple(told)


def _as_near(found: Sequence[Finding], floor: float) -> list[Finding]:
    """Return the nearest of some, and those that are as near, to rounding: what is told of a map nothing explains."""
    first = min((f.hypothesis for f in found), key=lambda h: (h.typical, h.error))
    return [f for f in found if f.hypothesis.typical <= first.typical + floor
            and first.error - floor <= f.error <= first.error + floor]


def _together(findings: Sequence[Finding]) -> list[Finding]:
    """Put findings that say the same of different conventions into one; the nearest map is kept.

    Conventions keep their order: the paper's before ours, and both before others that give the same numbers.
    """
    found: dict[tuple[object, ...], Finding] = {}
    order = list(conventions)
    for f in findings:
        key = f.departures, f.method, f.layer, f.target, f.input, f.convention if f.departures else None
        first = found.setdefault(key, f)
        names = tuple(sorted({*first.matches, *f.matches}, key=order.index))
        if names != first.matches:
            found[key] = Finding(**{**vars(first), "matches": names})
    return sorted(found.values(), key=lambda f: order.index(f.matches[0]))
