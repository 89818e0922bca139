"""No file makes the reader run, open or import anything: it is read, or refused for the right reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoint_files import FOUR, HOSTILE, both, dictionary, number, streamed, tensor
from zip_files import BAD_ZIPS

from npgradcam.errors import ModelFormatError
from npgradcam.formats import read_checkpoint

DATA = Path(__file__).parent / "data" / "checkpoints"
ROOT = str(Path(__file__).parent.parent)


def read(folder: Path, data: bytes) -> dict[str, np.ndarray]:
    path = folder / "model.pth"
    path.write_bytes(data)
    return read_checkpoint(path)


def refused(folder: Path, data: bytes, match: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        read(folder, data)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'model.pth'}: ")
    assert match in message
    assert "\n" not in message
    assert len(message) < len(str(folder)) + 400


@pytest.mark.parametrize(
    ("reason", "body"),
    [
        pytest.param(reason, body, id=f"{reason}: {name}")
        for reason, group in HOSTILE.items()
        for name, body in group.items()
    ],
)
def test_hostile_pickles_are_refused_for_the_right_reason(tmp_path, reason, body):
    for data in both(body).values():
        refused(tmp_path, data, reason)


GOOD = both(dictionary({"w": tensor()}))


@pytest.mark.parametrize("name", BAD_ZIPS)
def test_bad_zip_files_are_refused_for_the_right_reason(tmp_path, name):
    reason, data = BAD_ZIPS[name]
    refused(tmp_path, data, reason)


def test_bad_streams_are_refused_for_the_right_reason(tmp_path):
    body, good = dictionary({"w": tensor()}), GOOD["stream"]
    assert list(read(tmp_path, good)) == ["w"]
    refused(tmp_path, good + b"\0", "up to byte")
    refused(tmp_path, streamed(body, {}, {}), "up to byte")
    refused(tmp_path, streamed(body, {"0": FOUR}, {"0": 5}), "should have 4 numbers and has 5")
    refused(tmp_path, streamed(body, {"0": FOUR}, {"0": -4}), "should have 4 numbers and has -4")
    refused(tmp_path, streamed(body, {"0": FOUR, "1": FOUR}, {"0": 4, "1": 4}), "does not match")
    refused(tmp_path, good.replace(b"](X\1\0\0\0" + b"0e", b"](" + (b"X\1\0\0\0" + b"0") * 2 + b"e"), "does not match")
    refused(tmp_path, good.replace(b"](X\1\0\0\0" + b"0e", b"]]a"), "does not match")
    refused(tmp_path, good.replace(b"](X\1\0\0\0" + b"0e", b"}"), "list of storage keys")
    refused(tmp_path, good.replace(b"little_endian\x88", b"little_endian\x89"), "little-endian")
    refused(tmp_path, good.replace(number(1001), number(1002), 1), "protocol 1001")
    refused(tmp_path, b"\x80\x02}.", "another pickle")
