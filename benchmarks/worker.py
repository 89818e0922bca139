"""One competitor in a process of its own: ``python -m benchmarks.worker NETWORK FOLDER TASK WHO VARIANT``.

It reads one JSON request a line and answers in one line. It sleeps while it reads: no two competitors ever work at
once, and none shares a process, and its thread pools, with another.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from . import peers
from .networks import Files


def peak_memory() -> float:
    """Return this process's peak resident memory in MB since it was started."""
    try:
        text = Path("/proc/self/status").read_text()
        return int(text.split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


@contextmanager
def real_time(wanted: bool) -> Iterator[None]:
    """Let every thread of this process go before all ordinary processes; Linux, and root or the right to do so."""
    if not wanted:
        yield
        return
    _schedule(os.SCHED_RR, 1)
    try:
        yield
    finally:
        _schedule(os.SCHED_OTHER, 0)


def _schedule(policy: int, priority: int) -> None:
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it ended meanwhile
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(priority))


def turn(run: peers.Run, seconds: float) -> list[float]:
    """Call once untimed, to bring the weights back into the caches, then time calls for ``seconds``, at least three."""
    run()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < 50):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def serve(files: Files, job: peers.Job, variant: str, requests: Any, answers: Any) -> None:
    """Answer requests until the parent closes the pipe."""
    run, check = job.make(files, variant)

    def answer(what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    answer("ready")
    for line in requests:
        request = json.loads(line)
        if request["do"] == "check":
            np.savez(request["path"], **check())
            answer("saved")
        else:
            with real_time(request["first"]):
                times = turn(run, request["seconds"])
            answer({"seconds": times, "peak": peak_memory()})


def main() -> None:
    network, folder, task, who, variant = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not enter the conversation
    job = next(j for j in peers.jobs(network)[task] if j.who == who)
    serve(Files(Path(folder), network), job, variant, sys.stdin, answers)


if __name__ == "__main__":
    main()
