"""Winograd's convolution of 3 x 3 cells: m x m cells of y from (m + 2)^2 products instead of 9 m^2.

A correlation with three taps is the transpose of a product of polynomials, and a polynomial is known from its values
at as many points as it has coefficients (Cook and Toom). So in one dimension, with m + 2 points,

    y = A^T [ (G g) * (B^T d) ]      d: m + 2 cells, g: 3 taps, y: m cells, * cell by cell

and in two dimensions, summed over the channels c before anything is transformed back,

    y[n,o] = A^T ( sum_c (G w[o,c] G^T) * (B^T x[n,c] B) ) A        for each tile of m x m cells of y.

With points a_0 .. a_m and infinity, the columns and rows of a point a and of infinity are

    A^T: (1, a, .., a^(m-1)) and (0, .., 0, 1)      G: (1, a, a^2) / prod_{b != a} (a - b) and (0, 0, 1)
    B^T: the coefficients of prod_{b != a} (z - b) and of prod_b (z - b), from z^0 on

The points decide how rounding grows: 0, 1, -1, 2, -1/2 (and infinity) are much better than 0, 1, -1, 2, -2.

What is not finite spreads: a NaN or an infinity in x may turn every cell of the tiles that look at it into NaN.

References
----------
Lavin & Gray 2016, Fast Algorithms for Convolutional Neural Networks.
Barabasz et al. 2020, Error Analysis and Improving the Accuracy of Winograd Convolution.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Pair, Quad, Shape

from . import definition, geometry
from .geometry import Store
from .session import backend, in_session, load_blas

POINTS = {
    2: (Fraction(0), Fraction(1), Fraction(-1)),
    4: (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-1, 2)),
}


Rows = tuple[tuple[Fraction, ...], ...]


class Matrices(NamedTuple):
    """A^T (m, m + 2), G (m + 2, 3) and B^T (m + 2, m + 2), exact."""

    output: Rows
    weight: Rows
    input: Rows


@cache
def matrices(points: tuple[Fraction, ...]) -> Matrices:
    """Return the matrices of F(m, 3) for m + 1 points; infinity is the last point.

    Examples
    --------
    >>> for row in matrices(POINTS[2]).input:
    ...     print(*row)
    -1 0 1 0
    0 1 1 0
    0 -1 1 0
    0 -1 0 1
    """
    m, one = len(points) - 1, Fraction(1)
    output = tuple((*(a**i for a in points), one * (i == m - 1)) for i in range(m))
    weight, rows = [], []
    for a in points:
        others = [b for b in points if b != a]
        scale = _value(others, a)
        weight.append(tuple(a**k / scale for k in range(3)))
        rows.append((*_coefficients(others), 0 * one))
    return Matrices(output, (*weight, (0 * one, 0 * one, one)), (*rows, _coefficients(points)))


def _value(roots: list[Fraction], z: Fraction) -> Fraction:
    product = Fraction(1)
    for root in roots:
        product *= z - root
    return product


def _coefficients(roots: tuple[Fraction, ...] | list[Fraction]) -> tuple[Fraction, ...]:
    """Return the coefficients of prod (z - root), from z^0 on."""
    found = [Fraction(1)]
    for root in roots:
        found = [low - root * high for low, high in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return tuple(found)


def transform(weight: Array, m: int) -> Array:
    """Return U[k] = (G w G^T)[k] for every pair of channels, summed in float64 and rounded once.

    Parameters
    ----------
    weight : ndarray of shape (O, C, 3, 3)
    m : {2, 4}

    Returns
    -------
    ndarray of shape ((m + 2)^2, O, C)
    """
    if weight.shape[2:] != (3, 3):
        raise ShapeError(f"Winograd: expected kernels of 3 x 3 cells, got weights of shape {weight.shape}")
    G = _floats(matrices(POINTS[m]).weight)
    both = np.kron(G, G)  # ((m + 2)^2, 9): a matrix on either side of w is one matrix for w as a column
    U = np.empty((len(both), *weight.shape[:2]), weight.dtype)
    for o, kernels in enumerate(weight):  # a few at a time: float64 takes room
        U[:, o] = both @ kernels.reshape(-1, 9).T.astype(np.float64)
    return U


def adjoint_weight(weight: Array) -> Array:
    """Return the kernels with which the adjoint is a correlation too: turned around, channels exchanged.

    w'[c,o,u,v] = w[o,c,2-u,2-v]: (O, C, 3, 3) -> (C, O, 3, 3)
    """
    return np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))


@in_session
def correlate(x: Array, transformed: Array, padding: Quad, store: Store = Store()) -> Array:  # noqa: B008 (a tuple)
    """Slide 3 x 3 kernels over the picture, at stride 1, as `kernels.correlate2d` does.

    y[n,o,i,j] = sum_{c,u,v} weight[o,c,u,v] x[n, c, i + u - p, j + v - p]; zeros outside the picture

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
    transformed : ndarray of shape ((m + 2)^2, O, C)
        The kernels, from `transform`.
    padding : (top, left, bottom, right)
    store : Store, optional
        May add a bias and cut off what is too small or too large.

    Returns
    -------
    ndarray of shape (N, O, I, J)
    """
    return _checked(x, transformed, (padding[0], padding[1]),
                    geometry.output_sizes(x.shape, (3, 3), (1, 1), padding), store)


@in_session
def correlate_adjoint(signal: Array, transformed: Array, padding: Quad, shape: Shape) -> Array:
    """Pay every y back to the x it looked at: a correlation of the signal, padded by 2 - p, with turned kernels.

    x[n,c,h,w] = sum_{o,u,v} w'[c,o,u,v] signal[n, o, h + u - (2 - p), w + v - (2 - p)]

    Parameters
    ----------
    signal : ndarray of shape (R, O, I, J)
    transformed : ndarray of shape ((m + 2)^2, C, O)
        The kernels, from `transform(adjoint_weight(weight), m)`.
    padding : (top, left, bottom, right)
    shape : tuple of int
        The shape (N, C, H, W) that the forward pass saw; N does not matter.

    Returns
    -------
    ndarray of shape (R, C, H, W)
    """
    expected = geometry.output_sizes(shape, (3, 3), (1, 1), padding)
    if signal.shape[2:] != expected:
        raise ShapeError(f"signal: expected {expected} cells, got shape {signal.shape}; is it another layer's signal?")
    return _checked(signal, transformed, (2 - padding[0], 2 - padding[1]), (shape[2], shape[3]), Store())


def _checked(x: Array, transformed: Array, before: Pair, sizes: Pair, store: Store) -> Array:
    if x.ndim != 4 or transformed.ndim != 3 or transformed.shape[::2] not in ((16, x.shape[1]), (36, x.shape[1])):
        raise ShapeError(f"Winograd: {x.shape} does not fit transformed weights of shape {transformed.shape}")
    if x.dtype != transformed.dtype or x.dtype not in (np.float32, np.float64):
        raise ShapeError(f"Winograd: expected the weights' {transformed.dtype}, got {x.dtype}")
    if store.bias is not None:
        if store.bias.shape != transformed.shape[1:2]:
            raise ShapeError(f"bias: expected {transformed.shape[1]} numbers, got shape {store.bias.shape}")
        store = store._replace(bias=np.require(store.bias, x.dtype, ["C", "A", "W"]))
    x, transformed = (np.require(array, requirements=["C", "A", "W"]) for array in (x, transformed))
    if backend() is definition or not x.size or not transformed.size:
        return plain(x, transformed, store, before, sizes)
    from . import winograd_blocks  # needs Numba

    load_blas()
    return winograd_blocks.correlate(x, transformed, store, before, sizes)


def plain(x: Array, transformed: Array, store: Store, before: Pair, sizes: Pair) -> Array:
    """The definition: y = min(max(A^T (sum_c U * (B^T d B)) A + bias, low), high) for each tile d, in plain NumPy.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
    transformed : ndarray of shape ((m + 2)^2, O, C)
    before : (int, int)
        Zeros above and left of the picture; fewer than 0 where so many rows and columns are left out.
    sizes : (int, int)
        Cells (I, J) of y; what they look at beyond the picture is 0.
    """
    m = int(np.sqrt(len(transformed))) - 2
    exact = matrices(POINTS[m])
    A, B = _floats(exact.output).astype(x.dtype), _floats(exact.input).astype(x.dtype)  # transposed already
    tiles = (-(-sizes[0] // m), -(-sizes[1] // m))
    cut = x[:, :, max(0, -before[0]) :, max(0, -before[1]) :]
    canvas = geometry.pad_to(cut, max(0, before[0]), max(0, before[1]), m * tiles[0] + 2, m * tiles[1] + 2)
    d = definition.windows(canvas, (m + 2, m + 2), (m, m), (1, 1), tiles)
    V = np.einsum("ku,lv,ncijuv->klncij", B, B, d, optimize=True)
    M = np.einsum("kloc,klncij->klnoij", transformed.reshape(m + 2, m + 2, *transformed.shape[1:]), V, optimize=True)
    y = np.einsum("uk,vl,klnoij->noiujv", A, A, M, optimize=True)
    return store.applied(y.reshape(*y.shape[:2], m * tiles[0], m * tiles[1])[:, :, : sizes[0], : sizes[1]])


def _floats(rows: Rows) -> Array:
    return np.array(rows, dtype=np.float64)
