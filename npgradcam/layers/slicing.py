"""Layers that take parts of arrays, or put arrays side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, IntArray, Shape

from .checking import counted_axes, counted_axis, expect_integers, expect_room
from .layer import Layer


@dataclass(frozen=True, eq=False, repr=False)
class Slice(Layer):
    """Every `steps`-th cell from `starts` up to, not including, `ends`. A view, not a copy.

    Negative starts and ends count from the end of the axis, and both are moved into it: an end of 10**9 is its end.
    A negative step walks backwards; then an end before -length includes the first cell.

    Parameters
    ----------
    starts, ends : tuple of int
    axes : tuple of int, optional
        On which axes; the first ones where nothing is said.
    steps : tuple of int, optional
        Not 0; 1 where nothing is said.
    """

    starts: Shape
    ends: Shape
    axes: Shape | None = None
    steps: Shape | None = None

    def __post_init__(self) -> None:
        settings = {name: value for name, value in vars(self).items() if value is not None}
        for name, value in settings.items():
            expect_integers(name, value)
        if len({len(value) for value in settings.values()}) != 1 or 0 in (self.steps or ()):
            raise ShapeError(f"Slice: expected as many starts as ends, axes, steps, and no step of 0, got {settings}")

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, I, J), say
        # y[..., i, ...] = x[..., start + step i, ...]
        return np.asarray(x[self._windows(x.shape)]), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # and back
        # dx[..., start + step i, ...] = signal[..., i, ...], 0 elsewhere
        windows = self._windows(shape)
        rows = signal.shape[:1] if self.keeps_batch(shape) else shape[:1]
        dx = np.zeros((*rows, *shape[1:]), signal.dtype)
        dx[windows] = signal
        return (dx,)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return tuple(len(range(*w.indices(n))) for w, n in zip(self._windows(shape), shape, strict=True))

    def keeps_batch(self, *shapes: Shape) -> bool:
        return self._windows(shapes[0])[:1] == (slice(None),)

    def _windows(self, shape: Shape) -> tuple[slice, ...]:
        axes = counted_axes(tuple(range(len(self.starts))) if self.axes is None else self.axes, len(shape))
        windows = [slice(None)] * len(shape)
        for axis, start, end, step in zip(axes, self.starts, self.ends, self.steps or (1,) * len(axes), strict=True):
            windows[axis] = _window(int(start), int(end), int(step), shape[axis])
        return tuple(windows)


def _window(start: int, end: int, step: int, length: int) -> slice:
    start, end = (place + length if place < 0 else place for place in (start, end))
    if step > 0:
        start, end = (max(0, min(place, length)) for place in (start, end))
        return slice(None) if (start, end, step) == (0, length, 1) else slice(start, end, step)
    return slice(max(0, start), None if end < 0 else end, step)


@dataclass(frozen=True, eq=False, repr=False)
class Gather(Layer):
    """The cells with these numbers on one axis, in this order, as often as they are named.

    Parameters
    ----------
    indices : ndarray of whole numbers, any shape
        It takes the place of the axis; negative ones count from the end.
    axis : int
    """

    indices: IntArray
    axis: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.indices, np.ndarray) or self.indices.dtype.kind not in "iu":
            got = getattr(self.indices, "dtype", type(self.indices).__name__)
            raise ShapeError(f"Gather: expected an array of whole numbers as indices, got {got}")

    @property
    def parameters(self) -> dict[str, Array]:
        """Nothing: places are not trained."""
        return {}

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, K, H, W) for K indices on axis 1
        # y[n,k,h,w] = x[n, indices[k], h, w]
        self.output_shape(x.shape)
        return np.asarray(np.take(x, self.indices, self.axis)), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # and back
        # dx[n, indices[k], h, w] += signal[n,k,h,w]
        axis = counted_axis(self.axis, len(shape))
        dx = np.zeros((len(signal) if axis else shape[0], *shape[1:]), signal.dtype)
        parts = signal.reshape(*signal.shape[:axis], self.indices.size, *shape[axis + 1 :])
        for k, index in enumerate(self.indices.flat):
            dx[(slice(None),) * axis + (index,)] += parts[(slice(None),) * axis + (k,)]
        return (dx,)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        axis = counted_axis(self.axis, len(shape))
        if ((self.indices < -shape[axis]) | (self.indices >= shape[axis])).any():
            got = f"{self.indices.min()} to {self.indices.max()}"
            raise ShapeError(f"expected indices from {-shape[axis]} to {shape[axis] - 1} on axis {axis}, got {got}")
        return expect_room((*shape[:axis], *self.indices.shape, *shape[axis + 1 :]))

    def keeps_batch(self, *shapes: Shape) -> bool:
        return counted_axis(self.axis, len(shapes[0])) > 0


@dataclass(frozen=True, eq=False, repr=False)
class Concat(Layer):
    """All inputs, one after the other along one axis; each input gets its own part of the signal.

    Parameters
    ----------
    axis : int
        The channels', where nothing is said.
    """

    axis: int = 1
    inputs: ClassVar[int | None] = None

    def forward(self, *xs: Array) -> tuple[Array, list[int]]:  # (N, C1, H, W), ... -> (N, C1 + ..., H, W)
        self.output_shape(*(x.shape for x in xs))
        return np.concatenate(xs, self.axis), np.cumsum([x.shape[self.axis] for x in xs])[:-1].tolist()

    def backward(self, signal: Array, ends: list[int]) -> tuple[Array, ...]:  # and back
        return tuple(np.split(signal, ends, self.axis))

    def output_shape(self, *shapes: Shape) -> Shape:
        axis = counted_axis(self.axis, len(shapes[0]))
        if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) != 1:
            raise ShapeError(f"expected shapes that differ on axis {axis} only, got {', '.join(map(str, shapes))}")
        return expect_room((*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :]))

    def keeps_batch(self, *shapes: Shape) -> bool:
        return counted_axis(self.axis, len(shapes[0])) > 0
