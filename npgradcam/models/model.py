"""A model: a network with what belongs to it, its preprocessing and the names of its classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam.checking import why_not_finite
from npgradcam.errors import ImageError, NpGradcamError, TargetError
from npgradcam.images import PRESETS, Prepared, Preprocess
from npgradcam.layers import Sigmoid
from npgradcam.layout import axes, channels_first
from npgradcam.network import Network, Tape
from npgradcam.rules import Rule, gradient
from npgradcam.typing import Array, IntArray, Shape

from .labels import Labels


@dataclass(frozen=True)
class Prediction:
    """One line of what a network says of an image: `logit` as it is, and what it means.

    `probability` is the softmax over all classes; the sigmoid of this one where the network ends with a sigmoid. Where
    the network labels every pixel it is the share of the pixels that have this class, and `logit` the largest of them.
    """

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
    layout : {"NCHW", "NHWC"}
        The order of the axes of its input, as the framework that it comes from has it; maps are (R, I, J) for both.
    """

    name: str
    network: Network
    preprocessing: Preprocess | None = None
    labels: Labels | None = None
    source: str = ""
    layout: str = "NCHW"

    @property
    def size(self) -> tuple[int, int] | None:
        """(H, W) of its input where there is only one: its preprocessing's, or what its file declares."""
        if self.preprocessing is not None:
            return self.preprocessing.size
        height, width = (self._declared[self.layout.index(axis)] for axis in "HW")
        return None if height is None or width is None else (height, width)

    @property
    def usual_size(self) -> tuple[int, int]:
        """(H, W) of the pictures it is given where nobody says: its size, or a square of the side that is fixed."""
        sides = (self._declared[self.layout.index(axis)] for axis in "HW")
        side = next((side for side in sides if side), 224)
        return self.size or (side, side)

    @property
    def channels(self) -> int:
        """How many channels its input has, as its file declares; 3 where it does not, 1 for grey preprocessing."""
        if self.preprocessing is not None:
            return 1 if self.preprocessing.channels == "grey" else 3
        return self._declared[self.layout.index("C")] or 3

    @property
    def _declared(self) -> tuple[int | None, ...]:
        """What its file says of the first input that is one of pictures, axis by axis; nothing where it is silent."""
        shapes = (self.network.declared.get(name, ()) for name in self.network.inputs)
        return next((shape for shape in shapes if len(shape) == 4), (None,) * 4)

    def input_shapes(self, size: tuple[int, int] | None = None, images: int = 1) -> dict[str, Shape]:
        """The shape of each input, for so many images of `size` (H, W); of the usual size where nothing is said.

        One input alone is one of pictures. Of several, each is as its file declares it, and like that where the file
        leaves an axis open; what is no picture is 1 long there.
        """
        height, width = size or self.usual_size
        lengths = {"N": images, "C": self.channels, "H": height, "W": width}
        picture = tuple(lengths[axis] for axis in self.layout)
        if len(self.network.inputs) == 1:
            return {self.network.inputs[0]: picture}
        shapes = {}
        for name in self.network.inputs:
            declared = self.network.declared.get(name, (None,) * 4)
            usual = picture if len(declared) == 4 else (images, *(1 for _ in declared))
            shapes[name] = tuple(known or open for known, open in zip(declared, usual, strict=False))
        return shapes

    def noise(self, size: tuple[int, int] | None = None, images: int = 1) -> dict[str, Array]:
        """Inputs of these shapes to try the network with: seeded normal noise, and 0 where whole numbers go in."""
        random, network = np.random.default_rng(0), self.network
        return {
            name: np.zeros(shape, int) if name in network.whole else
            np.asarray(random.standard_normal(shape), network.dtype)
            for name, shape in self.input_shapes(size, images).items()
        }

    def class_count(self, output: str) -> int:
        """How many classes an output has, for one input of the model's own size."""
        shapes = self.input_shapes()
        letters = axes(self.network, shapes)[output]
        return self.network.shapes(shapes)[output][letters.index("C") if letters and "C" in letters else 1]

    def arranged(self, x: Array) -> Array:
        """Return pictures (N, C, H, W) with their axes in the order of the network's input."""
        return np.ascontiguousarray(x.transpose(["NCHW".index(letter) for letter in self.layout]))

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

        The axes are in the order of `layout`. An array of 4 axes in the network's dtype is ready, and passes through.

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
        return self.arranged(np.concatenate([self.prepare(one).x for one in sources]))

    def prepare(self, source: Any) -> Prepared:
        """Return a photograph as the network sees it, channels first, with the geometry of the crop."""
        if self.preprocessing is None:
            raise NpGradcamError(
                f"model {self.name!r} does not say how its input was made; load it with preprocess=, one of "
                f"{', '.join(PRESETS)} or a Preprocess"
            )
        return self.preprocessing.prepare(source, dtype=self.network.dtype)

    def predict(self, images: Array, top: int = 5) -> list[list[Prediction]]:
        """Return the best `top` classes of each image, best first; equal logits keep the order of their indices."""
        tape = self.network.forward(images, output=self.network.score(self.network.outputs[0]))
        return [self.ranked(of_image, top) for of_image in self.scores(tape)]

    def scores(self, tape: Tape) -> Array:
        """Return a tape's logits with the classes on axis 1: (N, classes), or (N, classes, H, W) for every pixel."""
        logits = tape.logits
        if logits.ndim == 4:
            shapes = {name: tape.shapes[name] for name in self.network.inputs}
            order = channels_first(axes(self.network, shapes)[tape.output])
            logits = logits if order is None else logits.transpose(order)
        if logits.ndim > 2 and logits[0].size == max(logits.shape[1:]):  # (N, classes, 1, 1)
            logits = logits.reshape(len(logits), -1)
        return logits

    def ranked(self, logits: Array, top: int | None = 5) -> list[Prediction]:
        """Return the best `top` classes (None: all) for one image's logits, (classes,) or (classes, H, W)."""
        if top is not None and (not isinstance(top, (int, np.integer)) or top < 1):
            raise TargetError(f"top: expected a whole number from 1 up, got {top!r}")
        if logits.ndim not in (1, 3):
            raise TargetError(f"predict: expected one logit per class, got an output of shape {logits.shape} per image")
        if not np.isfinite(logits).all():
            cause = why_not_finite(self.network)
            raise TargetError(f"predict: expected finite logits, got NaN or infinity; {cause}")
        wide = logits.astype(np.float64)
        last = self.network.last(self.network.outputs[0])
        if logits.ndim == 3:
            probability = np.bincount(logits.argmax(axis=0).ravel(), minlength=len(logits)) / logits[0].size
            logits = logits.max(axis=(1, 2))
            order = np.lexsort((-logits, -probability))
        else:
            e = np.exp(wide - wide.max())
            ends = last is not None and isinstance(last.layer, Sigmoid)
            probability = Sigmoid().forward(wide)[0] if ends else e / e.sum()
            order = np.argsort(-logits, kind="stable")
        return [
            Prediction(rank, int(i), self.label(int(i)), float(logits[i]), float(probability[i]))
            for rank, i in enumerate(order[:top], start=1)
        ]

    def label(self, index: int) -> str:
        """Return what class `index` is called; its number where the model has no names."""
        return self.labels.name(index) if self.labels else str(index)


def network_of(net: Network | Model) -> Network:
    """Return the mathematics behind a model; a network is its own.

    Raises
    ------
    NpGradcamError
        If it is neither.

    Examples
    --------
    >>> network_of("vgg16")
    Traceback (most recent call last):
    npgradcam.errors.NpGradcamError: expected a Network or a Model, got the str 'vgg16'; ng.load('vgg16') makes one
    """
    if isinstance(net, (Model, Network)):
        return net.network if isinstance(net, Model) else net
    kind = type(net).__name__
    if isinstance(net, (str, os.PathLike)):
        name = os.fspath(net)
        raise NpGradcamError(f"expected a Network or a Model, got the {kind} {name!r}; ng.load({name!r}) makes one")
    raise NpGradcamError(f"expected a Network or a Model, got {kind}; ng.load makes one of a name or a model's file")
