"""Ways to damage bytes: each is a line or three, and changes a bytearray in place."""

from __future__ import annotations

import re
from random import Random

BYTES = (0x00, 0x7F, 0x80, 0xFF)
LENGTHS = (0, 1, 2**7, 2**8 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
VARINTS = (b"\xff\xff\xff\xff\x07", b"\xff" * 9 + b"\x01", b"\x80" * 10, b"\x80\x80\x01")
WORDS = (b"0", b"1", b"-1", b"2147483647", b"2147483648", b"9223372036854775808", b"1e999", b"NaN", b"9" * 400)


def flip(data, at, chance, other):
    data[at] ^= 1 << chance.randrange(8)


def set_byte(data, at, chance, other):
    data[at] = chance.choice(BYTES)


def any_byte(data, at, chance, other):
    data[at] = chance.randrange(256)


def truncate(data, at, chance, other):
    del data[at:]


def remove(data, at, chance, other):
    del data[at : at + chance.randrange(1, 9)]


def splice(data, at, chance, other):
    """Bytes of another valid file."""
    start = chance.randrange(len(other))
    data[at : at + chance.choice((0, 4, 32))] = other[start : start + chance.randrange(1, 64)]


def length(data, at, chance, other):
    """A field of 1 to 8 bytes, whatever it means: one more, one less, twice, or a number where sizes overflow."""
    width, order = chance.choice((1, 2, 4, 8)), chance.choice(("little", "big"))
    held = int.from_bytes(data[at : at + width], order)
    new = chance.choice((held + 1, held - 1, 2 * held, chance.choice(LENGTHS)))
    data[at : at + width] = (new % 256**width).to_bytes(width, order)


def varint(data, at, chance, other):
    data[at : at + 1] = chance.choice(VARINTS)


def word(data, at, chance, other):
    """A number in decimal digits, as headers have them."""
    if found := re.compile(rb"-?\d+").search(data, at):
        data[found.start() : found.end()] = chance.choice(WORDS)


def duplicate(data, at, chance, other):
    start = chance.randrange(len(data))
    data[at:at] = data[start : start + chance.randrange(1, 64)]


def reorder(data, at, chance, other):
    size = chance.randrange(1, 17)
    there = chance.randrange(len(data))
    first, second = data[at : at + size], data[there : there + size]
    data[at : at + size], data[there : there + size] = second, first


MUTATORS = (flip, set_byte, any_byte, truncate, remove, splice, length, varint, word, duplicate, reorder)


def mutated(data: bytes, chance: Random, other: bytes) -> bytes:
    """Return damaged bytes; mostly in one place, for what is damaged everywhere is refused at the door."""
    copy = bytearray(data or b"\0")
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        chance.choice(MUTATORS)(copy, chance.randrange(len(copy)), chance, other or b"\0")
        copy = copy or bytearray(b"\0")
    return bytes(copy)
