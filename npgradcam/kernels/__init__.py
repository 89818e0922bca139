"""The only room that knows Numba and BLAS: sliding windows over padded pictures, and their adjoints.

Each kernel exists twice: `definition` (plain NumPy, the index equation) and `compiled` (Numba). The functions here
check the geometry in Python, place the picture on its padded canvas, and hand over to the twin that is in use, so no
compiled loop ever sees an index that was not checked.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, IntArray, Pair, Quad, Shape

from . import definition, geometry
from .compilation import Compilation, compilation
from .geometry import Store
from .session import Backend, backend, in_session, session, vectorised

__all__ = [
    "Backend", "Compilation", "Padding", "Store",
    "add", "compilation", "correlate2d", "correlate2d_adjoint", "correlate2d_weight", "gate", "geometry",
    "linear", "linear_adjoint", "max_pool2d", "max_pool2d_adjoint", "resolve", "session", "vectorised",
]

Padding = Quad | Literal["same", "same_lower"]


def resolve(padding: Padding, shape: Shape, kernel: Pair, stride: Pair, dilation: Pair) -> Quad:
    """Return (top, left, bottom, right); "same" and "same_lower" depend on the input's size."""
    if not isinstance(padding, str):
        return padding
    top, left, bottom, right = geometry.same(shape, kernel, stride, dilation)
    return (top, left, bottom, right) if padding == "same" else (bottom, right, top, left)


