"""Everything that may be done to a signed map, and in which choices it departs from the conventions with a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from typing import NamedTuple

from npgradcam.convention import KERNELS, Convention, conventions
from npgradcam.convention.record import Scaling, When

RELUS: tuple[When, ...] = ("before", "after", "both", "none")
SCALINGS: tuple[tuple[Scaling, When, float], ...] = (
    ("none", "none", 0.0), ("max", "before", 0.0), ("max", "after", 0.0),
    *(("minmax", when, epsilon) for when in RELUS[:3] for epsilon in (0.0, 1e-8, 1e-7)),
)
Shape = tuple[float, int, str, str]  # start, levels, relu and resize: what bends a map; the rest shifts and stretches


class Finishing(NamedTuple):
    """A convention, and the named ones, each with what of it is different."""

    convention: Convention
    bases: tuple[tuple[Convention, tuple[str, ...]], ...]


def shape_of(c: Convention) -> Shape:
    """Return the choices after which no shift and no factor makes two maps alike."""
    return c.start, c.levels, c.relu, c.resize


@cache
def finishings() -> dict[Shape, list[Finishing]]:
    """Return the product of all choices, and the named conventions, by what bends a map."""
    paper = conventions["paper"]
    found: dict[tuple[object, ...], Convention] = {}
    every = list(conventions.values())
    for relu, kernel, (normalise, when, epsilon) in product(RELUS, KERNELS, SCALINGS):
        if kernel != "lanczos":  # on levels alone
            every.append(replace(paper, relu=relu, resize=kernel, normalise=normalise, when=when, epsilon=epsilon))
    for c in every:
        found.setdefault(_choices(c), c)
    by_shape: dict[Shape, list[Finishing]] = {}
    for c in found.values():
        bases = tuple((base, departures(c, base)) for base in conventions.values())
        by_shape.setdefault(shape_of(c), []).append(Finishing(replace(c, swapped=False), bases))
    return by_shape


def _choices(c: Convention) -> tuple[object, ...]:
    return c.relu, c.resize, (c.normalise, c.when, c.epsilon), c.start, c.levels


def departures(c: Convention, base: Convention) -> tuple[str, ...]:
    """Say in what `c` finishes maps differently from `base`."""
    say: list[tuple[object, object, Callable[[], str]]] = [
        (c.relu, base.relu, lambda: _relu(c.relu, base.relu)),
        (c.resize, base.resize, lambda: _resize(c.resize, base.resize)),
        ((c.normalise, c.when, c.epsilon), (base.normalise, base.when, base.epsilon),
         lambda: _scaling(c) + (f", not {_scaling(base)}" if "none" not in (c.normalise, base.normalise) else "")),
        (c.start, base.start, lambda: f"the sum over channels begins at {c.start:g}, not at {base.start:g}"),
        (c.levels, base.levels, lambda: f"rounded to 1/{c.levels}" if c.levels else f"not rounded to 1/{base.levels}"),
    ]
    return tuple(words() for here, there, words in say if here != there)


def _relu(relu: str, base: str) -> str:
    if relu == "none":
        return "ReLU missing"
    when = {"before": "before enlarging", "after": "after enlarging", "both": "before and after enlarging"}
    return f"ReLU {when[relu]}, not {when.get(base, 'none')}"


ENLARGED = {
    "nearest": "upsampling by the nearest cell",
    "bilinear": "bilinear upsampling with half-pixel centres",
    "corner-aligned": "corner-aligned upsampling",
    "mirrored": "bilinear upsampling mirrored at the edges",
    "cubic": "cubic upsampling (a = -0.75, edges repeated)",
    "cubic, a = -0.5": "cubic upsampling (a = -0.5, nothing beyond the edges)",
    "cubic, table": "cubic upsampling (TensorFlow's table, a = -0.5)",
    "spline": "upsampling by a cubic spline",
    "lanczos": "Lanczos upsampling in levels of 1/255",
}


def _resize(kernel: str, base: str) -> str:
    if kernel == "none":
        return "not enlarged"
    return ENLARGED[kernel] + (f", not {ENLARGED[base]}" if base != "none" else "")


def _scaling(c: Convention) -> str:
    when = {"before": "before enlarging", "after": "after enlarging", "both": "before and after enlarging"}
    if c.normalise == "none":
        return "not normalised"
    if c.normalise == "max":
        return f"divided by the maximum {when[c.when]}"
    epsilon = f" with epsilon {c.epsilon:g}" if c.epsilon else " without an epsilon"
    return f"minimum to 0 and maximum to 1 {when[c.when]}{epsilon}"
