"""What every layer with sliding windows is checked for when it is made."""

from __future__ import annotations

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.typing import Pair

from .layer import expect_whole


def expect_windows(what: str, kernel: Pair, stride: Pair, padding: kernels.Padding, dilation: Pair) -> None:
    """Refuse windows that cannot be: empty, standing still, with padding that takes cells away, or wider than numbers.

    Compiled loops multiply strides by lengths, in 64 bits.
    """
    for name, pair in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        expect_whole(name, pair, 2)
    sides = (0,) * 4 if padding == "same" or padding == "same_lower" else padding
    expect_whole("padding (or 'same', 'same_lower')", sides, 4)
    if min(kernel + stride + dilation) < 1 or min(sides) < 0 or max(kernel + stride + dilation + tuple(sides)) >= 2**31:
        raise ShapeError(
            f"{what}: expected kernel, stride and dilation >= 1 and padding >= 0, all below 2**31, "
            f"got {kernel}, {stride}, {dilation} and {padding}"
        )
