"""Layers that repeat numbers: on the way back, everything that a number became is added up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .broadcasting import sum_to
from .checking import expect_integers, expect_room
from .layer import Layer
from .reshaping import as_rows


@dataclass(frozen=True, eq=False, repr=False)
class Expand(Layer):
    """Axes of length 1 are repeated, and new ones put in front, until the input has this shape. A view, not a copy.

    Parameters
    ----------
    shape : tuple of int
        1 where the input's own length stays; an axis of the input may also be longer than 1 where the other is 1.
    """

    shape: Shape

    def __post_init__(self) -> None:
        expect_integers("shape", self.shape)

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, 1, 1) -> (N, C, H, W) for shape (1, 1, H, W)
        # y[n,c,h,w] = x[n,c,0,0]
        return np.broadcast_to(x, self.output_shape(x.shape)), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # and back
        # dx[n,c,0,0] = sum_{h,w} signal[n,c,h,w]
        return (sum_to(signal, shape, self.output_shape(shape)),)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        rank = max(len(shape), len(self.shape))
        own, other = ((1,) * (rank - len(s)) + tuple(map(int, s)) for s in (shape, self.shape))
        if any(k < 0 or (1 not in (n, k) and n != k) for n, k in zip(own, other, strict=True)):
            raise ShapeError(f"expected lengths that are alike, or 1, got shape {shape} to expand to {self.shape}")
        return expect_room(tuple(k if n == 1 else n for n, k in zip(own, other, strict=True)))

    def keeps_batch(self, *shapes: Shape) -> bool:
        (shape,), after = shapes, self.output_shape(*shapes)
        return len(after) == len(shape) and shape[:1] == after[:1] != ()


@dataclass(frozen=True, eq=False, repr=False)
class Tile(Layer):
    """The whole array side by side with itself.

    Parameters
    ----------
    repeats : tuple of int
        How often, one number for each axis.
    """

    repeats: Shape

    def __post_init__(self) -> None:
        expect_integers("repeats", self.repeats)
        if any(repeat < 0 for repeat in self.repeats):
            raise ShapeError(f"Tile: expected repeats >= 0, got {self.repeats}")

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C, r H, s W) for repeats (1, 1, r, s)
        # y[n, c, k H + h, l W + w] = x[n,c,h,w]
        self.output_shape(x.shape)
        return np.tile(x, self.repeats), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # and back
        # dx[n,c,h,w] = sum_{k,l} signal[n, c, k H + h, l W + w]
        rows = signal.shape[:1] if self.keeps_batch(shape) else shape[:1]
        pairs = zip(self.repeats, (*rows, *shape[1:]), strict=True)
        blocks = signal.reshape([length for pair in pairs for length in pair])
        return (as_rows(blocks.sum(axis=tuple(range(0, blocks.ndim, 2))), shape),)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(self.repeats) != len(shape):
            raise ShapeError(f"expected {len(self.repeats)} axes for repeats {self.repeats}, got shape {shape}")
        expect_room(tuple(int(r) * (n or 1) for r, n in zip(self.repeats, shape, strict=True)))
        return tuple(int(r) * n for r, n in zip(self.repeats, shape, strict=True))

    def keeps_batch(self, *shapes: Shape) -> bool:
        return self.repeats[:1] == (1,)
