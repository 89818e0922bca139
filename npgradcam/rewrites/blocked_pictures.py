"""What joins blocks of channels to the rest of a network, and the layers on them that multiply nothing.

A value between two blocked layers is an array in a frame (`kernels.frames`), and so is the signal that comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from npgradcam.kernels import blocks, passes, rooms
from npgradcam.kernels.frames import LANES, Frame, Grid
from npgradcam.kernels.passes import Frames, Pass
from npgradcam.kernels.taps import Taps, Window
from npgradcam.layers import Layer
from npgradcam.typing import Array, Shape


class Place(NamedTuple):
    """Where a value lies on the way forward, and its signal on the way back.

    Of a picture of few channels, `together` x `together` neighbouring cells of the signal are channels of one cell.
    """

    value: Frame
    signal: Frame
    together: int = 1


@dataclass(frozen=True, eq=False, repr=False)
class Packed(Layer):
    """A picture (N, C, H, W), put in a frame."""

    at: Place

    def forward(self, x: Array) -> tuple[Array, None]:
        return blocks.pack(x, self.at.value), None

    def backward(self, signal: Array, nothing: None) -> tuple[Array]:
        value, frame, r = self.at
        (N, _, I, J), (_, C, H, W) = frame.picture(len(signal)), value.picture(1)
        # dx[n, c, r i + a, r j + b] lies in channel (a r + b) C + c
        apart = blocks.unpack(signal, frame).reshape(N, r, r, C, I, J).transpose(0, 3, 4, 1, 5, 2)
        return (apart.reshape(N, C, r * I, r * J)[:, :, :H, :W],)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.at.value.shape(shapes[0][0])


@dataclass(frozen=True, eq=False, repr=False)
class Unpacked(Layer):
    """A picture (N, C, H, W), taken out of its frame."""

    at: Place

    def forward(self, x: Array) -> tuple[Array, None]:
        return blocks.unpack(x, self.at.value), None

    def backward(self, signal: Array, _: None) -> tuple[Array]:
        return (blocks.pack(np.asarray(signal, np.float32), self.at.signal),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.at.value.picture(shapes[0][0])


@dataclass(frozen=True, eq=False, repr=False)
class BlockedMaxPool(Layer):
    """y = the largest cell of each window; a tie goes to the first, a NaN wins and stays."""

    window: Window
    source: Place
    target: Place

    def forward(self, x: Array) -> tuple[Array, Any]:
        y = blocks.max_pool(x, self.window, self.source.value, self.target.value)
        return y, (x, y)  # who won is found again: only a backward asks

    def calls(self, y: Array, x: Array) -> list[Callable[[], Any]]:
        """Return the call that computes y."""
        return [partial(blocks.max_pool, x, self.window, self.source.value, self.target.value, y)]

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:
        frames = (self.target.signal, self.source.value, self.target.value, self.source.signal)
        x, y = cache
        return (blocks.max_pool_adjoint(signal, x, y, self.window, frames),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.target.value.shape(shapes[0][0])


@dataclass(frozen=True, eq=False, repr=False)
class BlockedMean(Layer):
    """The mean of each feature map, (N, C, 1, 1): out of the frame."""

    source: Place

    def forward(self, x: Array) -> tuple[Array, None]:
        # y[n,c] = 1/Z sum_{h,w} x[n,c,h,w], Z = H W
        frame = self.source.value
        y = rooms.picture(Frame(frame.channels, 1, 1), len(x))
        for part in self._sum:
            part.run(x, y)
        return y.reshape(len(x), -1, 1, 1)[:, : frame.channels], None

    def backward(self, signal: Array, _: None) -> tuple[Array]:
        # dx[n,c,h,w] = 1/Z signal[n,c]
        frame = self.source.signal
        share = np.zeros((len(signal), frame.blocks * LANES), np.float32)
        share[:, : frame.channels] = signal[:, :, 0, 0] / (frame.height * frame.width)
        dx = rooms.picture(frame, len(signal))
        frame.cells(dx)[...] = share.reshape(len(signal), frame.blocks, 1, 1, LANES)
        return (dx,)

    @cached_property
    def _sum(self) -> list[Pass]:
        frame = self.source.value
        rows, columns = (tuple((u, u) for u in range(n)) for n in (frame.height, frame.width))
        shares = np.full((frame.channels, frame.height, frame.width), 1 / (frame.height * frame.width), np.float32)
        every = Taps(Grid((0, 0), (1, 1), (1, 1)), (0, 0), (1, 1), rows, columns)
        return passes.depthwise(shares, None, [every], Frames(frame, Frame(frame.channels, 1, 1)))

    def output_shape(self, *shapes: Shape) -> Shape:
        return (shapes[0][0], self.source.value.channels, 1, 1)
