"""Where the cells of a resampled axis lie, which cells of the input they are made of, and by what weights."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from npgradcam.typing import Array

Mode: TypeAlias = Literal["nearest", "linear", "cubic"]
Nearest: TypeAlias = Literal["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
Coordinates: TypeAlias = Literal[
    "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
]


def centres(coordinates: Coordinates, length: int, size: int, cells: int, of: int,
            roi: tuple[float, float]) -> Array:
    """Return where each of `size` output cells lies among `length` input cells (0 is the first one's centre).

    The scale is a fraction, cells / of: so many cells of the output lie over so many of the input.

    Notes
    -----
    half_pixel            (i + 1/2) / scale - 1/2: both pictures share their outer edges
    pytorch_half_pixel    the same, but 0 where a single cell comes out
    half_pixel_symmetric  the same, but both pictures share their middle, also where H scale is no whole number
    tf_half_pixel_for_nn  (i + 1/2) / scale
    asymmetric            i / scale: both share the first cell's centre
    align_corners         i (H - 1) / (H scale - 1): they share the first and the last cell's centres; H scale is not
                          rounded here, as in ONNX' own tests (PyTorch and onnxruntime round it)
    tf_crop_and_resize    (H - 1) (start + i (end - start) / (I - 1)), and the middle of both where I is 1

    Each is one exact product and one division, so a cell halfway between two others is exactly there.
    """
    i: Array = np.arange(size, dtype=np.float64)
    if coordinates == "asymmetric":
        return i * of / cells
    if coordinates == "align_corners":
        return i * ((length - 1) * of) / (length * cells - of) if length * cells != of else np.zeros(size)
    if coordinates == "tf_crop_and_resize":
        start, end = roi
        part = i / (size - 1) if size > 1 else np.array([0.5])
        return np.asarray((length - 1) * (start + part * (end - start)))
    if coordinates == "pytorch_half_pixel" and size == 1:
        return np.zeros(1)
    halves = (i + 0.5) * of / cells
    if coordinates == "tf_half_pixel_for_nn":
        return halves
    if coordinates == "half_pixel_symmetric":
        return halves - 0.5 + (length - size * of / cells) / 2
    return halves - 0.5


def matrix(where: Array, length: int, mode: Mode, nearest: Nearest, cubic_a: float, shrunk: float,
           exclude_outside: bool) -> Array:
    """Return the weights of the input's cells in each output cell, (I, H); rows sum to 1.

    weight[i,h] = kernel(shrunk (where[i] - h)); cells beyond the edge are the edge repeated, or count nothing.
    `shrunk` < 1 stretches the kernel (antialiasing).
    """
    if mode == "nearest":
        cells, weights = _nearest(where, nearest)[:, None], np.ones_like(where)[:, None]
    else:
        reach = int(2 / shrunk)  # as far as the wider kernel, the cubic one, counts anything
        cells = np.floor(where)[:, None] + np.arange(-reach, reach + 2)
        distance = np.abs(where[:, None] - cells) * shrunk
        weights = _linear(distance) if mode == "linear" else _cubic(distance, cubic_a)
        if exclude_outside:
            weights[(cells < 0) | (cells > length - 1)] = 0
        if exclude_outside or shrunk < 1:
            total = weights.sum(axis=1, keepdims=True)
            weights /= np.where(total == 0, 1, total)  # where every neighbour is outside, nothing counts
    found = np.zeros((len(where), length))
    np.add.at(found, (np.arange(len(where))[:, None], np.clip(cells, 0, length - 1).astype(int)), weights)
    return found


def _nearest(where: Array, nearest: Nearest) -> Array:
    """Return the cell's number; the first two rules differ halfway between two cells."""
    rules = {"round_prefer_floor": np.ceil(where - 0.5), "round_prefer_ceil": np.floor(where + 0.5),
             "floor": np.floor(where), "ceil": np.ceil(where)}
    return np.asarray(rules[nearest])


def _linear(distance: Array) -> Array:
    """A triangle: 1 - |t|, and 0 from 1 on."""
    return np.asarray(np.maximum(0, 1 - distance))


def _cubic(t: Array, a: float) -> Array:
    """Return the kernel of Keys 1981, equation 4: cubic pieces that pass 1, 0, 0 at 0, 1, 2."""
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def multiply(weights: Array, x: Array, axis: int) -> Array:
    """y[..., i, ...] = sum_h weights[i,h] x[..., h, ...] along that axis; only weights that are not 0 are visited."""
    rows, columns = np.nonzero(weights)
    counts = np.bincount(rows, minlength=len(weights))
    tap = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]  # the tap-th weight of its row
    taps = max(1, counts.max())
    # a row with fewer weights than another visits its first again, with 0
    cells, values = np.tile(np.argmax(weights != 0, axis=1), (taps, 1)), np.zeros((taps, len(weights)), x.dtype)
    cells[tap, rows], values[tap, rows] = columns, weights[rows, columns]
    spread = (-1,) + (1,) * (x.ndim - axis - 1)
    y = x.take(cells[0], axis) * values[0].reshape(spread)
    for cell, value in zip(cells[1:], values[1:], strict=True):
        y += x.take(cell, axis) * value.reshape(spread)
    return np.asarray(y)
