"""Many inputs through one door, in forked processes that may die."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from warm import compile_all

from fuzzing.doors import DOORS, sentence
from fuzzing.guard import Guard
from npgradcam.errors import NpGradcamError

CHUNK = 1000  # inputs for each process
PATIENCE = 300  # seconds in which some input must be over, also on a busy machine that compiles
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


class Finding(NamedTuple):
    """Input number `n`, and what is wrong with what became of it."""

    n: int
    what: str


class Figures(NamedTuple):
    """What became of the inputs."""

    inputs: int
    refused: int
    read: int
    explained: int
    findings: list[Finding]


class Board:
    """A little memory that parent and child share: the input at work, and counts of outcomes."""

    WORDS = ("at", "refused", "read", "explained")

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 8 * len(self.WORDS))

    def __getitem__(self, word: str) -> int:
        return int(struct.unpack_from("q", self.memory, 8 * self.WORDS.index(word))[0])

    def __setitem__(self, word: str, value: int) -> None:
        struct.pack_into("q", self.memory, 8 * self.WORDS.index(word), value)


Make = Callable[[int], bytes]
Judge = Callable[[int, str, str], "str | None"]  # (n, outcome, message) -> what is wrong, or None


def run(kind: str, make: Make, count: int, workers: int, judge: Judge = lambda *_: None,
        folder: Path | None = None) -> Figures:
    """Put inputs 0 to count - 1 through the door of a kind, and return what became of them.

    `make` gives an input's bytes; `judge` may be stricter than the one rule: an input is read, or refused by an error
    of the package in one sentence. `folder` is where the inputs lie, for those that name what lies beside them.
    """
    todo = [(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)][::-1]
    findings: list[Finding] = []
    totals = dict.fromkeys(Board.WORDS[1:], 0)
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as own:
        place = folder or Path(own)
        active: dict[int, tuple[int, Board, Path, list[float]]] = {}
        while todo or active:
            while todo and len(active) < workers:
                start, stop = todo.pop()
                board, report = Board(), Path(own, f"report{start}")
                if not (pid := os.fork()):
                    _child(kind, make, range(start, stop), judge, board, report, place)
                active[pid] = stop, board, report, [start, time.monotonic()]
            time.sleep(0.005)
            for pid, (stop, board, report, last) in list(active.items()):
                done, status = os.waitpid(pid, os.WNOHANG)
                if not done:
                    if board["at"] != last[0]:
                        last[:] = board["at"], time.monotonic()
                    elif time.monotonic() - last[1] > PATIENCE:
                        os.kill(pid, signal.SIGKILL)
                    continue
                del active[pid]
                findings += _reported(report)
                for word in totals:
                    totals[word] += board[word]
                if status:
                    findings.append(Finding(board["at"], f"the process died: {_death(status)}"))
                    if board["at"] + 1 < stop:
                        todo.append((board["at"] + 1, stop))
    return Figures(count, *totals.values(), findings)


def _child(kind: str, make: Make, inputs: Sequence[int], judge: Judge, board: Board, report: Path,
           folder: Path) -> None:
    """Do the work of one process, and end it; what a library prints goes nowhere."""
    code = 1
    try:
        suffix, door = DOORS[kind]
        path = folder / f"{os.getpid()}{suffix}"
        if kind == "compiled":
            compile_all("float32")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        guard = Guard(folder, compiles=kind == "compiled")
        with report.open("w", encoding="utf-8") as file:
            for n in inputs:
                board["at"] = n
                path.write_bytes(make(n))
                outcome, message = verdict(guard, door, path)
                wrong = message if outcome == "wrong" else judge(n, outcome, message)
                if wrong:
                    file.write(f"{n} {wrong!a}\n")
                    file.flush()
                if outcome != "wrong":
                    board[outcome] += 1
        path.unlink()
        code = 0
    except BaseException as error:  # of the harness itself
        report.write_text(f"{board['at']} harness: {error!a} {traceback.format_tb(error.__traceback__)[-1:]}\n")
    finally:
        os._exit(code)


def verdict(guard: Guard, door: Callable[[Path], str], path: Path) -> tuple[str, str]:
    """Return ("read" or "explained", ""), ("refused", the sentence) or ("wrong", what happened)."""
    try:
        outcome, message = guard.watched(door, path), ""
    except NpGradcamError as error:
        try:
            outcome, message = "refused", sentence(error)
        except AssertionError as bad:
            return "wrong", f"{bad}: {str(error)[:300]!r}"
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
        return "wrong", f"{type(error).__name__}: {str(error)[:200]} at {where}"
    return ("wrong", f"it touched {guard.seen[:3]}") if guard.seen else (outcome, message)


def _reported(report: Path) -> Iterator[Finding]:
    if report.exists():
        for line in report.read_text(encoding="utf-8").splitlines():
            n, _, what = line.partition(" ")
            yield Finding(int(n), what)


def _death(status: int) -> str:
    number = os.waitstatus_to_exitcode(status)
    if number == -signal.SIGPROF:
        return "it took too long"
    return signal.Signals(-number).name if number < 0 else f"exit code {number}"
