"""What is done to a map after the paper ends: upsample, normalise, place on the photograph, colour, save."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.colours import (
    BLUE_WHITE_RED,
    GREY,
    TURBO,
    ColourTable,
    colourise,
    finite,
    overlay,
    signal_image,
    signal_limit,
)
from npgradcam.errors import ShapeError
from npgradcam.writing import whole_file

if TYPE_CHECKING:
    from npgradcam.preprocess import Prepared

__all__ = [
    "BLUE_WHITE_RED",
    "GREY",
    "TURBO",
    "ColourTable",
    "colourise",
    "inside",
    "is_zero",
    "normalise",
    "overlay",
    "place",
    "save_png",
    "signal_image",
    "signal_limit",
    "upsample",
]


def upsample(maps: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Interpolate maps bilinearly to another size.

    Parameters
    ----------
    maps : ndarray (..., I, J)
        Maps at layer size, usually (R, I, J). Integers and booleans become float64.
    size : tuple (H, W)
        Height and width to go to, larger or smaller; where they are smaller nothing is averaged.

    Returns
    -------
    ndarray (..., H, W)
        Of the dtype of `maps`. A new array; the same numbers exactly where size = (I, J).

    Raises
    ------
    ShapeError
        If `maps` has no two last axes, is empty or complex, or `size` is not two positive whole numbers.
    ImageError
        If a value is NaN or infinite.

    Notes
    -----
    Half-pixel centres, edges repeated. Output row h looks at the row coordinate

        s = min(max((h + 1/2) I / H - 1/2, 0), I - 1),    i = floor(s),    t = s - i

    and is maps[i] + t (maps[i + 1] - maps[i]); columns likewise. This is what PyTorch calls `bilinear` with
    `align_corners=False` and OpenCV `INTER_LINEAR`. A constant map stays constant exactly; a map of one cell fills
    the picture; no value leaves the range of the map.

    Examples
    --------
    >>> upsample(np.array([[0.0, 1.0]]), (1, 4))
    array([[0.  , 0.25, 0.75, 1.  ]])
    """
    values = finite(maps, "upsample")
    height, width = _size(size)
    rows = (np.arange(height) + 0.5) * values.shape[-2] / height - 0.5
    columns = (np.arange(width) + 0.5) * values.shape[-1] / width - 0.5
    return _at(values, rows, columns)


def _at(maps: NDArray[Any], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[Any]:
    """Read maps (..., I, J) bilinearly at row and column coordinates, clamped to the edge; (..., rows, columns)."""
    for axis, where in ((-2, rows), (-1, columns)):
        last = maps.shape[axis] - 1
        where = np.clip(where, 0, last)
        below = np.floor(where).astype(np.intp)
        t = (where - below).astype(maps.dtype)
        a, b = (np.take(maps, index, axis) for index in (below, np.minimum(below + 1, last)))
        maps = a + (t[:, None] if axis == -2 else t) * (b - a)
    return maps


def place(maps: NDArray[Any], prepared: Prepared) -> NDArray[Any]:
    """Draw maps of the network's input on the whole photograph, through the crop.

    Parameters
    ----------
    maps : ndarray (..., I, J)
        Maps that cover the network's input, at its size or at layer size.
    prepared : Prepared
        The photograph (H0, W0) and the box of it that the network saw.

    Returns
    -------
    ndarray (..., H0, W0)
        The map interpolated at the centre of every pixel of the box, 0 outside it; `inside` says which are which.

    Notes
    -----
    With the box (left, top, right, bottom) the pixel row h has the row coordinate
    (h + 1/2 - top) I / (bottom - top) - 1/2 in the map, interpolated as in `upsample`.
    """
    values = finite(maps, "place")
    left, top, right, bottom = prepared.box
    height, width = prepared.photograph.shape[:2]
    rows, columns = _between(top, bottom, height), _between(left, right, width)
    placed = np.zeros((*values.shape[:-2], height, width), values.dtype)
    placed[..., rows[:, None], columns] = _at(
        values,
        (rows + 0.5 - top) * values.shape[-2] / (bottom - top) - 0.5,
        (columns + 0.5 - left) * values.shape[-1] / (right - left) - 0.5,
    )
    return placed


def inside(prepared: Prepared) -> NDArray[np.bool_]:
    """Return which pixels (H0, W0) of the photograph have their centre in the box that the network saw."""
    left, top, right, bottom = prepared.box
    height, width = prepared.photograph.shape[:2]
    mask = np.zeros((height, width), bool)
    mask[_between(top, bottom, height)[:, None], _between(left, right, width)] = True
    return mask


def _between(first: float, last: float, count: int) -> NDArray[np.intp]:
    centres = np.arange(count) + 0.5
    return np.flatnonzero((centres >= first) & (centres < last))


def normalise(maps: NDArray[Any]) -> NDArray[Any]:
    """Divide each map by its largest magnitude: 0..1 for a map without negative values, otherwise -1..1.

    Parameters
    ----------
    maps : ndarray (..., H, W)
        Every one of them is divided by its own maximum. Integers and booleans become float64.

    Returns
    -------
    ndarray (..., H, W)
        maps / max|maps|, without an epsilon and without subtracting the minimum: 0 stays 0. A map that is zero
        everywhere stays zero; `is_zero` tells.

    Raises
    ------
    ImageError
        If a value is NaN or infinite.

    Examples
    --------
    >>> normalise(np.array([[[1.0, 4.0]], [[0.0, 0.0]]]))
    array([[[0.25, 1.  ]],
           [[0.  , 0.  ]]])
    """
    values = finite(maps, "normalise")
    largest = np.abs(values).max(axis=(-2, -1), keepdims=True)
    normalised = np.zeros_like(values)
    np.divide(values, largest, out=normalised, where=largest > 0)
    return normalised


def is_zero(maps: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each of the maps (..., H, W) whether it is zero everywhere: no evidence, so nothing to scale."""
    return np.asarray(~finite(maps, "is_zero").any(axis=(-2, -1)))


def save_png(path: str | os.PathLike[str], picture: NDArray[np.uint8]) -> None:
    """Write a picture as PNG, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file; its folder must exist. A file that is there is replaced.
    picture : ndarray uint8 (H, W, 3), (H, W) or (H, W, 4)
        The pixels.

    Notes
    -----
    As `writing.whole_file` writes: nobody ever sees half of it. The same pixels give the same bytes.
    """
    from PIL import Image

    good = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (3, 4))
    if picture.dtype != np.uint8 or not good or 0 in picture.shape:
        raise ShapeError(
            f"save_png: expected uint8 (H, W), (H, W, 3) or (H, W, 4), got {picture.shape} of {picture.dtype}; "
            f"colourise a map first"
        )
    with whole_file(path) as file:
        Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG", compress_level=1)


def _size(size: tuple[int, int]) -> tuple[int, int]:
    if len(size) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in size):
        raise ShapeError(f"upsample: expected size (H, W), two positive whole numbers, got {size}; height comes first")
    return int(size[0]), int(size[1])
