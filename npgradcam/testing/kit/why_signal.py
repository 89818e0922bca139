"""Mistakes that may explain a signal at the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from npgradcam.convention.guided import Ungated
from npgradcam.diagnosis.training import TRAINING, in_training
from npgradcam.errors import NpGradcamError
from npgradcam.layers import Clip
from npgradcam.methods import backprop
from npgradcam.methods.start import Score
from npgradcam.typing import Array

from .case import Case
from .elsewhere import CLASSES, Target
from .mistake import Mistake
from .truth import RULES, SCORES, TITLES, Choice, apart, signal

FEW = 6  # rectifiers of which every subset is tried
METHOD_OF = {rule: method for method, rule in RULES.items()}
Signal = Callable[[Case, Score], Array]


@dataclass(frozen=True, eq=False, repr=False)
class OpenAbove(Clip):
    """A clip whose gate is open for everything above its lower end: as for a ReLU, which it is not."""

    def slope(self, y: Array) -> Any:
        """Return where y > low."""
        return y > self.low


def of_any_signal(method: str, choice: Callable[[], Choice], tolerance: float) -> list[Mistake]:
    """Return the mistakes of a signal; `choice` is the convention of the map that multiplies it, where one does."""
    rule = RULES.get(method, "guided")
    return [_mistake(method, sentence, other, size, choice, tolerance) for size, sentence, other in _others(rule)]


def of_some_rectifiers(case: Case, method: str, found: Array, choice: Callable[[], Choice],
                       tolerance: float) -> list[Mistake]:
    """Return the mistakes that a rule was left out at some rectifiers, by their names, that explain an answer."""
    rule = RULES.get(method, "guided")
    for left_out in _subsets(case.rectifiers) if rule != "gradient" else ():
        where = ", ".join(map(case.rectifier, left_out))
        other = _without(rule, partial(_named, left_out))
        mistake = _mistake(method, f"the rule was not applied at {where}", other, 3, choice, tolerance)
        if mistake.explains(case, found):
            return [mistake]
    return []


def _named(names: tuple[str, ...], case: Case) -> list[str]:
    return [name for name in case.rectifiers if name in names]


def _mistake(method: str, sentence: str, other: Signal, size: int, choice: Callable[[], Choice],
             tolerance: float) -> Mistake:
    def explains(case: Case, found: Array) -> bool:
        for score in SCORES:
            c = Choice(replace(choice().convention, score=score), "")
            factor = np.ones(()) if method in RULES else c.of(case, "grad-cam")[:, None]  # (N, 1, H, W)
            try:
                if apart(found, other(case, score) * factor) <= tolerance:
                    return True
            except NpGradcamError:  # there is no such class
                return False
        return False

    return Mistake(sentence, explains, size)


def _others(rule: str) -> Iterator[tuple[int, str, Signal]]:
    """Yield signals that somebody may have had in the place of the right one: how simple, a sentence, the signal."""
    title = TITLES[METHOD_OF[rule]]
    if rule != "gradient":
        for kind, of_kind in KINDS.items():
            other, inert = _without(rule, of_kind), f"the rule was not applied at {kind}"
            yield 1, f"equals the plain gradient: {inert}", _if_plain(other)
            yield 2, inert, other
        yield 1, f"{title}: negative numbers were cut off at the image alone", partial(_changed, _positive, "gradient")
    yield 1, TRAINING, partial(_in_training, rule)
    if rule == "guided":
        yield 2, "the gate at ReLU6 is x > 0, also where x >= 6", _open_above
    for other_rule in RULES.values():
        if other_rule != rule:
            yield 2, f"is the signal of {TITLES[METHOD_OF[other_rule]]}", partial(_changed, np.asarray, other_rule)
    changes: dict[str, Callable[[Array], Array]] = {
        "the sign is reversed": np.negative, "magnitudes: the sign was lost": np.abs,
        "the channels of the image are in the reversed order": lambda s: s[:, ::-1],
        "left and right swapped": lambda s: s[..., ::-1],
    }
    for sentence, change in changes.items():
        yield 1, sentence, partial(_changed, change, rule)
    for sentence, of in list(CLASSES.items())[1:]:
        yield 2, sentence, partial(_of_class, of, rule)


def _changed(change: Callable[[Array], Array], rule: str, case: Case, score: Score) -> Array:
    return change(signal(case, rule, score))


def _in_training(rule: str, case: Case, score: Score) -> Array:
    return signal(replace(case, network=in_training(case.network) or case.network), rule, score)


def _positive(s: Array) -> Array:
    return np.maximum(s, 0)


def _of_class(of: Callable[[Case], Target], rule: str, case: Case, score: Score) -> Array:
    return signal(replace(case, target=of(case)), rule, score)


def _of_kind(clips: bool) -> Callable[[Case], list[str]]:
    return lambda case: [name for name in case.rectifiers if isinstance(case.network[name].layer, Clip) == clips]


KINDS: dict[str, Callable[[Case], list[str]]] = {
    "ReLU6": _of_kind(True), "ReLU": _of_kind(False), "any rectifier": lambda case: case.rectifiers,
}


def _without(rule: str, left_out: Callable[[Case], list[str]]) -> Signal:
    """Return the signal where the rule acts at the other rectifiers alone."""

    def without(case: Case, score: Score) -> Array:
        names = left_out(case)
        nodes = tuple(replace(n, layer=Ungated(n.layer)) if n.name in names else n for n in case.network.nodes)
        acts = len(names) < len(case.rectifiers)
        return backprop(replace(case.network, nodes=nodes), case.x, list(case.target), rule if acts else "gradient",
                        score=score).signal

    return without


def _if_plain(other: Signal) -> Signal:
    """Return a signal where it is the plain gradient, else NaN, which nothing equals."""

    def plain(case: Case, score: Score) -> Array:
        found = other(case, score)
        return found if apart(found, signal(case, "gradient", score)) < 1e-9 else found * np.nan

    return plain


def _open_above(case: Case, score: Score) -> Array:
    """Return guided backpropagation with the gate x > 0 at every rectifier."""
    nodes = tuple(replace(n, layer=OpenAbove(n.layer.low, n.layer.high)) if isinstance(n.layer, Clip) else n
                  for n in case.network.nodes)
    return signal(replace(case, network=replace(case.network, nodes=nodes)), "guided", score)


def _subsets(names: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield ever fewer of some rectifiers, beginning with all but one."""
    for count in range(len(names) - 1, 0, -1):
        if len(names) <= FEW or count == 1:
            yield from combinations(names, count)
