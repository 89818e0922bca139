"""What writes vector code: one intrinsic's arguments by name, and the few operations on vectors that it needs.

LLVM splits a vector into whatever registers the processor has: one of AVX-512, two of AVX2, four of NEON. Addresses
escape NUMBA_BOUNDSCHECK, so with that variable set every vector that is read or written is compared with its array.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import config
from numba.core import cgutils, types

from .frames import LANES

CHECKED = bool(config.BOUNDSCHECK)
# what a compiled function closes over to be compiled anew when the vector code changes
_WRITTEN = ("emitter", "vector", "vector_tiles", "winograd")
_hash = hashlib.sha256(b"".join(Path(__file__).with_name(name + ".py").read_bytes() for name in _WRITTEN))
VERSION = int(_hash.hexdigest()[:8], 16) * 2 + CHECKED

_FLOAT, _INT, LANE = ir.FloatType(), ir.IntType(64), ir.IntType(32)
VECTOR = ir.VectorType(_FLOAT, LANES)


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
        vector = self.builder.load(self.builder.bitcast(address, VECTOR.as_pointer()))
        vector.align = 4
        return vector

    def store(self, array: str, offset: Any, vector: Any) -> None:
        """Write array[offset : offset + LANES]."""
        self.check(array, offset, LANES)
        self.builder.store(vector, self.builder.bitcast(self.at(array, offset), VECTOR.as_pointer())).align = 4

    def spread(self, number: Any) -> Any:
        """Return a vector with one number in every lane."""
        undefined = ir.Constant(VECTOR, ir.Undefined)
        first = self.builder.insert_element(undefined, number, LANE(0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(LANE, LANES), [0] * LANES))

    def constant(self, number: float) -> Any:
        """Return a vector with one constant in every lane."""
        return ir.Constant(VECTOR, [_FLOAT(number)] * LANES)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a b + c, rounded once."""
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
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
