"""Of damaged files too, what is read is what the format's own package reads: stricter, and never something else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
pytest.importorskip("safetensors", reason="needs the extra: pip install 'npgradcam[safetensors]'")

from fuzzing.seeds import damaged
from safetensors.numpy import load_file

from npgradcam.errors import ModelFormatError
from npgradcam.formats import read_npz, read_safetensors

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
