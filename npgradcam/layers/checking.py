"""What layers refuse before they compute: axes that are not there, settings that are no whole numbers, absurd sizes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Shape

LARGEST = 2**30  # numbers in one array: 4 GB of float32
MOST_AXES = 32  # of one array, in every NumPy


class NoShapeYetError(ShapeError):
    """What comes out depends on the numbers that go in, not on shapes alone."""


def expect_integers(what: str, value: object) -> None:
    """Refuse anything but a tuple of whole numbers."""
    if not isinstance(value, tuple) or not all(isinstance(v, (int, np.integer)) for v in value):
        raise ShapeError(f"{what}: expected a tuple of whole numbers, got {value!r}")


def moved_channels(wanted: Sequence[int | None], got: Shape) -> str:
    """Return the way out where an array has the axes that are wanted, but its channels elsewhere; "" where it has not.

    Examples
    --------
    >>> moved_channels((None, 3, None, None), (1, 224, 224, 3))
    'the channels come first, (N, C, H, W): give x.transpose(0, 3, 1, 2)'
    """
    def fits(*order: int) -> bool:
        return len(got) == len(wanted) == 4 and all(w in (None, got[a]) for w, a in zip(wanted, order, strict=True))

    if fits(0, 3, 1, 2):
        return "the channels come first, (N, C, H, W): give x.transpose(0, 3, 1, 2)"
    if fits(0, 2, 3, 1) and got[1] < min(got[2:]):
        return "the channels come last, (N, H, W, C): give x.transpose(0, 2, 3, 1)"
    return ""


def expect_room(shape: Shape) -> Shape:
    """Return the shape; refuse one with more numbers or axes than any photograph needs, before memory is asked for."""
    if len(shape) > MOST_AXES:
        raise ShapeError(f"expected at most {MOST_AXES} axes, got {len(shape)}")
    if prod(length or 1 for length in shape) > LARGEST:  # NumPy counts so, too, where an axis has no cells
        raise ShapeError(f"expected at most {LARGEST:,} numbers in one array, got shape {shape}")
    return shape


def counted_axis(axis: int, rank: int) -> int:
    """Return the axis counted from the front; -1 is the last of `rank`."""
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis}: expected one of an array with {rank} axes; add or remove the batch axis?")
    return int(axis) % rank


def counted_axes(axes: Shape, rank: int) -> Shape:
    """Return the axes counted from the front, each at most once."""
    counted = tuple(counted_axis(axis, rank) for axis in axes)
    if len(set(counted)) != len(counted):
        raise ShapeError(f"axes: expected each axis once, got {axes} for an array with {rank} axes")
    return counted
