"""Shapes and counts as numbers, and arrays made from them. No signal passes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import ShapeError
from npgradcam.typing import Shape as Lengths

from .checking import NoShapeYetError, expect_room
from .steps import Step


class _Measure(Step):
    """A layer whose output has no axis of images."""

    def keeps_batch(self, *shapes: Lengths) -> bool:
        return False


class _Made(_Measure):
    """A layer whose output's shape depends on numbers, which shapes alone do not tell."""

    def output_shape(self, *shapes: Lengths) -> Lengths:
        raise NoShapeYetError("the shape of what comes out depends on the numbers that go in; run forward to know it")


@dataclass(frozen=True, eq=False, repr=False)
class Shape(_Measure):
    """y = the lengths of the axes start .. end - 1 of x, as whole numbers; counted from the end where negative.

    Parameters
    ----------
    start : int
    end : int, optional
        All axes from `start` on where nothing is said.
    """

    start: int = 0
    end: int | None = None
    reads_shapes: ClassVar[bool] = True

    def step(self, x: Any) -> Any:  # any shape -> (axes,)
        return np.array(x.shape[self.start : self.end], np.int64)

    def output_shape(self, *shapes: Lengths) -> Lengths:
        return (len(shapes[0][self.start : self.end]),)


@dataclass(frozen=True, eq=False, repr=False)
class Size(_Measure):
    """y = how many numbers x has."""

    reads_shapes: ClassVar[bool] = True

    def step(self, x: Any) -> Any:  # any shape -> ()
        return np.array(x.size, np.int64)

    def output_shape(self, *shapes: Lengths) -> Lengths:
        return ()


@dataclass(frozen=True, eq=False, repr=False)
class Range(_Made):
    """y = start, start + delta, start + 2 delta, ... as long as that lies before limit."""

    inputs: ClassVar[int | None] = 3

    def step(self, start: Any, limit: Any, delta: Any) -> Any:  # (), (), () -> (count,)
        if delta.item() == 0:
            raise ShapeError("expected a delta other than 0, got 0")
        expect_room((math.ceil((limit.item() - start.item()) / delta.item()),))  # nothing where that is negative
        return np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class NonZero(_Made):
    """y[:, k] = the place of the k-th number that is not 0, in row-major order."""

    def step(self, x: Any) -> Any:  # any shape -> (axes, count)
        return np.ascontiguousarray(np.argwhere(x).T)


@dataclass(frozen=True, eq=False, repr=False)
class ConstantOfShape(_Made):
    """y = one value everywhere, in the shape that arrives.

    Parameters
    ----------
    value : ndarray of one number
    """

    value: NDArray[Any]

    def __post_init__(self) -> None:
        if self.value.size != 1:
            raise ShapeError(f"ConstantOfShape: expected one number, got an array of shape {self.value.shape}")

    def step(self, shape: Any) -> Any:  # (axes,) -> any shape
        return np.full(expect_room(tuple(int(length) for length in shape)), self.value.reshape(()))
