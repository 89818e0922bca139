"""Which cells a sliding window looks at, found by walking: no formula for the number of windows.

`padding` is (top, left, bottom, right), "same" or "same_lower".
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Literal, TypeAlias

from ...typing import Pair, Quad, Shape

Padding: TypeAlias = Quad | Literal["same", "same_lower"]
Window: TypeAlias = tuple[int, int, int, int, int, int]


def starts(length: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1,
           ceil: bool = False) -> list[int]:
    """Return where each window begins, in cells of the picture: negative starts lie in the padding before it.

    A window is used if it fits. With `ceil` one more is used if the windows before it left cells unread, and it
    begins in the picture or in the padding before it.

    Examples
    --------
    >>> starts(6, kernel=3, stride=2, before=0, after=0)
    [0, 2]
    >>> starts(6, kernel=3, stride=2, before=0, after=0, ceil=True)
    [0, 2, 4]
    """
    span, end = dilation * (kernel - 1) + 1, length + after
    found = [-before]
    while (start := found[-1] + stride) + span <= end or (ceil and found[-1] + span < end and start < length):
        found.append(start)
    return found


def same_padding(length: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Return the least padding (before, after) with which ceil(length / stride) windows fit; an odd cell goes after.

    Examples
    --------
    >>> same_padding(224, kernel=3, stride=2)
    (0, 1)
    """
    wanted = sum(1 for h in range(length) if h % stride == 0)
    total = 0
    while (wanted - 1) * stride + dilation * (kernel - 1) + 1 > length + total:
        total += 1
    return total // 2, total - total // 2


def four_sides(padding: Padding, shape: Shape, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Quad:
    """Return (top, left, bottom, right), also for "same" and, with an odd cell before, not after, "same_lower"."""
    if padding != "same" and padding != "same_lower":
        return padding
    top, bottom = same_padding(shape[2], kernel[0], stride[0], dilation[0])
    left, right = same_padding(shape[3], kernel[1], stride[1], dilation[1])
    return (top, left, bottom, right) if padding == "same" else (bottom, right, top, left)


def sizes(shape: Shape, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1),
          ceil: bool = False) -> Pair:
    """Return (I, J): how many windows there are."""
    top, left, bottom, right = four_sides(padding, shape, kernel, stride, dilation)
    return (len(starts(shape[2], kernel[0], stride[0], top, bottom, dilation[0], ceil)),
            len(starts(shape[3], kernel[1], stride[1], left, right, dilation[1], ceil)))


def looks(shape: Shape, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1),
          ceil: bool = False) -> Iterator[Window]:
    """Yield (i, j, u, v, h, w): window (i, j) sees the picture's cell (h, w) at its own cell (u, v), row by row."""
    top, left, bottom, right = four_sides(padding, shape, kernel, stride, dilation)
    rows = starts(shape[2], kernel[0], stride[0], top, bottom, dilation[0], ceil)
    columns = starts(shape[3], kernel[1], stride[1], left, right, dilation[1], ceil)
    for (i, row), (j, column) in product(enumerate(rows), enumerate(columns)):
        for u, v in product(range(kernel[0]), range(kernel[1])):
            h, w = row + dilation[0] * u, column + dilation[1] * v
            if 0 <= h < shape[2] and 0 <= w < shape[3]:
                yield i, j, u, v, h, w
