"""Products of matrices, number by number."""

from __future__ import annotations

import numpy as np

from ...typing import Shape
from .numbers import Numbers, wide, zeros


def matmul(a: Numbers, b: Numbers) -> Numbers:
    """y[n,i,j] = sum_k a[n,i,k] b[n,k,j], with 0 for n where an operand has length 1 or no such axis."""
    y = zeros(_shape(a, b), a, b)
    for there, in_a, in_b in _terms(a, b):
        y[there] += wide(a[in_a]) * wide(b[in_b])
    return y


def matmul_adjoint(signal: Numbers, a: Numbers, b: Numbers, rows: bool = False) -> tuple[Numbers, Numbers]:
    """da[n,i,k] += signal[n,i,j] b[n,k,j]; db[n,k,j] += a[n,i,k] signal[n,i,j].

    `rows`: whether y, and operands that have a first axis of length 1, stand for as many images as the signal has rows.
    """
    shared = rows and len(_shape(a, b)) > 0 and _shape(a, b)[0] == 1
    da, db = (zeros((len(signal), *x.shape[1:]) if shared and x.shape[0] == 1 else x.shape, signal, a, b)
              for x in (a, b))
    for there, in_a, in_b in _terms(a, b):
        for r in range(len(signal)) if shared else [None]:
            value = wide(signal[there if r is None else (r, *there[1:])])
            da[(r, *in_a[1:]) if r is not None and a.shape[0] == 1 else in_a] += value * wide(b[in_b])
            db[(r, *in_b[1:]) if r is not None and b.shape[0] == 1 else in_b] += value * wide(a[in_a])
    return da, db


def _shape(a: Numbers, b: Numbers) -> Shape:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return (*batch, *a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ()))


def _terms(a: Numbers, b: Numbers) -> list[tuple[Shape, Shape, Shape]]:
    """Every product of two numbers: its place in y, in a and in b."""
    found = []
    for there in np.ndindex(*_shape(a, b)):
        matrix = there[len(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) :]
        batch = there[: len(there) - len(matrix)]
        row, column = (matrix[:1] if a.ndim > 1 else ()), (matrix[-1:] if b.ndim > 1 else ())
        for k in range(a.shape[-1]):
            in_a = (*_own(batch, a.shape[:-2]), *row, k)
            in_b = (*_own(batch, b.shape[:-2]), k, *column)
            found.append((there, in_a, in_b))
    return found


def _own(batch: Shape, shape: Shape) -> Shape:
    return tuple(0 if n == 1 else i for i, n in zip(batch[len(batch) - len(shape) :], shape, strict=True))
