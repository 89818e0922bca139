"""No file makes the reader run, open or import anything: it is read, or refused for the right reason."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
from checkpoint_files import FOUR, HOSTILE, both, dictionary, number, streamed, tensor, zipped

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


def settled(folder: Path, data: bytes) -> bool:
    """Read, and say whether it was read; any exception but ModelFormatError passes through and fails the test."""
    try:
        arrays = read(folder, data)
    except ModelFormatError:
        return False
    assert all(type(array) is np.ndarray and array.flags.c_contiguous for array in arrays.values())
    return True


@pytest.mark.parametrize("kind", ["zip", "stream"])
def test_no_part_of_a_file_is_taken_for_the_whole(tmp_path, kind):
    assert not any(settled(tmp_path, GOOD[kind][:length]) for length in range(len(GOOD[kind])))


def mutated(data: bytes, chance: random.Random) -> bytes:
    copy = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        at = chance.randrange(len(copy))
        match chance.randrange(5):
            case 0:
                copy[at] ^= 1 << chance.randrange(8)
            case 1:
                copy[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, ord("."), ord("R"), ord("b"), ord("("), ord("t")))
            case 2:
                copy[at : at + 4] = chance.choice((2**31, 2**32 - 1, 0, len(copy))).to_bytes(4, "little")
            case 3:
                del copy[at : at + chance.randrange(1, 9)]
            case 4:
                start = chance.randrange(len(copy))
                copy[at:at] = copy[start : start + chance.randrange(1, 40)]
        copy = copy or bytearray(b"\0")
    return bytes(copy)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_are_read_or_refused(tmp_path, seed):
    chance = random.Random(seed)  # noqa: S311
    stream, archive = (DATA / "wrapper.stream.pth").read_bytes(), (DATA / "wrapper.zip.pth").read_bytes()
    body = dictionary({"w": tensor(), "v": dictionary({"b": tensor()})})
    read_whole = 0
    for _ in range(250):
        read_whole += settled(tmp_path, mutated(archive, chance))
        read_whole += settled(tmp_path, mutated(stream, chance))
        for data in both(mutated(body, chance)).values():  # past the zip file's checksum, into the machine
            read_whole += settled(tmp_path, data)
    assert read_whole > 20  # some mutations only change numbers or names: the others did not fail for a trivial reason


def test_reading_hostile_files_opens_and_runs_nothing(tmp_path):
    """Every hostile file once more, in a process that may use 1 GiB and records all that Python lets a hook see."""
    bodies = [body for group in HOSTILE.values() for body in group.values()]
    files = [data for body in bodies for data in both(body).values()] + [data for _, data in BAD_ZIPS.values()]
    for index, data in enumerate(files):
        (tmp_path / f"{index:04}.pth").write_bytes(data)
    script = """
        import resource, sys
        from pathlib import Path
        from npgradcam.errors import ModelFormatError
        from npgradcam.formats import read_checkpoint
        files = sorted(Path(sys.argv[1]).iterdir())
        read_checkpoint(sys.argv[2])  # so that what is imported late by the libraries themselves is there
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        seen = []
        sys.addaudithook(lambda event, arguments: seen.append((event, arguments[:2])))
        refused = 0
        for path in files:
            try:
                read_checkpoint(path)
            except ModelFormatError:
                refused += 1
        paths = [arguments[0] for event, arguments in seen if event == "open"]
        opened = {str(path) for path in paths if type(path) is not int}  # an integer: what is open already
        events = {event for event, _ in seen} - {"open"}
        print(refused, len(opened), sorted(opened - set(map(str, files))), sorted(events))
    """
    run = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), str(DATA / "state.zip.pth")]
    done = subprocess.run(
        run, capture_output=True, text=True, timeout=60, env={"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ROOT}
    )
    assert done.stderr == ""
    assert done.stdout == f"{len(files)} {len(files)} [] []\n"  # the hook saw each file, and nothing else
    assert not Path("/tmp/npgradcam-was-here").exists()  # noqa: S108
