"""Convolutions on blocks of channels, as the tests call them: pictures in, pictures out, and numbers around them."""

from __future__ import annotations

import numpy as np

from npgradcam import kernels
from npgradcam.kernels import passes, rooms, winograd, winograd_passes
from npgradcam.kernels.frames import Frame, pack, unpack
from npgradcam.kernels.geometry import ADD
from npgradcam.kernels.passes import Frames
from npgradcam.kernels.taps import Window, adjoint_taps, forward_taps, halo

Array = np.ndarray
NOTHING = (0, 0, 0, 0)


def sizes(x: Array, weight: Array, window: Window, after: tuple[int, int]) -> tuple[int, int]:
    """How many cells y has; `after` is the padding below and to the right."""
    padding = (*window.padding, *after)
    return kernels.geometry.output_sizes(x.shape, window.kernel, window.stride, padding, window.dilation)


def forward(x: Array, weight: Array, window: Window, after: tuple[int, int], bias: Array | None = None,
            low: float = -np.inf, high: float = np.inf, other: Array | None = None, m: int | None = None,
            lanes: int = 16, around: tuple[int, int, int, int] = NOTHING) -> Array:
    """The convolution; a weight (C, U, V) is depthwise."""
    I, J = sizes(x, weight, window, after)
    channels = len(weight)
    source, target = Frame(*x.shape[1:], lanes=lanes), Frame(channels, I, J).around(around)
    aside = Frame(channels, I, J, 1, 2, 0, 3)
    if m is None:
        taps = forward_taps(window, (I, J))
        frames = Frames(source.around(halo(taps, source)), target, aside if other is not None else None)
        made = (passes.depthwise if weight.ndim == 3 else passes.dense)(weight, bias, taps, frames)
    else:
        wide = winograd_passes.halo(m, window.padding, source, (I, J))
        frames = Frames(source.around(wide), target, aside if other is not None else None)
        U = winograd_passes.transformed(weight, m)
        made = [winograd_passes.WinogradPass.of(m, U, bias, window.padding, frames)]
    y = rooms.picture(target, len(x))
    for each in made:
        each.run(pack(x, frames.x), y, None if other is None else pack(other, aside), None, low, high,
                 0 if other is None else ADD)
    assert_zeros_around(y, target)
    return unpack(y, target)


def backward(signal: Array, weight: Array, window: Window, shape: tuple[int, ...], m: int | None = None,
             kept: Array | None = None, low: float = -np.inf, high: float = np.inf, what: int = 0,
             other: Array | None = None) -> Array:
    """The adjoint, and what a rectifier that kept `kept` lets through of it."""
    source, target = Frame(*signal.shape[1:]), Frame(*shape[1:], 0, 1, 2, 0)
    aside = Frame(*shape[1:], 2, 0, 1, 1)
    read = (aside if other is not None else None, aside if kept is not None else None)
    if m is None:
        taps = adjoint_taps(window, (shape[2], shape[3]))
        frames = Frames(source.around(halo(taps, source)), target, *read)
        if weight.ndim == 3:
            made = passes.depthwise(weight, None, taps, frames)
        else:
            made = passes.dense(weight.transpose(1, 0, 2, 3), None, taps, frames)
    else:
        before = (2 - window.padding[0], 2 - window.padding[1])
        wide = winograd_passes.halo(m, before, source, (shape[2], shape[3]))
        frames = Frames(source.around(wide), target, *read)
        U = winograd_passes.transformed(winograd.adjoint_weight(weight), m)
        made = [winograd_passes.WinogradPass.of(m, U, None, before, frames)]
    dx = np.zeros(target.shape(len(signal)), np.float32)
    for each in made:
        each.run(pack(signal, frames.x), dx, None if other is None else pack(other, aside),
                 None if kept is None else pack(kept, aside), low, high, what)
    assert_zeros_around(dx, target)
    return unpack(dx, target)


def assert_zeros_around(x: Array, frame: Frame) -> None:
    """No pass writes beside the picture, nor into lanes beyond its channels."""
    assert (pack(unpack(x, frame), frame) == x).all() or not np.isfinite(x).all()
