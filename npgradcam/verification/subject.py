"""The model under examination: as it is run, and as it is drawn in float64, with one image and one class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from npgradcam.errors import NpGradcamError
from npgradcam.methods.start import explained_output, layer_of
from npgradcam.methods.target import rows
from npgradcam.models import Model, network_of
from npgradcam.network import Network, Tape
from npgradcam.typing import Array

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
    images : ndarray of shape (N, ...)
        In the dtype of `net`; identities that cost much look at the first.
    layer, output : str
        A^k and y.
    target : int
        The class c, of the first image.
    """

    net: Network
    exact: Network
    images: Array
    layer: str
    output: str
    target: int

    @property
    def input(self) -> str:
        """The input's name."""
        return self.exact.inputs[0]

    @property
    def x(self) -> Array:
        """The first image, (1, ...), in float64."""
        return self.images[:1].astype(np.float64)

    @cached_property
    def tape(self) -> Tape:
        """One exact forward of the first image, down to its pixels."""
        return self.exact.forward(self.x, observe=self.observed, output=self.output)

    @property
    def observed(self) -> tuple[str, ...]:
        """The layer and the input."""
        return tuple(dict.fromkeys((self.layer, self.input)))

    @cached_property
    def seed(self) -> Array:
        """dy^c/dy, (1, ...)."""
        return rows(self.tape, self.target).seed

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


def subject(net: Network | Model, images: Array, target: Any, layer: str | None) -> Subject:
    """Return a model's two networks, and find out which layer and class are asked about."""
    network = network_of(net)
    if len(network.inputs) > 1:
        raise NpGradcamError(f"verify: expected a network of one input, got {', '.join(network.inputs)}")
    images = np.asarray(images)
    output, layer = explained_output(net), layer_of(net, images, layer, None, "logit")
    exact = replace(network, dtype="float64", rewrite=None, choose=None)
    tape = network.forward(images[:1], observe=layer, output=output)
    row = rows(tape, target, labels=getattr(net, "labels", None))
    if row.target is None or len(row.target) != 1:
        raise NpGradcamError("verify: expected one class, got several")
    return Subject(network, exact, images, layer, output, int(row.target[0]))


def apart(a: Any, b: Any) -> float:
    """Return the largest difference, relative to the largest magnitude of b; absolute where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    largest = np.abs(b).max(initial=0)
    return float(np.abs(a - b).max(initial=0) / (largest or 1))


def worst(pairs: Iterable[tuple[Any, Any]]) -> float:
    """Return the largest `apart` of several pairs; NaN where one of them is."""
    return float(np.max([apart(a, b) for a, b in pairs]))
