"""Of damaged files too, what is read is what the format's own package reads: stricter, and never something else.

Where the package reads what is refused here, the reason is one of those in `STRICTER`: nothing is refused by mistake.
PyTorch's own reader is no dependency; what it wrote is compared in `test_checkpoints.py`.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
pytest.importorskip("safetensors", reason="needs the extra: pip install 'npgradcam[safetensors]'")

from fuzzing.seeds import damaged
from hostile import CORPUS
from safetensors.numpy import load_file

from npgradcam.errors import ModelFormatError
from npgradcam.formats import read_npz, read_safetensors
from npgradcam.formats.onnx_file import package, read_onnx

READERS = {"safetensors": (read_safetensors, load_file), "npz": (read_npz, np.load)}


@pytest.mark.parametrize("kind", READERS)
def test_what_is_read_is_what_its_own_package_reads(kind, tmp_path):
    ours, others = READERS[kind]
    path, compared = tmp_path / f"file.{kind}", 0
    for n in range(2000):
        data = damaged(kind, 3, n)
        path.write_bytes(data)
        try:
            arrays = ours(path)
        except ModelFormatError:
            continue
        if b"BF16" in data:  # NumPy has no such type, and so its reader has none
            continue
        expected = dict(others(path))
        assert set(arrays) == set(expected)
        for name, array in arrays.items():
            wanted = expected[name]
            wanted = wanted.view(np.uint8) != 0 if wanted.dtype == bool else wanted.astype(array.dtype)
            assert (array.shape, array.tobytes()) == (wanted.shape, wanted.tobytes())
        compared += 1
    assert compared > 50


def numpys(path):
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def checked(path):
    package().checker.check_model(path)


JUDGES = {"safetensors": (read_safetensors, load_file), "npz": (read_npz, numpys), "onnx": (read_onnx, checked)}
STRICTER = {  # what is refused on purpose though the format's own package reads it, and what the message says
    "safetensors": {
        "a name of more than 1024 characters, or one that cannot be printed": "a short name",
        "a field that nobody knows": "expected dtype, shape and data_offsets",
        "more than eight axes": "at most 8 axes",
    },
    "npz": {
        "a header that NumPy would not write; complex numbers, dates, records; what is no array": "numbers or text as",
        "bytes left over, which belong to no array": "is the file complete",
        "text beyond Unicode": "not Unicode",
        "truth values other than 0 and 1": "truth values",
        "two directories that disagree, of which a zip archive may believe either": "disagree|damaged|cannot be right",
        "bytes behind the directory": "plain directory record",
    },
    "onnx": {
        "no output, from which a class could be explained": "at least one output",
        "more or fewer bytes than a weight's shape says": "expected [0-9]+ bytes",
        "a name that cannot be printed": "readable name",
        "a weight of texts, or of a type to come": "numbers or truth values",
        "operators of versions that nobody read here": "of version|ir_version",
    },
}


@pytest.mark.filterwarnings("ignore")  # theirs may warn, and read all the same
@pytest.mark.parametrize("kind", STRICTER)
def test_what_is_refused_though_its_own_package_reads_it_is_refused_on_purpose(kind, tmp_path):
    ours, theirs = JUDGES[kind]
    path, met = tmp_path / f"file.{kind}", set()
    for data in [file.data for file in CORPUS[kind].values()] + [damaged(kind, 3, n) for n in range(2000)]:
        path.write_bytes(data)
        try:
            ours(path)
        except ModelFormatError as error:
            refusal = str(error)
        else:
            continue
        try:
            theirs(path)
        except Exception:  # noqa: S112 - theirs may raise anything
            continue
        reasons = [why for why, pattern in STRICTER[kind].items() if re.search(pattern, refusal)]
        assert reasons, refusal
        met.update(reasons)
    assert len(met) >= 3
