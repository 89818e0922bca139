"""Layers without a derivative: comparisons, roundings, counts and shapes. No signal passes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .broadcasting import Broadcasting
from .layer import Layer


class Step(Layer):
    """A layer that changes in jumps or not at all: its backward pays nothing back."""

    @property
    def differentiable(self) -> bool:
        return False

    @property
    def parameters(self) -> dict[str, Array]:
        """Nothing: no derivative, so nothing to train."""
        return {}

    def step(self, *xs: Any) -> Any:
        """Return the output."""
        raise NotImplementedError

    def forward(self, *xs: Any) -> tuple[Any, int]:
        return np.asarray(self.step(*xs)), len(xs)

    def backward(self, signal: Array, count: int) -> tuple[None, ...]:
        return (None,) * count


class _Comparison(Step, Broadcasting):
    """Two operands, stretched to one shape."""

    inputs: ClassVar[int | None] = 2

    def forward(self, *xs: Any) -> tuple[Any, int]:  # shapes that stretch to one another -> that one
        self.output_shape(*(x.shape for x in xs))
        return super().forward(*xs)


@dataclass(frozen=True, eq=False, repr=False)
class Equal(_Comparison):
    """y = whether a = b."""

    def step(self, a: Any, b: Any) -> Any:
        return a == b


@dataclass(frozen=True, eq=False, repr=False)
class Less(_Comparison):
    """y = whether a < b."""

    def step(self, a: Any, b: Any) -> Any:
        return a < b


@dataclass(frozen=True, eq=False, repr=False)
class LessOrEqual(_Comparison):
    """y = whether a <= b."""

    def step(self, a: Any, b: Any) -> Any:
        return a <= b


@dataclass(frozen=True, eq=False, repr=False)
class Greater(_Comparison):
    """y = whether a > b."""

    def step(self, a: Any, b: Any) -> Any:
        return a > b


@dataclass(frozen=True, eq=False, repr=False)
class GreaterOrEqual(_Comparison):
    """y = whether a >= b."""

    def step(self, a: Any, b: Any) -> Any:
        return a >= b


@dataclass(frozen=True, eq=False, repr=False)
class And(_Comparison):
    """y = whether both hold."""

    def step(self, a: Any, b: Any) -> Any:
        return np.logical_and(a, b)


@dataclass(frozen=True, eq=False, repr=False)
class Or(_Comparison):
    """y = whether one or both hold."""

    def step(self, a: Any, b: Any) -> Any:
        return np.logical_or(a, b)


@dataclass(frozen=True, eq=False, repr=False)
class Not(Step):
    """y = whether x does not hold."""

    def step(self, x: Any) -> Any:
        return np.logical_not(x)


@dataclass(frozen=True, eq=False, repr=False)
class Mod(_Comparison):
    """y = the remainder of a / b.

    Parameters
    ----------
    fmod : bool
        Whether the remainder has the sign of a, as C's fmod; else it has that of b.
    """

    fmod: bool = False

    def step(self, a: Any, b: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.fmod(a, b) if self.fmod else np.mod(a, b)


@dataclass(frozen=True, eq=False, repr=False)
class Floor(Step):
    """y = the largest whole number <= x."""

    def step(self, x: Any) -> Any:
        return np.floor(x)


@dataclass(frozen=True, eq=False, repr=False)
class Ceil(Step):
    """y = the smallest whole number >= x."""

    def step(self, x: Any) -> Any:
        return np.ceil(x)


@dataclass(frozen=True, eq=False, repr=False)
class Round(Step):
    """y = the whole number next to x; of two as near the even one."""

    def step(self, x: Any) -> Any:
        return np.rint(x)


@dataclass(frozen=True, eq=False, repr=False)
class Sign(Step):
    """y = 1 where x > 0, -1 where x < 0, 0 at 0; NaN stays NaN."""

    def step(self, x: Any) -> Any:
        return np.sign(x)


@dataclass(frozen=True, eq=False, repr=False)
class ArgMax(Step):
    """y = the place of the largest number along an axis; NaN counts as largest.

    Parameters
    ----------
    axis : int
    keepdims : bool
        Whether the axis stays, with length 1.
    select_last : bool
        Whether a tie goes to the last place instead of the first.
    """

    axis: int = 0
    keepdims: bool = True
    select_last: bool = False

    def step(self, x: Any) -> Any:  # (N, C, ...) -> (N, 1, ...) where axis = 1
        self.output_shape(x.shape)
        if not self.select_last:
            return np.argmax(x, axis=self.axis, keepdims=self.keepdims)
        return x.shape[self.axis] - 1 - np.argmax(np.flip(x, self.axis), axis=self.axis, keepdims=self.keepdims)

    def output_shape(self, *shapes: Shape) -> Shape:
        lengths = list(shapes[0])
        if not -len(lengths) <= self.axis < len(lengths):
            raise ShapeError(f"expected an axis {self.axis}, got shape {shapes[0]}")
        lengths[self.axis : self.axis % len(lengths) + 1] = [1] if self.keepdims else []
        return tuple(lengths)

    def keeps_batch(self, *shapes: Shape) -> bool:
        return self.axis % len(shapes[0]) != 0


@dataclass(frozen=True, eq=False, repr=False)
class Cast(Step):
    """The same numbers as another dtype: toward whole numbers the fraction is cut off, a truth value is whether x != 0.

    Every floating-point dtype means the network's own: `astype` changes it, so half precision is computed in float32,
    and everything in float64 in the exact mode. Between floating-point dtypes the signal passes.

    Parameters
    ----------
    dtype : str
        "float32", "int64", "bool", ...
    """

    dtype: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype).name)

    @property
    def differentiable(self) -> bool:
        return np.dtype(self.dtype).kind == "f"

    def astype(self, dtype: Any) -> Cast:
        return replace(self, dtype=np.dtype(dtype).name) if self.differentiable else self

    def forward(self, x: Any) -> tuple[Any, Any]:  # any shape -> the same
        with np.errstate(invalid="ignore", over="ignore"):
            return x.astype(self.dtype, copy=False), x.dtype

    def backward(self, signal: Array, dtype: Any) -> tuple[Array | None]:  # any shape -> the same
        return (signal.astype(dtype, copy=False) if self.differentiable and dtype.kind == "f" else None,)


@dataclass(frozen=True, eq=False, repr=False)
class CastLike(Layer):
    """The numbers of x in the dtype of the second array; between floating-point dtypes the signal passes."""

    inputs: ClassVar[int | None] = 2

    def forward(self, x: Any, like: Any) -> tuple[Any, Any]:  # any shape, any shape -> the first
        y, dtype = Cast(like.dtype).forward(x)
        return y, (dtype, y.dtype)

    def backward(self, signal: Array, cache: Any) -> tuple[Array | None, None]:
        dtype, to = cache
        return (*Cast(to).backward(signal, dtype), None)
