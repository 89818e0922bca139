"""`write_npz` writes the same bytes again; any file is read as NumPy reads it, or refused for the right reason."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from npz_files import BAD_ARRAYS, archived, npy

from npgradcam.errors import ModelFormatError
from npgradcam.formats import read_npz, write_npz

DTYPES = ["<f4", ">f8", "f2", "i1", "<i2", ">i4", "i8", "u1", "u2", "u4", "u8", "?", "<U3", ">U1"]


def read(folder, data):
    path = folder / "a.npz"
    path.write_bytes(data)
    return read_npz(path)


def refused(folder, data, match):
    with pytest.raises(ModelFormatError) as caught:
        read(folder, data)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'a.npz'}: ")
    assert match in message
    assert len(message) < len(str(folder)) + 400


any_arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        np.dtype(dtype),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        elements=st.text("aé☃𝄞 ", max_size=1) if "U" in dtype else None,
    )
)


@settings(max_examples=8 * settings().max_examples)
@given(st.dictionaries(st.from_regex(r"[ab0é][ab.0é]{0,4}[ab0é]", fullmatch=True), any_arrays, max_size=4))
def test_what_is_written_is_read_back_by_us_and_by_numpy(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("round") / "a.npz"
    write_npz(path, arrays)
    with np.load(path, allow_pickle=False) as numpys:
        theirs = {name: numpys[name] for name in numpys.files}
    for got in (read_npz(path), theirs):
        assert list(got) == list(arrays)
        for name, array in got.items():
            assert array.shape == arrays[name].shape
            assert array.dtype.newbyteorder("=") == arrays[name].dtype.newbyteorder("=")
            assert array.tobytes() == arrays[name].astype(array.dtype).tobytes()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_numpy_are_read(tmp_path, save):
    arrays = {
        "c": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "zeros": np.zeros(10**6),
    }
    arrays |= {
        "text": np.array("snow ☃"),
        "big": np.arange(3, dtype=">f4"),
        "block/conv": np.float16(1.5),
        "none": np.empty((0, 3)),
    }
    save(tmp_path / "a.npz", **arrays)
    got = read_npz(tmp_path / "a.npz")
    assert list(got) == list(arrays)
    for name, array in got.items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.dtype.isnative
        assert type(array) is np.ndarray


def test_text_and_bytes_of_text_come_back(tmp_path):
    notes = json.dumps({"labels": ["chat", "☃", "line\nbreak"]}, ensure_ascii=False)
    write_npz(
        tmp_path / "a.npz",
        {"meta": notes, "raw": np.frombuffer(notes.encode(), np.uint8), "empty": "", "many": ["a", "bc"]},
    )
    got = read_npz(tmp_path / "a.npz")
    assert str(got["meta"]) == notes
    assert got["raw"].tobytes().decode() == notes
    assert str(got["empty"]) == ""
    assert got["many"].tolist() == ["a", "bc"]


def test_equal_arrays_give_equal_bytes_on_every_machine(tmp_path):
    write_npz(tmp_path / "a.npz", {"w": np.arange(4, dtype="<f4"), "t": "text"})
    write_npz(tmp_path / "b.npz", {"w": np.arange(8, dtype=">f4")[:4], "t": np.array("text")})
    data = (tmp_path / "a.npz").read_bytes()
    assert data == (tmp_path / "b.npz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == "caa2cfdeb5fdc633cc0d4cb43fd92fc6633d1bbfc4cd08010d736bc077eaf570"


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, {"w": np.zeros(3)})
    before = path.read_bytes()
    with pytest.raises(ModelFormatError, match="object"):
        write_npz(path, {"w": np.ones(3), "o": np.array([None])})
    assert path.read_bytes() == before
    write_npz(path, {"w": np.ones(3)})
    assert read_npz(path)["w"].tolist() == [1, 1, 1]
    assert [item.name for item in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "/a", "a//b", "a\\b", "c:a", "a\0", "a\n", "a/", "\ud800", "a" * 1100]
)
def test_names_that_could_be_paths_are_not_written(tmp_path, name):
    with pytest.raises(ModelFormatError, match="plain name"):
        write_npz(tmp_path / "a.npz", {name: np.zeros(1)})


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        1j,
        np.datetime64("2020-01-01"),
        b"bytes",
        "ends in zero\0",
        "\ud800",
        np.zeros(2, "f4,i4"),
        np.longdouble(1),
    ],
)
def test_what_would_not_be_read_is_not_written(tmp_path, value):
    with pytest.raises(ModelFormatError, match="as 'a'"):
        write_npz(tmp_path / "a.npz", {"a": value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays_are_refused_for_the_right_reason(tmp_path, name):
    reason, data = BAD_ARRAYS[name]
    assert read(tmp_path, archived(("a.npy", npy())))["a"].tolist() == [0, 0, 0, 0]
    refused(tmp_path, archived(("a.npy", data)), reason)


def test_bad_archives_are_refused_for_the_right_reason(tmp_path):
    good = npy()
    packed = archived(("a.npy", npy(shape="(4096,)", data=bytes(16384))), packing=zipfile.ZIP_DEFLATED)
    assert read(tmp_path, packed)["a"].size == 4096
    for name in ("a.txt", ".npy", "a/.npy"):
        refused(tmp_path, archived((name, good)), "end in .npy")
    for name in ("../a.npy", "/a.npy", "a\\b.npy", "c:a.npy"):
        refused(tmp_path, archived((name, good)), "plain names")
    refused(tmp_path, archived(("a.npy", good), ("b.npy", good)).replace(b"b.npy", b"a.npy"), "each once")
    local, central = packed.index(b"PK\3\4"), packed.index(b"PK\1\2")
    for declared, reason in ((16000, "declares"), (17000, "declares"), (0, "declares"), (2**32 - 2, "too much")):
        lie = bytearray(packed)
        lie[local + 22 : local + 26] = lie[central + 24 : central + 28] = struct.pack("<I", declared)
        refused(tmp_path, bytes(lie), reason)
    middle = central // 2
    for at in range(middle, middle + 8):
        damaged = packed[:at] + bytes([packed[at] ^ 0xFF]) + packed[at + 1 :]
        with pytest.raises(ModelFormatError):
            read(tmp_path, damaged)
    refused(tmp_path, b"not a zip file, but long enough to be one", "directory record")
    many = archived(*((f"{index}.npy", b"") for index in range(10_001)))
    refused(tmp_path, many, "10001 arrays")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = archived(("a.npy", npy("'|u1'", f"({2**27},)", bytes(2**27))), packing=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**18
    refused(tmp_path, bomb, "too much for a file")
    write_npz(tmp_path / "b.npz", {"a": np.zeros(1000)})
    with pytest.raises(ModelFormatError, match="max_bytes"):
        read_npz(tmp_path / "b.npz", max_bytes=1000)
