"""The figure that people know from the paper: the photograph, and methods by classes beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.colours import ColourTable
from npgradcam.errors import ImageError, ShapeError
from npgradcam.lettering import Lettering

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

MOST = 8  # rows beneath each other; more are set in blocks side by side
_INK, _SOFT, _LINE, _PAPER, _EMPTY = "#1a1a1a", "#5f5f5f", "#c8c8c8", "#ffffff", "#f4f4f4"


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of the grid.

    Attributes
    ----------
    picture : ndarray uint8 (H, W, 3)
        RGB.
    table : ColourTable or None
        Of the colour bar beneath it; None: no bar.
    scale : float
        The value, in the map's own units, that the last colour of the table stands for: the largest magnitude, by
        which the map was divided. 0 says that the map is zero everywhere, and so does the figure.
    """

    picture: NDArray[np.uint8]
    table: ColourTable | None = None
    scale: float = 0.0


def number(value: float) -> str:
    """Write a number for a colour bar, with three significant digits.

    Examples
    --------
    >>> [number(v) for v in (0.0, 12.3456, -0.00001234)]
    ['0', '12.3', '-1.23e-5']
    """
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else mantissa) if value else "0"


def colour_bar(
    table: ColourTable, scale: float, width: int = 224, size: int = 12, font: str | os.PathLike[str] | None = None
) -> NDArray[np.uint8]:
    """Draw a horizontal bar of colours with the numbers that they stand for.

    Parameters
    ----------
    table : ColourTable
        Its colours go from table.low * scale to scale.
    scale : float
        The value of the last colour, in the map's own units. 0: the colour of 0 alone, and "zero everywhere".
    width, size : int
        Of the bar, and of the numbers, in pixels.
    font : str or Path, optional
        A TrueType file, in place of Pillow's own typeface.

    Returns
    -------
    ndarray uint8 (H, width, 3)
        Dark numbers on white: the two ends, and 0 in the middle for a signed table.
    """
    if not (np.isfinite(scale) and scale >= 0):
        raise ImageError(f"colour_bar: expected a finite scale of at least 0, got {scale}; use max|map|")
    return np.array(_bar(table, scale, width, Lettering(size, font)))


def _bar(table: ColourTable, scale: float, width: int, letters: Lettering) -> Image:
    from PIL import Image, ImageDraw

    height = round(0.7 * letters.size)
    page = Image.new("RGB", (width, height + 3 + letters.line), _PAPER)
    draw = ImageDraw.Draw(page)
    values = np.linspace(table.low if scale else 0, 1 if scale else 0, width)
    colours = table.rgb[np.rint((values - table.low) / (1 - table.low) * (len(table.rgb) - 1)).astype(np.intp)]
    page.paste(Image.fromarray(np.repeat(colours[None], height, axis=0)), (0, 0))
    draw.rectangle((0, 0, width - 1, height - 1), outline=_LINE)
    marks = [(0.0, "l", number(table.low * scale)), (1.0, "r", number(scale))]
    marks += [(0.5, "m", "0")] if table.low < 0 else []
    for place, anchor, text in marks if scale else [(0.5, "m", "zero everywhere")]:
        draw.text((place * width, height + 3), text, _SOFT, letters.font, anchor=f"{anchor}a")
    return page


