"""The stages of the search: as asked; other layers, classes, inputs; two departures at once, or one that is turned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from npgradcam.convention import WEIGHINGS
from npgradcam.models import Model, network_of
from npgradcam.network import Network, Tape
from npgradcam.typing import Array, IntArray

from .findings import Asked
from .flat import why
from .inputs import other_inputs
from .search import BEST, TURNS, Hypothesis, compare, difference, promising, screen
from .sources import THE_PAPERS, Source, sources, value
from .training import TRAINING, in_training
from .words import TITLES, classes

FEW = 32  # classes all of which are tried; of more, the neighbours and the best
SHOWN = 4  # classes
USUAL = ("logit", "probability")


class Search:
    """The stages of the search, each for what the ones before it left unexplained."""

    def __init__(self, net: Network | Model, images: Array, tape: Tape, image: IntArray, asked: Asked,
                 layers: Sequence[str], tolerance: float) -> None:
        self.net, self.images, self.tape, self.image = net, images, tape, image
        self.asked, self.layers, self.tolerance = asked, layers, tolerance
        self.found: list[Hypothesis] = []

    def run(self, given: Array) -> list[Hypothesis]:
        """Return what was compared in full."""
        as_asked = self._as_asked()
        self._compare(given, as_asked, self._sources(self.asked.target, [self.asked.layer]))
        if not np.ptp(np.nan_to_num(given), axis=(1, 2)).any():  # too many would be as constant
            return self.found
        kept: list[list[list[Source]]] = []  # of each stage what may be turned: a map of each layer, and of each class
        for stage in (self._other_layers, self._other_classes):
            kept.append([])
            for some in stage():
                self._compare(given, promising(np.nan_to_num(given), some))
                kept[-1].append([s for s in some if (s.method, s.score) == (self.asked.method, "logit")])
        for some in () if self.explained else self._inputs():
            self._compare(given, promising(np.nan_to_num(given), some))
        for turned in kept:
            for some in () if self.explained else turned:
                self._compare(given, [], some)
        for some in () if self.explained else self._both():
            self._compare(given, promising(np.nan_to_num(given), some))
        if not self.explained:
            self.found += self._inverted(given, as_asked)
        return self.found

    def _inverted(self, given: Array, as_asked: list[Source]) -> list[Hypothesis]:
        """Return what explains one minus the map, as was asked."""
        found = compare(1 - given, screen(np.nan_to_num(1 - given), as_asked, self.asked.picture, self.tolerance),
                        self.tolerance, 0)
        turned = (replace(h, fit=(-a, 1 - b)) for h in found for a, b in [h.fit or (1.0, 0.0)])
        measured = (replace(h, error=error, typical=typical) for h in turned
                    for error, typical in [difference(given, h.map)])
        return [h for h in measured if h.error <= self.tolerance]

    @property
    def explained(self) -> bool:
        """Whether something is within the tolerance."""
        return any(h.error <= self.tolerance for h in self.found)

    def _compare(self, given: Array, plain: list[Source], turned: Sequence[Source] = ()) -> None:
        """Compare what is worth it of some sources, and of some that may be turned."""
        seen, picture = np.nan_to_num(given), self.asked.picture
        candidates = screen(seen, plain, picture, self.tolerance)
        turns = [turn for turn in TURNS if turn and (len(given) > 1 or turn != "last first")]
        candidates += screen(seen, turned, picture, self.tolerance, turns)
        self.found += compare(given, candidates, self.tolerance, 0 if self.explained else BEST)

    def _as_asked(self) -> list[Source]:
        """The layer and the class that were asked for: every score and weight; and A^k and dy/dA^k of two layers."""
        asked = network_of(self.net), self.tape, self.asked.target, self.image
        layer = self.asked.layer
        mixed = [pair for other in self._beside() for pair in ((layer, other), (other, layer))]
        plain = list(sources(*asked, [layer]))
        others = sources(*asked, [], USUAL, THE_PAPERS, mixed=mixed)
        return plain + [s for s in others if not any(np.array_equal(s.signed, p.signed) for p in plain)]

    def _beside(self) -> list[str]:
        """Layers whose output goes into the one that was asked for, or the other way round, of the same shape."""
        network, layer = network_of(self.net), self.asked.layer
        near = [*network[layer].inputs, *(n.name for n in network.nodes if layer in n.inputs)]
        shape = self.tape.activation(layer).shape
        return [name for name in near if name in self.layers and self.tape.activation(name).shape == shape]

    def _sources(self, target: Sequence[int], layers: Sequence[str], tape: Tape | None = None,
                 input: str = "") -> list[Source]:
        return list(sources(network_of(self.net), tape or self.tape, target, self.image, layers, USUAL, THE_PAPERS,
                            input)) if layers else []

    def _others(self) -> list[str]:
        return [name for name in self.layers if name != self.asked.layer]

    def _other_layers(self) -> Iterator[list[Source]]:
        yield self._sources(self.asked.target, self._others())

    def _other_classes(self) -> Iterator[list[Source]]:
        for target in self._classes():
            yield self._sources(target, [self.asked.layer])

    def _classes(self) -> Iterator[tuple[int, ...]]:
        """Other classes: all of few; of many the neighbours (labels that begin at 1) and each image's best."""
        logits, asked = self.tape.logits, self.asked.target
        count = logits.shape[1]
        if len(self.image) == 1:
            c, best = asked[0], np.argsort(-logits[0], kind="stable")[:5]
            some = range(count) if count <= FEW else [c - 1, c + 1, *map(int, best), 0]
            yield from ((k,) for k in dict.fromkeys(some) if 0 <= k < count and k != c)
            return
        top = tuple(int(c) for c in logits.argmax(axis=1)[self.image])
        shifted = [tuple(c + d for c in asked) for d in (-1, 1)]
        same = [(k,) * len(asked) for k in (range(count) if count <= FEW else dict.fromkeys(asked))]
        for target in dict.fromkeys([top, asked[::-1], *same, *shifted]):
            if target != asked and all(0 <= c < count for c in target):
                yield target

    def _inputs(self) -> Iterator[list[Source]]:
        """Pictures that went in wrongly, or a network in training: the layer and class that were asked for."""
        layer, network = self.asked.layer, network_of(self.net)
        for words, x in other_inputs(self.net, self.images):
            yield self._sources(self.asked.target, [layer], network.forward(x, [layer], self.tape.output), words)
        if (trained := in_training(network)) is not None:
            tape = trained.forward(self.images, [layer], self.tape.output)
            yield [s for score in USUAL for s in sources(
                trained, tape, self.asked.target, self.image, [layer], (score,), THE_PAPERS, TRAINING)]

    @property
    def untried(self) -> str:
        """Say which wrong inputs could not be thought of."""
        said = []
        if not isinstance(self.net, Model) or self.net.preprocessing is None:
            said.append("another preprocessing of the picture cannot be tried on numbers alone: give the photograph, "
                        "and the network's own --preprocess")
        if in_training(network_of(self.net)) is None:
            said.append("batch norm as in training cannot be tried: this network has none left (folded at export?)")
        return "; ".join(said)

    def _both(self) -> Iterator[list[Source]]:
        """Another layer and another class at once."""
        for target in self._classes():
            yield self._sources(target, self._others())

    def why_flat(self, given: Array) -> str:
        """Say what typically makes a map without any shape."""
        asked, weighing = self.asked, next(iter(WEIGHINGS[self.asked.method]))
        right, = sources(network_of(self.net), self.tape, asked.target, self.image, [asked.layer], ("logit",),
                         ((asked.method, weighing),))
        probability = np.exp(value(self.tape, asked.target, self.image, "log-probability"))
        subject = f"{TITLES[asked.method]} of {asked.layer}, {classes(asked.target)},"
        said = why(given, right.signed, probability, subject)
        if given.any() or not (right.signed > 0).any():
            return said
        zero = [target for target in self._classes() if not (next(sources(
            network_of(self.net), self.tape, target, self.image, [asked.layer], ("logit",),
            ((asked.method, weighing),))).signed > 0).any()]
        if not zero:
            return said
        named = ", ".join(classes(target).split(" ", 1)[1] for target in zero[:SHOWN])
        return (f"{said}; or it is of class {named}{' or another' if zero[SHOWN:] else ''}, zero everywhere here too")

    def notes(self, given: Array) -> tuple[str, ...]:
        """Say what makes an answer weak."""
        found = []
        flat = [str(r) for r, m in enumerate(np.nan_to_num(given)) if not np.ptp(m)]
        if flat:
            found.append(f"row {', '.join(flat)} of the map is constant, which says little about how it was made")
        size, picture = given.shape[1:], self.asked.picture
        layer = self.tape.activation(self.asked.layer).shape
        if size not in (picture, picture[::-1]) and not {*size} <= {*layer}:
            found.append(f"the map has {size[0]} x {size[1]} cells; {self.asked.layer} has "
                         f"{' x '.join(map(str, layer[2:]))}, the picture {picture[0]} x {picture[1]}")
        return tuple(found)
