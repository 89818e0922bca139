"""Which colour a number gets, and the pictures that come of it: overlays of maps, and signals around mid grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from npgradcam.errors import ImageError, ShapeError

CLIPPED = 0.995  # of the numbers of a signal, this part is drawn as it is

# Turbo, levels 0..255: Chebyshev coefficients of red, green and blue
# over position -1..1 in the table, fitted to the published one
_TURBO = (
    (128.8, 79, -30.7, -59.3, -12, 24.7, -4.2, -9.1, 6.1, 0.7, -3.8, 2.2, 1.2, -2.1, 0.1, 0.9, -0.2, -0.4, -0.1),
    (111.4, -24.7, -117.7, 17.3, 20.6, 1, -3, -0.8, -0.8, 0, 0.5, 0.3, 0.4, -0.1, -0.6, 0, 0.4, 0.2),
    (90.3, -91.6, -30.8, 57.5, -37.3, 10.6, 11.8, -5.8, -4.7, 0.4, 2.7, 1.7, -2.1, -1.1, 1.5, 0.1, -0.8, 0.5, 0.1),
)


@dataclass(frozen=True, eq=False)
class ColourTable:
    """Colours for the numbers from `low` to 1, in equal steps.

    Attributes
    ----------
    name : str
        What a manifest calls it.
    low : float
        The number of the first colour: 0 for maps without negative values, -1 for signed ones.
    rgb : ndarray uint8 (L, 3)
        The colours; the last one is that of 1. Read-only.
    """

    name: str
    low: float
    rgb: NDArray[np.uint8]


def _table(name: str, low: float, channels: list[Any]) -> ColourTable:
    rgb = np.clip(np.rint(np.stack(channels, axis=1)), 0, 255).astype(np.uint8)
    rgb.flags.writeable = False
    return ColourTable(name, low, rgb)


def _diverging(name: str, negative: tuple[int, ...], zero: tuple[int, ...], positive: tuple[int, ...]) -> ColourTable:
    position = np.linspace(-1, 1, 255)  # an odd number of colours: one of them is that of 0
    ends = zip(negative, zero, positive, strict=True)
    return _table(name, -1.0, [np.interp(position, (-1, 0, 1), levels) for levels in ends])


TURBO = _table("turbo", 0.0, [chebyshev.chebval(np.linspace(-1, 1, 256), channel) for channel in _TURBO])
BLUE_WHITE_RED = _diverging("blue_white_red", (24, 66, 158), (255, 255, 255), (184, 18, 36))
GREY = _diverging("grey", (1, 1, 1), (128, 128, 128), (255, 255, 255))


def colourise(values: NDArray[Any], table: ColourTable = TURBO) -> NDArray[np.uint8]:
    """Give each number its colour.

    Parameters
    ----------
    values : ndarray (...)
        Normalised numbers: 0..1, or -1..1 for a table with low = -1.
    table : ColourTable
        `TURBO`, or `BLUE_WHITE_RED` for signed maps.

    Returns
    -------
    ndarray uint8 (..., 3)
        The nearest colour of the table, table.rgb[round((value - low) / (1 - low) * (L - 1))].

    Raises
    ------
    ImageError
        If a number is NaN or outside the table, by more than rounding: colours are not clipped silently.

    Notes
    -----
    `TURBO` has 256 colours within one level of Mikhailov's table; a value of 0 is dark blue, not absence of colour.
    `BLUE_WHITE_RED` has 255, so that 0 is exactly white, and a number and its negative are equally far from white.

    References
    ----------
    A. Mikhailov, "Turbo, An Improved Rainbow Colormap for Visualization", Google AI Blog, 2019.

    Examples
    --------
    >>> colourise(np.array([-1.0, 0.0, 1.0]), BLUE_WHITE_RED).tolist()
    [[24, 66, 158], [255, 255, 255], [184, 18, 36]]
    """
    if np.iscomplexobj(values):
        raise ShapeError(f"colourise: expected real numbers, got {values.dtype}; take the magnitude or a part first")
    slack = 1e-5
    if not np.all((values >= table.low - slack) & (values <= 1 + slack)):  # also False for NaN
        raise ImageError(
            f"colourise: expected numbers from {table.low:g} to 1 for {table.name}, got {np.min(values):.4g} to "
            f"{np.max(values):.4g}; normalise the map first, and use BLUE_WHITE_RED for one with both signs"
        )
    unit = (np.clip(values, table.low, 1).astype(np.float64) - table.low) / (1 - table.low)
    colours: NDArray[np.uint8] = table.rgb[np.rint(unit * (len(table.rgb) - 1)).astype(np.intp)]
    return colours


def overlay(
    photograph: NDArray[np.uint8],
    values: NDArray[Any],
    opacity: float = 0.5,
    table: ColourTable = TURBO,
    inside: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Lay a coloured map over a photograph.

    Parameters
    ----------
    photograph : ndarray uint8 (H, W, 3)
        RGB, 0..255.
    values : ndarray (H, W)
        A normalised map of the same size: 0..1, or -1..1 with a signed table.
    opacity : float
        Of the colours, everywhere the same: 0 shows only the photograph, 1 only the map.
    table : ColourTable
        `TURBO`, or `BLUE_WHITE_RED` for a signed map.
    inside : ndarray bool (H, W), optional
        Where False the photograph stays as it is: the network did not see it.

    Returns
    -------
    ndarray uint8 (H, W, 3)
        (1 - opacity) photograph + opacity colour, rounded to the nearest level, halves to even.
    """
    if photograph.dtype != np.uint8 or photograph.ndim != 3 or photograph.shape[2] != 3:
        raise ShapeError(
            f"overlay: expected a photograph (H, W, 3) of uint8, got {photograph.shape} of {photograph.dtype}; "
            f"read_image makes one"
        )
    for name, array in (("map", values), ("inside", inside)):
        if array is not None and array.shape != photograph.shape[:2]:
            raise ShapeError(
                f"overlay: expected the {name} to be {photograph.shape[:2]} like the photograph, got {array.shape}; "
                f"use upsample or place"
            )
    if not 0 <= opacity <= 1:
        raise ImageError(f"overlay: expected an opacity from 0 to 1, got {opacity}; 0.5 is usual")
    levels = np.arange(256)
    mix = np.rint((1 - opacity) * levels[:, None] + opacity * levels).astype(np.uint8)  # every photograph by colour
    mixed = mix.reshape(-1).take(256 * photograph.astype(np.uint16) + colourise(values, table))
    return mixed if inside is None else np.where(inside[:, :, None], mixed, photograph)


