"""A value that no picture changes, as a node of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from npgradcam.typing import Array, Shape

from .layer import Layer


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Layer):
    """y = value, whatever the input.

    Parameters
    ----------
    value : ndarray
    """

    value: NDArray[Any]
    inputs: ClassVar[int | None] = 0

    @property
    def parameters(self) -> dict[str, Array]:
        """Nothing: what training changes is held by the layer that uses it."""
        return {}

    def forward(self) -> tuple[NDArray[Any], None]:  # nothing -> the value
        return self.value, None

    def backward(self, signal: Array, _: None) -> tuple[()]:  # nobody to pay back to
        return ()

    def output_shape(self) -> Shape:
        return self.value.shape
