"""Layers that move numbers and compute nothing: their adjoints move them back."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Quad, Shape

from .layer import Layer, expect_axes, expect_whole


@dataclass(frozen=True, eq=False, repr=False)
class Flatten(Layer):
    """All axes after the first become one: (N, C, H, W) -> (N, C H W), row-major."""

    def forward(self, x: Array) -> tuple[Array, Shape]:  # (N, C, H, W) -> (N, C H W)
        return x.reshape(self.output_shape(x.shape)), x.shape

    def backward(self, signal: Array, shape: Shape) -> tuple[Array]:  # (R, C H W) -> (R, C, H, W)
        return (signal.reshape(-1, *shape[1:]),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return (shapes[0][0], prod(shapes[0][1:]))


@dataclass(frozen=True, eq=False, repr=False)
class Dropout(Layer):
    """The identity: at inference nothing is dropped (Srivastava et al. 2014, section 4, with inverted scaling)."""

    rate: float = 0.5

    def forward(self, x: Array) -> tuple[Array, None]:  # any shape -> the same
        return x, None

    def backward(self, signal: Array, _: None) -> tuple[Array]:  # any shape -> the same
        return (signal,)


@dataclass(frozen=True, eq=False, repr=False)
class Add(Layer):
    """y = x1 + x2 + ...; each summand gets the whole signal."""

    inputs: ClassVar[int | None] = None

    def forward(self, *xs: Array) -> tuple[Array, int]:  # shapes all alike -> the same
        self.output_shape(*(x.shape for x in xs))
        return np.asarray(sum(xs[1:], start=xs[0])), len(xs)

    def backward(self, signal: Array, count: int) -> tuple[Array, ...]:  # (R, ...) -> as often as there are summands
        return (signal,) * count

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(set(shapes)) != 1:
            raise ShapeError(f"expected summands of one shape, got {', '.join(map(str, shapes))}")
        return shapes[0]


@dataclass(frozen=True, eq=False, repr=False)
class Concat(Layer):
    """The channels of all inputs, one after the other; each input gets its own part of the signal."""

    inputs: ClassVar[int | None] = None

    def forward(self, *xs: Array) -> tuple[Array, list[int]]:  # (N, C1, H, W), ... -> (N, C1 + ..., H, W)
        self.output_shape(*(x.shape for x in xs))
        return np.concatenate(xs, axis=1), np.cumsum([x.shape[1] for x in xs])[:-1].tolist()

    def backward(self, signal: Array, ends: list[int]) -> tuple[Array, ...]:  # and back
        return tuple(np.ascontiguousarray(part) for part in np.split(signal, ends, axis=1))

    def output_shape(self, *shapes: Shape) -> Shape:
        if any(len(s) < 2 for s in shapes) or len({(s[0], *s[2:]) for s in shapes}) != 1:
            raise ShapeError(f"expected shapes that differ on axis 1 only, got {', '.join(map(str, shapes))}")
        return (shapes[0][0], sum(s[1] for s in shapes), *shapes[0][2:])


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
        return (n, c, h + top + bottom, w + left + right)
