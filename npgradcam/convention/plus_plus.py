"""Grad-CAM++ as it is computed: equation (19), and what others make of its denominator and its sums."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npgradcam.typing import Array

from .sums import over_cells, quotient, weighted


def _plus_plus(a: Array, A: Array, g: Array) -> Array:
    """Grad-CAM++'s map from alpha^kc_ij: w_k = sum_ij alpha ReLU(g)."""
    return weighted(np.einsum("rkij,rkij->rk", a, np.maximum(g, 0)), A)


def _alpha(T: Array, g: Array, two: float = 2) -> Array:
    """g^2 / (2 g^2 + T g^3) = 1 / (2 + T g), and 0 where g is 0: equations (5) and (19)."""
    return np.where(g != 0, quotient(np.ones_like(g), two + T * g), 0)


def equation_19(A: Array, g: Array, y: Array) -> Array:
    """Alpha = g^2 / (2 g^2 + T g^3) = 1 / (2 + T g), T = sum of A^k: Grad-CAM++, equations (5) and (19)."""
    return _plus_plus(_alpha(over_cells(A), g), A, g)


def equation_19_plus_1e_6(A: Array, g: Array, y: Array) -> Array:
    """Alpha = g^2 / (2 g^2 + T g^3 + 1e-6): Grad-CAM++ in pytorch-grad-cam; small gradients count less."""
    return _plus_plus(g**2 / (2 * g**2 + over_cells(A) * g**3 + g.dtype.type(1e-6)), A, g)


def no_denominator(A: Array, g: Array, y: Array) -> Array:
    """Alpha = g^2: Grad-CAM++ in torchcam, whose division acts on a copy."""
    return _plus_plus(g**2, A, g)


def product_inside(A: Array, g: Array, y: Array) -> Array:
    """Alpha = g^2 / (2 g^2 + sum of A g^3): Grad-CAM++ with a product summed that should be a product of sums."""
    return _plus_plus(quotient(g**2, 2 * g**2 + over_cells(A * g**3)), A, g)


def mean_activation(A: Array, g: Array, y: Array) -> Array:
    """Alpha = g^2 / (2 g^2 + mean of A g^3), w_k = mean of alpha ReLU(g): Grad-CAM++ in xplique."""
    d = 2 * g**2 + g**3 * A.mean(axis=(2, 3), keepdims=True)
    return np.asarray(_plus_plus(quotient(g**2, d), A, g) / g[0, 0].size)


def one_cell(A: Array, g: Array, y: Array) -> Array:
    """Alpha = g^2 / (2 g^2 + A g^3) with each cell's own A: Grad-CAM++ without the sum over (a, b)."""
    return _plus_plus(_alpha(A, g), A, g)


def both_signs(A: Array, g: Array, y: Array) -> Array:
    """w_k = sum of alpha g, alpha of (19): Grad-CAM++ without its ReLU."""
    a = _alpha(over_cells(A), g)
    return weighted(np.einsum("rkij,rkij->rk", a, g), A)


def normalised_alphas(A: Array, g: Array, y: Array) -> Array:
    """Alpha of (19) over its own sum, w_k = sum of alpha ReLU(exp(y) g): Grad-CAM++ in tf-keras-vis."""
    a = _alpha(over_cells(A), g)
    with np.errstate(over="ignore", invalid="ignore"):  # as there: exp(y) is infinite in float32 from y = 88.8 on
        return _plus_plus(quotient(a, np.broadcast_to(over_cells(a), a.shape)), A, np.exp(y)[:, None, None, None] * g)


def no_activation(A: Array, g: Array, y: Array) -> Array:
    """Alpha = g^2 / (2 g^2) = 1/2: Grad-CAM++ whose denominator lacks the term in A."""
    return _plus_plus(np.full_like(g, 0.5), A, g)


def one_for_two(A: Array, g: Array, y: Array) -> Array:
    """Alpha = g^2 / (g^2 + T g^3), T = sum of A^k."""
    return _plus_plus(_alpha(over_cells(A), g, 1), A, g)


def all_channels(A: Array, g: Array, y: Array) -> Array:
    """Alpha of (19) with T = sum of A over all channels too: one number for the whole layer."""
    return _plus_plus(_alpha(A.sum(axis=(1, 2, 3), keepdims=True), g), A, g)


def mean_over_cells(A: Array, g: Array, y: Array) -> Array:
    """w_k = mean of alpha ReLU(g), alpha of (19): Grad-CAM++ with a factor 1/Z."""
    return np.asarray(equation_19(A, g, y) / g[0, 0].size)


def exponential(A: Array, g: Array, y: Array) -> Array:
    """w_k = sum of alpha ReLU(exp(y) g), alpha of (19): the factor exp(y) was left in."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.exp(y)[:, None, None] * equation_19(A, g, y))


def of_the_exponential(A: Array, g: Array, y: Array) -> Array:
    """Equation (19) with exp(y) g in the place of g, in alpha too."""
    with np.errstate(over="ignore", invalid="ignore"):
        return equation_19(A, np.exp(y)[:, None, None, None] * g, y)


PLUS_PLUS: dict[str, Callable[[Array, Array, Array], Array]] = {  # the paper's own first
    "equation 19": equation_19, "equation 19 + 1e-6": equation_19_plus_1e_6, "no denominator": no_denominator,
    "product inside": product_inside, "one cell": one_cell, "both signs": both_signs,
    "mean activation": mean_activation, "normalised alphas": normalised_alphas, "no activation": no_activation,
    "one for two": one_for_two, "all channels": all_channels, "mean over cells": mean_over_cells,
    "exponential": exponential, "of the exponential": of_the_exponential,
}
