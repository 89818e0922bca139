"""Which class of which image is explained, and the seed that starts its backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam.checking import why_not_finite
from npgradcam.errors import ShapeError, TargetError
from npgradcam.layout import channels_first
from npgradcam.models import Labels
from npgradcam.network import Tape
from npgradcam.typing import Array, IntArray

from .start import layout_of


@dataclass(frozen=True, eq=False)
class Rows:
    """The R rows of a result.

    Attributes
    ----------
    target : ndarray of int, shape (R,), or None
        The class of each row; None where the caller gave a seed instead.
    image : ndarray of int, shape (R,)
        Which of the N images each row explains.
    seed : ndarray of shape (R, ...)
        dy^c/dy, as the output of one image: where the backward begins.
    """

    target: IntArray | None
    image: IntArray
    seed: Array


def rows(tape: Tape, target: Any = None, seed: Array | None = None, region: Array | None = None,
         labels: Labels | None = None) -> Rows:
    """Resolve `target` (or `seed`, which replaces it) for the images of a tape.

    Parameters
    ----------
    tape : Tape
        Its `logits` are (N, classes), or (N, classes, H, W) for a network that labels every pixel.
    target : None, int, str, list of N of those, or list of N lists of those
        None: the top class of each image; one: that class for every image; N: one per image; N lists: several.
    seed : ndarray of the logits' shape, optional
        The backward starts from it as it is: d(sum seed * logits).
    region : ndarray of bool, shape (H, W), optional
        For a spatial output: the pixels whose logits of the class are summed. Default: those whose top class it is.

    Raises
    ------
    TargetError
        For an unknown, ambiguous or misplaced class, a list of the wrong length, or an empty region.
    """
    logits, order = tape.logits, tuple(range(tape.logits.ndim))
    if logits.ndim == 4:  # (N, classes, H, W), whatever the graph's own order
        order = channels_first(layout_of(tape, tape.output)) or order
        logits = logits.transpose(order)
    if logits.ndim not in (2, 4):
        raise TargetError(
            f"output {tape.output!r}: expected (N, classes) or (N, classes, H, W) to choose a class from, "
            f"got {logits.shape}; explain another output"
        )
    if region is not None and (seed is not None or logits.ndim == 2):
        raise TargetError("region: expected an output that labels every pixel and no seed; leave region out")
    if seed is not None:
        return _seeded(tape.logits, target, seed)
    if not np.isfinite(logits).all():
        cause = why_not_finite(tape.network)
        raise TargetError(f"output {tape.output!r}: expected finite logits, got NaN or infinity; {cause}")
    classes = _classes(logits, target, labels)
    image = np.repeat(np.arange(len(classes)), [len(several) for several in classes])
    chosen = np.array([c for several in classes for c in several], dtype=np.intp)
    if logits.ndim == 2:
        return Rows(chosen, image, one_hot(chosen, logits))
    return Rows(chosen, image, _spatial_seed(chosen, image, logits, region).transpose(np.argsort(order)))


def one_hot(target: IntArray, like: Array) -> Array:
    """dy^c/dy for each row: 1 at the class, 0 elsewhere; (R, classes)."""
    seed = np.zeros((len(target), like.shape[1]), like.dtype)
    seed[np.arange(len(target)), target] = 1
    return seed


def _spatial_seed(target: IntArray, image: IntArray, logits: Array, region: Array | None) -> Array:
    """y^c = the class's logit summed over its pixels (Seg-Grad-CAM, Vinogradova et al. 2020)."""
    region = region if region is None else np.asarray(region)
    if region is not None and (region.dtype != bool or region.shape != logits.shape[2:]):
        raise TargetError(f"region: expected booleans of shape {logits.shape[2:]}, got {region.dtype} {region.shape}")
    top = logits.argmax(axis=1)
    seed = np.zeros((len(target), *logits.shape[1:]), logits.dtype)
    for r, (c, n) in enumerate(zip(target, image, strict=True)):
        pixels = region if region is not None else (top[n] == c) | (top[n].size == 1)
        if not pixels.any():
            raise TargetError(f"class {c} is the top class of no pixel of image {n}; say which pixels with region=")
        seed[r, c][pixels] = 1
    return seed


def _seeded(logits: Array, target: Any, seed: Array) -> Rows:
    if target is not None:
        raise TargetError("expected target or seed, got both; a seed says itself what is explained")
    seed = np.asarray(seed)
    if seed.shape != logits.shape or seed.dtype.kind not in "biuf":
        raise ShapeError(
            f"seed: expected real numbers of the output's shape {logits.shape}, got {seed.dtype} {seed.shape}"
        )
    if not np.isfinite(seed).all():
        raise TargetError("seed: expected finite numbers, got NaN or infinity")
    return Rows(None, np.arange(len(logits)), seed.astype(logits.dtype))


def _classes(logits: Array, target: Any, labels: Labels | None) -> list[list[int]]:
    """Return, for each image, its list of classes."""
    n, count = logits.shape[:2]
    if target is None:
        score = logits if logits.ndim == 2 else logits.max(axis=(2, 3))
        return [[int(c)] for c in score.argmax(axis=1)]
    if isinstance(target, np.ndarray):
        target = target.tolist()
    if not isinstance(target, (list, tuple)):
        return [[_index(target, count, labels)]] * n
    if len(target) != n:
        raise TargetError(
            f"target: expected one entry per image, {n} in all, got {len(target)}; several of one "
            "image are a list in a list: [[a, b]]"
        )
    several = [list(t) if isinstance(t, (list, tuple, np.ndarray)) else [t] for t in target]
    if not all(several):
        raise TargetError("target: expected at least one class for every image, got an empty list")
    return [[_index(c, count, labels) for c in of_image] for of_image in several]


def _index(target: Any, count: int, labels: Labels | None) -> int:
    if isinstance(target, str):
        if labels is None:
            raise TargetError(f"target {target!r}: this network has no class names; take an index below {count}")
        target = labels.find(target)
    if isinstance(target, (bool, np.bool_)) or not isinstance(target, (int, np.integer)):
        raise TargetError(f"target: expected a class's index or label, got {target!r}")
    if not 0 <= target < count:
        raise TargetError(f"target: expected an index from 0 to {count - 1}, got {target}")
    return int(target)
