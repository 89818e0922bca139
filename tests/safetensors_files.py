"""A .safetensors file made by hand, and bad headers with what is said of each."""

from __future__ import annotations

import json
import struct

import numpy as np

FOUR = np.arange(4, dtype="<f4").tobytes()


def packed(header, data=FOUR, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def about(dtype="F32", shape=(4,), offsets=(0, 16), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


BAD_HEADERS = {
    "no object": (b"[]", "begins with"),
    "space first": (b' {"a": {}}', "begins with"),
    "not JSON": (b"{,}", "JSON"),
    "not Unicode": (b'{"\xff": 1}', "JSON"),
    "deep": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "JSON|dtype"),
    "NaN": (b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 16]}}', "NaN"),
    "a key twice": (json.dumps({"a": about()})[:-1].encode() + b',"a": {}}', "twice"),
    "a field twice": (b'{"a": {"dtype": "F32", "dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}', "twice"),
    "no fields": ({"a": {}}, "dtype, shape and data_offsets"),
    "unknown field": ({"a": about(more=1)}, "dtype, shape and data_offsets"),
    "no dictionary": ({"a": 1}, "dtype, shape and data_offsets"),
    "metadata": ({"__metadata__": {"a": 1}, "a": about()}, "__metadata__"),
    "metadata list": ({"__metadata__": [], "a": about()}, "__metadata__"),
    "unknown type": ({"a": about("F8_E4M3")}, "types F64"),
    "type no text": ({"a": about(["F32"])}, "types F64"),
    "complex": ({"a": about("C64")}, "types F64"),
    "float shape": ({"a": about(shape=(4.0,))}, "shape"),
    "truth shape": ({"a": about(shape=(True,), offsets=(0, 4))}, "shape"),
    "negative": ({"a": about(shape=(-4,))}, "shape"),
    "huge": ({"a": about(shape=(2**31,))}, "shape"),
    "product overflows": ({"a": about(shape=(2**30,) * 8)}, "bytes for its shape"),
    "rank 9": ({"a": about(shape=(1,) * 8 + (4,))}, "at most 8 axes"),
    "too few bytes": ({"a": about(shape=(5,))}, "bytes for its shape"),
    "reversed": ({"a": about(offsets=(16, 0))}, "bytes for its shape"),
    "beyond the end": ({"a": about(offsets=(16, 32))}, "bytes for its shape"),
    "three offsets": ({"a": about(offsets=(0, 16, 16))}, "bytes for its shape"),
    "float offsets": ({"a": about(offsets=(0.0, 16.0))}, "bytes for its shape"),
    "a gap before": ({"a": about(shape=(3,), offsets=(4, 16))}, "unsaid"),
    "a gap after": ({"a": about(shape=(3,), offsets=(0, 12))}, "complete"),
    "overlap": ({"a": about(), "b": about()}, "overlap"),
    "partial overlap": ({"a": about(shape=(3,), offsets=(0, 12)), "b": about(shape=(2,), offsets=(8, 16))}, "overlap"),
    "long name": ({"a" * 1100: about()}, "short name"),
    "zero in a name": ({"a\0": about()}, "short name"),
    "nothing": ({}, "complete"),
}
