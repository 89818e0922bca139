"""Every hostile file of the tests, by kind: its bytes, and what becomes of it; made by code, a line or two for each."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from checkpoint_files import HOSTILE, both
from npz_files import BAD_ARRAYS, archived
from onnx_hostile_bytes import BYTES
from onnx_hostile_models import ODD, REFUSED
from picture_files import PICTURES
from safetensors_files import BAD_HEADERS, FOUR, about, packed
from zip_files import BAD_ZIPS

from npgradcam import save
from npgradcam.images import preset
from npgradcam.layers import Constant, ConstantOfShape, Flatten, Linear
from npgradcam.models import Labels, Model
from npgradcam.network import Network, Node

EITHER = ""  # it may load, as no picture has come yet


class Hostile(NamedTuple):
    """A file: what is said of it (a pattern), None where it is read, EITHER where both may be."""

    expected: str | None
    data: bytes


def saved(length: int, times: int = 1) -> bytes:
    """A saved model of two kilobytes that computes `length` numbers, `times` over, where its classes are counted."""
    sizes = Constant(np.array([length // 8, 8]))
    made = [Node(f"ones{n}", ConstantOfShape(np.ones(1, np.float32)), ("sizes",)) for n in range(times)]
    head = [Node("flat", Flatten(), ("input",)), Node("head", Linear(np.ones((2, 3)), np.zeros(2)), ("flat",))]
    labels = Labels((("a",), ("b",)))
    with TemporaryDirectory() as folder:
        file = Path(folder, "model.npz")
        save(Model("m", Network((Node("sizes", sizes, ()), *made, *head)), preset("none", (1, 1)), labels), file)
        return file.read_bytes()


LENGTHS = {f"a header of {length} bytes": Hostile("header of at most", packed({"a": about()}, length=length))
           for length in (2**63, 2**64 - 1, 16 * 2**20 + 1, 10_000)}
PREPROCESS = {"name": "m", "size": [9, 9]}


def pickles(container: str) -> dict[str, Hostile]:
    return {f"{reason}: {name}": Hostile(re.escape(reason), both(body)[container])
            for reason, group in HOSTILE.items() for name, body in group.items()}


def record(text: object) -> bytes:
    return text.encode() if isinstance(text, str) else json.dumps(text).encode()


CORPUS: dict[str, dict[str, Hostile]] = {
    "zip": pickles("zip") | {name: Hostile(re.escape(reason), data) for name, (reason, data) in BAD_ZIPS.items()},
    "stream": pickles("stream"),
    "onnx": {name: Hostile(reason, made.SerializeToString()) for name, (reason, made) in REFUSED.items()}
    | {f"odd: {name}": Hostile(EITHER, made.SerializeToString()) for name, made in ODD.items()}
    | {f"bytes: {name}": Hostile(*case) for name, case in BYTES.items()},
    "safetensors": {name: Hostile(reason, packed(header)) for name, (header, reason) in BAD_HEADERS.items()} | LENGTHS
    | {"nothing": Hostile("needs 8 bytes", b""),
    "more bytes": Hostile("complete", packed({"a": about()}, FOUR + b"\0"))},
    "npz": {name: Hostile(re.escape(reason), archived(("a.npy", data))) for name, (reason, data) in BAD_ARRAYS.items()}
    | {"a model that computes": Hostile(None, saved(80)),
    "a model that computes 2^28 numbers": Hostile("numbers in all", saved(2**28)),
    "a model that computes 2^33 numbers": Hostile("numbers in all", saved(2**33)),
    "a model that computes 2^26 numbers three times": Hostile("numbers in all", saved(2**26, 3))},
    "picture": {name: Hostile(*case) for name, case in PICTURES.items()},
    "labels": {
        "no text": Hostile("not text", b"\xff\xfe\xfa"),
        "commands a terminal": Hostile("can be printed", b"cat\n\x1b[2J\n"),
        "a long name": Hostile("at most 1024", b"a" * 5000), "a zero": Hostile("can be printed", b"a\0b\n"),
        "backwards": Hostile("can be printed", "a\u202eb".encode()), "16 MiB": Hostile("max_bytes", b"a\n" * 2**24),
        "many": Hostile(None, b"a\n" * 10**5), "a million and one": Hostile("classes", b"a\n" * 10**6 + b"b"),
        "16 MiB of lines": Hostile("classes", b"\n" * 2**24), "of names": Hostile("classes", b"ab\n" * 5_592_405),
        "a mark in front": Hostile(None, b"\xef\xbb\xbfcat\ndog\n"),
        "tabs": Hostile(None, b"n01\ttench\r\n\tcat  dog\n"),
        "nothing": Hostile(None, b""),
    },
    "record": {
        "no JSON": Hostile("JSON", b"{"), "nothing": Hostile("JSON", b""), "a list": Hostile("expected", b"[1]"),
        "nested": Hostile("JSON", b"[" * 200_000), "twice": Hostile("twice", b'{"name": "a", "name": "b"}'),
        "NaN": Hostile("NaN", b'{"name": "a", "size": [NaN, 1]}'), "no text": Hostile("not text", b"\xff\xfe"),
        "digits": Hostile("JSON", b'{"name": "a", "size": [' + b"9" * 5000 + b", 1]}"),
        "a manifest without it": Hostile("JSON", b'{"conventions": {}}'),
        "64 MiB": Hostile("max_bytes", b" " * (2**26 + 1)),
        "size": Hostile("size", record(PREPROCESS | {"size": [-1, 9]})),
        "name": Hostile("name", record(PREPROCESS | {"name": 3})),
        "filter": Hostile("interpolation", record(PREPROCESS | {"interpolation": "__class__"})),
        "channels": Hostile("channels", record(PREPROCESS | {"channels": {}})),
        "good": Hostile(None, record(PREPROCESS)),
    },
}  # fmt: skip


def dressed(folder: Path) -> Path:
    """A folder with a file of weights, links to it and to a secret beside the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "data").write_bytes(np.array([1, 2, 3], np.float32).tobytes())
    (folder / "folder").mkdir()
    (folder.parent / "secret").write_bytes(bytes(12))
    (folder / "link").symlink_to(folder.parent / "secret")
    os.link(folder.parent / "secret", folder / "hard")
    (folder / "linked").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    return folder


def judged(files: list[tuple[str, Hostile]], n: int, outcome: str, message: str) -> str | None:
    """Return what is wrong with what became of file number n, or None."""
    name, (expected, _) = files[n]
    fits = outcome != "refused" if expected is None else outcome == "refused" and re.search(expected, message)
    return None if fits or expected == EITHER else f"{name}: expected {expected!r}, got {outcome} {message}"
