"""A pickle machine that can build nothing but numbers, texts, lists, tuples, dictionaries and known tags.

A pickle is a programme for a small stack machine. Python's own machine imports what the programme names, and
calls it. This one knows about thirty opcodes; a name becomes an inert tag, looked up in a dictionary
(`_torch.py`), and nothing is ever imported or called on behalf of the file. Everything else is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NoReturn

from ._source import Source, shown
from ._torch import MAX_NAME, Ordered, Storage, call, look_up, storage

MAX_OPCODES = 1_000_000  # about forty a tensor; bounds the memory, at 64 bytes for an empty dictionary
MAX_MEMO = 500_000
MAX_STACK = 100_000
MAX_KEY = 2**60
_NOTHING = object()  # in the memo, where nothing was stored


class Machine:
    """Runs one pickle, from byte `at` of `data` to its STOP, after which `at` is the byte behind it.

    The value is in `result`, and the storages that it mentions are in `storages`.
    """

    def __init__(self, source: Source, data: bytes, at: int = 0) -> None:
        self.source, self.data, self.at = source, data, at
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: list[object] = []  # no dictionary: a file could choose indices whose hashes collide
        self.storages: dict[str, Storage] = {}
        self.result: object = self.run()

    def run(self) -> object:
        """Carry out opcodes until STOP, and return what is left on the stack."""
        for _ in range(MAX_OPCODES):
            code = self.take(1)
            if code == b".":
                if len(self.stack) != 1 or self.marks:
                    self.fail("the pickle stops with unfinished business; is the file damaged?")
                return self.stack[0]
            if (push := _PUSHES.get(code)) is not None:
                self.stack.append(push(self))
            elif (effect := _EFFECTS.get(code)) is not None:
                effect(self)
            else:
                self.fail(f"expected a pickle of tensors only, got the opcode {code!r}")
            if len(self.stack) + len(self.marks) > MAX_STACK:
                self.fail("the pickle piles up more values than a checkpoint needs")
        self.fail(f"the pickle has more than {MAX_OPCODES} opcodes")

    def fail(self, text: str) -> NoReturn:
        """Raise the error, with the place in the pickle."""
        self.source.fail(f"{text} (near byte {self.at} of the pickle)")

    # Reading: every length is compared with the bytes that are there before they are taken.

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self.at + count
        if end > len(self.data):
            self.fail(f"the pickle ends inside a value of {count} bytes; is the file complete?")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def uint(self, count: int) -> int:
        """Return the next `count` bytes as an integer."""
        return int.from_bytes(self.take(count), "little")

    def sint(self, count: int) -> int:
        """Return the next `count` bytes as an integer with a sign."""
        if count > 16:
            self.fail(f"expected integers of at most 16 bytes, got one of {count}")
        return int.from_bytes(self.take(count), "little", signed=True)

    def text(self, count: int) -> str:
        """Return the next `count` bytes as text."""
        try:
            return self.take(count).decode("utf-8")
        except UnicodeDecodeError:
            self.fail("expected text in UTF-8")

    def line(self) -> str:
        """Return the text up to the end of the line."""
        end = self.data.find(b"\n", self.at, self.at + MAX_NAME)
        if end < 0:
            self.fail("expected a short name that ends its line")
        return self.text(end + 1 - self.at)[:-1]

    # The stack and the memo: a mark is a floor, below which nothing may be taken until the mark is gone.

    def pop(self) -> object:
        """Take the last value."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            self.fail("the pickle takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> object:
        """Return the last value and leave it there."""
        self.stack.append(self.pop())
        return self.stack[-1]

    def tuple(self, count: int) -> tuple[object, ...]:
        """Take the last `count` values."""
        return tuple([self.pop() for _ in range(count)][::-1])

    def since_mark(self) -> list[object]:
        """Take all values since the last mark, and the mark."""
        if not self.marks:
            self.fail("the pickle looks for a mark that it never set")
        floor = self.marks.pop()
        values = self.stack[floor:]
        del self.stack[floor:]
        return values

    def recall(self, index: int) -> object:
        """Return a value from the memo."""
        if index >= len(self.memo) or self.memo[index] is _NOTHING:
            self.fail("the pickle recalls a value that it never stored")
        return self.memo[index]

    def remember(self, index: int) -> None:
        """Store the last value in the memo."""
        if index >= MAX_MEMO:
            self.fail("the pickle piles up more values than a checkpoint needs")
        self.memo.extend([_NOTHING] * (index + 1 - len(self.memo)))
        self.memo[index] = self.top()

    # Building: it is the file that chooses the target, so the type of each target is checked.

    def append(self, values: list[object]) -> None:
        """Append to a list."""
        target = self.top()
        if type(target) is not list:
            self.fail(f"the pickle appends to a {type(target).__name__}")
        target.extend(values)

    def set_items(self, values: list[object]) -> None:
        """Set items of a dictionary from alternating keys and values."""
        target = self.top()
        if not isinstance(target, dict) or len(values) % 2:
            self.fail(f"the pickle sets items of a {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Texts only, and short ones: their hashes are salted. Those of integers (and of floats and tuples)
            # are known, and a file could choose thousands that collide, so an integer becomes its digits.
            if type(key) is int and abs(key) < MAX_KEY:
                key = str(key)
            elif type(key) is not str or len(key) > MAX_NAME:
                self.fail(f"expected integers below 2**60 or short texts as keys, got a {type(key).__name__}")
            if key in target:
                self.fail(f"the pickle sets the key {shown(key)} of a dictionary twice")
            target[key] = value

    def build(self) -> None:
        """Drop the attributes of an OrderedDict."""
        self.pop()
        if type(self.top()) is not Ordered:
            self.fail("the pickle sets attributes of something that is not an OrderedDict")

    def reduce(self) -> object:
        """Return what calling one of the known functions describes."""
        function, arguments = self.tuple(2)
        return call(function, arguments, self.fail)

    def persistent(self) -> Storage:
        """Return a storage, always described in the same way."""
        new = storage(self.pop(), self.fail)
        if self.storages.setdefault(new.key, new) != new:
            self.fail(f"storage {shown(new.key)} is declared twice, with different types or sizes")
        return new


# Opcodes that push a value ...
_PUSHES: dict[bytes, Callable[[Machine], object]] = {
    b"N": lambda m: None,
    b"\x88": lambda m: True,
    b"\x89": lambda m: False,
    b"}": lambda m: {},
    b"]": lambda m: [],
    b")": lambda m: (),
    b"K": lambda m: m.uint(1),
    b"M": lambda m: m.uint(2),
    b"J": lambda m: m.sint(4),
    b"\x8a": lambda m: m.sint(m.uint(1)),  # LONG1
    b"G": lambda m: struct.unpack(">d", m.take(8))[0],
    b"X": lambda m: m.text(m.uint(4)),  # BINUNICODE
    b"\x8c": lambda m: m.text(m.uint(1)),  # SHORT_BINUNICODE
    b"T": lambda m: m.text(m.uint(4)),  # BINSTRING, a text of Python 2
    b"U": lambda m: m.text(m.uint(1)),  # SHORT_BINSTRING
    b"t": lambda m: tuple(m.since_mark()),
    b"\x85": lambda m: m.tuple(1),
    b"\x86": lambda m: m.tuple(2),
    b"\x87": lambda m: m.tuple(3),
    b"h": lambda m: m.recall(m.uint(1)),
    b"j": lambda m: m.recall(m.uint(4)),
    b"c": lambda m: look_up((m.line(), m.line()), m.fail),  # GLOBAL
    b"\x93": lambda m: look_up(m.tuple(2), m.fail),  # STACK_GLOBAL
    b"R": Machine.reduce,
    b"Q": Machine.persistent,  # BINPERSID
}
# ... and opcodes that do something to the values before.
_EFFECTS: dict[bytes, Callable[[Machine], object]] = {
    b"\x80": lambda m: m.take(1),  # PROTO
    b"\x95": lambda m: m.take(8),  # FRAME, whose length is meant for buffered readers
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"q": lambda m: m.remember(m.uint(1)),
    b"r": lambda m: m.remember(m.uint(4)),
    b"\x94": lambda m: m.remember(len(m.memo)),  # MEMOIZE
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.since_mark()),
    b"s": lambda m: m.set_items(list(m.tuple(2))),
    b"u": lambda m: m.set_items(m.since_mark()),
    b"b": Machine.build,
}
