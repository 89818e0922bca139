"""Pictures in blocks of channels: into them and out of them, and the largest of each window."""

from __future__ import annotations

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from . import compiled_blocks, rooms
from .frames import Frame
from .taps import Window


def pack(x: Array, frame: Frame, y: Array | None = None) -> Array:
    """Return a picture (N, C, H, W) in its frame, in the array y if there is one."""
    if x.shape[1:] != frame.picture(1)[1:] or x.dtype != np.float32:
        raise ShapeError(f"expected float32 of shape {frame.picture(len(x))}, got {x.dtype} {x.shape}")
    y = rooms.picture(frame, len(x)) if y is None else y
    frame.check("y", y, len(x))
    compiled_blocks.pack()(np.require(x, requirements=["C", "A", "W"]), y, frame.top, frame.left)
    return y


def unpack(y: Array, frame: Frame) -> Array:
    """Return the picture (N, C, H, W) in a frame."""
    frame.check("blocks", y)
    x = np.empty(frame.picture(len(y)), np.float32)
    compiled_blocks.unpack()(np.require(y, requirements=["C", "A", "W"]), x, frame.top, frame.left)
    return x


def max_pool(x: Array, window: Window, source: Frame, target: Frame, y: Array | None = None) -> Array:
    """Return the largest cell of each window, in the array y if there is one; what lies beyond never wins.

    y[n,c,i,j] = max_{u,v} x[n, c, s i + d u - p, s j + d v - p]; a NaN wins and stays
    """
    _expect_cells(window, source, target)
    y = rooms.picture(target, len(x)) if y is None else y
    compiled_blocks.max_pool()(source.check("x", x), _where(source, x.shape), target.check("y", y, len(x)),
                               _where(target, y.shape),
                               _numbers(window), _sizes(len(x), source, target))
    return y


def max_pool_adjoint(signal: Array, x: Array, y: Array, window: Window,
                     frames: tuple[Frame, Frame, Frame, Frame]) -> Array:
    """Pay each window's signal to its largest cell, of several as large to the first in row-major order.

    Parameters
    ----------
    signal, x, y : ndarray
        What arrives at y, and what the forward pass read and wrote, of batch 1 or R.
    frames : frames of the signal, of x, of y and of what is returned

    Returns
    -------
    ndarray in the last frame, batch R
    """
    at_y, source, target, at_x = frames
    _expect_cells(window, source, target)
    if len(x) != len(y) or len(x) not in (1, len(signal)):
        raise ShapeError(f"max pooling: expected {len(x)} rows of signal, got {len(signal)}")
    dx = np.zeros(at_x.shape(len(signal)), np.float32)
    compiled_blocks.max_pool_adjoint()(
        at_y.check("signal", signal), _where(at_y, signal.shape), target.check("y", y), _where(target, y.shape),
        source.check("x", x), _where(source, x.shape), dx.reshape(-1), _where(at_x, dx.shape),
        _numbers(window), _sizes(len(signal), source, target),
    )
    return dx


def _expect_cells(window: Window, source: Frame, target: Frame) -> None:
    """Refuse windows that hold no cell of the picture: the kernels read at least one."""
    axes = zip(*window, (source.height, source.width), (target.height, target.width), strict=True)
    for kernel, stride, padding, dilation, length, count in axes:
        last = stride * (count - 1) - padding
        if padding > dilation * (kernel - 1) or last > length - 1 or padding < 0 or (last < 0 and kernel == 1):
            raise ShapeError(f"max pooling: a window of {window} lies outside of {source}")
        starts = stride * np.arange(count) - padding
        first = np.where(starts < 0, -(starts // dilation), 0)
        cells = np.minimum(kernel - 1, (length - 1 - starts) // dilation) - first + 1
        if cells.min(initial=1) < 1:
            raise ShapeError(f"max pooling: a window of {window} holds no cell of {source}")


def _where(frame: Frame, shape: Shape) -> tuple[int, int, int, int]:
    return (frame.image if shape[0] > 1 else 0, frame.block, frame.row, int(frame.at(0, 0)))


def _numbers(window: Window) -> tuple[int, ...]:
    return tuple(n for pair in window for n in pair)


def _sizes(images: int, source: Frame, target: Frame) -> tuple[int, ...]:
    return (images, source.blocks, source.height, source.width, target.height, target.width)



