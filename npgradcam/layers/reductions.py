"""Reductions: many cells become one, along any axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, IntArray, Shape

from .checking import counted_axes, expect_integers
from .layer import Layer, expect_axes
from .reshaping import as_rows


@dataclass(frozen=True, eq=False, repr=False)
class _Reduction(Layer):
    """What the reductions share: which axes, and whether they stay as axes of length 1.

    Parameters
    ----------
    axes : tuple of int, optional
        All axes where nothing is said.
    keepdims : bool
    """

    axes: Shape | None = None
    keepdims: bool = True

    def __post_init__(self) -> None:
        expect_integers("axes", self.axes or ())

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        reduced = self._reduced(shape)
        return self._kept(shape) if self.keepdims else tuple(n for k, n in enumerate(shape) if k not in reduced)

    def keeps_batch(self, *shapes: Shape) -> bool:
        return bool(shapes[0]) and 0 not in self._reduced(shapes[0])

    def _reduced(self, shape: Shape) -> Shape:
        every = tuple(range(len(shape)))
        return every if self.axes is None else tuple(sorted(counted_axes(self.axes, len(shape))))

    def _kept(self, shape: Shape) -> Shape:
        """The input's shape with 1 for each reduced axis."""
        reduced = self._reduced(shape)
        return tuple(1 if axis in reduced else n for axis, n in enumerate(shape))

    def _count(self, shape: Shape) -> int:
        """How many cells become one."""
        return prod(shape[axis] for axis in self._reduced(shape))

    def _spread(self, signal: Array, shape: Shape) -> Array:
        """The signal repeated along the reduced axes; a view."""
        signal = as_rows(signal, self._kept(shape))
        rows = signal.shape[:1] if self.keeps_batch(shape) else shape[:1]
        return np.broadcast_to(signal, (*rows, *shape[1:]))


@dataclass(frozen=True, eq=False, repr=False)
class ReduceSum(_Reduction):
    """y = the sum of the cells; each gets the whole signal."""

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, 1, 1) for axes (2, 3)
        # y[n,c] = sum_{h,w} x[n,c,h,w]
        axes = self._reduced(x.shape)
        return np.asarray(x.sum(axis=axes, keepdims=self.keepdims, dtype=x.dtype)), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # and back
        # dx[n,c,h,w] = signal[n,c]
        return (self._spread(signal, shape),)


@dataclass(frozen=True, eq=False, repr=False)
class ReduceMean(_Reduction):
    """y = the mean of the cells; each gets the same share. The mean of whole numbers loses its fraction."""

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, 1, 1) for axes (2, 3)
        # y[n,c] = 1/Z sum_{h,w} x[n,c,h,w], Z = H W
        self.output_shape(x.shape)
        axes = self._reduced(x.shape)
        return np.asarray(x.mean(axis=axes, keepdims=self.keepdims)).astype(x.dtype, copy=False), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # and back
        # dx[n,c,h,w] = 1/Z signal[n,c]
        return (self._spread(signal / self._count(shape), shape),)

    def output_shape(self, *shapes: Shape) -> Shape:
        if self._count(shapes[0]) == 0:
            raise ShapeError(f"expected at least one cell along the axes {self._reduced(shapes[0])}, got {shapes[0]}")
        return super().output_shape(*shapes)


@dataclass(frozen=True, eq=False, repr=False)
class ReduceL2(_Reduction):
    """y = the square root of the sum of squares; where it is 0, a kink, the derivative is taken as 0."""

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:  # (N, C, H, W) -> (N, 1, H, W) for axes (1,)
        # y[n,h,w] = sqrt(sum_c x[n,c,h,w]^2)
        y = np.sqrt((x * x).sum(axis=self._reduced(x.shape), keepdims=self.keepdims)).astype(x.dtype, copy=False)
        return np.asarray(y), (x, np.asarray(y))

    def backward(self, signal: Array, cache: tuple[Array, Array]) -> tuple[Array]:  # and back
        # dx[n,c,h,w] = signal[n,h,w] x[n,c,h,w] / y[n,h,w]
        x, y = cache
        share = as_rows(signal / np.where(y == 0, 1, y).astype(y.dtype), self._kept(x.shape))
        return (share * x,)


@dataclass(frozen=True, eq=False, repr=False)
class _Extreme(_Reduction):
    """What the largest and the smallest share: one cell wins, and gets the whole signal."""

    def _winner(self, cells: Array) -> IntArray:
        raise NotImplementedError

    def _of_nothing(self, dtype: np.dtype[Any]) -> Any:
        raise NotImplementedError

    def forward(self, x: Array) -> tuple[Array, tuple[IntArray, Shape]]:  # (N, C, H, W) -> (N, C, 1, 1), say
        # y[n,c] = x[n, c, winner[n,c]]
        shape, reduced = self.output_shape(x.shape), self._reduced(x.shape)
        last = np.moveaxis(x, reduced, range(x.ndim - len(reduced), x.ndim))
        cells = last.reshape(*last.shape[: x.ndim - len(reduced)], self._count(x.shape))  # (N, C, H W)
        if not self._count(x.shape):
            return np.full(shape, self._of_nothing(x.dtype), x.dtype), (np.zeros(cells.shape[:-1], int), x.shape)
        winner = np.asarray(self._winner(cells))
        return np.take_along_axis(cells, winner[..., None], -1).reshape(shape), (winner, x.shape)

    def backward(self, signal: Array, cache: tuple[IntArray, Shape]) -> tuple[Array]:  # and back
        # dx[n, c, winner[n,c]] = signal[n,c]
        winner, shape = cache
        reduced = self._reduced(shape)
        rows = (len(signal), *winner.shape[1:]) if self.keeps_batch(shape) else winner.shape
        cells = np.zeros((*rows, self._count(shape)), signal.dtype)
        places = np.broadcast_to(winner, rows)
        if cells.size:
            np.put_along_axis(cells, places[..., None], signal.reshape(*rows, 1), -1)
        last = cells.reshape((*rows, *(shape[axis] for axis in reduced)))
        return (np.moveaxis(last, range(len(rows), last.ndim), reduced),)


@dataclass(frozen=True, eq=False, repr=False)
class ReduceMax(_Extreme):
    """y = the largest cell; a tie goes to the first in row-major order; NaN wins and stays. Of no cells: -infinity."""

    def _winner(self, cells: Array) -> Any:
        return cells.argmax(-1)

    def _of_nothing(self, dtype: np.dtype[Any]) -> Any:
        return _bounds(dtype)[0]


@dataclass(frozen=True, eq=False, repr=False)
class ReduceMin(_Extreme):
    """y = the smallest cell; a tie goes to the first in row-major order; NaN wins and stays. Of no cells: infinity."""

    def _winner(self, cells: Array) -> Any:
        return cells.argmin(-1)

    def _of_nothing(self, dtype: np.dtype[Any]) -> Any:
        return _bounds(dtype)[1]


def _bounds(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The smallest and the largest number, or truth value, that there is."""
    if dtype.kind in "fb":
        return (-np.inf, np.inf) if dtype.kind == "f" else (False, True)
    return np.iinfo(dtype).min, np.iinfo(dtype).max


@dataclass(frozen=True, eq=False, repr=False)
class GlobalMaxPool2d(ReduceMax):
    """y = the largest cell of each feature map; a tie goes to the first in row-major order; NaN wins and stays."""

    axes: Shape | None = (2, 3)

    def output_shape(self, *shapes: Shape) -> Shape:  # (N, C, H, W) -> (N, C, 1, 1)
        expect_axes(shapes[0], "NCHW")
        return super().output_shape(*shapes)
