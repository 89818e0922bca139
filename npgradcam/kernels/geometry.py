"""Where a sliding window looks: sizes, strides, paddings - whole numbers only, and checked before any kernel runs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Pair, Quad, Shape

ADD, GATE, POSITIVE = 1, 2, 4  # what else vector code does to a sum before it is stored: bits


class Store(NamedTuple):
    """What happens to a sum before it is stored: min(max(sum + bias, low), high).

    Attributes
    ----------
    bias : ndarray of shape (O,), or None
    low, high : float
        Infinite where nothing is cut off.
    """

    bias: Array | None = None
    low: float = -math.inf
    high: float = math.inf

    @property
    def bounded(self) -> bool:
        """Whether anything is cut off."""
        return self.low > -math.inf or self.high < math.inf

    def applied(self, sums: Array) -> Array:
        """Return what is stored of (N, O, I, J) sums; the definition."""
        y = sums if self.bias is None else sums + self.bias[:, None, None]
        return np.ascontiguousarray(np.clip(y, self.low, self.high) if self.bounded else y)


def output_size(length: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1,
                ceil: bool = False) -> int:
    """Return how many windows fit along one axis.

    I = floor((H + before + after - d (U - 1) - 1) / s) + 1; with `ceil` the division rounds up, and a last window
    that would begin beyond the picture and the padding before it is dropped.

    Examples
    --------
    >>> output_size(224, 3, 2, 0, 1)
    112
    >>> output_size(6, 3, 2, 0, 0, ceil=True)
    3
    """
    room = length + before + after - dilation * (kernel - 1) - 1
    if room < 0:
        raise ShapeError(
            f"a window of {kernel} cells with dilation {dilation} does not fit in {length} cells padded by "
            f"{before} and {after}; the picture is too small for this layer"
        )
    size = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (size - 1) * stride >= length + before:
        size -= 1
    return size


def same(shape: Shape, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Quad:
    """Return TensorFlow's "SAME" padding (top, left, bottom, right): I = ceil(H / s), an odd cell goes to the end.

    Examples
    --------
    >>> same((1, 3, 224, 224), (3, 3), (2, 2))
    (0, 0, 1, 1)
    """
    total = [
        max(0, (-(-length // s) - 1) * s + d * (u - 1) + 1 - length)
        for length, u, s, d in zip(shape[2:], kernel, stride, dilation, strict=True)
    ]
    return (total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2)


def output_sizes(shape: Shape, kernel: Pair, stride: Pair, padding: Quad, dilation: Pair = (1, 1),
                 ceil: bool = False) -> Pair:
    """Return (I, J) for an input of shape (N, C, H, W); `padding` is (top, left, bottom, right)."""
    top, left, bottom, right = padding
    if min(*stride, *dilation) < 1 or min(top, left) < 0:
        raise ShapeError(f"expected stride and dilation >= 1 and padding >= 0, got {stride}, {dilation} and {padding}")
    return (
        output_size(shape[2], kernel[0], stride[0], top, bottom, dilation[0], ceil),
        output_size(shape[3], kernel[1], stride[1], left, right, dilation[1], ceil),
    )


def reach(sizes: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Pair:
    """Return how many cells of the padded picture the windows touch: (I - 1) s + d (U - 1) + 1, for both axes."""
    return (
        (sizes[0] - 1) * stride[0] + dilation[0] * (kernel[0] - 1) + 1,
        (sizes[1] - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1,
    )


def pad_to(x: Array, top: int, left: int, height: int, width: int, value: float = 0.0) -> Array:
    """Place (N, C, H, W) on a (N, C, height, width) canvas of `value`, cropping what does not fit."""
    if (top, left, height, width) == (0, 0, *x.shape[2:]):
        return x
    h, w = max(0, min(x.shape[2], height - top)), max(0, min(x.shape[3], width - left))
    canvas = np.full((*x.shape[:2], height, width), value, dtype=x.dtype)
    canvas[:, :, top : top + h, left : left + w] = x[:, :, :h, :w]
    return canvas


def crop_to(canvas: Array, top: int, left: int, height: int, width: int) -> Array:
    """Undo `pad_to`: read (N, C, height, width) back from the canvas; cells the canvas never held are 0."""
    if (top, left, height, width) == (0, 0, *canvas.shape[2:]):
        return canvas
    h, w = max(0, min(height, canvas.shape[2] - top)), max(0, min(width, canvas.shape[3] - left))
    inside = canvas[:, :, top : top + h, left : left + w]
    if (h, w) == (height, width):
        return np.ascontiguousarray(inside)
    return pad_to(inside, 0, 0, height, width)
