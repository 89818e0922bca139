"""What each kernel computes, in plain NumPy: the definition the compiled kernels are held against.

Everything here works on a picture that is padded already, so the index equations have no edge cases:
a window at (i, j) reads the cells (s i + d u, s j + d v).
"""

from __future__ import annotations

import numpy as np

from npgradcam.typing import Array, IntArray, Pair

from .geometry import Store


def windows(x: Array, kernel: Pair, stride: Pair, dilation: Pair, sizes: Pair) -> Array:
    """View (N, C, H, W) as windows (N, C, I, J, U, V): windows[n,c,i,j,u,v] = x[n, c, s i + d u, s j + d v]."""
    n, c, h, w = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:2], *sizes, *kernel),
        (n, c, h * stride[0], w * stride[1], h * dilation[0], w * dilation[1]),
        writeable=False,
    )


def correlate2d(x: Array, weight: Array, stride: Pair, dilation: Pair, groups: int, sizes: Pair,
                store: Store) -> Array:
    """y[n,o,i,j] = sum_{c,u,v} weight[o,c,u,v] x[n, c, s i + d u, s j + d v], within each group of channels.

    What is stored is min(max(y + bias[o], low), high).
    """
    looked_at = windows(x, weight.shape[2:], stride, dilation, sizes)
    y = np.einsum(
        "gocuv,ngcijuv->ngoij",
        weight.reshape(groups, -1, *weight.shape[1:]),
        looked_at.reshape(x.shape[0], groups, -1, *looked_at.shape[2:]),
        optimize=True,
    )
    return store.applied(y.reshape(x.shape[0], weight.shape[0], *sizes))


def correlate2d_adjoint(signal: Array, weight: Array, stride: Pair, dilation: Pair, groups: int,
                        canvas: Pair) -> Array:
    """The same sum read from y to x: x[n, c, s i + d u, s j + d v] += sum_o weight[o,c,u,v] signal[n,o,i,j]."""
    n, _, rows, columns = signal.shape
    x = np.zeros((n, groups, weight.shape[1], *canvas), dtype=signal.dtype)
    by_group = signal.reshape(n, groups, -1, rows, columns)
    kernel = weight.reshape(groups, -1, *weight.shape[1:])
    for u in range(weight.shape[2]):
        for v in range(weight.shape[3]):
            r, c = dilation[0] * u, dilation[1] * v
            x[..., r : r + stride[0] * rows : stride[0], c : c + stride[1] * columns : stride[1]] += np.einsum(
                "goc,ngoij->ngcij", kernel[..., u, v], by_group, optimize=True
            )
    return x.reshape(n, -1, *canvas)


def gate(signal: Array, y: Array, low: float, high: float, positive: bool, sloped: bool) -> Array:
    """Return the signal where it is positive (if asked) and where low < y < high (if asked), else 0."""
    passed = np.maximum(signal, 0) if positive else signal
    return passed * ((y > low) & (y < high)) if sloped else passed


def correlate2d_weight(signal: Array, x: Array, kernel: Pair, stride: Pair, dilation: Pair, groups: int) -> Array:
    """dweight[o,c,u,v] = sum_{n,i,j} signal[n,o,i,j] x[n, c, s i + d u, s j + d v]: linear in the weights too."""
    n, outs, rows, columns = signal.shape
    looked_at = windows(x, kernel, stride, dilation, (rows, columns))
    dweight = np.einsum(
        "ngoij,ngcijuv->gocuv",
        signal.reshape(n, groups, -1, rows, columns),
        looked_at.reshape(n, groups, -1, *looked_at.shape[2:]),
        optimize=True,
    )
    return np.ascontiguousarray(dweight.reshape(outs, -1, *kernel))


def max_pool2d(x: Array, kernel: Pair, stride: Pair, dilation: Pair, sizes: Pair) -> tuple[Array, IntArray]:
    """y[n,c,i,j] = max_{u,v} x[n, c, s i + d u, s j + d v], and the flat index (row-major) of the cell that won.

    A tie goes to the first cell in row-major order; a NaN wins over every number.
    """
    looked_at = windows(x, kernel, stride, dilation, sizes)
    winner = looked_at.reshape(*looked_at.shape[:4], -1).argmax(axis=-1)
    row = stride[0] * np.arange(sizes[0])[:, None] + dilation[0] * (winner // kernel[1])
    column = stride[1] * np.arange(sizes[1]) + dilation[1] * (winner % kernel[1])
    index = (row * x.shape[3] + column).astype(np.int32)
    flat = x.reshape(*x.shape[:2], -1)
    y = np.take_along_axis(flat, index.reshape(*x.shape[:2], -1), axis=2).reshape(index.shape)
    return y, index


def max_pool2d_adjoint(signal: Array, index: IntArray, canvas: Pair) -> Array:
    """x[n, c, index[n,c,i,j]] += signal[n,c,i,j]: each winner is paid, also twice where windows overlap."""
    n, channels = signal.shape[:2]
    x = np.zeros((n * channels, canvas[0] * canvas[1]), dtype=signal.dtype)
    where = np.broadcast_to(index, signal.shape).reshape(n * channels, -1)
    np.add.at(x, (np.arange(n * channels)[:, None], where), signal.reshape(n * channels, -1))
    return x.reshape(n, channels, *canvas)


def linear(x: Array, weight: Array) -> Array:
    """y[n,o] = sum_c weight[o,c] x[n,c]."""
    return x @ weight.T


def linear_adjoint(signal: Array, weight: Array) -> Array:
    """dx[n,c] = sum_o weight[o,c] signal[n,o]."""
    return signal @ weight


def add(a: Array, b: Array) -> Array:
    """Return a + b."""
    return np.asarray(a + b)
