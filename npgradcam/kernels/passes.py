"""A convolution on blocks of channels as one or more passes of a compiled loop, planned once and run many times.

A pass writes a grid of the cells of y; a tap reads, for all of them, cells of x at one fixed distance:

    y[grid cell g] = store( bias + sum_t w_t x[start_g + tap_t] )

Which taps those are, forward and back, is said in `taps`.

Every table is compared with the frames when the pass is made, and every array with its frame when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, IntArray

from .frames import LANES, Frame, Grid, aligned, expect_inside, lines, whole
from .register_blocks import PIXELS, register_block
from .taps import Taps


@dataclass(frozen=True, eq=False)
class Pass:
    """One call of a compiled loop, ready but for its arrays.

    `other` and `kept` are the frames of what is added and of what a rectifier kept; without them, those of y stand in.
    """

    loops: Callable[..., None]
    weight: Array
    bias: Array
    taps: IntArray
    x_lines: IntArray
    y_lines: IntArray
    o_lines: IntArray
    k_lines: IntArray
    sizes: tuple[int, int, int, int]  # blocks of y, cells a line, how far apart they lie in y, weights of a block
    frames: tuple[Frame, Frame, Frame, Frame]  # of x, y, other and kept
    reads: range = range(0)  # the blocks of x that are summed one after the other, where they are

    def run(self, x: Array, y: Array, other: Array | None = None, kept: Array | None = None,
            low: float = -np.inf, high: float = np.inf, what: int = 0) -> None:
        """Write min(max(sum + other, low), high) to y, or what a rectifier that kept `kept` lets through."""
        self._lit(x).ready(x, y, other, kept, low, high, what)()

    def _lit(self, x: Array) -> Pass:
        """Return this pass without the first and the last blocks of x if they hold zeros, which add nothing.

        So begins a backward through a head of convolutions: few of its channels are classes that were asked for.
        """
        if not self.reads or (x[:, self.reads[0]].any() and x[:, self.reads[-1]].any()):
            return self
        lit = np.flatnonzero(x[:, self.reads.start : self.reads.stop].any(axis=(0, 2, 3, 4)))
        first, last = (lit[0], lit[-1] + 1) if len(lit) else (0, 1)
        taps = len(self.taps) // len(self.reads)
        return replace(self, taps=self.taps[first * taps : last * taps], weight=self.weight[first * taps * LANES**2 :])

    def ready(self, x: Array, y: Array, other: Array | None = None, kept: Array | None = None,
              low: float = -np.inf, high: float = np.inf, what: int = 0) -> Callable[[], None]:
        """Return the call that `run` makes; it may be made again whenever x has changed."""
        (x, y, other, kept), counts = flat(self._images, x, y, other, kept)
        where = self._where.get(counts)
        if where is None:
            strides = apart(self.frames, counts)
            where = self._where[counts] = (counts[1], *self.sizes, *strides)
        return partial(self.loops, x, self.x_lines, self.taps, self.weight, self.bias, y, self.y_lines,
                       other, self.o_lines, kept, self.k_lines, where, low, high, what)

    @cached_property
    def _images(self) -> tuple[int, ...]:
        return tuple(frame.image for frame in self.frames)

    @cached_property
    def _where(self) -> dict[tuple[int, ...], tuple[int, ...]]:
        """By numbers of images: what the loops are told about sizes and distances."""
        return {}


def apart(frames: tuple[Frame, ...], counts: tuple[int, ...]) -> tuple[int, ...]:
    """Return how far apart images and blocks lie in x, y, other and kept; an array of one image serves all."""
    return tuple(step for f, n in zip(frames, counts, strict=True) for step in (f.image if n > 1 else 0, f.block))


FLOAT = np.dtype(np.float32)


def flat(images: tuple[int, ...], x: Array, y: Array, other: Array | None,
         kept: Array | None) -> tuple[list[Array], tuple[int, ...]]:
    """Return x, y, other and kept as lines of numbers, and how many images each has; y stands in for what is missing.

    Every array must be as large as its frame says, with as many images as y, or one that serves all.
    """
    found: list[Array] = []
    counts: list[int] = []
    for array, image in zip((x, y, other, kept), images, strict=True):
        if array is None:
            found.append(found[1])
            counts.append(counts[1])
            continue
        n = len(array)
        if array.size != n * image or (n != 1 and n != len(y)) or array.dtype != FLOAT:
            raise ShapeError(f"{('x', 'y', 'other', 'kept')[len(found)]}: expected {len(y)} images of {image} numbers, "
                             f"got {array.dtype} {array.shape}")
        found.append(array.reshape(-1))
        counts.append(n)
    return found, tuple(counts)


class Frames(NamedTuple):
    """Where a pass reads and writes: frames of x and y, of what is added and of what a rectifier kept.

    Without the last two, y stands in for them. `reads` and `writes` are the blocks of x and y where it begins: several
    passes may share the blocks of a picture.
    """

    x: Frame
    y: Frame
    other: Frame | None = None
    kept: Frame | None = None
    reads: int = 0
    writes: int = 0

    @property
    def all(self) -> tuple[Frame, Frame, Frame, Frame]:
        """All four."""
        return (self.x, self.y, self.other or self.y, self.kept or self.y)


def dense(weight: Array, bias: Array | None, taps: list[Taps], frames: Frames) -> list[Pass]:
    """Return the passes of a convolution in which every channel of y looks at every channel of x.

    Parameters
    ----------
    weight : ndarray of shape (O, C, U, V)
        For the adjoint with the two channels exchanged.
    """
    from . import compiled_blocks

    done, blocks = [], -(-len(weight) // LANES)
    for part in taps:
        if not part.rows or not part.columns:
            continue
        L, moves, packed = _packed(weight, part, frames.x)
        J, starts = _starts(part, frames)
        P, Q = register_block(J, blocks)
        loops = compiled_blocks.dense(P, Q, L, part.step[1] * frames.x.lanes)
        sizes = (blocks, J, part.to.step[1] * LANES, packed[0].size)
        reads = range(frames.reads, frames.reads - (-weight.shape[1] // LANES)) if L == LANES else range(0)
        made = Pass(loops, packed.reshape(-1), padded(bias, blocks), np.array(moves, np.int64), *starts, sizes,
                    frames.all, reads)
        done.append(_checked(made, part, L, 1))
    return done


def depthwise(weight: Array, bias: Array | None, taps: list[Taps], frames: Frames) -> list[Pass]:
    """Return the passes of a convolution in which channel c of y looks at channel c of x alone.

    Parameters
    ----------
    weight : ndarray of shape (C, U, V)
    """
    from . import compiled_blocks

    done, blocks = [], -(-len(weight) // LANES)
    for part in taps:
        if not part.rows or not part.columns:
            continue
        packed = np.zeros((blocks * LANES, len(part.rows), len(part.columns)), np.float32)
        packed[: len(weight)] = weight[:, [u for u, _ in part.rows]][:, :, [v for v, _ in part.columns]]
        packed = aligned(packed.reshape(blocks, LANES, -1).transpose(0, 2, 1))  # (blocks, taps, LANES)
        moves = [du * frames.x.row + dv * LANES for _, du in part.rows for _, dv in part.columns]
        J, starts = _starts(part, frames)
        loops = compiled_blocks.depthwise(max(p for p in PIXELS if p <= J), part.step[1] * LANES)
        sizes = (blocks, J, part.to.step[1] * LANES, packed[0].size)
        made = Pass(loops, packed.reshape(-1), padded(bias, blocks), np.array(moves, np.int64), *starts, sizes,
                    frames.all)
        done.append(_checked(made, part, LANES, blocks))
    return done


def _packed(weight: Array, part: Taps, source: Frame) -> tuple[int, list[int], Array]:
    """Return L, where each tap reads, and the weights as (blocks of y, taps, L, LANES), zeros where channels end."""
    us, vs = [u for u, _ in part.rows], [v for v, _ in part.columns]
    chosen = weight[:, :, us][:, :, :, vs]
    O, C, U, V = chosen.shape
    blocks = -(-O // LANES)
    L = min(LANES, source.lanes)
    if L == LANES and 0 < C % LANES <= LANES // 2 and C < 4 * LANES:  # half a block at the end: fewer zeros to multiply
        L = LANES // 2
    parts = -(-C // L)
    held = np.zeros((blocks * LANES, parts * L, U, V), np.float32)
    held[:O, :C] = chosen
    packed = held.reshape(blocks, LANES, parts, L, U, V).transpose(0, 2, 4, 5, 3, 1)
    moves = [
        c * L // source.lanes * source.block + c * L % source.lanes + du * source.row + dv * source.lanes
        for c in range(parts) for _, du in part.rows for _, dv in part.columns
    ]
    return L, moves, aligned(packed).reshape(blocks, -1, L, LANES)


def padded(bias: Array | None, blocks: int) -> Array:
    """Return a bias with zeros in the lanes beyond its channels."""
    held = np.zeros(blocks * LANES, np.float32)
    if bias is not None:
        held[: len(bias)] = bias
    return held


def _starts(part: Taps, frames: Frames) -> tuple[int, tuple[IntArray, IntArray, IntArray, IntArray]]:
    """Return how many cells a line has, and where each line begins in x, y, other and kept."""
    source, *written = frames.all
    H, W = part.to.cells
    flat = part.step == part.to.step == (1, 1) and all(frame.tight and frame.width == W for frame in frames.all)
    if flat and part.start == (0, 0) and part.to == whole(frames.y) and max(len(part.rows), len(part.columns)) == 1:
        J, cells = _cut(H * W)
        starts = [frame.at(0, 0) + cells * frame.lanes for frame in frames.all]
    else:
        J = W
        starts = [lines(source, Grid(part.start, part.step, part.to.cells)), *(lines(f, part.to) for f in written)]
    firsts = (frames.reads, *(frames.writes if frame is frames.y else 0 for frame in written))
    x, y, other, kept = (np.asarray(start + first * f.block, np.int64)
                         for start, first, f in zip(starts, firsts, frames.all, strict=True))
    return J, (x, y, other, kept)


def _cut(cells: int) -> tuple[int, IntArray]:
    """Cut a picture without zeros between its rows into lines of equal length; the last may overlap the one before."""
    P = register_block(cells, 4)[0]
    J = max((m * P for m in (1, 2, 4, 8) if cells % (m * P) == 0), default=P)
    return J, np.minimum(np.arange(0, cells, J, dtype=np.int64), cells - J)


def _checked(made: Pass, part: Taps, L: int, blocks: int) -> Pass:
    """Return the pass if all its tables stay inside its frames."""
    B, J, apart, _ = made.sizes
    source, *written = made.frames
    zero = np.zeros(1, np.int64)
    expect_inside("x", source, made.x_lines, made.taps, (J - 1) * part.step[1] * source.lanes + L, blocks)
    tables = (made.y_lines, made.o_lines, made.k_lines)
    for name, frame, starts in zip(("y", "other", "kept"), written, tables, strict=True):
        if len(starts) != len(made.x_lines):
            raise ShapeError(f"{name}: expected {len(made.x_lines)} lines, got {len(starts)}")
        expect_inside(name, frame, starts, zero, (J - 1) * apart + LANES, B)
    return made
