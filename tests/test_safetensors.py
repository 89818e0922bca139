"""A .safetensors file is read as its package reads it, or refused for the right reason; nothing in it is believed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors_files import BAD_HEADERS, about, packed

from npgradcam.errors import MissingPackageError, ModelFormatError
from npgradcam.formats import read_safetensors

theirs = pytest.importorskip("safetensors.numpy", reason="needs the extra: pip install 'npgradcam[safetensors]'")

DTYPES = ["<f8", "<f4", "<i8", "<i4", "<i2", "i1", "u1", "<u2", "<u4", "<u8", "?"]

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


@settings(max_examples=8 * settings().max_examples)
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


def test_without_the_package_the_error_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'npgradcam\[safetensors\]'"):
        read(tmp_path, packed({"a": about()}))
