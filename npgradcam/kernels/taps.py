"""Which cells of x a convolution reads for which cells of y, one pass at a time.

A pass writes a grid of the cells of y; a tap reads, for all of them, cells of x at one fixed distance. Forward is one
pass over all cells of y. Backward, the cells of x that lie in the same phase of the stride are paid by the same taps,
so the adjoint has stride x stride passes, each over every stride-th row and column of x.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from npgradcam.typing import Array, Pair, Quad

from .frames import Frame, Grid


class Window(NamedTuple):
    """How a kernel of U x V cells slides: s i + d u - p."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)


class Taps(NamedTuple):
    """The part of a convolution that one pass computes: which taps (u, v), from which cells of x, to which of y."""

    to: Grid
    start: Pair  # the cell of x that tap (0, 0) of the first cell of y reads
    step: Pair  # how far that cell moves from one cell of y to the next
    rows: tuple[tuple[int, int], ...]  # of each tap row: u, and how many rows below the start it reads
    columns: tuple[tuple[int, int], ...]

    @property
    def halo(self) -> tuple[int, int, int, int]:
        """The first and last row and column that are read, as (first row, first column, last row, last column)."""
        firsts, lasts = [], []
        for axis, moves in enumerate((self.rows, self.columns)):
            offsets = [move for _, move in moves] or [0]
            firsts.append(self.start[axis] + min(offsets))
            lasts.append(self.start[axis] + max(offsets) + self.step[axis] * (self.to.cells[axis] - 1))
        return (*firsts, *lasts)  # type: ignore[return-value]


def forward_taps(window: Window, sizes: Pair) -> list[Taps]:
    """Return the one pass that computes all cells (I, J) of y."""
    rows, columns = (tuple((u, d * u) for u in range(k)) for k, d in zip(window.kernel, window.dilation, strict=True))
    start = (-window.padding[0], -window.padding[1])
    return [Taps(Grid((0, 0), (1, 1), sizes), start, window.stride, rows, columns)]


def adjoint_taps(window: Window, sizes: Pair) -> list[Taps]:
    """Return the passes that compute all cells (H, W) of the signal at x from the signal at y.

    s i + d u - p = h: in the phase r = (h + p) mod s of the rows only taps with d u mod s = r pay, from
    i = (h + p - d u) / s.
    """
    axes = [list(_phases(*axis)) for axis in zip(*window, sizes, strict=True)]
    return [
        Taps(Grid((h, w), window.stride, (n, m)), (i, j), (1, 1), rows, columns)
        for h, n, i, rows in axes[0] for w, m, j, columns in axes[1]
    ]


def _phases(kernel: int, stride: int, padding: int, dilation: int,
            length: int) -> Iterator[tuple[int, int, int, tuple[tuple[int, int], ...]]]:
    """Yield for each phase: its first cell of x, how many there are, the cell i of y for d u = r, and its taps."""
    for phase in range(min(stride, length)):
        r = (phase + padding) % stride
        first = (phase + padding - r) // stride
        taps = tuple((u, -(dilation * u - r) // stride) for u in range(kernel) if dilation * u % stride == r)
        yield phase, -(-(length - phase) // stride), first, taps


def adjoint_together(weight: Array, window: Window, sizes: Pair, r: int) -> tuple[Array, list[Taps]]:
    """Return weights and the one pass that computes r x r neighbouring cells of dx as channels of one cell.

    A picture of few channels would fill few lanes of a block. With h = r i + a and r = m s,

        dx[c, r i + a, r j + b] = sum_{o,u,v} weight[o,c,u,v] signal[o, m i + (a + p - d u) / s, ...]

    over the taps for which s divides a + p - d u: a convolution with stride m, of channel (a r + b) C + c.

    Parameters
    ----------
    weight : ndarray of shape (O, C, U, V)
    r : int
        A multiple of the stride.
    """
    (O, C, _, _), (H, W) = weight.shape, sizes
    pays = [
        [(a, u, (a + p - d * u) // s) for a in range(r) for u in range(k) if (a + p - d * u) % s == 0]
        for k, s, p, d in zip(*window, strict=True)
    ]
    (top, rows), (left, columns) = ((min(t for *_, t in axis), 1 + max(t for *_, t in axis) - min(t for *_, t in axis))
                                    for axis in pays)
    together = np.zeros((r, r, C, O, rows, columns), np.float32)
    for a, u, t in pays[0]:
        for b, v, w in pays[1]:
            together[a, b, :, :, t - top, w - left] = weight[:, :, u, v].T
    to = Grid((0, 0), (1, 1), (-(-H // r), -(-W // r)))
    step = (r // window.stride[0], r // window.stride[1])
    moves = (tuple((n, n) for n in range(rows)), tuple((n, n) for n in range(columns)))
    return together.reshape(r * r * C, O, rows, columns), [Taps(to, (top, left), step, *moves)]


def halo(taps: list[Taps], frame: Frame) -> Quad:
    """Return how many zeros around a picture these passes read: (top, left, bottom, right)."""
    seen = [part.halo for part in taps]
    return (-min(s[0] for s in seen), -min(s[1] for s in seen),
            max(s[2] for s in seen) + 1 - frame.height, max(s[3] for s in seen) + 1 - frame.width)
