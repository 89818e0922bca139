"""A matrix product of two operands, of which one may be held."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.typing import Array, Shape

from .broadcasting import sum_to
from .checking import expect_room
from .layer import Layer


@dataclass(frozen=True, eq=False, repr=False)
class MatMul(Layer):
    """y = a b, matrix by matrix where there are more than two axes; the axes before those two are broadcast.

    A first operand of one axis is a row, a second of one axis a column; that axis is missing in the output.

    Parameters
    ----------
    first, second : ndarray, optional
        An operand that is held; then it does not arrive, and no signal is paid back to it.
    """

    first: Array | None = None
    second: Array | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.second is not None:
            raise ShapeError("MatMul: expected at most one held operand, got both; hold their product as a Constant")

    @property
    def inputs(self) -> int:
        """How many operands arrive."""
        return 2 - len(self.arrays)

    def forward(self, *xs: Array) -> tuple[Array, Any]:  # (..., I, K), (..., K, J) -> (..., I, J)
        # y[...,i,j] = sum_k a[...,i,k] b[...,k,j]
        shape = self.output_shape(*(x.shape for x in xs))
        a, b = self._both(*xs)
        y = _product(_as_rows(a), _as_columns(b)).reshape(shape)
        return y, xs if self.inputs == 2 else xs[0].shape  # beside a held operand only the shape is read again

    def backward(self, signal: Array, cache: Any) -> tuple[Array, ...]:  # and back
        a_shape, b_shape = self._both_shapes(*([x.shape for x in cache] if self.inputs == 2 else [cache]))
        a, b = self._both(*cache) if self.inputs == 2 else self._both(None)
        signal = signal[..., None] if len(b_shape) == 1 else signal
        signal = signal[..., None, :] if len(a_shape) == 1 else signal
        batch, down = np.broadcast_shapes(a_shape[:-2], b_shape[:-2]), []
        if self.first is None:
            # da[...,i,k] = sum_j signal[...,i,j] b[...,k,j]
            da = _product(signal, _as_columns(b).swapaxes(-1, -2))
            da = da[..., 0, :] if len(a_shape) == 1 else da
            down.append(sum_to(da, a_shape, (*batch, *a_shape[-2:])))
        if self.second is None:
            # db[...,k,j] = sum_i a[...,i,k] signal[...,i,j]
            db = _product(_as_rows(a).swapaxes(-1, -2), signal)
            db = db[..., 0] if len(b_shape) == 1 else db
            down.append(sum_to(db, b_shape, (*batch, *b_shape[-2:])))
        return tuple(down)

    def parameter_gradients(self, signal: Array, x: Array) -> dict[str, Array]:
        """Return the derivative by the held operand applied to `signal`, summed over all that it met."""
        first, second = MatMul().backward(signal, self._both(x))
        return {"first": first} if self.first is not None else {"second": second}

    def output_shape(self, *shapes: Shape) -> Shape:
        a, b = self._both_shapes(*shapes)
        if not a or not b or a[-1] != b[-2:][0]:
            raise ShapeError(f"expected as many columns in the first as rows in the second, got shapes {a} and {b}")
        try:
            batch = np.broadcast_shapes(a[:-2], b[:-2])
        except ValueError:
            raise ShapeError(f"expected leading axes that are alike, or 1, got shapes {a} and {b}") from None
        return expect_room((*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ())))

    def keeps_batch(self, *shapes: Shape) -> bool:
        if self.inputs == 2:  # not where one array serves all images
            return len(shapes[0]) == len(shapes[1]) > 2 and shapes[0][0] == shapes[1][0]
        (shape,), (held,) = shapes, (array.shape for array in self.arrays.values())
        if self.first is None and len(held) <= 2:
            return len(shape) >= 2  # each row of x alone
        return len(shape) >= max(3, len(held)) and (len(held) < len(shape) or held[0] == 1)

    def _both(self, *xs: Array | None) -> tuple[Any, Any]:
        """The two operands, held or arriving."""
        arriving = iter(xs)
        first = next(arriving) if self.first is None else self.first
        return first, next(arriving) if self.second is None else self.second

    def _both_shapes(self, *shapes: Shape) -> tuple[Shape, Shape]:
        arriving = iter(shapes)
        first = next(arriving) if self.first is None else self.first.shape
        return first, next(arriving) if self.second is None else self.second.shape


def _as_rows(a: Array) -> Array:
    return a[None] if a.ndim == 1 else a


def _as_columns(b: Array) -> Array:
    return b[:, None] if b.ndim == 1 else b


def _product(a: Array, b: Array) -> Array:
    """Return a b: one call of BLAS where b is one matrix, and never NumPy's slow way for strides that BLAS refuses."""
    if b.ndim == 2:
        rows = a.reshape(prod(a.shape[:-1]), a.shape[-1])
        return np.asarray(rows @ b).reshape(*a.shape[:-1], b.shape[1])
    a, b = (x if x.itemsize in x.strides[-2:] else np.ascontiguousarray(x) for x in (a, b))
    return np.asarray(a @ b)