def grid(
    cells: Sequence[Sequence[Cell | str]],
    rows: Sequence[str],
    columns: Sequence[str],
    photograph: NDArray[np.uint8] | None = None,
    title: str = "",
    caption: str = "",
    side: int = 224,
    font: str | os.PathLike[str] | None = None,
) -> NDArray[np.uint8]:
    """Draw methods by classes, with the photograph beside them; more than `MOST` rows in equal blocks side by side.

    Parameters
    ----------
    cells : sequence of R sequences of C Cell or str
        A text stands where a method does not apply ("not applicable: ...").
    rows, columns : sequence of R and of C str
        Labels; those too long for their place are wrapped, and end in three dots.
    photograph : ndarray uint8 (H, W, 3), optional
        Drawn to the left of the first row.
    title, caption : str
        Above everything; beneath the photograph.
    side : int
        The longer side of a picture on the page, in pixels (at least 64). Pictures keep their shape; one that is
        enlarged to twice its size or more shows its pixels as squares.
    font : str or Path, optional
        A TrueType file, for labels with letters that Pillow's own typeface does not have.

    Returns
    -------
    ndarray uint8 (H, W, 3)
        The figure, on white.

    Raises
    ------
    ShapeError
        If `cells` is not R rows of C cells, or a picture is not uint8 (H, W, 3).
    """
    from PIL import Image, ImageDraw

    if side < 64 or not rows or not columns or [len(row) for row in cells] != [len(columns)] * len(rows):
        raise ShapeError(
            f"grid: expected {len(rows)} rows of {len(columns)} cells, at least one, and a side of at least 64, "
            f"got rows of {[len(row) for row in cells]} cells and a side of {side}; label every row and column"
        )
    title_letters, letters, small = (Lettering(side // part, font) for part in (12, 15, 17))
    gap, margin = side // 11, side // 8
    drawn = [[(_fit(c.picture, side), c) if isinstance(c, Cell) else c for c in row] for row in cells]
    pictures = [c[0] for row in drawn for c in row if not isinstance(c, str)]
    seen = None if photograph is None else _fit(photograph, side)
    pictures += [] if seen is None else [seen]
    width = max([picture.width for picture in pictures] + [side * 5 // 8])
    height = max([picture.height for picture in pictures] + [side * 3 // 8])
    below = [any(isinstance(c, Cell) and c.table for c in row) * (gap // 3 + 3 + 2 * small.line) for row in cells]

    row_labels = [letters.fit(label, side * 5 // 8, 4) for label in rows]
    column_labels = [letters.fit(label, width, 2) for label in columns]
    label_width = max(letters.width(line) for lines in row_labels for line in [*lines, ""])
    left = margin + (0 if seen is None else width + 2 * gap)  # of the row labels
    first = left + label_width + gap // 2  # of the pictures
    blocks = -(-len(rows) // MOST)
    high = -(-len(rows) // blocks)  # rows of a block
    block_width = label_width + gap // 2 + len(columns) * (width + gap) + gap
    page_width = left + blocks * block_width - 2 * gap + margin
    title_lines = title_letters.fit(title, page_width - 2 * margin, 2)
    caption_lines = small.fit(caption, width, 14)
    head = margin + len(title_lines) * title_letters.line + (gap if title_lines else 0)
    top = head + max(len(lines) for lines in column_labels) * letters.line + gap // 3
    bottoms: list[int] = []  # of each row, its colour bar included, in its own block
    for r in range(len(rows)):
        bottoms.append((bottoms[-1] + gap if r % high else top) + height + below[r])
    photograph_bottom = top + height + gap // 2 + len(caption_lines) * small.line
    page = Image.new("RGB", (page_width, max(*bottoms, photograph_bottom if seen else 0) + margin), _PAPER)
    draw = ImageDraw.Draw(page)

    _write(draw, title_lines, title_letters, (margin, margin), "l")
    if seen is not None:
        _write(draw, ["input"], letters, (margin + width / 2, top - gap // 3 - letters.line), "m")
        page.paste(seen, (margin + (width - seen.width) // 2, top + (height - seen.height) // 2))
        _write(draw, caption_lines, small, (margin, top + height + gap // 2), "l", _SOFT)
    for block, (c, lines) in product(range(blocks), enumerate(column_labels)):
        x = first + block * block_width + c * (width + gap)
        _write(draw, lines, letters, (x + width / 2, top - gap // 3 - len(lines) * letters.line), "m")
    for r, row in enumerate(drawn):
        y, begin = bottoms[r] - below[r] - height, first + r // high * block_width
        middle = y + (height - len(row_labels[r]) * letters.line) / 2
        _write(draw, row_labels[r], letters, (begin - gap // 2, middle), "r")
        for c, cell in enumerate(row):
            x = begin + c * (width + gap)
            if isinstance(cell, str):
                _write_in_box(draw, cell, small, (x, y, x + width, y + height))
                continue
            picture, content = cell
            page.paste(picture, (x + (width - picture.width) // 2, y + (height - picture.height) // 2))
            if content.table is not None:
                page.paste(_bar(content.table, content.scale, width, small), (x, y + height + gap // 3))
    return np.array(page)


def _fit(picture: NDArray[Any], side: int) -> Image:
    """Resize so that the longer side has `side` pixels."""
    from PIL import Image

    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ShapeError(
            f"grid: expected pictures (H, W, 3) of uint8, got {picture.shape} of {picture.dtype}; "
            f"colourise a map first"
        )
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    image = Image.fromarray(np.ascontiguousarray(picture))
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.NEAREST if factor >= 2 else Image.Resampling.LANCZOS)


def _write(
    draw: ImageDraw, lines: list[str], letters: Lettering, place: tuple[float, float], anchor: str, ink: str = _INK
) -> None:
    x, y = place
    for line in lines:
        draw.text((round(x), round(y)), line, ink, letters.font, anchor=f"{anchor}a")
        y += letters.line


def _write_in_box(draw: ImageDraw, text: str, letters: Lettering, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    draw.rectangle((left, top, right - 1, bottom - 1), _EMPTY, _LINE)
    room = letters.size
    lines = letters.fit(text, right - left - 2 * room, max(1, (bottom - top - 2 * room) // letters.line))
    middle = (top + bottom - len(lines) * letters.line) / 2
    _write(draw, lines, letters, ((left + right) / 2, middle), "m", _SOFT)
