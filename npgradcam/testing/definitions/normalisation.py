"""Normalisation: each number by the mean and variance of the numbers it is normalised with, or by its neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import TypeAlias

import numpy as np

from .numbers import Numbers, wide

Place: TypeAlias = tuple[int, ...]


def instance_norm(x: Numbers, weight: Numbers, bias: Numbers, epsilon: float = 1e-5) -> Numbers:
    """Return y = weight[c] z + bias[c], where z is x normalised over each map of each image."""
    return group_norm(x, x.shape[1], weight, bias, epsilon)


def instance_norm_adjoint(signal: Numbers, x: Numbers, weight: Numbers, epsilon: float = 1e-5) -> Numbers:
    """Return sum over the map of signal dy/dx."""
    return group_norm_adjoint(signal, x, x.shape[1], weight, epsilon)


def group_norm(x: Numbers, groups: int, weight: Numbers, bias: Numbers, epsilon: float = 1e-5) -> Numbers:
    """Return y = weight[c] z + bias[c], where z is x normalised over each group of maps of each image."""
    y = standardise(x, lambda place: (place[0], place[1] // (x.shape[1] // groups)), epsilon)
    for place in np.ndindex(*x.shape):
        y[place] = float(weight[place[1]]) * y[place] + float(bias[place[1]])
    return y


def group_norm_adjoint(signal: Numbers, x: Numbers, groups: int, weight: Numbers, epsilon: float = 1e-5) -> Numbers:
    """Return sum over the group of signal dy/dx."""
    dz = wide(signal).astype(np.float64)
    for place in np.ndindex(*signal.shape):
        dz[place] *= float(weight[place[1]])
    return standardise_adjoint(dz, x, lambda place: (place[0], place[1] // (x.shape[1] // groups)), epsilon)


def layer_norm(x: Numbers, weight: Numbers, bias: Numbers | None = None, axis: int = -1,
               epsilon: float = 1e-5) -> Numbers:
    """Return y = weight z + bias, where z is x normalised over all axes from `axis` on."""
    axis %= x.ndim
    y = standardise(x, lambda place: place[:axis], epsilon) * np.broadcast_to(weight, x.shape)
    return np.asarray(y if bias is None else y + np.broadcast_to(bias, x.shape))


def layer_norm_adjoint(signal: Numbers, x: Numbers, weight: Numbers, axis: int = -1,
                       epsilon: float = 1e-5) -> Numbers:
    """Return sum over the axes from `axis` on of signal dy/dx."""
    axis %= x.ndim
    return standardise_adjoint(signal * np.broadcast_to(weight, signal.shape), x, lambda place: place[:axis], epsilon)


def standardise(x: Numbers, together: Callable[[Place], Hashable], epsilon: float) -> Numbers:
    """Return z = (x - mean) / sqrt(variance + epsilon), over the numbers for whose places `together` gives the same."""
    z = np.zeros(x.shape)
    for places in _sets(x, together):
        numbers = [float(x[place]) for place in places]
        mean, spread = _mean_and_spread(numbers, epsilon)
        for place, number in zip(places, numbers, strict=True):
            z[place] = (number - mean) / spread
    return z


def standardise_adjoint(signal: Numbers, x: Numbers, together: Callable[[Place], Hashable],
                        epsilon: float) -> Numbers:
    """dx[q] = sum_p signal[p] dz[p]/dx[q], which is ((1 if p = q else 0) - 1/m - z[p] z[q] / m) / spread.

    m numbers are normalised together; one image x serves every row of the signal.
    """
    if len(signal) != len(x):
        rows = [standardise_adjoint(signal[r : r + 1], x, together, epsilon) for r in range(len(signal))]
        return np.concatenate(rows)
    z, dx = standardise(x, together, epsilon), np.zeros(signal.shape)
    for places in _sets(x, together):
        _, spread = _mean_and_spread([float(x[place]) for place in places], epsilon)
        for q in places:
            terms = (((p == q) - (1 + z[p] * z[q]) / len(places)) / spread * float(signal[p]) for p in places)
            dx[q] = math.fsum(terms)
    return dx


def _sets(x: Numbers, together: Callable[[Place], Hashable]) -> list[list[Place]]:
    found: dict[Hashable, list[Place]] = {}
    for place in np.ndindex(*x.shape):
        found.setdefault(together(place), []).append(place)
    return list(found.values())


def _mean_and_spread(numbers: list[float], epsilon: float) -> tuple[float, float]:
    mean = math.fsum(numbers) / len(numbers)
    return mean, math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / len(numbers) + epsilon)


def lrn(x: Numbers, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Numbers:
    """y[n,c] = x[n,c] b^-beta with b = bias + alpha / size sum of x[n,k]^2 over the window of channel c."""
    y = np.zeros(x.shape)
    for place, number in np.ndenumerate(wide(x)):
        y[place] = float(number) * _base(x, place, size, alpha, bias) ** -beta
    return y


def lrn_adjoint(signal: Numbers, x: Numbers, size: int, alpha: float = 1e-4, beta: float = 0.75,
                bias: float = 1.0) -> Numbers:
    """dx[n,k] = sum_c signal[n,c] dy[n,c]/dx[n,k], one image x serving every row of the signal.

    dy[n,c]/dx[n,k] = (b^-beta if c = k) - (2 alpha beta / size x[n,c] x[n,k] b^(-beta - 1) if c's window holds k)
    """
    dx = np.zeros(signal.shape)
    for r, c, *place in np.ndindex(*signal.shape):
        n = r if len(x) > 1 else 0
        value, base = float(signal[(r, c, *place)]), _base(x, (n, c, *place), size, alpha, bias)
        dx[(r, c, *place)] += value * base**-beta
        for k in _window(c, size, x.shape[1]):
            both = float(x[(n, c, *place)]) * float(x[(n, k, *place)])
            dx[(r, k, *place)] -= value * 2 * alpha * beta / size * both * base ** (-beta - 1)
    return dx


def _window(c: int, size: int, channels: int) -> range:
    """The channels that channel c is divided by: itself, (size - 1) // 2 below it and the others above."""
    first = c - (size - 1) // 2
    return range(max(0, first), min(channels, first + size))


def _base(x: Numbers, place: Place, size: int, alpha: float, bias: float) -> float:
    n, c, *where = place
    squares = (float(x[(n, k, *where)]) ** 2 for k in _window(c, size, x.shape[1]))
    return bias + alpha / size * math.fsum(squares)
