"""The parent's end of one worker: start it, check its numbers against float64, give it a turn, stop it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import jobs
from .machine import Load
from .networks import Files
from .process import environment

ROOT = Path(__file__).resolve().parent.parent
LARGEST_ERROR = 1e-3  # of the map before its ReLU: largest difference over the largest magnitude
LEAST_COSINE = 0.999  # for signals at the input: a few near-ties of a rectifier flip in any float32 code


class Failed(Exception):
    """A competitor that could not run, in one line."""


@dataclass(frozen=True)
class Settings:
    threads: int = 2
    seconds: float = 0.4
    pause: float = 0.3
    quiet: float = 0.25  # cores that others may use
    patience: float = 5.0
    first: bool = False  # whose turn it is goes before all other processes


@dataclass
class Competitor:
    """A worker process and what has been learned about it."""

    files: Files
    task: str
    job: jobs.Job
    settings: Settings
    variant: str = ""
    error: str = ""
    wrong: bool = False
    peak: float = 0.0
    rounds: list[list[float]] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    process: Any = None
    log: Any = None

    def start(self, variant: str) -> None:
        """Start the worker and wait until its network is loaded."""
        self.variant, self.log = variant, tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `stop`
        settings = environment(self.settings.threads) | {"TORCHINDUCTOR_CACHE_DIR": str(self.files.folder / "inductor")}
        arguments = [self.files.name, str(self.files.folder), self.task, self.job.who, variant]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", *arguments], cwd=ROOT, env=settings,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip
        self._answer()

    def ask(self, **request: Any) -> Any:
        with suppress(BrokenPipeError):  # `_answer` finds out why
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.log.seek(0)
        last = [text for text in self.log.read().splitlines() if text.strip()][-1:]
        raise Failed(last[0] if last else f"worker ended with code {self.process.returncode}")

    def check(self, answers: dict[str, Any]) -> None:
        """Compare one result with the float64 answers; set `error`, and `wrong` beyond the tolerances."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "result.npz"
            self.ask(do="check", path=str(path))
            with np.load(path) as data:
                results = {key: data[key] for key in data.files}
        words, largest = [], {"logits": self.job.logits, "cam": LARGEST_ERROR}
        for key, got in results.items():
            want = jobs.expected(answers, key, self.job.note)
            if got.shape != want.shape:
                self.wrong = True
                words.append(f"{key} {got.shape} instead of {want.shape}")
                continue
            off = float(np.abs(got - want).max() / np.abs(want).max())
            cosine = float((got * want).sum() / np.sqrt((got.astype(float) ** 2).sum() * (want**2).sum()))
            right = off <= largest[key] if key in largest else cosine >= LEAST_COSINE
            self.wrong |= not right
            words.append(f"{key} {off:.0e}" + ("" if key in largest else f", 1 - cosine {abs(1 - cosine):.0e}"))
        self.error = "; ".join(words)

    def turn(self) -> tuple[list[float], float]:
        """Return the times of one turn and the cores that others used: the quietest turn that patience allows."""
        best: tuple[list[float], float] = ([], float("inf"))
        end = time.monotonic() + self.settings.patience
        while best[1] > self.settings.quiet and (not best[0] or time.monotonic() < end):
            self._wait_for_quiet(end)
            load = Load(self.process.pid)
            answer = self.ask(do="turn", seconds=self.settings.seconds, first=self.settings.first)
            self.peak = max(self.peak, answer["peak"])
            best = min(best, (answer["seconds"], load.others()), key=lambda pair: pair[1])
        return best

    def play(self) -> None:
        """Take one turn of a round and keep its times; whose process ends is out, and the others go on."""
        if self.process is None:
            return
        try:
            times, others = self.turn()
        except Failed as reason:
            self.error, self.rounds, self.others = str(reason), [], []
            self.stop()
            return
        self.rounds.append(times)
        self.others.append(others)

    def quiet_rounds(self) -> list[int]:
        """Return the rounds in which nobody else used the machine; all of them if fewer than three were quiet."""
        quiet = [i for i, cores in enumerate(self.others) if cores <= self.settings.quiet]
        return quiet if len(quiet) >= 3 else list(range(len(self.others)))

    def _wait_for_quiet(self, end: float) -> None:
        """Sleep for a pause, thread pools fall asleep in it, and on until the machine is quiet or `end` is past."""
        while True:
            load = Load(self.process.pid)
            time.sleep(self.settings.pause)
            if self.settings.first or load.others() <= self.settings.quiet or time.monotonic() > end:
                return

    def stop(self) -> None:
        """End the worker by closing its pipe."""
        if self.process is None:
            return
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()
        self.process = None
