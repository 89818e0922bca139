"""What a rectifier lets through on the way back: three rules, one line each.

`signal` arrives from above, `slope` is the rectifier's own derivative at its input (ReLU: 1 where x > 0, else 0;
ReLU6: 1 where 0 < x < 6, else 0). Every other layer of a network ignores the rule and passes its true adjoint on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from .errors import NpGradcamError
from .typing import Array

Rule: TypeAlias = Callable[[Array, Array], Array]


def gradient(signal: Array, slope: Array) -> Array:
    """Chain rule: the derivative itself; 0 at a kink, because `slope` is 0 there."""
    return signal * slope


def deconvnet(signal: Array, slope: Array) -> Array:
    """Zeiler & Fergus 2014, section 2.1: a ReLU on the signal; what the forward pass saw does not matter."""
    return np.maximum(signal, 0)


def guided(signal: Array, slope: Array) -> Array:
    """Springenberg et al. 2015, section 3.4 (figure 1): both at once, positive signal through an open gate."""
    return np.maximum(signal, 0) * slope


RULES: dict[str, Rule] = {"gradient": gradient, "deconvnet": deconvnet, "guided": guided}


def find(rule: str | Rule) -> Rule:
    """Return the rule of that name; a function `rule(signal, slope)` passes through."""
    if callable(rule):
        return rule
    if rule not in RULES:
        raise NpGradcamError(f"rule: expected one of {', '.join(RULES)} or a function, got {rule!r}")
    return RULES[rule]