def signal_image(signal: NDArray[Any], limit: float | None = None, channels: str = "RGB") -> NDArray[np.uint8]:
    """Show a signal at the input as a picture in which 0 is mid grey.

    Parameters
    ----------
    signal : ndarray (C, H, W)
        One image's gradient or signal; C = 3, or C = 1 for a grey picture.
    limit : float, optional
        The magnitude that gets full intensity; larger ones are clipped. Default: the largest magnitude in `signal`.
    channels : {"RGB", "BGR"}
        The order of the three channels in `signal`.

    Returns
    -------
    ndarray uint8 (H, W, 3)
        128 + round(127 signal / limit), RGB: 1..255, 0 exactly at 128, and a signal and its negative equally far
        from it. A signal that is zero everywhere is a uniform 128.

    Raises
    ------
    ShapeError
        If `signal` is not (3, H, W) or (1, H, W).
    ImageError
        If a value is NaN or infinite, or `limit` is not a positive number.

    Examples
    --------
    >>> signal_image(np.array([[[-2.0, 0.0, 2.0]]]))[0, :, 0]
    array([  1, 128, 255], dtype=uint8)
    """
    values = finite(signal, "signal_image").astype(np.float64)
    if values.ndim != 3 or values.shape[0] not in (1, 3) or channels not in ("RGB", "BGR"):
        raise ShapeError(
            f"signal_image: expected (3, H, W) or (1, H, W) in RGB or BGR order, got {signal.shape} in {channels}; "
            f"take one row of the signal"
        )
    if limit is not None and not 0 < limit < np.inf:
        raise ImageError(f"signal_image: expected a positive limit, got {limit}; leave it out to use the maximum")
    largest = float(np.abs(values).max()) if limit is None else limit
    unit = np.clip(values, -largest, largest) / largest if largest > 0 else values
    levels = (128 + np.rint(127 * unit)).astype(np.uint8).transpose(1, 2, 0)
    levels = np.repeat(levels, 3 // levels.shape[2], axis=2)
    return np.ascontiguousarray(levels[:, :, ::-1] if channels == "BGR" else levels)


def signal_limit(signal: NDArray[Any]) -> float:
    """Return the magnitude that is drawn black or white: few are larger, and those would hide the others.

    Parameters
    ----------
    signal : ndarray (C, H, W)

    Returns
    -------
    float
        The 99.5th percentile of |signal|; where that is 0, the maximum.

    Examples
    --------
    >>> signal_limit(np.arange(-999.0, 1001.0).reshape(1, 40, 50))
    995.0
    """
    magnitudes = np.abs(finite(signal, "signal_limit")).ravel()
    place = min(magnitudes.size - 1, int(CLIPPED * magnitudes.size))
    return float(np.partition(magnitudes, place)[place]) or float(magnitudes.max())


def finite(maps: NDArray[Any], where: str) -> NDArray[Any]:
    """Return maps (..., H, W) as floating point numbers, all of them finite, or raise an error in `where`'s name."""
    values = np.asarray(maps)
    if values.ndim < 2 or 0 in values.shape or values.dtype.kind not in "fiub":
        raise ShapeError(
            f"{where}: expected real maps (..., H, W) with at least one value, got {values.shape} of {values.dtype}; "
            f"check what was passed"
        )
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise ImageError(
            f"{where}: expected finite numbers, got NaN or infinity in {bad} of {values.size} places; "
            f"check the network's weights and input, or compute in float64"
        )
    return values
