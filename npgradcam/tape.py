"""What one forward pass keeps, so that any number of backward passes can read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npgradcam.errors import UnknownLayerError
from npgradcam.typing import Array, IntArray, Shape

if TYPE_CHECKING:
    from npgradcam.network import Network
    from npgradcam.topology import Topology


@dataclass(frozen=True, eq=False, repr=False)
class Tape:
    """What one forward pass kept, as announced: enough for any number of backward passes.

    Attributes
    ----------
    network : Network
    plan : Topology
        The graph that was run: the network, or what a rewrite made of it.
    output : str
        The node whose output is explained.
    logits : ndarray
        That node's output, (N, classes) for a classifier.
    activations : mapping of str to ndarray
        The outputs of the observed nodes, each (N, K, I, J) or whatever the layer makes.
    shapes : mapping of str to tuple
        The shape of everything that was computed.
    """

    network: Network
    plan: Topology
    output: str
    logits: Array
    activations: Mapping[str, Array]
    shapes: Mapping[str, Shape]
    caches: Mapping[str, Any]

    def __repr__(self) -> str:
        """Return what was kept, without its numbers."""
        kept = ", ".join(f"{name} {x.shape}" for name, x in self.activations.items()) or "nothing"
        return f"Tape({self.output} {self.logits.shape}; observes {kept})"

    def activation(self, name: str) -> Array:
        """Return an observed activation, or say how to observe it."""
        name = self.network.resolve(name)
        if name not in self.activations:
            raise UnknownLayerError(f"the tape did not keep {name!r}; ask for it: forward(images, observe={name!r})")
        return self.activations[name]


def read_only(x: Array) -> Array:
    """Return a view that nobody can write to: backward will read these numbers again."""
    view = x.view()
    view.flags.writeable = False
    return view


def of_image(n: int, cache: Any) -> Any:
    """Return image n's part of a cache: arrays lose the other images, shapes and counts stay."""
    if isinstance(cache, np.ndarray):
        return cache[n : n + 1]
    if isinstance(cache, tuple):
        return tuple(of_image(n, part) for part in cache)
    return cache


def by_image(image: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield each image that rows belong to, and which rows those are: (R,) -> n and (rows of n,)."""
    order = np.argsort(image, kind="stable")
    images, starts = np.unique(image[order], return_index=True)
    yield from zip(images.tolist(), np.split(order, starts)[1:], strict=True)
