"""Vector code for the innermost loops, written once against LLVM's own vectors of `LANES` numbers.

Numba's `intrinsic` places the code in a compiled loop. Everything reads and writes `array[offset + 0 .. LANES - 1]` of
an array that is contiguous, and whose geometry Python has checked before (`kernels.passes`).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from .emitter import LANE, emitted
from .frames import LANES
from .geometry import ADD, GATE, POSITIVE


@intrinsic(prefer_literal=True)
def multiply(typing, P, Q, L, step, x, x_at, taps, w, w_at, w_block, bias, b_at, y, y_at, y_block,  # type: ignore[no-untyped-def]
             other, o_at, o_block, kept, k_at, k_block, apart, low, high, what):
    """Emit `_multiply` for P pixels, Q blocks of channels of y, L channels of x a tap, x `step` apart a pixel."""
    return emitted(_multiply, [P, Q, L, step], x=x, x_at=x_at, taps=taps, w=w, w_at=w_at, w_block=w_block, bias=bias,
                   b_at=b_at, y=y, y_at=y_at, y_block=y_block, other=other, o_at=o_at, o_block=o_block, kept=kept,
                   k_at=k_at, k_block=k_block, apart=apart, low=low, high=high, what=what)


def _multiply(e: Any, P: int, Q: int, L: int, step: int) -> None:
    """The sums of P pixels and Q blocks of channels stay in registers while all taps go by.

    y[q, p] = store( bias[q] + sum_t sum_l x[taps[t] + step p + l] w[q, t, l] )       a vector for every q, p
    """
    def tap(t: Any, sums: list[Any]) -> list[Any]:
        start = e.add(e.x_at, e.number("taps", t))
        e.check("x", start, (P - 1) * step + L)
        kernels = [e.add(e.add(e.w_at, e.times(e.w_block, q)), e.times(t, L * LANES)) for q in range(Q)]
        for kernel in kernels:
            e.check("w", kernel, L * LANES)
        pixel, rows = e.at("x", start), [e.at("w", kernel) for kernel in kernels]
        for l in range(L):
            weights = [e.load_at(row, l * LANES) for row in rows]
            for p in range(P):
                value = e.spread(e.builder.load(e.builder.gep(pixel, [e.whole(p * step + l)])))
                for q in range(Q):
                    sums[p * Q + q] = e.multiply_add(value, weights[q], sums[p * Q + q])
        return sums

    bias = [e.load("bias", e.add(e.b_at, q * LANES)) for q in range(Q)]
    sums = e.loop(e.length("taps"), bias * P, tap)
    _store(e, {(p, q): sums[p * Q + q] for q in range(Q) for p in range(P)})


@intrinsic(prefer_literal=True)
def scale(typing, P, step, x, x_at, taps, w, w_at, bias, b_at, y, y_at,  # type: ignore[no-untyped-def]
          other, o_at, kept, k_at, apart, low, high, what):
    """Emit `_scale` for P pixels, x `step` apart a pixel."""
    return emitted(_scale, [P, step], x=x, x_at=x_at, taps=taps, w=w, w_at=w_at, bias=bias, b_at=b_at, y=y, y_at=y_at,
                   other=other, o_at=o_at, kept=kept, k_at=k_at, apart=apart, low=low, high=high, what=what)


def _scale(e: Any, P: int, step: int) -> None:
    """Every channel has its own kernel: the sums of P pixels of one block stay in registers while all taps go by.

    y[p] = store( bias + sum_t x[taps[t] + step p] w[t] )       a vector for every p
    """
    def tap(t: Any, sums: list[Any]) -> list[Any]:
        start = e.add(e.x_at, e.number("taps", t))
        e.check("x", start, (P - 1) * step + LANES)
        pixel, weight = e.at("x", start), e.load("w", e.add(e.w_at, e.times(t, LANES)))
        return [e.multiply_add(e.load_at(pixel, p * step), weight, total) for p, total in enumerate(sums)]

    sums = e.loop(e.length("taps"), [e.load("bias", e.b_at)] * P, tap)
    e.y_block = e.o_block = e.k_block = e.whole(0)
    _store(e, {(p, 0): sums[p] for p in range(P)})


def _store(e: Any, sums: dict[tuple[int, int], Any]) -> None:
    """Store min(max(sum + other, low), high), or what a rectifier lets through on the way back.

    Pixels lie `apart` in y, and in `other` and `kept`. ADD: `other` is added first. GATE: 0 unless low < kept < high.
    POSITIVE: 0 unless the sum is positive. A NaN stays.
    """
    low, high, zero = e.spread(e.low), e.spread(e.high), e.constant(0.0)
    back = e.builder.icmp_signed(">=", e.what, e.whole(GATE))
    with e.builder.if_else(back) as (backward, forward):
        for way, branch in ((False, forward), (True, backward)):
            with branch, e.builder.if_else(e.flag(e.what, ADD)) as (added, alone):
                for more, case in ((True, added), (False, alone)):
                    with case:
                        for (p, q), total in sums.items():
                            if more:
                                total = e.builder.fadd(total, e.load("other", _place(e.o_at, e.o_block, p, q, e)))
                            if way:
                                total = passed(e, total, _place(e.k_at, e.k_block, p, q, e), low, high, zero)
                            else:
                                total = e.below(e.above(total, low), high)
                            e.store("y", _place(e.y_at, e.y_block, p, q, e), total)


def _place(start: Any, block: Any, p: int, q: int, e: Any) -> Any:
    """Return where pixel p of block q lies."""
    return e.add(e.add(start, e.times(block, q)), e.times(e.apart, p))


def passed(e: Any, signal: Any, kept_at: Any, low: Any, high: Any, zero: Any) -> Any:
    """Return what a rectifier with the output `kept` lets through of a signal."""
    b, kept = e.builder, e.load("kept", kept_at)
    is_open = b.and_(b.fcmp_ordered(">", kept, low), b.fcmp_ordered("<", kept, high))
    unsloped = b.select(e.flag(e.what, GATE), ir.Constant(is_open.type, None), ir.Constant(is_open.type, [1] * LANES))
    gated = b.select(b.or_(is_open, unsloped), signal, b.fmul(signal, zero))
    negative = b.select(e.flag(e.what, POSITIVE), b.fcmp_ordered("<", signal, zero), ir.Constant(is_open.type, None))
    return b.select(negative, zero, gated)


@intrinsic(prefer_literal=True)
def largest(typing, x, x_at, rows, row_step, columns, column_step, y, y_at):  # type: ignore[no-untyped-def]
    """Emit `_largest`."""
    return emitted(_largest, [], x=x, x_at=x_at, rows=rows, row_step=row_step, columns=columns,
                   column_step=column_step, y=y, y_at=y_at)


def _largest(e: Any) -> None:
    """Y = the largest of rows x columns cells of x, lane by lane; a NaN wins and stays."""
    def row(u: Any, best: list[Any]) -> Any:
        start = e.add(e.x_at, e.builder.mul(u, e.row_step))

        def cell(v: Any, best: list[Any]) -> list[Any]:
            value = e.load("x", e.add(start, e.builder.mul(v, e.column_step)))
            return [e.builder.select(_beats(e, value, best[0]), value, best[0])]

        return e.loop(e.columns, best, cell)

    e.store("y", e.y_at, e.loop(e.rows, [e.constant(float("-inf"))], row)[0])


def _beats(e: Any, value: Any, best: Any) -> Any:
    """Where a cell takes the lead: larger than the best, or NaN where the best is a number."""
    return e.builder.and_(e.builder.fcmp_unordered("<", best, value), e.builder.fcmp_ordered("==", best, best))


@intrinsic(prefer_literal=True)
def pay_largest(typing, signal, s_at, x, x_at, x_row, x_column, dx, d_at, d_row, d_column,  # type: ignore[no-untyped-def]
                rows, columns, y, y_at):
    """Emit `_pay_largest`."""
    return emitted(_pay_largest, [], signal=signal, s_at=s_at, x=x, x_at=x_at, x_row=x_row, x_column=x_column, dx=dx,
                   d_at=d_at, d_row=d_row, d_column=d_column, rows=rows, columns=columns, y=y, y_at=y_at)


def _pay_largest(e: Any) -> None:
    """Dx of the first cell that equals the largest, y, gets the signal, lane by lane."""
    b = e.builder
    signal, best, zero = e.load("signal", e.s_at), e.load("y", e.y_at), e.constant(0.0)
    no_number = b.fcmp_unordered("uno", best, best)

    def row(u: Any, paid: list[Any]) -> Any:
        x_start, d_start = e.add(e.x_at, b.mul(u, e.x_row)), e.add(e.d_at, b.mul(u, e.d_row))

        def cell(v: Any, paid: list[Any]) -> list[Any]:
            value, place = e.load("x", e.add(x_start, b.mul(v, e.x_column))), e.add(d_start, b.mul(v, e.d_column))
            wins = b.or_(b.fcmp_ordered("==", value, best), b.and_(no_number, b.fcmp_unordered("uno", value, value)))
            now = b.and_(wins, b.not_(paid[0]))
            e.store("dx", place, b.fadd(e.load("dx", place), b.select(now, signal, zero)))
            return [b.or_(paid[0], now)]

        return e.loop(e.columns, paid, cell)

    e.loop(e.rows, [ir.Constant(ir.VectorType(ir.IntType(1), LANES), None)], row)


@intrinsic(prefer_literal=True)
def dot_rows(typing, rows, w, w_at, w_row, x, x_at, count, y, y_at):  # type: ignore[no-untyped-def]
    """Emit `_dot_rows` for so many rows at once."""
    return emitted(_dot_rows, [rows], w=w, w_at=w_at, w_row=w_row, x=x, x_at=x_at, count=count, y=y, y_at=y_at)


def _dot_rows(e: Any, rows: int) -> None:
    """y[r] = sum_c w[r, c] x[c] for c = 0 .. LANES count - 1; count >= 1."""
    def step(i: Any, sums: list[Any]) -> list[Any]:
        c = e.times(i, LANES)
        value = e.load("x", e.add(e.x_at, c))
        places = [e.add(e.add(e.w_at, e.times(e.w_row, r)), c) for r in range(rows)]
        return [e.multiply_add(e.load("w", place), value, total) for place, total in zip(places, sums, strict=True)]

    sums = e.loop(e.count, [e.constant(0.0)] * rows, step)
    for r, total in enumerate(sums):
        lanes = [e.builder.extract_element(total, LANE(lane)) for lane in range(LANES)]
        while len(lanes) > 1:
            lanes = [e.builder.fadd(a, b) for a, b in zip(lanes[::2], lanes[1::2], strict=True)]
        place = e.add(e.y_at, r)
        e.check("y", place, 1)
        e.builder.store(lanes[0], e.at("y", place))
