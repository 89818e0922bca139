"""Vector code for Winograd's transforms: a tile of x into the products' domain, and a tile of y out of it.

The matrices are those of `winograd`; their numbers are constants in the code, and 0, 1 and -1 cost nothing.
"""

from __future__ import annotations

from typing import Any

from numba.extending import intrinsic

from . import winograd
from .emitter import VECTOR, emitted
from .frames import LANES
from .geometry import ADD, GATE
from .vector import passed


@intrinsic(prefer_literal=True)
def transform_tile(typing, m, x, x_at, x_row, v, v_at, v_step):  # type: ignore[no-untyped-def]
    """Emit `_transform_tile` for tiles of m x m cells of y."""
    return emitted(_transform_tile, [m], x=x, x_at=x_at, x_row=x_row, v=v, v_at=v_at, v_step=v_step)


def _transform_tile(e: Any, m: int) -> None:
    """V = B^T d B for a tile d of (m + 2)^2 cells of x; number k of V lies at v_at + k v_step."""
    n, B = m + 2, winograd.matrices(winograd.POINTS[m]).input
    tile = [[e.load("x", e.add(e.add(e.x_at, e.times(e.x_row, i)), j * LANES)) for j in range(n)] for i in range(n)]
    down = list(zip(*(_combine(e, B, list(column)) for column in zip(*tile, strict=True)), strict=True))
    for i, row in enumerate(down):
        for j, value in enumerate(_combine(e, B, list(row))):
            e.store("v", e.add(e.v_at, e.times(e.v_step, i * n + j)), value)


@intrinsic(prefer_literal=True)
def store_tile(typing, m, v, v_at, v_step, bias, b_at, y, y_at, y_row, other, o_at, o_row, kept, k_at, k_row,  # type: ignore[no-untyped-def]
               rows, columns, low, high, what):
    """Emit `_store_tile` for tiles of m x m cells of y."""
    return emitted(_store_tile, [m], v=v, v_at=v_at, v_step=v_step, bias=bias, b_at=b_at, y=y, y_at=y_at, y_row=y_row,
                   other=other, o_at=o_at, o_row=o_row, kept=kept, k_at=k_at, k_row=k_row, rows=rows, columns=columns,
                   low=low, high=high, what=what)


def _store_tile(e: Any, m: int) -> None:
    """Y = store( A^T V A + bias ), the first `rows` rows and `columns` columns of the tile."""
    n, A, b = m + 2, winograd.matrices(winograd.POINTS[m]).output, e.builder
    tile = [[e.load("v", e.add(e.v_at, e.times(e.v_step, i * n + j))) for j in range(n)] for i in range(n)]
    down = list(zip(*(_combine(e, A, list(column)) for column in zip(*tile, strict=True)), strict=True))
    bias, low, high, zero = e.load("bias", e.b_at), e.spread(e.low), e.spread(e.high), e.constant(0.0)
    back = b.icmp_signed(">=", e.what, e.whole(GATE))
    for i, row in enumerate(down):
        with b.if_then(b.icmp_signed("<", e.whole(i), e.rows)):
            for j, value in enumerate(_combine(e, A, list(row))):
                with b.if_then(b.icmp_signed("<", e.whole(j), e.columns)):
                    place = [e.add(e.add(start, e.times(apart, i)), j * LANES) for start, apart in
                             ((e.y_at, e.y_row), (e.o_at, e.o_row), (e.k_at, e.k_row))]
                    total, here = b.fadd(value, bias), b.block
                    with b.if_then(e.flag(e.what, ADD)):
                        added, there = b.fadd(total, e.load("other", place[1])), b.block
                    joined = b.phi(VECTOR)
                    joined.add_incoming(total, here)
                    joined.add_incoming(added, there)
                    with b.if_else(back) as (backward, forward):
                        with backward:
                            e.store("y", place[0], passed(e, joined, place[2], low, high, zero))
                        with forward:
                            e.store("y", place[0], e.below(e.above(joined, low), high))


def _combine(e: Any, rows: Any, values: list[Any]) -> list[Any]:
    """Return sum_k row[k] values[k] for every row; two rows that differ in signs only share their sums."""
    done: dict[int, Any] = {}
    for i, row in enumerate(rows):
        for k in range(i + 1, len(rows)):
            other = rows[k]
            if i in done or k in done or any(abs(a) != abs(b) for a, b in zip(row, other, strict=True)):
                continue
            same = [a if a == b else 0 * a for a, b in zip(row, other, strict=True)]
            differ = [a if a != b else 0 * a for a, b in zip(row, other, strict=True)]
            if any(same) and any(differ):
                s, d = _sum(e, same, values), _sum(e, differ, values)
                done[i], done[k] = e.builder.fadd(s, d), e.builder.fsub(s, d)
        if i not in done:
            done[i] = _sum(e, row, values)
    return [done[i] for i in range(len(rows))]


def _sum(e: Any, row: Any, values: list[Any]) -> Any:
    """Return sum_k row[k] values[k]; the factors are constants, 1 and -1 cost no product."""
    terms = sorted(((a, value) for a, value in zip(row, values, strict=True) if a), key=lambda term: term[0] != 1)
    (a, value), *rest = terms
    total = value if a == 1 else e.builder.fmul(value, e.constant(float(a)))
    for a, value in rest:
        if abs(a) == 1:
            total = (e.builder.fadd if a == 1 else e.builder.fsub)(total, value)
        else:
            total = e.multiply_add(value, e.constant(float(a)), total)
    return total
