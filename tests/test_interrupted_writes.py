"""A full disk, a rename that fails, or Ctrl-C in the middle of a write: one sentence, and nothing half done is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_nets import gap_net, pictures

import npgradcam as ng
from npgradcam import maps
from npgradcam.cli import main
from npgradcam.errors import NotWrittenError
from npgradcam.formats import write_npz
from npgradcam.methods.explanation import write_npy
from npgradcam.study import trace, write_page
from npgradcam.writing import whole_file

posix = pytest.mark.skipif(os.name == "nt", reason="limits, devices and signals are POSIX")
ROOT = Path(ng.__file__).parents[1]
REFUSED = r"cannot write .*file.npz: (File too large|9000 requested and \d+ written); make room"
SMALL = ("--model", "shapes", "--backend", "numpy")


@cache
def traced() -> Any:
    return trace(gap_net(), pictures(1, 40, 50), [0, 1], "relu2")


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)


# Everything that writes a file: each makes more than 8 kB.
WRITERS: dict[str, Callable[[Path], object]] = {
    "picture": lambda path: maps.save_png(path, noise(70)),
    "array": lambda path: write_npy(path, np.ones(9000)),
    "arrays": lambda path: write_npz(path, {"one": np.ones(9000), "other": np.ones(9000)}),
    "trace": lambda path: traced().save(path),
    "page": lambda path: write_page(path, traced()),
    "model": lambda path: ng.save(ng.load("shapes"), path),
}


def old(folder: Path) -> Path:
    """A file of an earlier run."""
    path = folder / "file.npz"
    path.write_text("as it was")
    return path


def expect_as_it_was(path: Path) -> None:
    assert path.read_text() == "as it was"
    assert list(path.parent.iterdir()) == [path]


# ------------------------------------------------------------------------------------------- a disk that is full


@posix
@pytest.mark.parametrize("name", WRITERS)
def test_where_no_more_can_be_written_the_old_file_stays(name: str, tmp_path: Path) -> None:
    """The system refuses every byte beyond the first 4096 of a file, as a full disk does."""
    import resource

    WRITERS[name](tmp_path / "file.npz")  # kernels are compiled and kept while there is room
    path, (soft, hard) = old(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(NotWrittenError, match=REFUSED) as caught:
            WRITERS[name](path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    expect_as_it_was(path)
    WRITERS[name](path)
    assert path.stat().st_size > 8192


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_is_full_keeps_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", disk], check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        photographs = [tmp_path / "small.png", tmp_path / "large.png", tmp_path / "never.png"]
        for path, side in zip(photographs, (40, 900, 40), strict=True):
            Image.fromarray(noise(side)).save(path)
        assert main(["explain", *map(str, photographs), *SMALL, "--method", "cam", "--out", str(disk / "out")]) == 2
        err = capsys.readouterr().err.splitlines()
        assert err[-1].startswith(f"npgradcam: error: cannot write {disk}/out/large: No space left on device; make")
        assert [path.name for path in (disk / "out").iterdir()] == ["small"]
        assert (disk / "out" / "small" / "manifest.json").exists()
        with pytest.raises(NotWrittenError, match="No space left on device"):
            write_npz(disk / "large.npz", {"x": np.ones(10**6)})
        assert [path.name for path in disk.iterdir()] == ["out"]
    finally:
        subprocess.run(["umount", disk], check=True)


@posix
def test_a_device_is_not_replaced_and_a_full_one_for_results_is_a_sentence(tmp_path: Path) -> None:
    for place in (Path(os.devnull), tmp_path):
        with pytest.raises(NotWrittenError, match="something else than a file"), whole_file(place):
            pass
    if not Path("/dev/full").is_char_device():
        return
    said = "npgradcam: error: No space left on device; make room where the output goes, and the compiled kernels\n"
    for command in (["layers", *SMALL], ["--help"], ["explain", "--help"], ["--version"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([sys.executable, "-m", "npgradcam", *command], stdout=full, text=True,
                                  stderr=subprocess.PIPE, cwd=ROOT, check=False)
        assert (done.returncode, done.stderr) == (2, said)


# ------------------------------------------------------------------------------------------- the last step, and Ctrl-C


@pytest.mark.parametrize("error", [PermissionError(1, "Operation not permitted"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", WRITERS)
def test_a_rename_that_fails_leaves_the_old_file(name: str, error: BaseException, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    path = old(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        patch.setattr(os, "rename", fail)
        expected = NotWrittenError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected):
            WRITERS[name](path)
    expect_as_it_was(path)


# The real signal, sent when the second half of a file is about to be written, and again while what there is of it is
# being taken away: people press Ctrl-C twice.
INTERRUPTED = """
import os, shutil, signal, sys
from pathlib import Path
from npgradcam.cli import main
wait, opened, count = int(sys.argv[1]), Path.open, 0

