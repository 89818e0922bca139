"""Winograd's convolution on blocks of channels, planned once and run many times, like `kernels.passes`.

A tile is m x m cells of y and the (m + 2)^2 cells of x that they look at. Two ways to go through the three steps
(transform, multiply, transform back): with few channels a task takes some tiles through all three in its core's own
cache; with many channels the kernels are larger than the tiles, so all threads do one step after the other and read the
kernels once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, IntArray, Pair, Quad

from . import compiled_winograd, rooms, winograd
from .frames import LANES, Frame, aligned
from .jit import threads
from .passes import Frames, apart, flat, padded
from .register_blocks import register_block

OWN, SHARED = 280_000, 3_600_000  # numbers in V and its product: for one core's cache, and for the one all share


def best_tile(channels: Pair, sizes: Pair, images: int) -> int | None:
    """Return the m of the fastest F(m, 3) for so many channels of x and y and cells of y; None for the direct sum.

    Cycles of one core, from a table of 22 shapes measured on two cores of a Zen 4: a product of two vectors takes one,
    the transforms of a tile some hundreds for each block of channels, and kernels come from memory at 7 bytes a cycle.
    """
    C, O = channels
    products = C * O / LANES

    def cost(m: int) -> float:
        tiles, numbers = images * -(-sizes[0] // m) * -(-sizes[1] // m), (m + 2) ** 2
        compute = tiles * (1.1 * numbers * products + 18 * numbers * (C + O) / LANES)
        return max(compute, numbers * C * O * 4 / 7) + 150_000

    direct = max(1.05 * 9 * products * images * sizes[0] * sizes[1], 9 * C * O * 4 / 7)
    if min(cost(2), cost(4)) > direct:
        return None
    return 4 if cost(4) < 0.9 * cost(2) else 2  # F(2, 3) rounds less


def halo(m: int, padding: Pair, frame: Frame, sizes: Pair) -> Quad:
    """Return how many zeros around x its tiles read."""
    beyond = [m * -(-count // m) + 2 - before - length
              for count, before, length in zip(sizes, padding, (frame.height, frame.width), strict=True)]
    return (*padding, *beyond)  # type: ignore[return-value]


def transformed(weight: Array, m: int) -> Array:
    """Return G w G^T in blocks: ((m + 2)^2, blocks of y, C, LANES), with zeros where channels end."""
    U = winograd.transform(weight, m)
    K, O, C = U.shape
    blocks, channels = -(-O // LANES), -(-C // LANES) * LANES
    held = np.zeros((K, blocks * LANES, channels), np.float32)
    held[:, :O, :C] = U
    return aligned(held.reshape(K, blocks, LANES, channels).transpose(0, 1, 3, 2))


@dataclass(frozen=True, eq=False)
class WinogradPass:
    """A convolution of 3 x 3 cells at stride 1, ready but for its arrays; see `Pass.run`."""

    m: int
    U: Array
    bias: Array
    tiles: IntArray  # of each tile: where it begins in x, y, other and kept, and how many rows and columns y has there
    frames: tuple[Frame, Frame, Frame, Frame]

    @classmethod
    def of(cls, m: int, U: Array, bias: Array | None, padding: Pair, places: Frames) -> WinogradPass:
        """Plan it: every table is compared with its frame."""
        frames = places.all
        H, W = places.y.height, places.y.width
        i, j = (each.ravel() for each in np.meshgrid(np.arange(0, H, m), np.arange(0, W, m), indexing="ij"))
        starts = [places.x.at(i - padding[0], -padding[1]) + j * LANES + places.reads * places.x.block]
        starts += [frame.at(i, 0) + j * LANES + (places.writes * frame.block if frame is places.y else 0)
                   for frame in frames[1:]]
        counts = [np.minimum(m, H - i), np.minimum(m, W - j)]
        tiles = np.ascontiguousarray(np.stack([*starts, *counts], axis=1), dtype=np.int64)
        made = cls(m, U, padded(bias, U.shape[1]), tiles, frames)
        made._check()
        return made

    def _check(self) -> None:
        source, *written = self.frames
        blocks, channels = self.U.shape[1], self.U.shape[2] // LANES
        end = self.tiles[:, 0] + (self.m + 1) * (source.row + LANES) + LANES
        if self.tiles[:, 0].min() < 0 or end.max() + (channels - 1) * source.block > source.image:
            raise ShapeError(f"Winograd: tiles read outside of {source}")
        for column, frame in enumerate(written, start=1):
            end = self.tiles[:, column] + (self.tiles[:, 4] - 1) * frame.row + self.tiles[:, 5] * LANES
            if self.tiles[:, column].min() < 0 or end.max() + (blocks - 1) * frame.block > frame.image:
                raise ShapeError(f"Winograd: tiles write outside of {frame}")

    def ready(self, x: Array, y: Array, other: Array | None = None, kept: Array | None = None,
              low: float = -np.inf, high: float = np.inf, what: int = 0) -> Callable[[], None]:
        """Return the call of `run` with these arrays."""
        return partial(self.run, x, y, other, kept, low, high, what)

    def run(self, x: Array, y: Array, other: Array | None = None, kept: Array | None = None,
            low: float = -np.inf, high: float = np.inf, what: int = 0) -> None:
        """Write min(max(sum + other, low), high) to y, or what a rectifier that kept `kept` lets through."""
        arrays, counts = flat(tuple(frame.image for frame in self.frames), x, y, other, kept)
        strides = apart(self.frames, counts)
        B, C = self.U.shape[1], self.U.shape[2] // LANES
        rows = tuple(frame.row for frame in self.frames)
        last = (rows, low, high, what)
        together = len(self.tiles) * len(y)
        own = OWN // (len(self.U) * (B + C) * LANES)  # tiles whose V and product stay in one core's own cache
        if own >= 7 and together >= 4 * own and len(self.tiles) >= own:
            P, Q = register_block(len(self.tiles) if len(self.tiles) < 28 else 28, B)
            T = max(P, own // P * P)
            taps = np.arange(C, dtype=np.int64) * T * LANES
            each = len(self.U) * ((B + C) * T * LANES + 2 * compiled_winograd.PAD)
            room = rooms.floats(threads() * each).reshape(-1, each)
            compiled_winograd.by_block(self.m, P, Q)(
                *arrays, self.U.reshape(-1), self.bias, taps, self.tiles, (len(y), B, C, T, *strides), *last, room)
            return
        most = max(1, SHARED // (len(self.U) * (B + C) * LANES))
        parts = -(-together // most)
        T = -(-together // parts)
        P, Q = register_block(T, B)
        loops = compiled_winograd.by_phase(self.m, P, Q)
        v, product = (rooms.floats(len(self.U) * (n * T * LANES + compiled_winograd.PAD)) for n in (C, B))
        taps = np.arange(C, dtype=np.int64) * T * LANES
        for part in range(parts):
            first = min(part * T, together - T)
            loops(*arrays, self.U.reshape(-1), self.bias, taps, self.tiles, (len(y), B, C, T, *strides), *last,
                  v, product, first)
