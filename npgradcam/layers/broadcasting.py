"""What layers of several operands share: numpy's broadcasting, and its adjoint, a sum over the stretched axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .layer import Layer


@dataclass(frozen=True, eq=False, repr=False)
class Broadcasting(Layer):
    """A layer of operands that are stretched to one shape; those it holds are constants, and do not arrive."""

    inputs: ClassVar[int | None] = None

    @property
    def parameters(self) -> dict[str, Array]:
        """Nothing: an operand that is held is a constant."""
        return {}

    @property
    def places(self) -> tuple[Array | None, ...] | None:
        """The operands in the order of the equation, None where one arrives; None where any number may arrive."""
        return None

    def operands(self, xs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return all operands in the order of the equation: those that arrive, and those held."""
        if self.places is None:
            return (*xs, *self.arrays.values())
        arriving, free = iter(xs), sum(held is None for held in self.places)
        if len(xs) != free:
            raise ShapeError(f"expected {free} operand{'s' * (free > 1)} to arrive, got {len(xs)}")
        return tuple(next(arriving) if held is None else held for held in self.places)

    def output_shape(self, *shapes: Shape) -> Shape:
        if shapes and len(set(shapes)) == 1 and not self.arrays:
            return shapes[0]
        every = [*shapes, *(held.shape for held in self.arrays.values())]
        try:
            return np.broadcast_shapes(*every)
        except ValueError:
            raise ShapeError(
                f"expected operands that are alike on each axis, from the last, or 1, got {', '.join(map(str, every))}"
            ) from None

    def keeps_batch(self, *shapes: Shape) -> bool:
        # axis 0 of every arriving operand is axis 0 of the output, and no constant differs along it
        y = self.output_shape(*shapes)
        arriving = all(len(shape) == len(y) > 0 and shape[0] == y[0] for shape in shapes)
        return arriving and all(held.ndim < len(y) or held.shape[0] == 1 for held in self.arrays.values())


def sum_to(signal: Array, shape: Shape, y: Shape) -> Array:
    """Return what an operand of `shape` gets back of a signal at an output of shape `y`.

    dx = the sum of the signal over every axis along which x was stretched. Where the operand's first axis is the
    output's own, the signal may have any number of rows, and all of them stay.
    """
    if shape == y:
        return signal
    new = len(y) - len(shape)  # axes that x does not have
    stretched = [new + axis for axis, length in enumerate(shape) if length != y[new + axis]]
    total = np.asarray(signal.sum(axis=(*range(new), *stretched), keepdims=True))
    return total.reshape(total.shape[new:])