def open_and_interrupt(path, *mode, **more):
    global count
    file = opened(path, *mode, **more)
    if not path.name.endswith(".part"):
        return file
    count += 1
    if count == wait:
        write = file.write
        class Half:
            def __enter__(self): return self
            def __exit__(self, *error): file.close()
            def __getattr__(self, name): return getattr(file, name)
            def write(self, data):
                write(bytes(data)[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGINT)
                return write(bytes(data)[len(data) // 2 :])
        return Half()
    return file

def impatiently(remove):
    def removed(*args, **more):
        if count >= wait:
            os.kill(os.getpid(), signal.SIGINT)
        return remove(*args, **more)
    return removed

Path.open = open_and_interrupt
Path.unlink, shutil.rmtree = impatiently(Path.unlink), impatiently(shutil.rmtree)
del sys.argv[1]
sys.exit(main())
"""


def interrupted(at: int, *command: object) -> None:
    """Run a command, press Ctrl-C in the middle of its file number `at`, and again."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, str(at), *map(str, command)], capture_output=True,
                          text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert done.stderr.splitlines()[-1] == "npgradcam: error: interrupted; nothing was left half done"
    assert "Traceback" not in done.stderr


@posix
@pytest.mark.parametrize(("name", "option"), [("page.html", "--out"), ("arrays.npz", "--npz")])
def test_ctrl_c_in_the_middle_of_a_study_leaves_the_old_file(name: str, option: str, tmp_path: Path) -> None:
    path = tmp_path / name
    assert main(["study", "--sample", "two_shapes", *SMALL, option, str(path), "--quiet"]) == 0
    before = path.read_bytes()
    interrupted(1, "study", "--sample", "two_shapes", *SMALL, option, path, "--overwrite")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.parametrize("at", [1, 4, 6])
def test_ctrl_c_in_the_middle_of_many_keeps_whole_folders_only(at: int, tmp_path: Path) -> None:
    """Four files a photograph: the first of the first, the last of the first, the second of the second."""
    for name in "abc":
        Image.fromarray(noise(40)).save(tmp_path / f"{name}.png")
    out = tmp_path / "out"
    interrupted(at, "explain", *(tmp_path / f"{name}.png" for name in "abc"), *SMALL, "--method", "cam", "--out", out)
    whole = ["a"] if at > 4 else []
    assert (sorted(path.name for path in out.iterdir()) if out.exists() else []) == whole
    for folder in whole:
        assert {path.name for path in (out / folder).iterdir()} >= {"manifest.json", "grid.png", "input.png"}


@posix
def test_ctrl_c_in_the_middle_of_the_reference_pack_leaves_no_folder(tmp_path: Path) -> None:
    interrupted(3, "reference", tmp_path / "deep" / "pack")
    assert list(tmp_path.iterdir()) == []


INTERRUPTION = "npgradcam: error: interrupted; nothing was left half done\n"
BEGUN = """
import sys
from npgradcam.cli import main
print("begun", flush=True)
sys.exit(main())
"""

# Moments at which an exception would be lost, or would leave a lock taken that a thread waits for.
MOMENTS = {
    "in a lock that is being taken": """
import os, signal, sys, threading
enter = threading.Condition.__enter__
def taken(self):
    entered = enter(self)
    if sys._getframe(1).f_code.co_name == "result" and threading.current_thread() is threading.main_thread():
        os.kill(os.getpid(), signal.SIGINT)
    return entered
threading.Condition.__enter__ = taken
""",
    "in a destructor": """
import os, signal
from npgradcam.cli import pictures
class Gone:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
draw = pictures.draw_grid
def drawn(*arguments):
    Gone()
    return draw(*arguments)
pictures.draw_grid = drawn
""",
    "in an import": """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "npgradcam.cli.every_method":
            try:
                os.kill(os.getpid(), signal.SIGINT)
                len("")
            except KeyboardInterrupt:
                raise ImportError("as extensions do")
sys.meta_path.insert(0, Finder())
""",
    "before the new folder is there": """
import os, signal
from pathlib import Path
rename = Path.rename
def renamed(path, place):
    moved = rename(path, place)
    if str(place).endswith(".old"):
        os.kill(os.getpid(), signal.SIGINT)
    return moved
Path.rename = renamed
""",
    "before the old folder is gone": """
import os, shutil, signal
remove = shutil.rmtree
def removed(path, **more):
    if str(path).endswith(".old"):
        os.kill(os.getpid(), signal.SIGINT)
    remove(path, **more)
shutil.rmtree = removed
""",
}


@posix
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_at_an_awkward_moment_ends_it_at_once(moment: str, tmp_path: Path) -> None:
    """The folder of an earlier run is there as it was, or, where the new one was whole already, the new one is."""
    Image.fromarray(noise(40)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    command = ["explain", str(tmp_path / "a.png"), *SMALL, "--out", str(out), "--overwrite", "--method"]
    assert main([*command, "cam"]) == 0
    before = {path.name: path.read_bytes() for path in (out / "a").iterdir()}
    done = subprocess.run([sys.executable, "-c", MOMENTS[moment] + BEGUN, *command, "grad-cam"], capture_output=True,
                          text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "begun\n", INTERRUPTION)
    assert [path.name for path in out.iterdir()] == ["a"]
    after = {path.name: path.read_bytes() for path in (out / "a").iterdir()}
    assert after.keys() >= {"manifest.json", "grid.png", "input.png"}
    assert (after == before) == (moment != "before the old folder is gone")


def begin(out: Path, photographs: list[Path]) -> subprocess.Popen[str]:
    """Start explaining, as a process of its own; return it when Ctrl-C is heard."""
    command = [sys.executable, "-c", BEGUN, "explain", *photographs, *SMALL, "--method", "cam", "--out", out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@posix
def test_ctrl_c_three_times_at_any_moment_is_one_sentence(tmp_path: Path) -> None:
    """Also once everything is tidied up, or done, and the interpreter is on its way out."""
    photographs = [tmp_path / f"{n}.png" for n in range(12)]
    for path in photographs:
        Image.fromarray(noise(40)).save(path)
    start = monotonic()
    begin(tmp_path / "whole", photographs).communicate(timeout=300)
    whole, random = monotonic() - start, np.random.default_rng(0)
    for n, moment in enumerate(random.uniform(0.02, 1.02, 10)):
        out = tmp_path / str(n)
        process = begin(out, photographs)
        sleep(moment * whole)
        for pause in random.choice([0.0, 0.002, 0.02], 3):
            process.send_signal(signal.SIGINT)
            sleep(pause)
        err = process.communicate(timeout=300)[1]
        there = list(out.iterdir()) if out.exists() else []
        if process.returncode == 0:
            assert (err, len(there)) == ("", len(photographs))
        else:
            assert (process.returncode, err) == (128 + signal.SIGINT, INTERRUPTION)
        assert all((folder / "manifest.json").exists() and folder.name[0] != "." for folder in there)


@posix
def test_ctrl_c_at_the_very_end_changes_nothing(tmp_path: Path) -> None:
    """From the end of the command on until the process is gone, as often as one likes."""
    script = BEGUN.replace("print(", "from npgradcam import cli; cli._command = lambda options: print(")
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", script, "models"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            sleep(0.0005)
        err = process.communicate()[1]
        assert (process.returncode, err) in ((0, ""), (130, INTERRUPTION))
