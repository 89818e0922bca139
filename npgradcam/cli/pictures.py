"""What is drawn: a picture for each method and class, and the grid of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam import maps
from npgradcam.cli.every_method import Outcome
from npgradcam.cli.parser import METHODS
from npgradcam.colours import GREY, TURBO
from npgradcam.figure import Cell, grid
from npgradcam.images import Prepared
from npgradcam.methods import ClassActivationMap, Explanation, InputSignal

LONGEST = 1600  # pixels of the longer side of an overlay: more than a map of 49 cells needs
Picture = NDArray[np.uint8]


def to_draw_on(prepared: Prepared) -> Prepared:
    """Return the photograph, made smaller where it is very large, with its box."""
    from PIL import Image

    height, width = prepared.photograph.shape[:2]
    factor = LONGEST / max(height, width)
    if factor >= 1:
        return prepared
    size = max(1, round(width * factor)), max(1, round(height * factor))
    image = Image.fromarray(prepared.photograph).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    across, down = size[0] / width, size[1] / height
    left, top, right, bottom = prepared.box
    box = left * across, top * down, right * across, bottom * down
    return replace(prepared, photograph=np.asarray(image), box=box)


def as_seen(prepared: Prepared) -> Prepared:
    """Return what the network saw, as a photograph of its own that has no margin."""
    pixels = prepared.preprocess.pixels(prepared.x)
    return replace(prepared, photograph=pixels, box=(0, 0, pixels.shape[1], pixels.shape[0]))


def cell(explanation: Explanation, row: int, seen: Prepared) -> Cell:
    """Return one row of a record as a picture of the grid, with the scale of its colours."""
    picture = explanation.shown(seen, row)
    if isinstance(explanation, ClassActivationMap):
        height, width = seen.photograph.shape[:2]
        largest = maps.upsample(explanation.cam[row], (height, width)).max()
        return Cell(picture, TURBO, float(largest))
    return Cell(picture, GREY, explanation.limit(row) if isinstance(explanation, InputSignal) else 0.0)


def draw_grid(seen: Prepared, title: str, caption: str, columns: Sequence[str], outcomes: Sequence[Outcome],
              cells: Mapping[tuple[str, str | None, int], Cell]) -> Picture:
    """Draw the figure: a row for each method (and layer), a column for each class."""
    several = len({(o.method, o.layer) for o in outcomes}) > len({o.method for o in outcomes})
    labels: list[str] = []
    rows: list[list[Cell | str]] = []
    for o in outcomes:
        label = METHODS[o.method].title
        labels.append(f"{label} {o.layer}" if several and o.layer else label)
        rows.append([
            f"not applicable: {o.reason}" if o.explanation is None else cells[o.method, o.layer, column]
            for column in range(len(columns))
        ])
    return grid(rows, labels, columns, photograph=seen.photograph, title=title, caption=caption)


def value_range(array: NDArray[Any]) -> list[float]:
    """Return the smallest and the largest number of an array."""
    return [float(array.min()), float(array.max())]


def rule_of(explanation: Explanation) -> tuple[str | None, int | None]:
    """Return the rule at the rectifiers on the way back and on how many it acted; None for what needs no way back."""
    if isinstance(explanation, InputSignal):
        return explanation.rule, explanation.gates
    if isinstance(explanation, ClassActivationMap) and explanation.gradients is not None:
        return "gradient", None
    return None, None
