"""Vector code for the innermost loops, written once against LLVM's own vectors of `LANES` numbers.

LLVM splits a vector into whatever registers the processor has: one of AVX-512, two of AVX2, four of NEON. Numba's
`intrinsic` places the code in a compiled loop. Everything here reads and writes `array[offset + 0 .. LANES - 1]` of an
array that is contiguous, and whose geometry Python has checked before (`kernels.blocked`). Addresses escape
NUMBA_BOUNDSCHECK, so with that variable set every vector that is read or written is compared with its array first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.extending import intrinsic

from . import winograd
from .frames import LANES
from .passes import ADD, GATE, POSITIVE

CHECKED = bool(config.BOUNDSCHECK)
# what a compiled function closes over to be compiled anew when this file changes
_written = hashlib.sha256(Path(__file__).read_bytes() + Path(winograd.__file__).read_bytes())
VERSION = int(_written.hexdigest()[:8], 16) * 2 + CHECKED

_FLOAT, _INT, _LANE = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)


class Emitter:
    """Writes the code of one intrinsic: its arguments by name, and the few operations on vectors that it needs."""

    def __init__(self, context: Any, builder: Any, names: list[str], kinds: Any, values: Any) -> None:
        self.context, self.builder = context, builder
        self._arrays: dict[str, Any] = {}
        for name, kind, value in zip(names, kinds, values, strict=True):
            if isinstance(kind, types.Array):
                self._arrays[name] = context.make_array(kind)(context, builder, value)
            elif isinstance(kind, types.Integer):
                setattr(self, name, context.cast(builder, value, kind, types.int64))
            elif isinstance(kind, types.Float):
                setattr(self, name, context.cast(builder, value, kind, types.float32))
            else:
                setattr(self, name, value)

    def whole(self, n: int) -> Any:
        """Return a whole number as a constant."""
        return _INT(n)

    def add(self, a: Any, b: Any) -> Any:
        """Return the sum of two offsets; either may be a Python number."""
        return self.builder.add(*(self.whole(n) if isinstance(n, int) else n for n in (a, b)))

    def times(self, a: Any, n: int) -> Any:
        """Return n times an offset."""
        return self.builder.mul(a, self.whole(n))

    def length(self, array: str) -> Any:
        """Return how many numbers an array holds."""
        return self.context.cast(self.builder, self._arrays[array].nitems, types.intp, types.int64)

    def check(self, array: str, offset: Any, count: int) -> None:
        """In the checked build, raise IndexError unless array[offset : offset + count] lies inside the array."""
        if not CHECKED:
            return
        builder = self.builder
        before = builder.icmp_signed("<", offset, self.whole(0))
        beyond = builder.icmp_signed(">", self.add(offset, count), self.length(array))
        with builder.if_then(builder.or_(before, beyond), likely=False):
            message = f"vector code reads or writes outside of {array!r}"
            self.context.call_conv.return_user_exc(builder, IndexError, (message,))

    def at(self, array: str, offset: Any) -> Any:
        """Return the address of array[offset]; not checked."""
        return self.builder.gep(self._arrays[array].data, [offset])

    def number(self, array: str, offset: Any) -> Any:
        """Return array[offset]."""
        self.check(array, offset, 1)
        return self.builder.load(self.at(array, offset))

    def load(self, array: str, offset: Any) -> Any:
        """Return array[offset : offset + LANES]."""
        self.check(array, offset, LANES)
        return self.load_at(self.at(array, offset))

    def load_at(self, address: Any, skip: Any = 0) -> Any:
        """Return the vector `skip` numbers behind an address that was checked before."""
        address = self.builder.gep(address, [self.whole(skip) if isinstance(skip, int) else skip])
        vector = self.builder.load(self.builder.bitcast(address, _VECTOR.as_pointer()))
        vector.align = 4
        return vector

    def store(self, array: str, offset: Any, vector: Any) -> None:
        """Write array[offset : offset + LANES]."""
        self.check(array, offset, LANES)
        self.builder.store(vector, self.builder.bitcast(self.at(array, offset), _VECTOR.as_pointer())).align = 4

    def spread(self, number: Any) -> Any:
        """Return a vector with one number in every lane."""
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        first = self.builder.insert_element(undefined, number, _LANE(0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_LANE, LANES), [0] * LANES))

    def constant(self, number: float) -> Any:
        """Return a vector with one constant in every lane."""
        return ir.Constant(_VECTOR, [_FLOAT(number)] * LANES)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a b + c, rounded once."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        fma = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fma.v{LANES}f32")
        return self.builder.call(fma, [a, b, c])

    def below(self, v: Any, high: Any) -> Any:
        """Return min(v, high); a NaN in v stays."""
        return self.builder.select(self.builder.fcmp_ordered(">", v, high), high, v)

    def above(self, v: Any, low: Any) -> Any:
        """Return max(v, low); a NaN in v stays."""
        return self.builder.select(self.builder.fcmp_ordered("<", v, low), low, v)

    def loop(self, count: Any, carried: list[Any], body: Callable[[Any, list[Any]], Any]) -> Any:
        """Run body(i, carried) -> carried for i = 0 .. count - 1, at least once; return what is carried last."""
        builder, before = self.builder, self.builder.block
        inside, after = builder.append_basic_block("inside"), builder.append_basic_block("after")
        builder.branch(inside)
        builder.position_at_end(inside)
        i = builder.phi(_INT)
        i.add_incoming(self.whole(0), before)
        now = [builder.phi(value.type) for value in carried]
        for phi, value in zip(now, carried, strict=True):
            phi.add_incoming(value, before)
        new = body(i, list(now))
        following = self.add(i, 1)
        i.add_incoming(following, builder.block)
        for phi, value in zip(now, new, strict=True):
            phi.add_incoming(value, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, count), inside, after)
        builder.position_at_end(after)
        return new

    def flag(self, bits: Any, bit: int) -> Any:
        """Whether a bit is set."""
        return self.builder.icmp_signed("!=", self.builder.and_(bits, self.whole(bit)), self.whole(0))


def emitted(write: Callable[..., None], shape: list[Any], **arguments: Any) -> tuple[Any, Any]:
    """Return what a Numba intrinsic returns, for code that `write(emitter, *shape)` emits.

    Parameters
    ----------
    write : function
        Finds the call's arguments on the emitter, by their names.
    shape : list of types
        Types of the first arguments of the call: whole numbers that are known when the caller is compiled.
    arguments : types
        Types of the other arguments, in the call's order.
    """
    constants = [kind.literal_value for kind in shape]

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rest = len(shape)
        write(Emitter(context, builder, list(arguments), signature.args[rest:], values[rest:]), *constants)
        return context.get_dummy_value()

    return types.void(*shape, *arguments.values()), generate


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
                                total = _passed(e, total, _place(e.k_at, e.k_block, p, q, e), low, high, zero)
                            else:
                                total = e.below(e.above(total, low), high)
                            e.store("y", _place(e.y_at, e.y_block, p, q, e), total)


def _place(start: Any, block: Any, p: int, q: int, e: Any) -> Any:
    """Return where pixel p of block q lies."""
    return e.add(e.add(start, e.times(block, q)), e.times(e.apart, p))


def _passed(e: Any, signal: Any, kept_at: Any, low: Any, high: Any, zero: Any) -> Any:
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
                    joined = b.phi(_VECTOR)
                    joined.add_incoming(total, here)
                    joined.add_incoming(added, there)
                    with b.if_else(back) as (backward, forward):
                        with backward:
                            e.store("y", place[0], _passed(e, joined, place[2], low, high, zero))
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
        lanes = [e.builder.extract_element(total, _LANE(lane)) for lane in range(LANES)]
        while len(lanes) > 1:
            lanes = [e.builder.fadd(a, b) for a, b in zip(lanes[::2], lanes[1::2], strict=True)]
        place = e.add(e.y_at, r)
        e.check("y", place, 1)
        e.builder.store(lanes[0], e.at("y", place))
