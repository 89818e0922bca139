"""How a map gets from the layer's size to the picture's: one matrix of weights an axis, by the name of the kernel."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from npgradcam.layers.interpolation import Coordinates, Mode, Nearest, centres, matrix
from npgradcam.typing import Array

LEVELS = 1024  # a cell's share of the distance to the next, as TensorFlow's cubic kernel rounds it

KERNELS = {
    "none": "the map stays at the layer's size",
    "nearest": "the nearest cell, i n / N rounded down",
    "bilinear": "bilinear, half-pixel centres, edges repeated",
    "corner-aligned": "bilinear, the first and the last cells' centres aligned",
    "mirrored": "bilinear, half-pixel centres, mirrored beyond the edge cells' centres",
    "cubic": "cubic with a = -0.75, half-pixel centres, edges repeated",
    "cubic, a = -0.5": "cubic with a = -0.5, half-pixel centres, nothing beyond the edges",
    "cubic, table": "cubic with a = -0.5 in steps of 1/1024, half-pixel centres, nothing beyond the edges",
    "spline": "cubic spline, the first and the last cells' centres aligned",
    "lanczos": "Lanczos with 3 lobes, half-pixel centres, nothing beyond the edges, in levels of 1/255",
}


def resize(maps: Array, kernel: str, size: tuple[int, int]) -> Array:
    """Bring maps (R, I, J) to (R, H, W) by one of `KERNELS`, in float64, rounded once to the dtype of `maps`.

    "lanczos" is Pillow's, on whole numbers 0 .. 255.
    """
    if kernel == "none":
        return maps
    if kernel == "lanczos":
        return np.stack([_lanczos(m, size) for m in maps]).astype(maps.dtype)
    rows, columns = (axis_matrix(kernel, n, to) for n, to in zip(maps.shape[1:], size, strict=True))
    return (rows @ maps.astype(np.float64) @ columns.T).astype(maps.dtype)  # y = rows x columns^T


@lru_cache(256)
def axis_matrix(kernel: str, length: int, size: int) -> Array:
    """Return weight[i,h] (size, length), read-only: how much cell h counts in output cell i; rows sum to 1."""
    weights = _axis_matrix(kernel, length, size)
    weights.flags.writeable = False
    return weights


def _axis_matrix(kernel: str, length: int, size: int) -> Array:
    if kernel in ("spline", "lanczos"):
        return _spline(length, size) if kernel == "spline" else _lanczos_matrix(length, size)
    half, settings = _where("half_pixel", length, size), {"cubic": -0.75}.get(kernel, -0.5)
    if kernel == "nearest":
        return _matrix(_where("asymmetric", length, size), length, "nearest", "floor")
    if kernel == "bilinear":
        return _matrix(half, length, "linear")
    if kernel == "corner-aligned":
        return _matrix(_where("align_corners", length, size), length, "linear")
    if kernel == "mirrored":  # a place beyond the last centre is as far on this side of it
        return _matrix(np.abs(half - np.maximum(0, 2 * (half - (length - 1)))), length, "linear")
    if kernel == "cubic, table":
        half = np.rint(half * LEVELS) / LEVELS
    return _matrix(half, length, "cubic", cubic_a=settings, exclude_outside=kernel != "cubic")


def _where(coordinates: Coordinates, length: int, size: int) -> Array:
    return centres(coordinates, length, size, size, length, (0.0, 1.0))


def _matrix(where: Array, length: int, mode: Mode, nearest: Nearest = "floor", cubic_a: float = -0.75,
            exclude_outside: bool = False) -> Array:
    return matrix(where, length, mode, nearest, cubic_a, 1.0, exclude_outside)


def _spline(length: int, size: int) -> Array:
    from scipy.ndimage import zoom

    return np.stack([zoom(unit, size / length, order=3) for unit in np.eye(length)], axis=1)


def _lanczos_matrix(length: int, size: int) -> Array:
    from PIL import Image

    unit = Image.fromarray(np.eye(length, dtype=np.float32))  # each column is a map that is 1 in one cell
    return np.asarray(unit.resize((length, size), Image.Resampling.LANCZOS)).astype(np.float64)


def _lanczos(m: Array, size: tuple[int, int]) -> Any:
    from PIL import Image

    return np.asarray(Image.fromarray(m.astype(np.uint8)).resize((size[1], size[0]), Image.Resampling.LANCZOS))
