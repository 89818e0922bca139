"""Layers whose pictures lie in blocks of channels: the same equations, on arrays as `kernels.frames` describes them.

A value between two of these layers is an array in a frame, and so is the signal that comes back to it; the two frames
differ only in how many zeros are around the picture. What joins them to the rest of a network is `Packed`, `Unpacked`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from npgradcam.kernels import blocks, passes, rooms, winograd, winograd_passes
from npgradcam.kernels.frames import LANES, Frame, Grid, whole
from npgradcam.kernels.passes import ADD, GATE, POSITIVE, Pass, Taps, Window
from npgradcam.kernels.winograd_passes import WinogradPass
from npgradcam.layers import Clip, Conv2d, Layer, Rectifier
from npgradcam.rules import Rule, deconvnet, gradient, guided
from npgradcam.typing import Array, Shape

# what each rule looks at: the slope, and whether the signal is positive
_WHAT: dict[Rule, int] = {gradient: GATE, deconvnet: POSITIVE, guided: GATE | POSITIVE}


class Place(NamedTuple):
    """Where a value lies on the way forward, and its signal on the way back."""

    value: Frame
    signal: Frame


def ends(gate: Rectifier | None) -> tuple[float, float]:
    """Return where a rectifier cuts off."""
    if gate is None:
        return (-np.inf, np.inf)
    return (gate.low, gate.high) if isinstance(gate, Clip) else (0.0, np.inf)


_held: WeakKeyDictionary[Layer, dict[object, Array]] = WeakKeyDictionary()
_lock = Lock()


def held(layer: Layer, what: object, make: Callable[[], Array]) -> Array:
    """Return another form of a layer's weights; made when first asked for, forgotten with the layer."""
    with _lock:
        forms = _held.setdefault(layer, {})
        if what not in forms:
            forms[what] = make()
        return forms[what]


@dataclass(frozen=True, eq=False, repr=False)
class Packed(Layer):
    """A picture (N, C, H, W), put in a frame."""

    at: Place

    def forward(self, x: Array) -> tuple[Array, None]:
        return blocks.pack(x, self.at.value), None

    def backward(self, signal: Array, _: None) -> tuple[Array]:
        return (blocks.unpack(signal, self.at.signal),)

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
class BlockedConv(Layer):
    """y = min(max(W x + b + other, low), high), with an `other` where two arrays come in.

    Parameters
    ----------
    conv : Conv2d
        Of one group, or one channel a group.
    window : Window
        How it slides over a picture of this size.
    gate : Rectifier, optional
        What cuts y off.
    source, target, other : Place
        Of x, of y, and of what is added.
    reads : Rectifier, optional
        The rectifier that made x, where only this layer reads x: its rule is applied here, while dx is stored.
    read : bool
        Whether the only reader of y does the same for `gate`.
    tiles : (int or None, int or None)
        The m of Winograd's F(m, 3) forward and back; None for the direct sum.
    """

    conv: Conv2d
    window: Window
    gate: Rectifier | None
    source: Place
    target: Place
    other: Place | None = None
    reads: Rectifier | None = None
    read: bool = False
    tiles: tuple[int | None, int | None] = (None, None)
    inputs: ClassVar[int | None] = None

    def forward(self, x: Array, other: Array | None = None) -> tuple[Array, Any]:
        y = rooms.picture(self.target.value, len(x))
        low, high = ends(self.gate)
        for part in self._forward:
            part.run(x, y, other, low=low, high=high, what=0 if other is None else ADD)
        return y, (x if self.reads else None, y if self.gate and not self.read else None)

    def backward(self, signal: Array, cache: Any, rule: Rule = gradient) -> tuple[Array, ...]:
        x, y = cache
        passed = signal if y is None else self._gated(signal, y, rule)
        parts, frame = self._backward, self.source.signal
        U, V = self.window.kernel
        full = U >= self.window.stride[0] and V >= self.window.stride[1]  # every cell of x was looked at
        dx = rooms.picture(frame, len(signal)) if full else np.zeros(frame.shape(len(signal)), np.float32)
        what, (low, high) = self._what(self.reads, rule), ends(self.reads)
        for part in parts:
            if what is None or self.reads is None:
                part.run(passed, dx)
            else:
                part.run(passed, dx, kept=x, low=low, high=high, what=what)
        if what is None and self.reads is not None:  # a rule of the caller's own
            dx = _ruled(rule, self.reads, dx, frame, x, self.source.value)
        return (dx,) if self.other is None else (dx, passed)

    @property
    def rectifies(self) -> bool:
        """Whether the backward rules act on this layer."""
        return any(gate is not None and gate.rectifies for gate in (self.reads, None if self.read else self.gate))

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.target.value.shape(shapes[0][0])

    @cached_property
    def _forward(self) -> list[Pass] | list[WinogradPass]:
        value, m = self.target.value, self.tiles[0]
        if m is not None:
            frames = (self.source.value, value, self.other.value if self.other else None)
            kernels = held(self.conv, ("winograd", m), lambda: winograd_passes.transformed(self.conv.weight, m))
            return [WinogradPass.of(m, kernels, self.conv.bias, self.window.padding, *frames)]
        taps = passes.forward_taps(self.window, (value.height, value.width))
        frames = (self.source.value, value, self.other.value if self.other else None)
        return _passes(self.conv, self.conv.bias, taps, *frames, back=False)

    @cached_property
    def _backward(self) -> list[Pass] | list[WinogradPass]:
        frame, m = self.source.signal, self.tiles[1]
        kept = self.source.value if self.reads else None
        if m is not None:
            turned = held(self.conv, ("winograd back", m), lambda: winograd_passes.transformed(
                winograd.adjoint_weight(self.conv.weight), m))
            p, q = self.window.padding
            return [WinogradPass.of(m, turned, None, (2 - p, 2 - q), self.target.signal, frame, None, kept)]
        taps = passes.adjoint_taps(self.window, (frame.height, frame.width))
        return _passes(self.conv, None, taps, self.target.signal, frame, None, kept, back=True)

    @cached_property
    def _own_gate(self) -> list[Pass]:
        """A pass that multiplies by 1 and stores what the rectifier of y lets through."""
        frame, value = self.target.signal, self.target.value
        here = Taps(whole(frame), (0, 0), (1, 1), ((0, 0),), ((0, 0),))
        ones = np.ones((frame.channels, 1, 1), np.float32)
        return passes.depthwise(ones, None, [here], frame, frame, kept=value)

    def _gated(self, signal: Array, y: Array, rule: Rule) -> Array:
        """Return what the rectifier of y lets through."""
        what, frame = self._what(self.gate, rule), self.target.signal
        if what is None:
            return _ruled(rule, self.gate, signal, frame, y, self.target.value)  # type: ignore[arg-type]
        low, high = ends(self.gate)
        passed = rooms.picture(frame, len(signal))
        for part in self._own_gate:
            part.run(signal, passed, kept=y, low=low, high=high, what=what)
        return passed

    @staticmethod
    def _what(gate: Rectifier | None, rule: Rule) -> int | None:
        """Return what a rule looks at, None for a rule of the caller's own; no rule acts on what is no rectifier."""
        return GATE if gate is not None and not gate.rectifies else _WHAT.get(rule)


