"""Pictures in blocks of channels: what vector code reads and writes. Whole numbers only; no kernel runs here.

A vector holds the `LANES` channels of one block at one cell, so a picture (N, C, H, W) is stored as

    (N, blocks, top + H + bottom, left + W + right, LANES)        blocks = ceil(C / LANES)

with zeros around it, as many as the layers that read it will look at, and zeros in the lanes beyond C. A picture of a
few channels can be stored with so many lanes: the first layer of a network reads them without zeros between.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, IntArray, Pair, Quad, Shape

LANES = 16


class Frame(NamedTuple):
    """Where the cells of one image lie in memory, counted in numbers."""

    channels: int
    height: int
    width: int
    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0
    lanes: int = LANES

    @property
    def blocks(self) -> int:
        """How many blocks of channels there are."""
        return -(-self.channels // self.lanes)

    @property
    def row(self) -> int:
        """How far apart two rows lie."""
        return (self.left + self.width + self.right) * self.lanes

    @property
    def block(self) -> int:
        """How far apart two blocks lie."""
        return (self.top + self.height + self.bottom) * self.row

    @property
    def image(self) -> int:
        """How far apart two images lie."""
        return self.blocks * self.block

    @property
    def tight(self) -> bool:
        """Whether the rows follow one another without zeros between."""
        return self.left == self.right == 0

    @property
    def has_zeros(self) -> bool:
        """Whether there are zeros around the picture."""
        return any((self.top, self.left, self.bottom, self.right))

    def at(self, row: int | IntArray, column: int) -> int | IntArray:
        """Return where a cell of the picture lies in its block; rows and columns below 0 are zeros around it."""
        return (self.top + row) * self.row + (self.left + column) * self.lanes

    def shape(self, images: int) -> Shape:
        """Return the shape of the array."""
        rows, columns = self.top + self.height + self.bottom, self.left + self.width + self.right
        return (images, self.blocks, rows, columns, self.lanes)

    def picture(self, images: int) -> Shape:
        """Return the shape (N, C, H, W) of what it holds."""
        return (images, self.channels, self.height, self.width)

    def around(self, *halos: Quad) -> Frame:
        """Return the frame with at least these many zeros (top, left, bottom, right) around."""
        here = (self.top, self.left, self.bottom, self.right)
        top, left, bottom, right = (max(0, *sides) for sides in zip(here, *halos, strict=True))
        return self._replace(top=top, left=left, bottom=bottom, right=right)

    def clear_around(self, x: Array) -> None:
        """Put the zeros around the pictures of an array in place."""
        inner = x[:, :, self.top : self.top + self.height]
        x[:, :, : self.top] = x[:, :, self.top + self.height :] = 0
        inner[:, :, :, : self.left] = inner[:, :, :, self.left + self.width :] = 0

    def cells(self, x: Array) -> Array:
        """Return a view of an array in this frame without the zeros around: (N, blocks, H, W, lanes)."""
        return x[:, :, self.top : self.top + self.height, self.left : self.left + self.width]

    def check(self, what: str, x: Array, images: int | None = None) -> Array:
        """Return the array as one line of numbers, or refuse it: no kernel sees an array that does not fit."""
        if x.shape != self.shape(len(x) if images is None else images) or x.dtype != np.float32:
            raise ShapeError(f"{what}: expected float32 of shape {self.shape(len(x))}, got {x.dtype} {x.shape}")
        return np.require(x, requirements=["C", "A"]).reshape(-1)


class Grid(NamedTuple):
    """Every `step`-th cell of a picture's rows and columns, from a first one: so many cells each way."""

    first: Pair
    step: Pair
    cells: Pair


def empty(count: int) -> Array:
    """Return room for float32 numbers that begins where a vector does: none then lies in two lines of the cache."""
    room = np.empty(count + LANES, np.float32)
    first = -room.ctypes.data % (4 * LANES) // 4
    return room[first : first + count]


def aligned(x: Array) -> Array:
    """Return a copy of float32 numbers that begins where a vector does."""
    y = empty(x.size).reshape(x.shape)
    y[...] = x
    return y


def lines(frame: Frame, grid: Grid) -> IntArray:
    """Return where each row of a grid begins."""
    rows = grid.first[0] + grid.step[0] * np.arange(grid.cells[0], dtype=np.int64)
    return np.asarray(frame.at(rows, grid.first[1]), dtype=np.int64)


def expect_inside(what: str, frame: Frame, starts: IntArray, taps: IntArray, reach: int, blocks: int) -> None:
    """Refuse tables that lead out of an image: start + tap + 0 .. reach - 1, in the last of `blocks` as well."""
    lowest, highest = int(starts.min() + taps.min()), int(starts.max() + taps.max()) + reach
    if lowest < 0 or highest + (blocks - 1) * frame.block > frame.image:
        raise ShapeError(f"{what}: {frame} has no room from {lowest} to {highest} in {blocks} blocks")


def whole(frame: Frame) -> Grid:
    """Return the grid of all cells of a picture."""
    return Grid((0, 0), (1, 1), (frame.height, frame.width))


def pack(x: Array, frame: Frame) -> Array:
    """Return a picture (N, C, H, W) in its frame; the definition."""
    y = np.zeros(frame.shape(len(x)), np.float32)
    inner = frame.cells(y)
    for c in range(frame.channels):
        inner[:, c // frame.lanes, :, :, c % frame.lanes] = x[:, c]
    return y


def unpack(y: Array, frame: Frame) -> Array:
    """Return the picture (N, C, H, W) in a frame; the definition."""
    flat = frame.cells(y).transpose(0, 1, 4, 2, 3).reshape(len(y), -1, frame.height, frame.width)
    return np.ascontiguousarray(flat[:, : frame.channels])
