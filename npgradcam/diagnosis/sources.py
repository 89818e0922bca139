"""Every signed map that somebody may have had before scaling it: of which input, layer, class, score and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from npgradcam.convention import WEIGHINGS
from npgradcam.layers import Sigmoid
from npgradcam.methods.start import spatial
from npgradcam.network import Network, Tape
from npgradcam.typing import Array, IntArray

OF_A_BATCH = ("of the batch", "of the first image")  # of one image they are the mean
TINY = 1e-150
HUGE = 1e100  # of which no picture can be made
SCORES = ("logit", "probability", "log-probability", "all classes")
Weights = tuple[tuple[str, str], ...]  # (method, one of its weighings)
EVERY: Weights = tuple((method, w) for method, known in WEIGHINGS.items() for w in known)
THE_PAPERS: Weights = tuple((method, next(iter(known))) for method, known in WEIGHINGS.items())


@dataclass(frozen=True, eq=False)
class Source:
    """A signed map and what it is of.

    Attributes
    ----------
    signed : ndarray float64 (R, I, J)
        sum_k of weighed A^k.
    method, weighing : str
        A key of `WEIGHINGS`, and one of that.
    score : str
        One of `SCORES`: what was differentiated.
    layer : str
    target : tuple of int
        The class of each row.
    input : str
        "" for the pictures as they were given, else what was done to them.
    gradients_of : str
        "" where A^k and dy/dA^k are of one layer, else the layer of the gradients.
    factors : dict
        What somebody may have multiplied by, by the keys of `words.FACTORS`: a number, or one for each row (R, 1, 1).
    """

    signed: Array
    method: str
    weighing: str
    score: str
    layer: str
    target: tuple[int, ...]
    input: str = ""
    gradients_of: str = ""
    factors: Mapping[str, float | Array] = field(default_factory=dict)


def sources(network: Network, tape: Tape, target: Sequence[int], image: IntArray, layers: Sequence[str],
            scores: Sequence[str] = SCORES, weights: Weights = EVERY, input: str = "",
            mixed: Sequence[tuple[str, str]] = ()) -> Iterator[Source]:
    """Yield the maps of these layers, scores and weights, for one class of each row: one backward for all of them.

    `mixed` are layers of maps, each with a layer of as many and as large gradients that are not its own.
    """
    seeds = {score: seed(tape, target, image, score) for score in scores}
    rows, R = np.concatenate(list(seeds.values())), len(image)
    below = list(dict.fromkeys([*layers, *(g for _, g in mixed)]))
    signals = network.backward(tape, rows, down_to=below, image=np.tile(image, len(scores)))
    y = {score: value(tape, target, image, score) for score in scores}
    for layer, gradients_of in [*((name, "") for name in layers), *mixed]:
        A, order = spatial(tape, layer)
        A, g = A[image].astype(np.float64), signals[gradients_of or layer].transpose(order).astype(np.float64)
        for n, score in enumerate(scores):
            dA = g[n * R : n * R + R]
            factors = {"channels": 1 / A.shape[1], "root mean square": 1 / (np.sqrt((dA * dA).mean()) + 1e-5)}
            several = {"rows": float(A.shape[2]), "columns": float(A.shape[3]), "images": 1 / R}
            factors |= {name: factor for name, factor in several.items() if factor != 1} | _of_alpha(dA)
            for method, weighing in weights:
                if weighing in OF_A_BATCH and R == 1:
                    continue
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    signed = WEIGHINGS[method][weighing](A, dA, y[score])
                if (np.abs(signed) < HUGE).all():  # not NaN either
                    yield Source(signed, method, weighing, score, layer, tuple(target), input, gradients_of,
                                 factors)


def _of_alpha(dA: Array) -> dict[str, Array]:
    """Return by what somebody may have divided each row's alphas, as factors (R, 1, 1)."""
    alpha = np.abs(dA.mean(axis=(2, 3)))  # (R, K)
    divisors = {"length": np.sqrt((alpha * alpha).sum(axis=1)), "largest": alpha.max(axis=1),
                "magnitudes": alpha.sum(axis=1)}
    return {name: 1 / np.maximum(d, TINY)[:, None, None] for name, d in divisors.items()}


def seed(tape: Tape, target: Sequence[int], image: IntArray, score: str) -> Array:
    """Return d score / d logits of each row, (R, classes): where a backward begins.

    logit e_c; probability p_c (e_c - p), or p_c (1 - p_c) e_c after a last Sigmoid; its logarithm e_c - p, or
    (1 - p_c) e_c; the sum over all classes 1.
    """
    p, sigmoid = _probabilities(tape, image)  # (R, classes)
    one_hot = np.eye(p.shape[1])[list(target)]  # e_c
    p_c = (p * one_hot).sum(axis=1, keepdims=True)
    log = (1 - p_c) * one_hot if sigmoid else one_hot - p
    found = {"logit": one_hot, "log-probability": log, "probability": p_c * log, "all classes": np.ones_like(p)}
    return np.asarray(found[score], tape.logits.dtype)


def value(tape: Tape, target: Sequence[int], image: IntArray, score: str) -> Array:
    """Return each row's score itself, (R,): Grad-CAM++ may read it."""
    logits, rows = tape.logits[image].astype(np.float64), np.arange(len(image))
    p_c = _probabilities(tape, image)[0][rows, list(target)]
    log = np.log(np.maximum(p_c, 1e-300))
    found = {"logit": logits[rows, list(target)], "probability": p_c, "log-probability": log,
             "all classes": logits.sum(axis=1)}
    return np.asarray(found[score])


def _probabilities(tape: Tape, image: IntArray) -> tuple[Array, bool]:
    """Return the softmax of each row's logits, or their sigmoids where the network ends with those; and which."""
    y = tape.logits[image].astype(np.float64)
    last = tape.network.last(tape.network.outputs[0])
    if last is not None and isinstance(last.layer, Sigmoid):
        return Sigmoid().forward(y)[0], True
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True), False
