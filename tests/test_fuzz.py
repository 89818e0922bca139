"""No file makes the package crash, wait, fill the memory, open or run anything: it is read, or refused in a sentence.

`tests/fuzz.py` does the work, in processes of its own. With NPGRADCAM_SLOW=1 it does five times as much.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
pytest.importorskip("safetensors", reason="needs the extra: pip install 'npgradcam[safetensors]'")

from fuzzing.seeds import SOURCES, seeds
from hostile import CORPUS

HERE = Path(__file__).parent
TIMES = 5 if os.environ.get("NPGRADCAM_SLOW") else 1
COUNTS = dict.fromkeys(SOURCES, 20_000) | {"picture": 5_000, "compiled": 1_000}
LEAST = {"zip": 42, "stream": 30, "onnx": 40, "safetensors": 18, "npz": 10, "picture": 15}  # files of the corpus


def fuzz(*arguments: str, folder: Path) -> str:
    """Run the command with one process at work, and return what it printed; fail with that where it found anything."""
    command = [sys.executable, str(HERE / "fuzz.py"), *arguments, "--workers", "1", "--save", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return done.stdout


def counted(word: str, line: str) -> int:
    return int(re.search(rf"([\d,]+) {word}", line).group(1).replace(",", ""))


@cache
def harmful() -> dict[str, str]:
    """What is printed of the corpus, by kind."""
    with tempfile.TemporaryDirectory() as folder:
        lines = fuzz("--hostile", "--count", "0", folder=Path(folder)).splitlines()
    return {line.partition(" ")[0]: line for line in lines}


@pytest.mark.parametrize("kind", CORPUS)
def test_files_written_to_harm_are_refused_for_the_right_reason(kind):
    assert counted("inputs", harmful()[kind]) == len(CORPUS[kind]) >= LEAST.get(kind, 1)


@pytest.mark.parametrize("kind", COUNTS)
def test_damaged_files_are_read_or_refused(kind, tmp_path):
    """And every beginning of the five smallest valid files."""
    assert len({seed.data for seed in seeds(kind)}) >= 12
    cut, line = fuzz("--kind", kind, "--cut", "--count", str(TIMES * COUNTS[kind]), folder=tmp_path).splitlines()
    assert counted("inputs", line) == TIMES * COUNTS[kind]
    assert counted("inputs", cut) > 500
    # some damage only changes numbers: the others are not refused for a trivial reason
    assert counted("read", line) + counted("read and explained", line) > counted("inputs", line) // 50


NAUGHTY = {
    "it touched": "open('/etc/hostname').read()", "/../../../etc": "opened(f'{path.parent}/../../../etc/hostname')",
    "/link": "opened(f'{path.parent}/link')", "beside": "opened(f'{path.parent}beside')", "../up": "opened('../up')",
    "open ": "open(path, 'ab')",
    "socket.": "__import__('socket').socket()", "compile": "eval(compile('1', 'file', 'eval'))",
    "pickle.find_class": "pickle.loads(pickle.dumps(Path('a')))", "import ": "__import__('colorsys')",
    "os.system": "os.system('true')", "subprocess": "subprocess.run(['true'])", "KeyError": "{}['a']",
    "RecursionError": "again(again)", "MemoryError": "bytearray(2**31)", "took too long": "[0 for _ in iter(int, 1)]",
    "SIGSEGV": "os.kill(os.getpid(), 11)", "exit code 3": "os._exit(3)", "characters": "fail('no')",
    "control characters": "fail('a' * 30 + chr(27))", "RuntimeWarning": "np.float32(1e38) * 99", "read": "0",
}
COMPILING = {word: NAUGHTY[word] for word in ("socket.", "os.system", "subprocess", "KeyError", "exit code 3", "read")}
SCRIPT = """
import json, os, pickle, subprocess, sys
from contextlib import suppress
import numpy as np
from pathlib import Path
from fuzzing import doors, runs

class Bad(runs.NpGradcamError):
    def __init__(self, text):
        self.args = (text,)

def fail(text):
    raise Bad(text)

def opened(name):
    with suppress(FileNotFoundError):
        open(name).close()

def again(f):
    f(f)

def door(path):
    naughty[int(path.read_bytes())](path)
    return "read"

naughty = [eval(f"lambda path: {line}") for line in json.loads(sys.argv[1])]
kind = sys.argv[3]
doors.DOORS[kind] = (".npz", door)
folder = Path(sys.argv[2])
(folder / "link").symlink_to("/etc/hostname")
figures = runs.run(kind, lambda n: str(n).encode(), len(naughty), 1, folder=folder)
print(json.dumps([figures.read, sorted(figures.findings)]))
"""


@pytest.mark.parametrize(("kind", "naughty"), [("npz", NAUGHTY), ("compiled", COMPILING)])
def test_the_watch_sees_every_promise_that_is_broken(kind, naughty, tmp_path):
    """Each broken once; what comes before and after it is judged all the same. A compiler may do more."""
    environment = os.environ | {"PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"}
    command = [sys.executable, "-c", SCRIPT, json.dumps(list(naughty.values())), str(tmp_path), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    read, findings = json.loads(done.stdout)
    found = dict(findings)
    assert read == 1
    assert sorted(found) == list(range(len(naughty) - 1))
    assert [word for n, word in enumerate(naughty) if n in found and word not in found[n]] == []
