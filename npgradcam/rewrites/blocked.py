"""Convolutions whose pictures lie in blocks of channels: the same equation, on arrays as `kernels.frames` has them.

What joins them to the rest of a network, and their neighbours, are in `blocked_pictures`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from npgradcam.kernels import passes, rooms, winograd, winograd_passes
from npgradcam.kernels.frames import Frame, whole
from npgradcam.kernels.geometry import ADD, GATE, POSITIVE
from npgradcam.kernels.passes import Frames, Pass
from npgradcam.kernels.taps import Taps, Window, adjoint_taps, adjoint_together, forward_taps
from npgradcam.kernels.winograd_passes import WinogradPass
from npgradcam.layers import Clip, Conv2d, Layer, Rectifier
from npgradcam.rules import Rule, deconvnet, gradient, guided
from npgradcam.typing import Array, Shape

from .blocked_pictures import Place

# what each rule looks at: the slope, and whether the signal is positive
_WHAT: dict[Rule, int] = {gradient: GATE, deconvnet: POSITIVE, guided: GATE | POSITIVE}


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


class Part(NamedTuple):
    """A convolution of one input that makes some of the channels of y.

    Attributes
    ----------
    conv : Conv2d
        Of one group, or one channel a group.
    window : Window
        How it slides over a picture of this size.
    source : int
        Which of the layer's inputs it reads.
    tiles : (int or None, int or None)
        The m of Winograd's F(m, 3) forward and back; None for the direct sum.
    first : int
        The block of y where its channels begin.
    """

    conv: Conv2d
    window: Window
    source: int = 0
    tiles: tuple[int | None, int | None] = (None, None)
    first: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class BlockedConv(Layer):
    """y = min(max(W x + b + other, low), high); several convolutions may make parts of the channels of y.

    Parameters
    ----------
    parts : tuple of Part
    gate : Rectifier, optional
        What cuts y off.
    sources : tuple of Place
        Of the inputs.
    target : Place
        Of y.
    adds : bool
        Whether the last input is added; then there is one part.
    reads : Rectifier, optional
        The rectifier that made x, where only this layer reads x: its rule is applied here, while dx is stored.
    read : bool
        Whether the only reader of y does the same for `gate`.
    """

    parts: tuple[Part, ...]
    gate: Rectifier | None
    sources: tuple[Place, ...]
    target: Place
    adds: bool = False
    reads: Rectifier | None = None
    read: bool = False
    inputs: ClassVar[int | None] = None

    def forward(self, *xs: Array) -> tuple[Array, Any]:
        y = rooms.picture(self.target.value, len(xs[0]))
        for call in self.calls(y, *xs):
            call()
        return y, (xs[0] if self.reads else None, y if self.gate and not self.read else None)

    def calls(self, y: Array, *xs: Array) -> list[Callable[[], None]]:
        """Return the calls that compute y."""
        other, what = (xs[-1], ADD) if self.adds else (None, 0)
        low, high = ends(self.gate)
        return [
            each.ready(xs[part.source], y, other, None, low, high, what)
            for part, passes_ in zip(self.parts, self._forward, strict=True) for each in passes_
        ]

    def backward(self, signal: Array, cache: Any, rule: Rule = gradient) -> tuple[Array, ...]:
        x, y = cache
        passed = signal if y is None else self._gated(signal, y, rule)
        dxs: list[Any] = [None] * len(self.sources)
        what, (low, high) = self._what(self.reads, rule), ends(self.reads)
        for part, passes_ in zip(self.parts, self._backward, strict=True):
            before, (_, frame, together) = dxs[part.source], self.sources[part.source]
            covered = together > 1 or all(u >= s for u, s in zip(part.window.kernel, part.window.stride, strict=True))
            dx = rooms.picture(frame, len(signal)) if covered else np.zeros(frame.shape(len(signal)), np.float32)
            for each in passes_:
                if what is None or self.reads is None:
                    each.run(passed, dx, before, None, what=0 if before is None else ADD)
                else:
                    each.run(passed, dx, None, x, low, high, what)
            dxs[part.source] = dx if covered or before is None else dx + before
        if what is None and self.reads is not None:  # a rule of the caller's own
            dxs[0] = _ruled(rule, self.reads, dxs[0], self.sources[0].signal, x, self.sources[0].value)
        if self.adds:
            dxs[-1] = passed
        return tuple(dxs)

    @property
    def rectifies(self) -> bool:
        """Whether the backward rules act on this layer."""
        return any(gate is not None and gate.rectifies for gate in (self.reads, None if self.read else self.gate))

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.target.value.shape(shapes[0][0])

    @cached_property
    def _forward(self) -> list[Any]:
        """The passes of every part."""
        y = self.target.value
        other = self.sources[-1].value if self.adds else None
        made: list[Any] = []
        for conv, window, source, (m, _), first in self.parts:
            frames = Frames(self.sources[source].value, y, other, writes=first)
            if m is None:
                taps = forward_taps(window, (y.height, y.width))
                made.append(_direct(conv, conv.weight, conv.bias, taps, frames))
            else:
                kernels = _transformed(conv, m, back=False)
                made.append([WinogradPass.of(m, kernels, conv.bias, window.padding, frames)])
        return made

    @cached_property
    def _backward(self) -> list[Any]:
        """The passes of the adjoint of every part."""
        made: list[Any] = []
        for conv, window, source, (_, m), first in self.parts:
            value, x, together = self.sources[source]
            frames = Frames(self.target.signal, x, kept=value if self.reads else None, reads=first)
            if together > 1:
                turned, taps = adjoint_together(conv.weight, window, (value.height, value.width), together)
                made.append(passes.dense(turned, None, taps, frames))
            elif m is None:
                taps = adjoint_taps(window, (x.height, x.width))
                turned = conv.weight if conv.groups > 1 else conv.weight.transpose(1, 0, 2, 3)
                made.append(_direct(conv, turned, None, taps, frames))
            else:
                p, q = window.padding
                made.append([WinogradPass.of(m, _transformed(conv, m, back=True), None, (2 - p, 2 - q), frames)])
        return made

    @cached_property
    def _own_gate(self) -> list[Pass]:
        """A pass that multiplies by 1 and stores what the rectifier of y lets through."""
        value, frame, _ = self.target
        here = Taps(whole(frame), (0, 0), (1, 1), ((0, 0),), ((0, 0),))
        ones = np.ones((frame.channels, 1, 1), np.float32)
        return passes.depthwise(ones, None, [here], Frames(frame, frame, kept=value))

    def _gated(self, signal: Array, y: Array, rule: Rule) -> Array:
        """Return what the rectifier of y lets through."""
        what, frame = self._what(self.gate, rule), self.target.signal
        if what is None:
            return _ruled(rule, self.gate, signal, frame, y, self.target.value)
        passed = rooms.picture(frame, len(signal))
        for each in self._own_gate:
            each.run(signal, passed, None, y, *ends(self.gate), what)
        return passed

    @staticmethod
    def _what(gate: Rectifier | None, rule: Rule) -> int | None:
        """Return what a rule looks at, None for a rule of the caller's own; no rule acts on what is no rectifier."""
        return GATE if gate is not None and not gate.rectifies else _WHAT.get(rule)


def _direct(conv: Conv2d, weight: Array, bias: Array | None, taps: list[Taps], frames: Frames) -> list[Pass]:
    if conv.groups > 1:
        return passes.depthwise(weight[:, 0], bias, taps, frames)
    return passes.dense(weight, bias, taps, frames)


def _transformed(conv: Conv2d, m: int, back: bool) -> Array:
    """Return the kernels of Winograd's convolution, or of its adjoint."""
    weight = winograd.adjoint_weight(conv.weight) if back else conv.weight
    return held(conv, (m, back), lambda: winograd_passes.transformed(weight, m))


def _ruled(rule: Rule, gate: Any, signal: Any, at: Frame, kept: Array, kept_at: Frame) -> Array:
    """Return what a rule of the caller's own lets through."""
    passed: Array = np.zeros_like(signal)
    at.cells(passed)[...] = rule(at.cells(signal), gate.slope(kept_at.cells(kept)))
    return passed


