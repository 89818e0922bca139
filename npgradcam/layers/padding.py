"""Layers that put a frame around arrays; on the way back it is taken off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Quad, Shape

from .checking import expect_integers, expect_room
from .layer import Layer, expect_axes, expect_whole


@dataclass(frozen=True, eq=False, repr=False)
class Pad(Layer):
    """A frame of one value around every feature map.

    Parameters
    ----------
    padding : (top, left, bottom, right)
    value : float
    """

    padding: Quad
    value: float = 0.0

    def __post_init__(self) -> None:
        expect_whole("padding", self.padding, 4)
        if min(self.padding) < 0:
            raise ShapeError(f"Pad: expected padding >= 0, got {self.padding}")

    def forward(self, x: Array) -> tuple[Array, None]:  # (N, C, H, W) -> (N, C, top + H + bottom, left + W + right)
        # y[n, c, h + top, w + left] = x[n,c,h,w]
        self.output_shape(x.shape)
        top, left, bottom, right = self.padding
        return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=self.value), None

    def backward(self, signal: Array, _: Any) -> tuple[Array]:  # and back
        # dx[n,c,h,w] = signal[n, c, h + top, w + left]
        top, left, bottom, right = self.padding
        inside = signal[:, :, top : signal.shape[2] - bottom, left : signal.shape[3] - right]
        return (np.ascontiguousarray(inside),)

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        n, c, h, w = shapes[0]
        top, left, bottom, right = self.padding
        return expect_room((n, c, h + top + bottom, w + left + right))


@dataclass(frozen=True, eq=False, repr=False)
class PadAxes(Layer):
    """More cells before and after the others on any axis.

    Parameters
    ----------
    before, after : tuple of int
        How many, one number for each axis; a negative one takes cells away ("constant" only).
    value : float
        What they hold ("constant" only).
    mode : {"constant", "reflect", "edge", "wrap"}
        One value; the mirror image without the last cell itself; the last cell; the cells of the other end. An image
        that is shorter than its frame is mirrored, or wrapped, again and again.
    """

    before: Shape
    after: Shape
    value: float = 0.0
    mode: Literal["constant", "reflect", "edge", "wrap"] = "constant"

    def __post_init__(self) -> None:
        expect_integers("before", self.before)
        expect_integers("after", self.after)
        if len(self.before) != len(self.after) or self.mode not in ("constant", "reflect", "edge", "wrap"):
            raise ShapeError(f"PadAxes: expected a known mode, and as many numbers before as after, got {self}")
        if self.mode != "constant" and any(cells < 0 for cells in self.before + self.after):
            raise ShapeError(f"PadAxes: expected padding >= 0 in mode {self.mode}, got {self.before} and {self.after}")

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, top + H + bottom, left + W + right)
        # y[..., i, ...] = x[..., i - before, ...] inside, and value outside, or y[..., source[i], ...]
        y, (there, here) = np.full(self.output_shape(x.shape), self.value, x.dtype), self._common(x.shape)
        y[there] = x[here]
        for i, source in self._copies(x.shape):
            y[i] = y[source]
        return y, x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # and back
        # signal[..., source[i], ...] += signal[..., i, ...] for i outside
        # dx[..., i - before, ...] = signal[..., i, ...] for i inside
        there, here = self._common(shape)
        copies = self._copies(shape)
        signal = signal.copy() if copies else signal
        for i, source in copies:  # in any order: each axis folds by itself
            signal[source] += signal[i]
        rows = signal.shape[:1] if self.keeps_batch(shape) else shape[:1]
        dx = np.zeros((*rows, *shape[1:]), signal.dtype)
        dx[here] = signal[there]
        return (dx,)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(shape) != len(self.before):
            raise ShapeError(f"expected {len(self.before)} axes for padding {self.before}, got shape {shape}")
        padded = tuple(int(b) + n + int(a) for b, n, a in zip(self.before, shape, self.after, strict=True))
        if any(length < 0 for length in padded):
            raise ShapeError(f"expected no more cells taken away than there are, got {self} for shape {shape}")
        if self.mode != "constant" and any(shape[axis] == 0 for axis in self._framed):
            raise ShapeError(f"expected cells to repeat in mode {self.mode}, got shape {shape}")
        return expect_room(padded)

    def keeps_batch(self, *shapes: Shape) -> bool:
        return self.before[:1] == self.after[:1] == (0,)

    @property
    def _framed(self) -> list[int]:
        """The axes that change."""
        return [axis for axis in range(len(self.before)) if self.before[axis] or self.after[axis]]

    def _copies(self, shape: Shape) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Which cells of the output repeat which: axis by axis, so that corners repeat what is repeated already."""
        if self.mode == "constant":
            return []
        copies: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = []
        for axis in self._framed:
            before, n, every = self.before[axis], shape[axis], (slice(None),) * axis
            outside = (*range(-before, 0), *range(n, n + self.after[axis]))
            copies += [((*every, before + i), (*every, before + _source(i, n, self.mode))) for i in outside]
        return copies

    def _common(self, shape: Shape) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where the cells that stay are in the output, and where in the input; axes that do not change are whole."""
        there, here = [slice(None)] * len(shape), [slice(None)] * len(shape)
        for axis in self._framed:
            before, after, n = self.before[axis], self.after[axis], shape[axis]
            first, last = max(0, -before), n + min(0, after)
            here[axis] = slice(first, max(first, last))
            there[axis] = slice(first + before, max(first, last) + before)
        return tuple(there), tuple(here)


def _source(i: int, length: int, mode: str) -> int:
    """Which cell inside the one at i, outside, repeats."""
    if mode == "edge":
        return min(max(i, 0), length - 1)
    if mode == "wrap":
        return i % length
    period = 2 * (length - 1) or 1  # 0 1 2 3 2 1, 0 1 2 3 ...
    return min(i % period, -i % period)
