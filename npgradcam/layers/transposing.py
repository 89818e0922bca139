"""Layers that change the order of numbers and keep them all: each direction is the other backwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .checking import expect_integers, expect_room
from .layer import Layer, expect_axes


@dataclass(frozen=True, eq=False, repr=False)
class Transpose(Layer):
    """The axes in another order: axis k of the output is axis perm[k] of the input. A view, not a copy.

    Parameters
    ----------
    perm : tuple of int, optional
        Every axis once; where nothing is said, the axes from last to first.
    """

    perm: Shape | None = None

    def __post_init__(self) -> None:
        expect_integers("perm", self.perm or ())
        if self.perm is not None and sorted(self.perm) != list(range(len(self.perm))):
            raise ShapeError(f"Transpose: expected each axis from 0 on once, got perm {self.perm}")

    def forward(self, x: Array) -> tuple[Array, None]:  # (N, C, H, W) -> (N, H, W, C) for perm (0, 2, 3, 1)
        # y[i[perm[0]], i[perm[1]], ...] = x[i[0], i[1], ...]
        self.output_shape(x.shape)
        return x.transpose(self.perm), None

    def backward(self, signal: Array, _: None) -> tuple[Array]:  # and back
        # dx[i[0], i[1], ...] = signal[i[perm[0]], i[perm[1]], ...]
        return (signal.transpose(None if self.perm is None else np.argsort(self.perm).tolist()),)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        perm = self._order(shape)
        if len(perm) != len(shape):
            raise ShapeError(f"expected {len(perm)} axes for perm {perm}, got shape {shape}")
        return tuple(shape[axis] for axis in perm)

    def keeps_batch(self, *shapes: Shape) -> bool:
        return self._order(shapes[0])[:1] == (0,)

    def _order(self, shape: Shape) -> Shape:
        return tuple(range(len(shape)))[::-1] if self.perm is None else self.perm


def _cells_and_channels(block: int, channels: int, mode: str) -> Iterator[tuple[slice, slice, slice]]:
    """Which rows and columns hold cell (u, v) of every block, and which of all channels hold the same numbers."""
    C = channels // block**2
    for u, v in np.ndindex(block, block):
        k = u * block + v
        yield slice(u, None, block), slice(v, None, block), (
            slice(k * C, (k + 1) * C) if mode == "DCR" else slice(k, None, block**2)
        )


@dataclass(frozen=True, eq=False, repr=False)
class DepthToSpace(Layer):
    """Channels become blocks of cells, a picture `block` times as high and wide (pixel shuffle).

    Parameters
    ----------
    block : int
        b, the side of a block.
    mode : {"DCR", "CRD"}
        Which channel is cell (u, v) of output channel c: (u b + v) C + c, or (c b + u) b + v.
    """

    block: int
    mode: Literal["DCR", "CRD"] = "DCR"

    def __post_init__(self) -> None:
        if self.mode not in ("DCR", "CRD") or not isinstance(self.block, (int, np.integer)) or self.block < 1:
            raise ShapeError(f"expected block >= 1 and DCR or CRD, got {self.block} and {self.mode!r}")

    def forward(self, x: Array) -> tuple[Array, None]:  # (N, C b b, H, W) -> (N, C, H b, W b)
        # y[n, c, h b + u, w b + v] = x[n, (u b + v) C + c, h, w], or x[n, (c b + u) b + v, h, w] for CRD
        y = np.empty(self.output_shape(x.shape), x.dtype)
        for rows, columns, channels in _cells_and_channels(self.block, x.shape[1], self.mode):
            y[:, :, rows, columns] = x[:, channels]
        return y, None

    def backward(self, signal: Array, _: None) -> tuple[Array]:  # and back
        R, C, height, width = signal.shape
        dx = np.empty((R, C * self.block**2, height // self.block, width // self.block), signal.dtype)
        for rows, columns, channels in _cells_and_channels(self.block, dx.shape[1], self.mode):
            dx[:, channels] = signal[:, :, rows, columns]
        return (dx,)

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        n, c, h, w = shapes[0]
        if c % self.block**2 or 0 in shapes[0]:
            raise ShapeError(f"expected cells, and channels that {self.block**2} divides, got shape {shapes[0]}")
        return expect_room((n, c // self.block**2, h * self.block, w * self.block))


@dataclass(frozen=True, eq=False, repr=False)
class SpaceToDepth(Layer):
    """Blocks of cells become channels, a picture of 1 / `block` the height and width: `DepthToSpace` backwards.

    Parameters
    ----------
    block : int
        b, the side of a block.
    mode : {"DCR", "CRD"}
        Which channel cell (u, v) of input channel c becomes: (u b + v) C + c, or (c b + u) b + v.
    """

    block: int
    mode: Literal["DCR", "CRD"] = "DCR"

    def __post_init__(self) -> None:
        DepthToSpace(self.block, self.mode)  # which refuses what cannot be

    def forward(self, x: Array) -> tuple[Array, None]:  # (N, C, H b, W b) -> (N, C b b, H, W)
        # y[n, (u b + v) C + c, h, w] = x[n, c, h b + u, w b + v], or y[n, (c b + u) b + v, h, w] for CRD
        self.output_shape(x.shape)
        return DepthToSpace(self.block, self.mode).backward(x, None)[0], None

    def backward(self, signal: Array, _: None) -> tuple[Array]:  # and back
        return (DepthToSpace(self.block, self.mode).forward(signal)[0],)

    def output_shape(self, *shapes: Shape) -> Shape:
        expect_axes(shapes[0], "NCHW")
        n, c, h, w = shapes[0]
        if h % self.block or w % self.block or 0 in shapes[0]:
            raise ShapeError(f"expected cells, and a height and width that {self.block} divides, got shape {shapes[0]}")
        return expect_room((n, c * self.block**2, h // self.block, w // self.block))
