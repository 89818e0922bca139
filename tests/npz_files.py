"""Arrays and archives made by hand, and bad ones with what is said of each."""

from __future__ import annotations

import io
import struct
import zipfile


def npy(descr="'<f4'", shape="(4,)", data=bytes(16), order="False", head=None, magic=b"\x93NUMPY\1\0"):
    header = head or f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return magic + struct.pack("<H", len(header)) + header + data


def archived(*members: tuple[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


BAD_ARRAYS = {
    "object": ("numbers or text", npy("'|O'")),
    "object, pickled": ("numbers or text", npy("'|O'", "()", b"\x80\x02cos\nsystem\n.")),
    "structured": ("numbers or text", npy("[('a', '<f4')]")), "subarray": ("numbers or text", npy("('<f4', (2,))")),
    "void": ("numbers or text", npy("'|V4'")), "complex": ("numbers or text", npy("'<c8'", "(2,)")),
    "date": ("numbers or text", npy("'<M8[s]'", "(2,)")), "unknown": ("numbers or text", npy("'<f3'")),
    "itemsize 0": ("numbers or text", npy("'<U0'", "(4,)", b"")),
    "huge text": ("numbers or text", npy("'<U99999999'", "(1,)")),
    "call": ("numbers or text", npy("__import__('os').system('true')")),
    "deep": ("numbers or text", npy("(" * 5000 + ")" * 5000)),
    "extra key": ("numbers or text", npy(head=b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'x': 1, }\n")),
    "key twice": ( "numbers or text",
        npy(head=b"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,), }\n"), ),
    "order": ("numbers or text", npy(order="1")), "negative": ("numbers or text", npy(shape="(-4,)")),
    "float": ("numbers or text", npy(shape="(4.0,)")), "true": ("numbers or text", npy(shape="(True,)")),
    "no tuple": ("numbers or text", npy(shape="4")),
    "rank 33": ("numbers or text", npy(shape="(" + ", ".join("1" * 33) + ")", data=bytes(4))),
    "long integer": ("numbers or text", npy(shape=f"({10**30},)")),
    "no newline": ("numbers or text", npy(head=b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }")),
    "version 2": ("numbers or text", npy(magic=b"\x93NUMPY\2\0")), "not npy": ("numbers or text", b"GIF89a"),
    "short": ("numbers or text", b"\x93NUMPY\1\0\xff"),
    "long header": ("numbers or text", b"\x93NUMPY\1\0\xff\xff" + bytes(8)),
    "too few": ("bytes for", npy(data=bytes(15))), "too many": ("bytes for", npy(data=bytes(17))),
    "shape larger": ("bytes for", npy(shape="(5,)")),
    "shape overflows": ("bytes for", npy(shape="(4294967296, 4294967296)", data=b"")),
    "empty but wide": ("bytes for", npy(shape="(0, 4294967296, 4294967296)", data=b"")),
    "scalar": ("bytes for", npy(shape="()")), "truth of 2": ("truth values", npy("'|b1'", "(2,)", b"\1\2")),
    "beyond Unicode": ("not Unicode", npy("'<U1'", "()", struct.pack("<I", 0x110000))),
    "surrogate": ("not Unicode", npy("'>U1'", "()", struct.pack(">I", 0xD800))),
}  # fmt: skip
