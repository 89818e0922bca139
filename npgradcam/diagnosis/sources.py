"""Every signed map that somebody may have had before scaling it: of which input, layer, class, score and weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from npgradcam.convention import WEIGHINGS
from npgradcam.layers import Sigmoid
from npgradcam.methods.start import spatial
from npgradcam.network import Network, Tape
from npgradcam.typing import Array, IntArray

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
    """

    signed: Array
    method: str
    weighing: str
    score: str
    layer: str
    target: tuple[int, ...]
    input: str = ""


def sources(network: Network, tape: Tape, target: Sequence[int], image: IntArray, layers: Sequence[str],
            scores: Sequence[str] = SCORES, weights: Weights = EVERY, input: str = "") -> Iterator[Source]:
    """Yield the maps of these layers, scores and weights, for one class of each row: one backward for all of them."""
    seeds = {score: seed(tape, target, image, score) for score in scores}
    rows, R = np.concatenate(list(seeds.values())), len(image)
    signals = network.backward(tape, rows, down_to=list(layers), image=np.tile(image, len(scores)))
    y = tape.logits[image, list(target)].astype(np.float64)
    for layer in layers:
        A, order = spatial(tape, layer)
        A, g = A[image].astype(np.float64), signals[layer].transpose(order).astype(np.float64)
        for n, score in enumerate(scores):
            for method, weighing in weights:
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    signed = WEIGHINGS[method][weighing](A, g[n * R : n * R + R], y)
                if np.isfinite(signed).all():
                    yield Source(signed, method, weighing, score, layer, tuple(target), input)


def seed(tape: Tape, target: Sequence[int], image: IntArray, score: str) -> Array:
    """Return d score / d logits of each row, (R, classes): where a backward begins.

    logit e_c; probability p_c (e_c - p), or p_c (1 - p_c) e_c after a last Sigmoid; its logarithm e_c - p, or
    (1 - p_c) e_c; the sum over all classes 1.
    """
    y = tape.logits[image].astype(np.float64)  # (R, classes)
    one_hot = np.eye(y.shape[1])[list(target)]  # e_c
    last = tape.network.last(tape.network.outputs[0])
    if last is not None and isinstance(last.layer, Sigmoid):
        p = 1 / (1 + np.exp(-y))
        log = (1 - p) * one_hot
    else:
        p = np.exp(y - y.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        log = one_hot - p
    p_c = (p * one_hot).sum(axis=1, keepdims=True)
    found = {"logit": one_hot, "log-probability": log, "probability": p_c * log, "all classes": np.ones_like(y)}
    return np.asarray(found[score], tape.logits.dtype)
