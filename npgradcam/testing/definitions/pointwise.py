"""Layers that treat every number alone, or every channel alone, or every column of scores alone."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from .numbers import Numbers, wide


def relu(x: Numbers) -> Numbers:
    """Return y = x where x > 0, else 0; NaN stays NaN."""
    return clip(x, 0, math.inf)


def clip(x: Numbers, low: float, high: float) -> Numbers:
    """Return y = high where x >= high, else low where x <= low, else x; high where high < low. NaN stays NaN."""
    whole = all(math.isinf(end) or end == math.floor(end) for end in (low, high))
    y = wide(x) if whole else wide(x).astype(np.float64)
    for place, value in np.ndenumerate(wide(x)):
        if value >= high or (value <= low and low > high):
            y[place] = high
        elif value <= low:
            y[place] = low
    return y


def rectifier_signal(signal: Numbers, x: Numbers, low: float = 0, high: float = math.inf,
                     rule: Literal["gradient", "deconvnet", "guided"] = "gradient") -> Numbers:
    """What a rectifier that cuts off at `low` and `high` lets through; one image x serves every row of the signal.

    gradient: the signal, where low < x < high. deconvnet: the signal, where it is positive. guided: where both hold.
    """
    passed, x = wide(signal), wide(x)
    for (r, *place), value in np.ndenumerate(wide(signal)):
        number = x[(r if len(x) > 1 else 0, *place)]
        is_open, is_positive = low < number < high, value > 0
        keep = {"gradient": is_open, "deconvnet": is_positive, "guided": is_open and is_positive}[rule]
        if not keep:
            passed[(r, *place)] = 0
    return passed


def batch_norm2d(x: Numbers, weight: Numbers, bias: Numbers, mean: Numbers, variance: Numbers,
                 epsilon: float = 1e-5) -> Numbers:
    """y[n,c,...] = weight[c] (x[n,c,...] - mean[c]) / sqrt(variance[c] + epsilon) + bias[c]."""
    y = np.zeros(x.shape)
    for (n, c, *place), value in np.ndenumerate(wide(x)):
        normal = (value - float(mean[c])) / math.sqrt(float(variance[c]) + epsilon)
        y[(n, c, *place)] = float(weight[c]) * normal + float(bias[c])
    return y


def batch_norm2d_adjoint(signal: Numbers, weight: Numbers, variance: Numbers, epsilon: float = 1e-5) -> Numbers:
    """dx[n,c,...] = weight[c] / sqrt(variance[c] + epsilon) signal[n,c,...]."""
    dx = np.zeros(signal.shape)
    for (n, c, *place), value in np.ndenumerate(wide(signal)):
        dx[(n, c, *place)] = float(weight[c]) / math.sqrt(float(variance[c]) + epsilon) * value
    return dx


def batch_norm2d_gradients(signal: Numbers, x: Numbers, mean: Numbers, variance: Numbers,
                           epsilon: float = 1e-5) -> dict[str, Numbers]:
    """dweight[c] += signal[n,c,...] (x[n,c,...] - mean[c]) / sqrt(variance[c] + epsilon); dbias[c] += signal."""
    dweight, dbias = np.zeros(len(mean)), np.zeros(len(mean))
    for (n, c, *place), value in np.ndenumerate(wide(signal)):
        dweight[c] += value * (float(x[(n, c, *place)]) - float(mean[c])) / math.sqrt(float(variance[c]) + epsilon)
        dbias[c] += value
    return {"weight": dweight, "bias": dbias}