def _passes(conv: Conv2d, bias: Array | None, taps: list[Taps], source: Frame, target: Frame, other: Frame | None = None,
            kept: Frame | None = None, *, back: bool) -> list[Pass]:
    if conv.groups > 1:
        return passes.depthwise(conv.weight[:, 0], bias, taps, source, target, other, kept)
    weight = conv.weight.transpose(1, 0, 2, 3) if back else conv.weight
    return passes.dense(weight, bias, taps, source, target, other, kept)


def _ruled(rule: Rule, gate: Rectifier, signal: Array, at: Frame, kept: Array, kept_at: Frame) -> Array:
    """Return what a rule of the caller's own lets through."""
    passed = np.zeros_like(signal)
    at.cells(passed)[...] = rule(at.cells(signal), gate.slope(kept_at.cells(kept)))
    return passed


@dataclass(frozen=True, eq=False, repr=False)
class BlockedMaxPool(Layer):
    """y = the largest cell of each window; a tie goes to the first, a NaN wins and stays."""

    window: Window
    source: Place
    target: Place

    def forward(self, x: Array) -> tuple[Array, Any]:
        y = blocks.max_pool(x, self.window, self.source.value, self.target.value)
        return y, (x, y)  # who won is found again: only a backward asks

    def backward(self, signal: Array, cache: Any) -> tuple[Array]:
        frames = (self.target.signal, self.source.value, self.target.value, self.source.signal)
        return (blocks.max_pool_adjoint(signal, *cache, self.window, frames),)

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
        return passes.depthwise(shares, None, [every], frame, Frame(frame.channels, 1, 1))

    def output_shape(self, *shapes: Shape) -> Shape:
        return (shapes[0][0], self.source.value.channels, 1, 1)


@dataclass(frozen=True, eq=False, repr=False)
class BlockedConcat(Layer):
    """All inputs, one after the other along the channels, of which all but the last fill their blocks."""

    sources: tuple[Place, ...]
    target: Place
    inputs: ClassVar[int | None] = None

    def forward(self, *xs: Array) -> tuple[Array, None]:
        y, block = rooms.picture(self.target.value, len(xs[0])), 0
        for x, place in zip(xs, self.sources, strict=True):
            self.target.value.cells(y)[:, block : block + x.shape[1]] = place.value.cells(x)
            block += x.shape[1]
        return y, None

    def backward(self, signal: Array, _: None) -> tuple[Array, ...]:
        parts, block = [], 0
        for place in self.sources:
            frame = place.signal
            part = rooms.picture(frame, len(signal))
            frame.cells(part)[...] = self.target.signal.cells(signal)[:, block : block + frame.blocks]
            parts.append(part)
            block += frame.blocks
        return tuple(parts)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.target.value.shape(shapes[0][0])
