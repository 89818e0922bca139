"""Resampling: one matrix of weights for each axis that changes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, IntArray, Shape

from .interpolation import Coordinates, Mode, Nearest, centres, matrix, multiply
from .layer import Layer

Aspect: TypeAlias = Literal["stretch", "not_larger", "not_smaller"]
CROP = "tf_crop_and_resize"


class _Change(NamedTuple):
    """How one axis changes: how many cells come out, and how much larger the scale makes them, cells / of."""

    axis: int
    size: int
    cells: int
    of: int
    roi: tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class Resize(Layer):
    """y = x read at other places, interpolated; ONNX' operator of that name, linear in x.

    Parameters
    ----------
    sizes : tuple of int, optional
        How long the axes become; this or `scales`.
    scales : tuple of float, optional
        How often as long; I = floor(H scale). ONNX and its exporters hold 3/5 or 1/3 as a float32; the fraction is
        meant, and taken, where one with a denominator of at most 1000 rounds to that float32.
    axes : tuple of int, optional
        Which axes; None: all.
    mode : {"nearest", "linear", "cubic"}
    coordinates : str
        Where output cell i lies in the input, see `interpolation.centres`.
    nearest : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}
        Which cell is the nearest; the first two differ halfway between two cells.
    cubic_a : float
        The cubic kernel's only free number; PyTorch -0.75, TensorFlow -0.5.
    exclude_outside : bool
        Whether cells beyond the edge count nothing (and the others more), not as repetitions of the edge.
    antialias : bool
        Whether the linear and cubic kernels are stretched where the picture becomes smaller.
    keep_aspect : {"stretch", "not_larger", "not_smaller"}
        With `sizes`: take them as they are, or one common scale that makes no axis larger (smaller) than they say;
        halves of a cell are rounded up.
    roi : tuple of float, optional
        For "tf_crop_and_resize": where on each axis the part begins, then where on each it ends; 0 is the first cell's
        centre, 1 the last's.
    extrapolation : float
        For "tf_crop_and_resize": the value of cells whose centre lies beyond the first or last cell's.

    Notes
    -----
    y[..., i, ...] = sum_h matrix[i,h] x[..., h, ...], for each axis in turn.
    """

    sizes: tuple[int, ...] | None = None
    scales: tuple[float, ...] | None = None
    axes: tuple[int, ...] | None = None
    mode: Mode = "nearest"
    coordinates: Coordinates = "half_pixel"
    nearest: Nearest = "round_prefer_floor"
    cubic_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    keep_aspect: Aspect = "stretch"
    roi: tuple[float, ...] | None = None
    extrapolation: float = 0.0

    def __post_init__(self) -> None:
        given = self.scales if self.sizes is None else self.sizes
        if given is None or (self.sizes is not None and self.scales is not None):
            raise ShapeError("Resize: expected sizes or scales, one of them")
        if any(not number > 0 for number in given):
            raise ShapeError(f"Resize: expected sizes or scales > 0, got {given}")
        if self.axes is not None and len(self.axes) != len(given):
            raise ShapeError(f"Resize: expected a size or scale for each of the axes {self.axes}, got {given}")
        if self.coordinates == CROP and (self.roi is None or len(self.roi) != 2 * len(given)):
            raise ShapeError(f"Resize: expected roi of {2 * len(given)} numbers for its axes, got {self.roi}")
        for name, value, known in (
            ("mode", self.mode, Mode), ("coordinates", self.coordinates, Coordinates),
            ("nearest", self.nearest, Nearest), ("keep_aspect", self.keep_aspect, Aspect),
        ):
            if value not in get_args(known):
                raise ShapeError(f"Resize: expected {name} among {', '.join(get_args(known))}, got {value!r}")

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, I, J)
        y = x
        for change in self._changes(x.shape):
            # y[..., i, ...] = sum_h matrix[i,h] x[..., h, ...]
            weights, outside = self._matrix(change, x.shape[change.axis])
            y = multiply(weights, y, change.axis)
            y[(slice(None),) * change.axis + (outside,)] = self.extrapolation
        return y, x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # (R, C, I, J) -> (R, C, H, W)
        for change in reversed(self._changes(shape)):
            # dx[..., h, ...] = sum_i matrix[i,h] signal[..., i, ...]
            weights, _ = self._matrix(change, shape[change.axis])
            signal = multiply(weights.T, signal, change.axis)
        return (signal,)

    def output_shape(self, *shapes: Shape) -> Shape:
        sizes = {change.axis: change.size for change in self._changes(shapes[0])}
        return tuple(sizes.get(axis, length) for axis, length in enumerate(shapes[0]))

    def keeps_batch(self, *shapes: Shape) -> bool:
        """Whether axis 0 stays as it is."""
        return all(change.axis for change in self._changes(shapes[0]))

    def _matrix(self, change: _Change, length: int) -> tuple[Array, IntArray]:
        """Return matrix[i,h] (I, H), and which output cells lie outside and hold `extrapolation`."""
        _, size, cells, of, roi = change
        where = centres(self.coordinates, length, size, cells, of, roi)
        shrunk = min(1.0, cells / of) if self.antialias else 1.0
        weights = matrix(where, length, self.mode, self.nearest, self.cubic_a, shrunk, self.exclude_outside)
        outside = np.flatnonzero((where < 0) | (where > length - 1)) if self.coordinates == CROP else np.array([], int)
        weights[outside] = 0
        return weights, outside

    def _changes(self, shape: Shape) -> list[_Change]:
        """Return the axes that do not stay as they are."""
        axes = range(len(shape)) if self.axes is None else self.axes
        given = self.scales if self.sizes is None else self.sizes
        if given is None or len(axes) != len(given) or not all(-len(shape) <= axis < len(shape) for axis in axes):
            raise ShapeError(f"expected {len(given or ())} axes {self.axes or ''} to resize, got shape {shape}")
        lengths = [shape[axis] for axis in axes]
        starts, ends = (0.0,) * len(axes), (1.0,) * len(axes)
        if self.coordinates == CROP and self.roi is not None:
            starts, ends = self.roi[: len(axes)], self.roi[len(axes) :]
        scales = [_fraction(scale) for scale in self.scales or ()]
        if self.sizes is not None:
            scales = [Fraction(size, length) for size, length in zip(self.sizes, lengths, strict=True)]
            if self.keep_aspect != "stretch":
                scales = [min(scales) if self.keep_aspect == "not_larger" else max(scales)] * len(scales)
        found = []
        for axis, length, start, end, scale in zip(axes, lengths, starts, ends, scales, strict=True):
            part = Fraction(end - start)
            size = floor(length * scale * part) if self.sizes is None else floor(length * scale + Fraction(1, 2))
            if size < 1:
                raise ShapeError(f"{self} leaves nothing of axis {axis} of shape {shape}")
            if size != length or scale != 1 or (start, end) != (0.0, 1.0):
                found.append(_Change(axis % len(shape), size, scale.numerator, scale.denominator, (start, end)))
        return found


def _fraction(scale: float) -> Fraction:
    """Return the fraction that a scale stands for: 0.6, in any precision, is 3/5."""
    simple = Fraction(scale).limit_denominator(1000)
    return simple if np.float32(simple) == np.float32(scale) else Fraction(scale)
