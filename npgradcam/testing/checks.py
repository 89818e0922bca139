"""Checks of a layer or a network against what its derivative must satisfy, for any layer, ours or yours.

Each check returns the relative error that it measured, and raises `AssertionError` with one sentence and the two
numbers below each other where that error is too large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from ..errors import NpGradcamError
from ..layers import Layer
from ..typing import Array, Shape

__all__ = ["affine", "check_adjoint", "check_gradient", "check_parameter_gradients"]

EXACT = {"float32": 1e-6, "float64": 1e-14}  # how far two inner products may lie apart, relative to the norms


def check_adjoint(layer: Layer, *xs: Array, tolerance: float | None = None, rows: int | None = None,
                  seed: int = 0) -> float:
    """Check <J u, v> = <u, J^T v> for random u and v, where J is the linear part of an affine layer.

    Parameters
    ----------
    layer : Layer
        An affine one, f(x) = J x + f(0): a convolution, an average, a batch norm; not a rectifier or a max pooling.
    *xs : ndarray
        One for each input; only shapes and dtype count.
    tolerance : float, optional
        On |<J u, v> - <u, J^T v>| relative to (||f(u)|| + ||f(0)||) ||v|| + ||u|| ||J^T v||, which is what either side
        may lose to rounding; several rows are measured before they are added. 1e-14 in float64 and 1e-6 in float32.
    rows : int, optional
        How many rows v has, where they are to share one cache: inputs of batch 1 and several seeds.
    seed : int
        Of the random numbers.

    Returns
    -------
    float
        The relative error.

    Raises
    ------
    AssertionError
        Where the two inner products differ, or backward's signals do not have the inputs' shapes and dtypes.
    NpGradcamError
        Where the layer is not affine, or is none, or an input is no array of real numbers.
    """
    _expect("check_adjoint", layer, xs)
    if not affine(layer, *xs):
        raise NpGradcamError(
            f"check_adjoint: expected an affine layer, got {type(layer).__name__}, which does not satisfy "
            "f(u) + f(-u) = 2 f(0); use check_gradient"
        )
    random = np.random.default_rng(seed)
    us = [_normal(random, x.shape, x.dtype) for x in xs]
    offset, (y, cache) = layer.forward(*(np.zeros_like(x) for x in xs))[0], layer.forward(*us)
    v = _normal(random, (rows or y.shape[0], *y.shape[1:]), y.dtype)
    down = _backward(layer, v, cache, us)
    scale = (_norm(y) + _norm(offset)) * _norm(v)
    scale += sum(_norm(u) * _norm(part) for u, part in zip(us, down, strict=True))
    if rows:  # one image: J u is the same for every row
        v, down = v.sum(axis=0, keepdims=True), tuple(part.sum(axis=0, keepdims=True) for part in down)
    above, below = _dot(y.astype(float) - offset, v), sum(_dot(u, part) for u, part in zip(us, down, strict=True))
    return _compare(
        f"{type(layer).__name__}: backward is not the adjoint of forward",
        "<J u, v>", above, "<u, J^T v>", below, scale, EXACT[str(y.dtype)] if tolerance is None else tolerance,
    )


def check_gradient(layer: Layer, *xs: Array, directions: int = 4, tolerance: float = 1e-6, seed: int = 0) -> float:
    """Check backward against centred finite differences of forward, in float64, along random directions d.

    <v, (f(x + h d) - f(x - h d)) / 2h> = <d, backward(v)>, with h = 1e-5 max(1, largest |x|) and |d| <= 1 everywhere.

    Parameters
    ----------
    layer : Layer
        Any; its parameters are converted to float64.
    *xs : ndarray
        Where to differentiate: no number within h of a kink, no two cells of a max pooling's window within 2 h.
    directions : int
        How many random pairs of d and v.
    tolerance : float
        On the difference, relative to the sum of the absolute terms of the inner product with v.

    Returns
    -------
    float
        The largest relative error.

    Raises
    ------
    AssertionError
        Where the two differ.
    """
    _expect("check_gradient", layer, xs, directions)
    layer, points = layer.astype("float64"), [np.asarray(x, dtype=np.float64) for x in xs]

    def along(ds: list[Array], t: float) -> Array:
        return layer.forward(*(x + t * d for x, d in zip(points, ds, strict=True)))[0]

    what, cache = f"{type(layer).__name__}: backward is not the derivative of forward", layer.forward(*points)[1]
    return _differences(what, points, along, lambda v: _backward(layer, v, cache, points), directions, tolerance, seed)


def check_parameter_gradients(layer: Layer, *xs: Array, directions: int = 4, tolerance: float = 1e-6,
                              seed: int = 0) -> float:
    """Check `layer.parameter_gradients(v, *xs)` against centred finite differences, as `check_gradient`.

    Raises
    ------
    AssertionError
        Where the two differ, or not every array in `layer.parameters` is among the gradients.
    NpGradcamError
        Where the layer has no parameters.
    """
    _expect("check_parameter_gradients", layer, xs, directions)
    layer, points = layer.astype("float64"), [np.asarray(x, dtype=np.float64) for x in xs]
    kind = type(layer).__name__
    names, values = list(layer.parameters), list(layer.parameters.values())
    if not names:
        raise NpGradcamError(f"check_parameter_gradients: expected a layer with parameters, got {kind}")

    def along(ds: list[Array], t: float) -> Array:
        moved = {name: value + t * d for name, value, d in zip(names, values, ds, strict=True)}
        return replace(layer, **moved).forward(*points)[0]  # type: ignore[type-var]

    def backward(v: Array) -> list[Array]:
        found = layer.parameter_gradients(v, *points)
        if set(found) != set(names):
            raise AssertionError(f"{kind}: parameter_gradients gives {sorted(found)} where {sorted(names)} is held.")
        _expect_same(f"{kind}: parameter_gradients", [found[name] for name in names], values)
        return [found[name] for name in names]

    what = f"{kind}: parameter_gradients is not the derivative of forward by {' and '.join(names)}"
    return _differences(what, values, along, backward, directions, tolerance, seed)


def affine(layer: Layer, *xs: Array, seed: int = 1) -> bool:
    """Whether f(u) + f(-u) = 2 f(0) and f(2 u) + f(0) = 2 f(u) hold for a random u of the shapes of `xs`."""
    random = np.random.default_rng(seed)
    us = [_normal(random, x.shape, x.dtype) for x in xs]
    zero, one, minus, two = (layer.forward(*(x.dtype.type(t) * u for x, u in zip(xs, us, strict=True)))[0]
                             for t in (0, 1, -1, 2))
    close = 1e3 * np.finfo(one.dtype).eps * max(_largest(zero), _largest(one))
    return bool(_largest(one + minus - 2 * zero) <= close and _largest(two + zero - 2 * one) <= close)


def _expect(check: str, layer: object, xs: Sequence[object], directions: object = 1) -> None:
    """Refuse what is no layer, or no arrays of real numbers; and a count of directions that checks nothing."""
    if not isinstance(layer, Layer):
        raise NpGradcamError(f"{check}: expected a layer, as ng.layers has them, got {type(layer).__name__}")
    wrong = [x for x in xs if not isinstance(x, np.ndarray) or x.dtype.kind not in "biuf"]
    if wrong or not xs:
        got = getattr(wrong[0], "dtype", type(wrong[0]).__name__) if wrong else "none"
        raise NpGradcamError(f"{check}: expected an array of real numbers for each input of the layer, got {got}")
    if not isinstance(directions, Integral) or directions < 1:
        raise NpGradcamError(f"{check}: expected directions to be a whole number, 1 or more, got {directions!r}")


def _differences(what: str, points: Sequence[Array], along: Callable[[list[Array], float], Array],
                 backward: Callable[[Array], Sequence[Array]], directions: int, tolerance: float, seed: int) -> float:
    random, worst = np.random.default_rng(seed), 0.0
    h = 1e-5 * max(1.0, *(_largest(x) for x in points))
    for _ in range(directions):
        ds: list[Array] = [random.uniform(-1, 1, x.shape) for x in points]
        slope = np.subtract(along(ds, h), along(ds, -h)) / (2 * h)
        v = _normal(random, slope.shape, slope.dtype)
        found = sum(_dot(d, part) for d, part in zip(ds, backward(v), strict=True))
        scale = float(np.abs(slope * v).sum()) + 1e-2  # 1e-8 absolute where nearly nothing comes through
        names = ("<difference quotient, v>", "<d, backward(v)>")
        worst = max(worst, _compare(what, names[0], _dot(slope, v), names[1], found, scale, tolerance))
    return worst


def _backward(layer: Layer, v: Array, cache: Any, xs: Sequence[Array]) -> tuple[Array, ...]:
    down = tuple(part for part in layer.backward(v, cache) if part is not None)
    keeps = layer.keeps_batch(*(x.shape for x in xs))  # then every row of v gets a row of each signal
    expected = [np.broadcast_to(x[:1], (len(v), *x.shape[1:])) if keeps else x for x in xs]
    _expect_same(f"{type(layer).__name__}: backward", down, expected)
    return down


def _expect_same(what: str, got: Sequence[Array], expected: Sequence[Array]) -> None:
    shapes = [[(x.shape, str(x.dtype)) for x in xs] for xs in (expected, got)]
    if shapes[0] != shapes[1]:
        raise AssertionError(
            f"{what} gives other shapes or dtypes than it should.\n  expected  {shapes[0]}\n  got       {shapes[1]}"
        )


def _compare(what: str, name: str, one: float, other_name: str, other: float, scale: float, tolerance: float) -> float:
    """Return |one - other| / scale; raise where it is above the tolerance, or not a number."""
    error = abs(one - other) / scale if scale else abs(one - other)
    if not error <= tolerance:
        width = max(len(name), len(other_name))
        raise AssertionError(
            f"{what}: they differ by {error:.1e} of {scale:.3e}, at most {tolerance:.0e} is allowed.\n"
            f"  {name:<{width}}  {one:+.17e}\n  {other_name:<{width}}  {other:+.17e}"
        )
    return error


def _normal(random: np.random.Generator, shape: Shape, dtype: Any) -> Array:
    return random.standard_normal(shape).astype(dtype)


def _dot(a: Array, b: Array) -> float:
    return float(np.vdot(a.astype(np.float64), b.astype(np.float64)))


def _norm(a: Array) -> float:
    return float(np.linalg.norm(a.astype(np.float64).ravel()))


def _largest(a: Array) -> float:
    return float(np.abs(a).max(initial=0))
