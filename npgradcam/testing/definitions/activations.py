"""Functions of one number and their slopes, as the textbook writes them; `place_by_place` applies them to an array."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .arithmetic import place_by_place
from .numbers import Numbers, wide, zeros


def each_signal(slope: Callable[..., float], signal: Numbers, x: Numbers, *settings: Any) -> Numbers:
    """What each number gets back, dx = f'(x) signal; one image x serves every row of the signal."""
    slopes = place_by_place(slope, x, *settings)
    dx = zeros(signal.shape, signal, slopes)
    for (r, *place), value in np.ndenumerate(wide(signal)):
        dx[(r, *place)] = slopes[(r if len(x) > 1 else 0, *place)] * value
    return dx


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def sigmoid_slope(x: float) -> float:
    """Return exp(-|x|) / (1 + exp(-|x|))^2: the function is as steep on both sides."""
    return math.exp(-abs(x)) / (1 + math.exp(-abs(x))) ** 2


def silu(x: float) -> float:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


def silu_slope(x: float) -> float:
    """Return sigmoid(x) + x sigmoid'(x)."""
    return sigmoid(x) + x * sigmoid_slope(x)


def hard_sigmoid(x: float, alpha: float, beta: float) -> float:
    """Return alpha x + beta, at least 0 and at most 1."""
    return max(0.0, min(1.0, alpha * x + beta))


def hard_sigmoid_slope(x: float, alpha: float, beta: float) -> float:
    """Return alpha between the kinks, 0 elsewhere."""
    return alpha if 0 < alpha * x + beta < 1 else 0.0


def hard_swish(x: float) -> float:
    """Return 0 up to -3, x from 3 on, x (x + 3) / 6 between."""
    return 0.0 if x <= -3 else float(x) if x >= 3 else x * (x + 3) / 6


def hard_swish_slope(x: float) -> float:
    """Return 0 up to -3, 1 from 3 on, (2 x + 3) / 6 between."""
    return 0.0 if x <= -3 else 1.0 if x >= 3 else (2 * x + 3) / 6


def mish(x: float) -> float:
    """Return x tanh(softplus(x))."""
    return x * math.tanh(softplus(x))


def mish_slope(x: float) -> float:
    """Return tanh(p) + x sigmoid(x) / cosh(p)^2 with p = softplus(x)."""
    p = softplus(x)
    return math.tanh(p) + (x * sigmoid(x) / math.cosh(p) ** 2 if p < 300 else 0.0)


def tanh_slope(x: float) -> float:
    """Return 1 / cosh(x)^2."""
    return 1 / math.cosh(x) ** 2 if abs(x) < 300 else 0.0


def gelu(x: float) -> float:
    """Return x times the probability that a standard normal number is below x."""
    return x * math.erfc(-x / math.sqrt(2)) / 2


def gelu_slope(x: float) -> float:
    """Return that probability, and x times the density at x."""
    return math.erfc(-x / math.sqrt(2)) / 2 + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def gelu_tanh(x: float) -> float:
    """Return x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    return x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def gelu_tanh_slope(x: float) -> float:
    """Return (1 + tanh(z)) / 2 + x / 2 z' / cosh(z)^2."""
    z, dz = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3), math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return (1 + math.tanh(z)) / 2 + x / 2 * dz * tanh_slope(z)


def elu(x: float, right: float, left: float, width: float) -> float:
    """Return right x where x > 0, else left (exp(x / width) - 1)."""
    return right * x if x > 0 else left * math.expm1(x / width)


def elu_slope(x: float, right: float, left: float, width: float) -> float:
    """Return right where x > 0, else left / width exp(x / width)."""
    return right if x > 0 else left / width * math.exp(x / width)


def softplus(x: float) -> float:
    """Return ln(1 + exp(x))."""
    return math.log1p(math.exp(x)) if x < 0 else x + math.log1p(math.exp(-x))


def softsign(x: float) -> float:
    """Return x / (1 + |x|)."""
    return x / (1 + abs(x))


def softsign_slope(x: float) -> float:
    """Return 1 / (1 + |x|)^2."""
    return 1 / (1 + abs(x)) ** 2


def erf_slope(x: float) -> float:
    """Return 2 / sqrt(pi) exp(-x^2)."""
    return 2 / math.sqrt(math.pi) * math.exp(-x * x)


def sign(x: float) -> int:
    """Return 1, 0 or -1."""
    return 1 if x > 0 else -1 if x < 0 else 0


def leaky_relu(x: float, alpha: float) -> float:
    """Return x where x > 0, else alpha x."""
    return x if x > 0 else alpha * x


def leaky_relu_slope(x: float, alpha: float) -> float:
    """Return 1 where x > 0, else alpha."""
    return 1 if x > 0 else alpha


def thresholded_relu(x: float, alpha: float) -> float:
    """Return x where x > alpha, else 0."""
    return x if x > alpha else 0


def thresholded_relu_slope(x: float, alpha: float) -> float:
    """Return 1 where x > alpha, else 0."""
    return 1 if x > alpha else 0
