"""The model under examination: as it is run, and as it is drawn in float64, with one image and one class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from npgradcam.errors import NpGradcamError
from npgradcam.methods.start import explained_output, layer_of
from npgradcam.methods.target import rows
from npgradcam.models import Model, network_of
from npgradcam.network import Network, Tape
from npgradcam.typing import Array, Shape

from .record import NotApplicableError


@dataclass(frozen=True, eq=False)
class Subject:
    """What the identities are asked of.

    Attributes
    ----------
    net : Network
        As the user runs it: rewritten, in its own precision.
    exact : Network
        The same layers in float64, none rewritten.
    images : dict of str to ndarray of shape (N, ...)
        What goes into each input, in the dtype of `net`; identities that cost much look at the first of the N.
    inputs : tuple of str
        Those to which the score has a derivative; all but whole numbers.
    layer, output : str
        A^k and y.
    target : int
        The class c, of the first image.
    """

    net: Network
    exact: Network
    images: Mapping[str, Array]
    inputs: tuple[str, ...]
    layer: str
    output: str
    target: int

    @property
    def input(self) -> str:
        """The input whose signals are drawn as maps: the first of pictures."""
        return next((name for name in self.inputs if self.images[name].ndim == 4), self.inputs[0])

    @property
    def first(self) -> dict[str, Array]:
        """The first image of each input, (1, ...)."""
        return {name: x[:1] for name, x in self.images.items()}

    @property
    def x(self) -> dict[str, Array]:
        """The first image of each input, (1, ...), in float64; whole numbers stay what they are."""
        return {name: x if name in self.exact.whole else x.astype(np.float64) for name, x in self.first.items()}

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each input, for the first image."""
        return {name: x.shape for name, x in self.first.items()}

    @cached_property
    def tape(self) -> Tape:
        """One exact forward of the first image, down to its pixels."""
        return self.exact.forward(self.x, observe=self.observed, output=self.output)

    @property
    def observed(self) -> tuple[str, ...]:
        """The layer and the inputs."""
        return tuple(dict.fromkeys((self.layer, *self.inputs)))

    @cached_property
    def seed(self) -> Array:
        """dy^c/dy, (1, ...)."""
        return rows(self.tape, self.target).seed

    def signals(self, rule: str) -> list[Array]:
        """Return what the network as it is run brings back to each of `inputs`, (1, ...)."""
        tape = self.net.forward(self.first, observe=self.inputs, output=self.output)
        found: dict[str, Array] = self.net.backward(tape, self.seed.astype(self.net.dtype), self.inputs, rule)
        return list(found.values())

    def best(self, count: int) -> list[int]:
        """Return the class, and the best of the others, `count` in all where there are as many."""
        logits = self.tape.logits[0]
        if logits.ndim != 1 or len(logits) < 2:
            raise NotApplicableError("the output is not a list of logits, one a class")
        order = np.argsort(-logits, kind="stable")
        return [self.target, *(int(c) for c in order if c != self.target)][:count]

    @property
    def tolerance(self) -> float:
        """What two ways through `net` may differ by, relative to the largest magnitude."""
        return 1e-12 if self.net.dtype == "float64" else 1e-5


def subject(net: Network | Model, x: Array | Mapping[str, Array], target: Any, layer: str | None) -> Subject:
    """Return a model's two networks, and find out which layer and class are asked about."""
    network = network_of(net)
    images = network.checked_inputs(x)
    for name, given in images.items():
        if not given.ndim:
            raise NpGradcamError(f"verify: expected the images on axis 0 of each input, got a single number for {name}")
    output, layer = explained_output(net), layer_of(net, images, layer, None, "logit")
    inputs = network.sources(output)
    if not inputs:
        raise NpGradcamError(f"verify: expected an input of which {output!r} has a derivative, got whole numbers alone "
                             f"or none that leads there ({', '.join(network.inputs)})")
    exact = replace(network, dtype="float64", rewrite=None, choose=None)
    tape = network.forward({name: x[:1] for name, x in images.items()}, observe=layer, output=output)
    row = rows(tape, target, labels=getattr(net, "labels", None))
    if row.target is None or len(row.target) != 1:
        raise NpGradcamError("verify: expected one class, got several")
    return Subject(network, exact, images, inputs, layer, output, int(row.target[0]))


def apart(a: Any, b: Any) -> float:
    """Return the largest difference, relative to the largest magnitude of b; absolute where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    largest = np.abs(b).max(initial=0)
    return float(np.abs(a - b).max(initial=0) / (largest or 1))


def worst(pairs: Iterable[tuple[Any, Any]]) -> float:
    """Return the largest `apart` of several pairs; NaN where one of them is."""
    return float(np.max([apart(a, b) for a, b in pairs]))
