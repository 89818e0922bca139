"""Zip files that two readers could take for different things, and what is said of each."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from checkpoint_files import FOUR, both, dictionary, tensor, zipped

DATA = Path(__file__).parent / "data" / "checkpoints"
GOOD = both(dictionary({"w": tensor()}))
Z = GOOD["zip"]
LOCAL, CENTRAL, END = Z.index(b"PK\3\4"), Z.index(b"PK\1\2"), Z.index(b"PK\5\6")
MORE = b"\x11\0\0\0\x11"  # 17 bytes, packed and unpacked, for the storage of 16
LAST_LOCAL, LAST_CENTRAL = Z.rindex(b"PK\3\4"), Z.rindex(b"PK\1\2")


def patched(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    copy = bytearray(data)
    for at, new in changes:
        copy[at : at + len(new)] = new
    return bytes(copy)


def prefixed() -> bytes:
    buffer = io.BytesIO(b"PK junk before the archive")
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
    return buffer.getvalue()


TORCH = (DATA / "state.zip.pth").read_bytes()
BAD_ZIPS = {
    "compressed": ("compressed zip", zipped(dictionary({"w": tensor()}), {"0": bytes(16)}, compression=8)),
    "bomb": ("compressed zip", zipped(dictionary({"w": tensor()}), {"0": bytes(2**24)}, compression=8)),
    "duplicate": ("each once", zipped(b"}", {"0": FOUR, "1": FOUR}).replace(b"m/data/1", b"m/data/0")),
    "dots": ("plain names", Z.replace(b"m/data/0", b"m/../d/0")),
    "absolute": ("plain names", Z.replace(b"m/data/0", b"//data/0")),
    "backslash": ("plain names", Z.replace(b"m/data/0", b"m\\data\\0")),
    "folder": ("plain names", Z.replace(b"m/data/0", b"m/data0/")),
    "control": ("plain names", Z.replace(b"m/data/0", b"m/data\x1b0")),
    "not text": ("UTF-8", Z.replace(b"m/data/0", b"m/data/\xff")),
    "two folders": ("only folder", Z.replace(b"m/data/0", b"n/data/0")),
    "no pickle": ("only folder", Z.replace(b"m/data.pkl", b"m/data.pkk")),
    "empty": ("only folder", b"PK\5\6" + bytes(18)),
    "encrypted": ("encrypted", patched(Z, (LAST_LOCAL + 6, b"\1"), (LAST_CENTRAL + 8, b"\1"))),
    "method": ("unusual way", patched(Z, (LAST_LOCAL + 8, b"\x0c"), (LAST_CENTRAL + 10, b"\x0c"))),
    "local name": ("disagree", patched(Z, (LAST_LOCAL + 30, b"x"))),
    "local size": ("disagree", patched(Z, (LAST_LOCAL + 18, b"\x0f"))),
    "local checksum": ("disagree", patched(Z, (LAST_LOCAL + 14, b"abcd"))),
    "size and packed size": ("sizes that cannot", patched(Z, (LAST_CENTRAL + 24, b"\x0f"))),
    "zip64 size": ("sizes that cannot", patched(Z, (LAST_CENTRAL + 20, b"\xff" * 8))),
    "into the directory": ("into its directory", patched(Z, (LAST_LOCAL + 18, MORE), (LAST_CENTRAL + 20, MORE))),
    "overlap": ("overlap", patched(Z, (LOCAL + 18, b"\0\1\0\0\0\1"), (CENTRAL + 20, b"\0\1\0\0\0\1"))),
    "past the end": ("needs", patched(Z, (LAST_CENTRAL + 42, b"\xff\xff"))),
    "checksum": ("checksum", patched(Z, (Z.index(FOUR), b"\1"))),
    "disk": ("directory is damaged", patched(Z, (LAST_CENTRAL + 34, b"\1"))),
    "long entry": ("directory is damaged", patched(Z, (LAST_CENTRAL + 30, b"\xff\xff"))),
    "count + 1": ("ends early", patched(Z, (END + 8, b"\4\0\4"))),
    "count - 1": ("longer than", patched(Z, (END + 8, b"\2\0\2"))),
    "counts differ": ("plain directory record", patched(Z, (END + 8, b"\4"))),
    "comment": ("plain directory record", patched(Z, (END + 20, b"\1")) + b"x"),
    "trailing": ("plain directory record", Z + b"\0"),
    "prefix": ("stands before", prefixed()),
    "prefix, offsets kept": ("does not lie where", b"PK" + Z),
    "zip64 records disagree": ("records disagree", patched(TORCH, (TORCH.index(b"PK\6\6") + 32, b"\1"))),
    "zip64 locator": ("records disagree", patched(TORCH, (TORCH.index(b"PK\6\7") + 8, b"\1"))),
    "byte order": ("byte order", zipped(dictionary({"w": tensor()}), {"0": FOUR}, b"middle")),
    "after the pickle": ("end of the pickle", zipped(b"}.cos\nsystem\n", {"0": FOUR})),
    "storage too long": ("16 bytes as storage", zipped(dictionary({"w": tensor()}), {"0": FOUR + b"\0"})),
}  # fmt: skip
