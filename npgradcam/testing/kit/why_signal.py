"""One sentence on what somebody did differently to a signal at the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from npgradcam.convention.guided import Ungated
from npgradcam.layers import Clip
from npgradcam.methods import backprop
from npgradcam.methods.start import Score
from npgradcam.typing import Array

from .case import Case
from .truth import RULES, SCORES, TITLES, Choice, apart, signal
from .why_map import scaled

FEW = 6  # rectifiers of which every subset is tried
METHOD_OF = {rule: method for method, rule in RULES.items()}


@dataclass(frozen=True, eq=False, repr=False)
class OpenAbove(Clip):
    """A clip whose gate is open for everything above its lower end: as for a ReLU, which it is not."""

    def slope(self, y: Array) -> Any:
        """Return where y > low."""
        return y > self.low


def of_signal(case: Case, method: str, found: Array, nearest: Choice, tolerance: float) -> str:
    """Say what explains a signal, or that nothing does."""
    for score in SCORES:
        c = Choice(replace(nearest.convention, score=score), "")
        factor = np.ones(()) if method in RULES else c.of(case, "grad-cam")[:, None]  # (N, 1, H, W)
        for sentence, other in _other_signals(case, RULES.get(method, "guided"), score):
            if apart(found, other * factor) <= tolerance:
                return sentence
    return scaled(found, [nearest.of(case, method)], tolerance)


def _other_signals(case: Case, rule: str, score: Score) -> Iterator[tuple[str, Array]]:
    """Yield signals that somebody may have had in the place of the right one, each with its sentence."""
    title, plain, gates = TITLES[METHOD_OF[rule]], signal(case, "gradient", score), case.rectifiers
    if rule != "gradient":
        for left_out in _subsets(case, gates):
            other = _without(case, rule, left_out, score)
            equals = "equals the plain gradient: " if apart(other, plain) < 1e-9 else ""
            yield f"{equals}the rule was not applied at {', '.join(map(case.rectifier, left_out))}", other
        if rule == "guided" and any(isinstance(case.network[name].layer, Clip) for name in gates):
            yield "the gate at Clip(0, 6) is x > 0, also where x >= 6", _open_above(case, score)
        yield f"{title}: negative numbers were cut off at the image alone", np.maximum(plain, 0)
    for other_rule in RULES.values():
        if other_rule != rule:
            yield f"is the signal of {TITLES[METHOD_OF[other_rule]]}", signal(case, other_rule, score)
    right = signal(case, rule, score)
    yield "the sign is reversed", -right
    yield "magnitudes: the sign was lost", np.abs(right)
    yield "the channels of the image are in the reversed order", right[:, ::-1]
    yield "left and right swapped", right[..., ::-1]
    for c in range(case.network.shapes(case.images.shape)[case.network.outputs[0]][1]):
        other_class = replace(case, target=(c,) * len(case.images))
        yield f"of class {c}, not {', '.join(map(str, case.target))}", signal(other_class, rule, score)


def _subsets(case: Case, names: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield all rectifiers of a kind, then all, then ever fewer."""
    for clips in (True, False):
        kind = tuple(name for name in names if isinstance(case.network[name].layer, Clip) == clips)
        yield from [kind] if kind else []
    for count in range(len(names), 0, -1):
        if count == len(names) or len(names) <= FEW or count == 1:
            yield from combinations(names, count)


def _without(case: Case, rule: str, left_out: tuple[str, ...], score: Score) -> Array:
    """Return the signal where the rule acts at the other rectifiers alone."""
    nodes = tuple(replace(n, layer=Ungated(n.layer)) if n.name in left_out else n for n in case.network.nodes)
    network = replace(case.network, nodes=nodes)
    rule = rule if len(left_out) < len(case.rectifiers) else "gradient"
    return backprop(network, case.x, list(case.target), rule, score=score).signal


def _open_above(case: Case, score: Score) -> Array:
    """Return guided backpropagation with the gate x > 0 at every rectifier."""
    nodes = tuple(replace(n, layer=OpenAbove(n.layer.low, n.layer.high)) if isinstance(n.layer, Clip) else n
                  for n in case.network.nodes)
    return signal(replace(case, network=replace(case.network, nodes=nodes)), "guided", score)
