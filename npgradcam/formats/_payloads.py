"""Large weights left in the file while the rest of an ONNX model is parsed, so that no second copy of them is made.

An ONNX file is a protobuf message: fields, each a tag, a length and its bytes, nested. A parser copies all of it. Here
the bytes of large weights are stepped over and the message is put together without them; later each is read straight
into its array. Where a file is not as simple as that, nothing is stepped over and the parser gets all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ._source import Source

LARGE = 2**16  # bytes; smaller ones are not worth it
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # field numbers in onnx.proto: of ModelProto, GraphProto, TensorProto
_LENGTHS = {1: 8, 5: 4}  # of numbers of fixed size, by wire type
_MOST_FIELDS = 1_000_000


class _Field(NamedTuple):
    number: int
    wire: int
    tag: int  # where its tag, its value and whatever comes next begin
    value: int
    end: int


class _NotSimpleError(Exception):
    """The message holds what is not stepped over."""


def without_payloads(source: Source) -> tuple[bytes, dict[int, tuple[int, int]]]:
    """Return the message without its large weights, and where these lie: initializer's position -> (offset, count)."""
    try:
        payloads: dict[int, tuple[int, int]] = {}
        parts, graphs = [], 0
        for field in _fields(source, 0, source.size):
            if (field.number, field.wire) == (_GRAPH, 2):
                graphs += 1
                parts.append(_delimited(_GRAPH, _graph(source, field, payloads)))
            else:
                parts.append(source.read(field.tag, field.end - field.tag, "the file"))
        if graphs == 1:
            return b"".join(parts), payloads
    except _NotSimpleError:
        pass
    source.file.seek(0)
    return source.file.read(source.size), {}


def _graph(source: Source, graph: _Field, payloads: dict[int, tuple[int, int]]) -> bytes:
    parts, position = [], 0
    for field in _fields(source, graph.value, graph.end):
        if field.number == _INITIALIZER and field.wire != 2:  # a parser would not count it among the weights
            raise _NotSimpleError
        if field.number != _INITIALIZER:
            parts.append(source.read(field.tag, field.end - field.tag, "the file"))
            continue
        raw = [part for part in _fields(source, field.value, field.end) if part.number == _RAW_DATA] if (
            field.end - field.value > LARGE
        ) else []
        if len(raw) == 1 and raw[0].wire == 2 and raw[0].end - raw[0].value > LARGE:
            payloads[position] = (raw[0].value, raw[0].end - raw[0].value)
            before = source.read(field.value, raw[0].tag - field.value, "the file")
            parts.append(_delimited(_INITIALIZER, before + source.read(raw[0].end, field.end - raw[0].end, "the file")))
        else:
            parts.append(source.read(field.tag, field.end - field.tag, "the file"))
        position += 1
    return b"".join(parts)


def _fields(source: Source, start: int, end: int) -> Iterator[_Field]:
    """Step over the fields of a message that fills the bytes from `start` to `end`."""
    count, at = 0, start
    while at < end:
        tag, value = _varint(source, at, end)
        wire, length = tag & 7, 0
        if wire == 0:
            _, after = _varint(source, value, end)
        elif wire == 2:
            length, value = _varint(source, value, end)
            after = value + length
        elif wire in _LENGTHS:
            after = value + _LENGTHS[wire]
        else:  # groups, which nobody has written for long
            raise _NotSimpleError
        count += 1
        if after > end or count > _MOST_FIELDS:
            raise _NotSimpleError
        yield _Field(tag >> 3, wire, at, value, after)
        at = after


def _varint(source: Source, at: int, end: int) -> tuple[int, int]:
    """Return the number that begins at a byte, seven bits a byte and the lowest first, and where the next begins."""
    data = source.read(at, min(10, end - at), "the file")
    number = 0
    for n, byte in enumerate(data):
        number |= (byte & 127) << 7 * n
        if byte < 128:
            return number, at + n + 1
    raise _NotSimpleError


def _delimited(number: int, data: bytes) -> bytes:
    """Return a field of bytes with its tag and its length."""
    return b"".join((_encoded(number << 3 | 2), _encoded(len(data)), data))


def _encoded(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
