"""The directory of a zip file, read strictly: one way to understand a file, or none.

PyTorch and NumPy write plain archives: no comment, no prefix, no encryption, one disk. Whatever else the
format allows is how two readers come to see two different files in the same bytes, so it is refused. Sizes of
4 GiB and more (zip64) are refused too; PyTorch writes a zip64 record in any case, and it must agree with the
ordinary one.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._source import Source, is_plain, shown

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
STORED, DEFLATED = 0, 8
_HARMLESS_FLAGS = 0x080E  # deflate's level, sizes repeated after the data, name in UTF-8
_LATER = 0x0008  # sizes repeated after the data: those before it may be zero


@dataclass(frozen=True)
class Member:
    """One file of the archive: where its `packed` bytes are, and how many (`size`) come out."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def read_directory(source: Source) -> dict[str, Member]:
    """Return the members by name, in the order of the archive's directory."""
    start, size, count = _find_directory(source)
    data = source.read(start, size, "the archive's directory")
    members: dict[str, Member] = {}
    spans = []
    at = 0
    for _ in range(count):
        if at + _CENTRAL.size > size:
            source.fail("the archive's directory ends early; is the file complete?")
        fields = _CENTRAL.unpack_from(data, at)
        mark, flags, method, header = fields[0], fields[3], fields[4], fields[16]
        crc, packed, full, name_length, extra, comment, disk = fields[7:14]
        raw = data[at + _CENTRAL.size : at + _CENTRAL.size + name_length]
        at += _CENTRAL.size + name_length + extra + comment
        if mark != b"PK\1\2" or at > size or disk != 0:
            source.fail("the archive's directory is damaged")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            source.fail(f"expected names in UTF-8 in the archive, got {raw[:60]!r}")
        if not is_plain(name) or name in members:
            source.fail(f"expected plain names in the archive, each once, got {shown(name)}")
        if flags & ~_HARMLESS_FLAGS or method not in (STORED, DEFLATED):
            source.fail(f"{shown(name)} is encrypted, or packed in an unusual way")
        if 0xFFFFFFFF in (packed, full, header) or (method == STORED and packed != full):
            source.fail(f"{shown(name)} has sizes that cannot be right: {packed} bytes for {full}")
        offset = _data_offset(source, name, raw, header, (flags, method, crc, packed, full))
        members[name] = Member(name, method, crc, packed, full, offset)
        spans.append((header, offset + packed))
    if at != size:
        source.fail("the archive's directory is longer than its number of entries says")
    # Members lie one after another, from the first byte to the directory: no byte belongs to two of them.
    end = 0
    for begin, stop in sorted(spans):
        if begin < end or (end == 0 and begin != 0):
            source.fail("members of the archive overlap, or something stands before them")
        end = stop
    if end > start:
        source.fail("the archive's last member runs into its directory")
    return members


def read_member(source: Source, member: Member) -> NDArray[np.uint8]:
    """Return a member's bytes, unpacked to its declared size and not one byte more, and verified."""
    data = source.numbers(member.offset, member.packed, shown(member.name))
    if member.method == DEFLATED:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # One byte more is asked for, since a limit of 0 would mean none.
            data = np.frombuffer(unpacker.decompress(data.data, member.size + 1), np.uint8)
        except zlib.error:
            source.fail(f"{shown(member.name)} is damaged and cannot be unpacked")
        if len(data) != member.size or not unpacker.eof or unpacker.unused_data:
            source.fail(f"{shown(member.name)} does not unpack to the {member.size} bytes that it declares")
    if zlib.crc32(data.data) != member.crc:
        source.fail(f"{shown(member.name)} does not match its checksum; fetch or save the file again")
    return data


def _find_directory(source: Source) -> tuple[int, int, int]:
    """Return offset, size and number of entries of the directory, from the record that ends the file."""
    last = source.size - _END.size
    record = source.read(last, _END.size, "a zip archive")
    mark, disk, disk2, here, count, size, start, comment = _END.unpack(record)
    if mark != b"PK\5\6" or disk or disk2 or here != count or comment or count == 0xFFFF:
        source.fail("a zip archive must end with a plain directory record; is the file complete?")
    if start + size == last - _END64.size - _LOCATOR64.size:
        record = source.read(start + size, _END64.size + _LOCATOR64.size, "the archive's zip64 record")
        mark, length, _, _, disk, disk2, *numbers = _END64.unpack_from(record)
        locator = _LOCATOR64.unpack_from(record, _END64.size)
        plain = mark == b"PK\6\6" and length == _END64.size - 12 and not disk and not disk2
        if not plain or numbers != [count, count, size, start] or locator != (b"PK\6\7", 0, start + size, 1):
            source.fail("the archive's two directory records disagree")
    elif start + size != last:
        source.fail("the archive's directory does not lie where its last record says")
    return start, size, count


def _data_offset(source: Source, name: str, raw: bytes, header: int, expected: tuple[int, ...]) -> int:
    """Return where a member's data begins: after its header, which must tell the same as the directory."""
    local = source.read(header, _LOCAL.size, f"the header of {shown(name)}")
    mark, _, flags, method, _, _, crc, packed, full, name_length, extra = _LOCAL.unpack(local)
    same = mark == b"PK\3\4" and (flags, method) == expected[:2]
    unknown = 0 if flags & _LATER else 0xFFFFFFFF  # NumPy reserves room for zip64 sizes, and so marks these
    same = same and packed in (expected[3], unknown) and full in (expected[4], unknown)
    same = same and (crc == expected[2] or (unknown == 0 and crc == 0))
    if not same or source.read(header + _LOCAL.size, name_length, f"the name of {shown(name)}") != raw:
        source.fail(f"the archive's directory and the header of {shown(name)} disagree")
    return header + _LOCAL.size + int(name_length + extra)
