"""A finding about one case, said of every case: which layer, class and gradients it means elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from npgradcam.diagnosis import Finding, words
from npgradcam.diagnosis.inputs import ARRANGED
from npgradcam.diagnosis.search import SIGNS, TURNS
from npgradcam.diagnosis.sources import Source, sources
from npgradcam.diagnosis.training import TRAINING, in_training
from npgradcam.errors import NpGradcamError
from npgradcam.kernels.session import session
from npgradcam.methods import default_layer
from npgradcam.typing import Array

from .case import Case
from .truth import apart

Target = tuple[int, ...]
ROUNDING = 1e-6  # of the logit's map: what float32 loses of a probability's gradient, a difference of numbers near 1


def _top(case: Case) -> Target:
    logits = case.network.forward(case.x, output=case.network.score(case.network.outputs[0])).logits
    return tuple(int(c) for c in logits.argmax(axis=1))


def _reader(case: Case) -> str:
    return next((n.name for n in case.network.nodes if case.layer in n.inputs), "")


LAYERS: dict[str, Callable[[Case], str]] = {  # in words, and by its name in a case; "" where there is none
    "the layer": lambda case: case.layer,
    "the layer's input": lambda case: case.network[case.layer].inputs[0],
    "what reads the layer": _reader,
    "the last layer with maps": lambda case: default_layer(case.network, case.images.shape),
    "the first layer": lambda case: case.network.nodes[0].name,
}
CLASSES: dict[str, Callable[[Case], Target]] = {
    "": lambda case: case.target,
    "of the top class, whatever class is asked for": _top,
    "of the class before: classes are counted from 0": lambda case: tuple(
        (c - 1) % case.classes for c in case.target),
    "of the class after: classes are counted from 0": lambda case: tuple((c + 1) % case.classes for c in case.target),
    "of the first image's class, for every image": lambda case: (case.target[0],) * len(case.target),
    "of the classes in reversed order": lambda case: case.target[::-1],
}


@dataclass(frozen=True)
class Elsewhere:
    """A finding with its layer, its gradients' layer and its class as rules.

    Attributes
    ----------
    finding : Finding
    layer, gradients_of : str
        Keys of `LAYERS`, or names.
    target : str or tuple
        A key of `CLASSES`, or the classes themselves.
    fit : tuple (a, b) or None
        The finding's factor and shift, if they count.
    """

    finding: Finding
    layer: str
    gradients_of: str
    target: str | Target
    fit: tuple[float, float] | None

    def explains(self, case: Case, found: Array, tolerance: float) -> bool:
        """Whether the finding gives this answer to this case."""
        try:
            with session("numpy"):
                return any(apart(found, m) <= tolerance or np.abs(found - m).max() <= slack
                           for m, slack in self._answers(case) if m.shape == found.shape)
        except (NpGradcamError, IndexError):  # there is no such layer or class here
            return False

    def _answers(self, case: Case) -> Iterator[tuple[Array, float]]:
        """Yield the map, of the logit and of what the network returns, each with what rounding may take from it."""
        candidate, convention = self.finding.hypothesis.candidate, self.finding.convention
        size = case.size[::-1] if words.SWAPPED in self.finding.departures else case.size
        for output in dict.fromkeys((case.network.score(case.network.outputs[0]), case.network.outputs[0])):
            some = self._sources(case, output)
            if not some:
                return
            plain, source = some[0], some[-1]
            signed = TURNS[candidate.turn](SIGNS[candidate.sign](source.signed))
            exact = source.score == "logit" or convention.normalise != "none"
            slack = 0.0 if exact else ROUNDING * float(np.abs(plain.signed).max())
            yield self._stretched(convention.finish(signed, size), source), slack

    def _sources(self, case: Case, output: str) -> list[Source]:
        """Return the map of the logit, and of the finding's own score where that is another."""
        f, network = self.finding, case.network
        layer, other = (LAYERS[r](case) if r in LAYERS else r for r in (self.layer, self.gradients_of))
        target = CLASSES[self.target](case) if isinstance(self.target, str) else self.target * len(case.target)
        shapes = network.shapes(case.images.shape)
        if not layer or not other or shapes[layer] != shapes[other] or not all(0 <= c < case.classes for c in target):
            return []
        x = np.ascontiguousarray(ARRANGED[f.input](case.x)) if f.input in ARRANGED else case.x
        if f.input == TRAINING:
            network = in_training(network) or network
        tape = network.forward(x, tuple(dict.fromkeys((layer, other))), output)
        mixed, plain = ([(layer, other)], []) if other != layer else ([], [layer])
        own = words.OWN in f.departures  # what the network returns, which `output` is
        scores = ("logit",) if own or f.score == "logit" else ("logit", f.score)
        return [s for score in scores for s in sources(  # one backward each: in training a batch is one whole
            network, tape, target, np.arange(len(target)), plain, (score,), ((f.method, f.weighing),), mixed=mixed)]

    def _stretched(self, map: Array, source: Source) -> Array:
        """Return the map with the finding's factor: by its name where it has one."""
        if self.fit is None:
            return map
        named = [n for n, words_ in words.FACTORS.items() if words_ in self.finding.departures]
        return map * source.factors.get(named[0], 1.0) if named else self.fit[0] * map + self.fit[1]


def elsewhere(finding: Finding, case: Case) -> Iterator[tuple[Elsewhere, tuple[str, ...]]]:
    """Yield what a finding about a case may mean elsewhere, each with its departures in words for all cases."""
    other = finding.hypothesis.candidate.source.gradients_of or finding.layer
    layers = [rule for rule, name in LAYERS.items() if name(case) == finding.layer] or [finding.layer]
    gradients = [rule for rule, name in LAYERS.items() if name(case) == other] or [other]
    same_class: list[str | Target] = [rule for rule, of in CLASSES.items() if of(case) == finding.target]
    same_class += [(finding.target[0],)] if len(set(finding.target)) == 1 and "" not in same_class else []
    fits = list(dict.fromkeys([None, finding.hypothesis.fit]))  # in one case a factor may be chance
    for layer, g, target, fit in product(layers, gradients, same_class, fits):
        if (layer == g) == (finding.layer == other):
            yield Elsewhere(finding, layer, g, target, fit), _departures(finding, layer, g, target, fit is None)


def _departures(finding: Finding, layer: str, gradients_of: str, target: str | Target, plain: bool) -> tuple[str, ...]:
    """Return a finding's departures with the rules in the place of names and numbers; if `plain` without a factor."""
    left_out: tuple[str, ...] = ("layer ", "maps of ", "class ", "classes ")
    left_out += ("multiplied by", *words.FACTORS.values()) if plain else ()
    kept = [d for d in finding.departures if not d.startswith(left_out)]
    said = []
    if layer != gradients_of:
        said.append(f"maps of {layer}, but gradients at {gradients_of}")
    elif layer != "the layer":
        said.append(f"of {layer}, not of the layer that was asked for")
    if target:
        said.append(target if isinstance(target, str) else f"of class {target[0]}, whatever class is asked for")
    return (*said, *kept)