@in_session
def correlate2d(x: Array, weight: Array, stride: Pair, padding: Quad, dilation: Pair, groups: int,
                store: geometry.Store = geometry.Store()) -> Array:  # noqa: B008 (a tuple: nobody can change it)
    """Slide the kernels over the picture.

    y[n,o,i,j] = sum_{c,u,v} weight[o,c,u,v] x[n, c, s i + d u - p, s j + d v - p]; zeros outside the picture.
    `store` may add a bias and cut off what is too small or too large.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
    weight : ndarray of shape (O, C / groups, U, V)

    Returns
    -------
    ndarray of shape (N, O, I, J)
    """
    _check_weight("x", x, weight, x.shape[1] // groups if x.shape[1] % groups == 0 else -1, weight.shape[1], groups)
    sizes = geometry.output_sizes(x.shape, weight.shape[2:], stride, padding, dilation)
    canvas = geometry.reach(sizes, weight.shape[2:], stride, dilation)
    padded = geometry.pad_to(x, padding[0], padding[1], *canvas)
    if store.bias is not None:
        _same_shape("bias", store.bias.shape, weight.shape[:1])
        store = store._replace(bias=np.require(store.bias, x.dtype, ["C", "A", "W"]))
    y: Array = backend().correlate2d(_plain(padded), _plain(weight), stride, dilation, groups, sizes, store)
    return y


@in_session
def correlate2d_adjoint(signal: Array, weight: Array, stride: Pair, padding: Quad, dilation: Pair, groups: int,
                        shape: Shape) -> Array:
    """Pay every y back to the x it looked at: <correlate2d(x), signal> = <x, correlate2d_adjoint(signal)>.

    x[n, c, s i + d u - p, s j + d v - p] += sum_o weight[o,c,u,v] signal[n,o,i,j]

    Parameters
    ----------
    signal : ndarray of shape (R, O, I, J)
    weight : ndarray of shape (O, C / groups, U, V)
    shape : tuple of int
        The shape (N, C, H, W) that the forward pass saw; N does not matter.

    Returns
    -------
    ndarray of shape (R, C, H, W)
    """
    _check_weight("signal", signal, weight, signal.shape[1], weight.shape[0], groups)
    sizes = geometry.output_sizes(shape, weight.shape[2:], stride, padding, dilation)
    _same_shape("signal", signal.shape[1:], (weight.shape[0], *sizes))
    canvas = geometry.reach(sizes, weight.shape[2:], stride, dilation)
    padded = backend().correlate2d_adjoint(_plain(signal), _plain(weight), stride, dilation, groups, canvas)
    return geometry.crop_to(padded, padding[0], padding[1], *shape[2:])


@in_session
def correlate2d_weight(signal: Array, x: Array, kernel: Pair, stride: Pair, padding: Quad, dilation: Pair,
                       groups: int) -> Array:
    """Return the adjoint with respect to the weights; only training and checks ask for it, NumPy is fast enough.

    dweight[o,c,u,v] = sum_{n,i,j} signal[n,o,i,j] x[n, c, s i + d u - p, s j + d v - p]

    Parameters
    ----------
    signal : ndarray of shape (N, O, I, J)
    x : ndarray of shape (N, C, H, W)

    Returns
    -------
    ndarray of shape (O, C / groups, U, V)
    """
    sizes = geometry.output_sizes(x.shape, kernel, stride, padding, dilation)
    canvas = geometry.reach(sizes, kernel, stride, dilation)
    padded = geometry.pad_to(x, padding[0], padding[1], *canvas)
    return definition.correlate2d_weight(signal, _plain(padded), kernel, stride, dilation, groups)


@in_session
def linear(x: Array, weight: Array) -> Array:
    """Return y[n,o] = sum_c weight[o,c] x[n,c]: (N, C), (O, C) -> (N, O)."""
    _expect_matrix("x", x, weight, 1)
    y: Array = backend().linear(_plain(x), _plain(weight))
    return y


@in_session
def linear_adjoint(signal: Array, weight: Array) -> Array:
    """Return dx[n,c] = sum_o weight[o,c] signal[n,o]: (R, O), (O, C) -> (R, C)."""
    _expect_matrix("signal", signal, weight, 0)
    dx: Array = backend().linear_adjoint(_plain(signal), _plain(weight))
    return dx


@in_session
def add(a: Array, b: Array) -> Array:
    """Return a + b of one shape and dtype, where signals meet; anything else is NumPy's."""
    same = a.shape == b.shape and a.dtype == b.dtype and a.size > 16384 and a.dtype in (np.float32, np.float64)
    total: Array = backend().add(_plain(a), _plain(b)) if same else np.asarray(a + b)
    return total


def _expect_matrix(what: str, x: Array, weight: Array, axis: int) -> None:
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[axis] or x.dtype != weight.dtype:
        raise ShapeError(f"{what}: {x.dtype} {x.shape} does not fit weights of {weight.dtype} {weight.shape}")


@in_session
def gate(signal: Array, y: Array, low: float, high: float, positive: bool, sloped: bool) -> Array:
    """Return what a rectifier with the output y lets through, in one pass.

    Parameters
    ----------
    signal : ndarray of shape (R, ...)
    y : ndarray of shape (R or 1, ...)
    low, high : float
        Where the rectifier cuts off.
    positive : bool
        Whether only what is positive of the signal passes.
    sloped : bool
        Whether it passes only where low < y < high.
    """
    _same_shape("signal", signal.shape[1:], y.shape[1:])
    if len(y) not in (1, len(signal)) or signal.dtype != y.dtype:
        raise ShapeError(f"signal: expected {len(y)} rows of {y.dtype}, got {len(signal)} of {signal.dtype}")
    passed: Array = backend().gate(_plain(signal), _plain(y), low, high, positive, sloped)
    return passed


@in_session
def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Quad, dilation: Pair,
               sizes: Pair) -> tuple[Array, IntArray]:
    """Take the largest cell of each window; padding never wins (it is minus infinity).

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)

    Returns
    -------
    y : ndarray of shape (N, C, I, J)
    index : ndarray of int32, shape (N, C, I, J)
        Where on the padded canvas the winner lies, row-major; ties go to the first.
    """
    canvas = geometry.reach(sizes, kernel, stride, dilation)
    padded = geometry.pad_to(x, padding[0], padding[1], *canvas, value=-np.inf)
    _check_dtype("x", x)
    y, index = backend().max_pool2d(_plain(padded), kernel, stride, dilation, sizes)
    if any(padding) and np.isneginf(y).any():  # a window of nothing but -inf: its first cell wins, not the padding
        row, column = (
            s * np.arange(n) + d * np.maximum(0, -(-(before - s * np.arange(n)) // d))
            for s, n, d, before in zip(stride, sizes, dilation, padding[:2], strict=True)
        )
        index = np.where(np.isneginf(y), row[:, None] * canvas[1] + column, index).astype(index.dtype)
    return y, index


@in_session
def max_pool2d_adjoint(signal: Array, index: IntArray, kernel: Pair, stride: Pair, padding: Quad, dilation: Pair,
                       shape: Shape) -> Array:
    """Pay each window's signal to the cell that won: (R, C, I, J) -> (R, C, H, W)."""
    _check_dtype("signal", signal)
    _same_shape("signal", signal.shape[1:], index.shape[1:])
    if index.shape[0] not in (1, signal.shape[0]):
        raise ShapeError(f"signal: expected {index.shape[0]} rows, one per image, got {signal.shape[0]}")
    if index.dtype != np.int32:
        raise ShapeError(f"max_pool2d_adjoint: expected int32 indices, got {index.dtype}; is it another layer's cache?")
    canvas = geometry.reach((signal.shape[2], signal.shape[3]), kernel, stride, dilation)
    if index.size and not 0 <= int(index.min()) <= int(index.max()) < canvas[0] * canvas[1]:
        raise ShapeError(f"max_pool2d_adjoint: an index lies outside the canvas {canvas}; is it another layer's cache?")
    padded = backend().max_pool2d_adjoint(_plain(signal), np.ascontiguousarray(index), canvas)
    return geometry.crop_to(padded, padding[0], padding[1], *shape[2:])


def _plain(x: Array) -> Array:
    """Return C-contiguous, aligned, writeable memory, so that each kernel is compiled for one kind of array only."""
    return np.require(x, requirements=["C", "A", "W"])


def _check_dtype(what: str, x: Array) -> None:
    if x.dtype not in (np.float32, np.float64) or x.ndim != 4:
        raise ShapeError(f"{what}: expected float32 or float64 with 4 axes, got {x.dtype} of shape {x.shape}")


def _check_weight(what: str, x: Array, weight: Array, channels: int, expected: int, groups: int) -> None:
    _check_dtype(what, x)
    if x.dtype != weight.dtype:
        raise ShapeError(f"{what}: expected the weights' {weight.dtype}, got {x.dtype}; convert one with astype")
    if channels != expected or weight.ndim != 4 or groups < 1 or weight.shape[0] % groups:
        raise ShapeError(f"{what} of shape {x.shape} does not fit weights of shape {weight.shape} in {groups} groups")


def _same_shape(what: str, got: Shape, expected: Shape) -> None:
    if got != expected:
        raise ShapeError(f"{what}: expected {expected} after the batch axis, got {got}; is it another layer's signal?")


