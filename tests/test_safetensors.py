"""A .safetensors file is read as its package reads it, or refused for the right reason; nothing in it is believed."""

from __future__ import annotations

import json
import random
import struct
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npgradcam.errors import MissingPackageError, ModelFormatError
from npgradcam.formats import read_safetensors

theirs = pytest.importorskip("safetensors.numpy", reason="needs the extra: pip install 'npgradcam[safetensors]'")

DTYPES = ["<f8", "<f4", "<i8", "<i4", "<i2", "i1", "u1", "<u2", "<u4", "<u8", "?"]
FOUR = np.arange(4, dtype="<f4").tobytes()


def packed(header, data=FOUR, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def about(dtype="F32", shape=(4,), offsets=(0, 16), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def read(folder, data):
    path = folder / "a.safetensors"
    path.write_bytes(data)
    return read_safetensors(path)


def refused(folder, data, match):
    with pytest.raises(ModelFormatError, match=match) as caught:
        read(folder, data)
    assert str(caught.value).startswith(str(folder / "a.safetensors"))
    assert len(str(caught.value)) < len(str(folder)) + 400


shapes = hnp.array_shapes(min_dims=0, max_dims=4)
any_arrays = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(np.dtype(dtype), shapes))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("ab.é", min_size=1, max_size=6), any_arrays, max_size=4), st.booleans())
def test_what_the_package_writes_is_read(tmp_path_factory, arrays, noted):
    path = tmp_path_factory.mktemp("round") / "a.safetensors"
    theirs.save_file(arrays, path, {"format": "pt"} if noted else None)
    got = read_safetensors(path)
    assert set(got) == set(arrays)
    for name, array in got.items():
        assert (array.shape, array.dtype) == (arrays[name].shape, arrays[name].dtype)
        assert array.tobytes() == arrays[name].tobytes()
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_half_precision_becomes_float32(tmp_path):
    halves = np.array([1, -2.5, 6e-5, np.inf, -0.0], np.float16)
    brains = (np.array([1, -2.5, 3e38, np.inf], np.float32).view(np.uint32) >> 16).astype("<u2")
    header = {"half": about("F16", (5,), (0, 10)), "brain": about("BF16", (2, 2), (10, 18))}
    got = read(tmp_path, packed(header, halves.tobytes() + brains.tobytes()))
    np.testing.assert_array_equal(got["half"], halves.astype(np.float32))
    np.testing.assert_array_equal(got["brain"].view(np.uint32) >> 16, brains.reshape(2, 2))
    assert {array.dtype for array in got.values()} == {np.dtype(np.float32)}


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


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_a_bad_header_is_refused_for_the_right_reason(tmp_path, case):
    header, reason = BAD_HEADERS[case]
    assert read(tmp_path, packed({"a": about()}))["a"].tolist() == [0, 1, 2, 3]
    refused(tmp_path, packed(header), reason)


def test_a_length_that_lies_is_refused(tmp_path):
    for length in (2**63, 2**64 - 1, 16 * 2**20 + 1, 10_000):
        refused(tmp_path, packed({"a": about()}, length=length), "header of at most")
    refused(tmp_path, b"", "needs 8 bytes")
    with pytest.raises(ModelFormatError, match="max_bytes"):
        read_safetensors(tmp_path / "a.safetensors", max_bytes=-1)


def test_damaged_files_are_read_or_refused(tmp_path):
    header = {"__metadata__": {"format": "pt"}, "a": about(), "b": about("BF16", (2, 1), (16, 20))}
    good = packed(header, FOUR + FOUR[:4])
    for length in range(len(good)):
        with pytest.raises(ModelFormatError):
            read(tmp_path, good[:length])
    chance = random.Random(5)  # noqa: S311
    for _ in range(1500):
        copy = bytearray(good)
        for _ in range(chance.choice((1, 2, 8))):
            at = chance.randrange(len(copy))
            copy[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        try:
            arrays = read(tmp_path, bytes(copy))
        except ModelFormatError:
            continue
        assert all(type(array) is np.ndarray for array in arrays.values())


def test_without_the_package_the_error_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'npgradcam\[safetensors\]'"):
        read(tmp_path, packed({"a": about()}))
