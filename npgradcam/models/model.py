"""A model: a network with what belongs to it, its preprocessing and the names of its classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam.errors import ImageError, NpGradcamError, TargetError
from npgradcam.images import PRESETS, Prepared, Preprocess
from npgradcam.layers import Softmax
from npgradcam.network import Network, Tape
from npgradcam.rules import Rule, gradient
from npgradcam.typing import Array, IntArray

from .labels import Labels


@dataclass(frozen=True)
class Prediction:
    """One line of what a network says of an image: `logit` as it is, `probability` after softmax over all classes."""

    rank: int
    index: int
    label: str
    logit: float
    probability: float


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A network, how a photograph becomes its input, and what its outputs are called.

    Attributes
    ----------
    name : str
    network : Network
        The mathematics: layers, forward, backward.
    preprocessing : Preprocess or None
        None where nobody said how the network's input was made.
    labels : Labels or None
    source : str
        Where the weights come from.
    """

    name: str
    network: Network
    preprocessing: Preprocess | None = None
    labels: Labels | None = None
    source: str = ""

    def __repr__(self) -> str:
        """Return what the model is in one line."""
        made = self.preprocessing.name if self.preprocessing else "unknown"
        return f"Model({self.name!r}, {self.network}, preprocessing {made}, {len(self.labels or ())} labels)"

    def __call__(self, images: Array | Mapping[str, Array]) -> Array:
        """Return the network's output for images (N, C, H, W): logits (N, classes)."""
        return self.network(images)

    def forward(self, images: Array | Mapping[str, Array], observe: str | Iterable[str] = (),
                output: str | None = None) -> Tape:
        """Run the network and keep what was announced; see `Network.forward`."""
        return self.network.forward(images, observe, output)

    def backward(self, tape: Tape, seed: Array, down_to: Any, rule: str | Rule = gradient,
                 image: IntArray | None = None) -> Any:
        """Run the adjoints from the tape's output down to a layer; see `Network.backward`."""
        return self.network.backward(tape, seed, down_to, rule, image)

    def preprocess(self, source: Any) -> Array:
        """Return the network's input (1, C, H, W) for a photograph, or (N, C, H, W) for a list of N photographs.

        An array (N, C, H, W) in the network's dtype is ready, and passes through.

        Raises
        ------
        ImageError
            If something is not a picture.
        NpGradcamError
            If the model does not know its preprocessing.
        """
        if isinstance(source, np.ndarray) and source.ndim == 4 and source.dtype == self.network.dtype:
            return source
        sources = source if isinstance(source, Sequence) and not isinstance(source, (str, bytes)) else [source]
        if not sources:
            raise ImageError("preprocess: expected at least one photograph, got an empty list")
        return np.concatenate([self.prepare(one).x for one in sources])

    def prepare(self, source: Any) -> Prepared:
        """Return a photograph as the network sees it, with the geometry of the crop."""
        if self.preprocessing is None:
            raise NpGradcamError(
                f"model {self.name!r} does not say how its input was made; load it with preprocess=, one of "
                f"{', '.join(PRESETS)} or a Preprocess"
            )
        return self.preprocessing.prepare(source, dtype=self.network.dtype)

    def predict(self, images: Array, top: int = 5) -> list[list[Prediction]]:
        """Return the best `top` classes of each image, best first; equal logits keep the order of their indices."""
        network, output = self.network, self.network.outputs[0]
        node = network[output]
        tape = network.forward(images, output=node.inputs[0] if isinstance(node.layer, Softmax) else output)
        return [self.ranked(logits, top) for logits in tape.logits]

    def ranked(self, logits: Array, top: int = 5) -> list[Prediction]:
        """Return the best `top` classes for one image's logits (classes,)."""
        if not isinstance(top, (int, np.integer)) or top < 1:
            raise TargetError(f"top: expected a whole number from 1 up, got {top!r}")
        if logits.ndim != 1:
            raise TargetError(f"predict: expected one logit per class, got an output of shape {logits.shape} per image")
        if not np.isfinite(logits).all():
            raise TargetError("predict: the logits hold NaN or infinity; is the input finite?")
        e = np.exp(logits.astype(np.float64) - logits.max())
        order = np.argsort(-logits, kind="stable")[:top]
        return [
            Prediction(rank, int(i), self.label(int(i)), float(logits[i]), float(e[i] / e.sum()))
            for rank, i in enumerate(order, start=1)
        ]

    def label(self, index: int) -> str:
        """Return what class `index` is called; its number where the model has no names."""
        return self.labels.name(index) if self.labels else str(index)
