"""Layers that group the same numbers in the same order otherwise: neither direction moves a number."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .checking import counted_axes, counted_axis, expect_integers, expect_room
from .layer import Layer


def as_rows(signal: Array, shape: Shape) -> Array:
    """Return the signal grouped as an input of this shape; axis 0 has as many rows as the signal has numbers for."""
    return signal.reshape((-1, *shape[1:]) if shape and 0 not in shape else shape)


class _Regrouping(Layer):
    """y.ravel() = x.ravel(); only the shape says how they differ."""

    def forward(self, x: Array) -> tuple[Array, Shape]:  # any shape -> output_shape, row-major
        return x.reshape(self.output_shape(x.shape)), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # and back
        return (as_rows(signal, shape),)

    def keeps_batch(self, *shapes: Shape) -> bool:
        return shapes[0][:1] == self.output_shape(*shapes)[:1] != ()


@dataclass(frozen=True, eq=False, repr=False)
class Reshape(_Regrouping):
    """Any other shape of as many numbers.

    Parameters
    ----------
    target : tuple of int
        The shape; 0 copies the input's length on that axis, one -1 is what remains.
    allowzero : bool
        Whether 0 means a length of 0 instead.
    """

    target: Shape
    allowzero: bool = False

    def __post_init__(self) -> None:
        expect_integers("target", self.target)
        if self.target.count(-1) > 1 or any(length < -1 for length in self.target):
            raise ShapeError(f"Reshape: expected lengths >= 0 and at most one -1, got {self.target}")

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        copies = [axis for axis, length in enumerate(self.target) if length == 0 and not self.allowzero]
        if copies and copies[-1] >= len(shape):
            raise ShapeError(f"target {self.target}: expected an axis {copies[-1]} to copy, got shape {shape}")
        lengths = [shape[axis] if axis in copies else int(length) for axis, length in enumerate(self.target)]
        known = prod(length for length in lengths if length != -1)
        if -1 in lengths and known:
            lengths[lengths.index(-1)] = prod(shape) // known
        if prod(lengths) != prod(shape) or -1 in lengths:
            raise ShapeError(f"target {self.target}: expected a shape of {prod(shape)} numbers, for shape {shape}")
        return expect_room(tuple(lengths))


@dataclass(frozen=True, eq=False, repr=False)
class Flatten(_Regrouping):
    """The axes from `axis` on become one, and so do those before it: (N, C, H, W) -> (N, C H W).

    Parameters
    ----------
    axis : int
        From 0 to the number of axes; negative ones count from the end.
    """

    axis: int = 1

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        axis = len(shape) if self.axis == len(shape) else counted_axis(self.axis, len(shape))
        return (prod(shape[:axis]), prod(shape[axis:]))


@dataclass(frozen=True, eq=False, repr=False)
class Squeeze(_Regrouping):
    """Axes of length 1 are left out.

    Parameters
    ----------
    axes : tuple of int, optional
        Which; every axis of length 1 where nothing is said.
    """

    axes: Shape | None = None

    def __post_init__(self) -> None:
        expect_integers("axes", self.axes or ())

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if self.axes is None:
            return tuple(length for length in shape if length != 1)
        axes = counted_axes(self.axes, len(shape))
        if any(shape[axis] != 1 for axis in axes):
            raise ShapeError(f"expected length 1 on the axes {self.axes}, got shape {shape}")
        return tuple(length for axis, length in enumerate(shape) if axis not in axes)


@dataclass(frozen=True, eq=False, repr=False)
class Unsqueeze(_Regrouping):
    """New axes of length 1.

    Parameters
    ----------
    axes : tuple of int
        Where they are in the output; negative ones count from its end.
    """

    axes: Shape

    def __post_init__(self) -> None:
        expect_integers("axes", self.axes)

    def output_shape(self, *shapes: Shape) -> Shape:
        rank = len(shapes[0]) + len(self.axes)
        axes, lengths = counted_axes(self.axes, rank), iter(shapes[0])
        return expect_room(tuple(1 if axis in axes else next(lengths) for axis in range(rank)))
