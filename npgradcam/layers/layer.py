"""What every layer is: frozen parameters, a forward, and the adjoint of its derivative."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.layers.checking import moved_channels
from npgradcam.rules import Rule, gradient
from npgradcam.typing import Array, Shape

Self = TypeVar("Self", bound="Layer")


class Layer:
    """One step of a network, with no memory of its own.

    `forward(*xs)` returns `(y, cache)`; `cache` holds exactly what `backward(signal, cache)` reads. A cache of batch 1
    serves a signal of any number of rows R, so one image's forward serves many seeds; every array in a cache has the
    batch on its first axis, so that one image's part can be taken out of it.
    """

    inputs: ClassVar[int | None] = 1  # how many arrays arrive; None: one or more
    reads_shapes: ClassVar[bool] = False  # whether the output follows from the inputs' shapes alone

    def forward(self, *xs: Array) -> tuple[Array, Any]:
        """Return the output and what `backward` will read."""
        raise NotImplementedError

    def backward(self, signal: Array, cache: Any) -> tuple[Array | None, ...]:
        """Return one signal per input: the transposed derivative applied to `signal`; None for whole numbers."""
        raise NotImplementedError

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return the derivative by each parameter applied to `signal`; a layer without parameters has none."""
        return {}

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the output's shape for inputs of these shapes; most layers keep it."""
        return shapes[0]

    @property
    def differentiable(self) -> bool:
        """Whether a signal passes: not where whole numbers or truth values come out."""
        return True

    def keeps_batch(self, *shapes: Shape) -> bool:
        """Whether row n of the output depends on row n of each input alone; most layers treat every image alone."""
        return True

    @property
    def rectifies(self) -> bool:
        """Whether the backward rules act on this layer."""
        return False

    def __repr__(self) -> str:
        """Return the layer's kind, the shapes of its arrays and its settings; no numbers by the million."""
        shown = (f"{name} {v.shape}" if isinstance(v, np.ndarray) else f"{name}={v!r}" for name, v in self._fields)
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def arrays(self) -> dict[str, Array]:
        """Every array that the layer holds, by name."""
        return {name: value for name, value in self._fields if isinstance(value, np.ndarray)}

    @property
    def _fields(self) -> list[tuple[str, Any]]:
        """What the layer holds, by name; somebody's own layer need be no dataclass."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)] if is_dataclass(self) else []

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays that training changes, by name."""
        return self.arrays

    def astype(self: Self, dtype: Any) -> Self:
        """Return the same layer in another precision; arrays that fit, or hold whole numbers, are not copied."""
        with np.errstate(over="ignore"):  # beyond the largest float32 lies infinity
            arrays = {
                name: np.require(value, dtype, ["C", "A", "W"])
                for name, value in self.arrays.items() if value.dtype.kind == "f"
            }
        return replace(self, **arrays) if arrays else self  # type: ignore[type-var]


class Rectifier(Layer):
    """A layer that cuts numbers off, one by one: the only kind of layer that the backward rules act on.

    It supplies its own slope, read off the one array that it keeps (its output y, or its input where y does not tell),
    and takes the rule as an argument.
    """

    def slope(self, y: Array) -> Any:
        """Return the derivative at the input that gave this output: 1 where the number passed, 0 where it was cut."""
        raise NotImplementedError

    @property
    def rectifies(self) -> bool:
        """Whether the backward rules act on this layer."""
        return True

    def backward(self, signal: Array, cache: Any, rule: Rule = gradient) -> tuple[Array, ...]:
        """Return what `rule` lets through; `cache` is the forward's output."""
        return (rule(signal, self.slope(cache)),)


def expect_whole(what: str, value: object, count: int) -> None:
    """Refuse anything but a tuple of `count` whole numbers."""
    if not isinstance(value, tuple) or len(value) != count or not all(isinstance(v, (int, np.integer)) for v in value):
        raise ShapeError(f"{what}: expected {count} whole numbers, got {value!r}")


def expect_axes(x: Shape, axes: str) -> None:
    """Refuse an array with another number of axes than letters in `axes`."""
    if len(x) != len(axes):
        letters = ", ".join(axes)
        raise ShapeError(f"expected {len(axes)} axes ({letters}), got shape {x}; add or remove the batch axis?")


def expect_channels(x: Shape, channels: int) -> None:
    """Refuse a batch whose axis 1 has another length."""
    if x[1] != channels:
        way_out = moved_channels((None, channels, *(None,) * (len(x) - 2)), x) or "is a layer missing before it?"
        raise ShapeError(f"expected {channels} channels on axis 1, got shape {x}; {way_out}")
