"""Layers that move numbers and compute nothing: their adjoints move them back."""

from __future__ import annotations

from dataclasses import dataclass

from npgradcam.typing import Array

from .layer import Layer


@dataclass(frozen=True, eq=False, repr=False)
class Dropout(Layer):
    """The identity: at inference nothing is dropped (Srivastava et al. 2014, section 4, with inverted scaling)."""

    rate: float = 0.5

    def forward(self, x: Array) -> tuple[Array, None]:  # any shape -> the same
        return x, None

    def backward(self, signal: Array, _: None) -> tuple[Array]:  # any shape -> the same
        return (signal,)
