"""One competitor in a process of its own: ``python -m benchmarks.worker NETWORK FOLDER TASK WHO VARIANT``.

It reads one JSON request a line and answers in one line. It sleeps while it reads: no two competitors ever work at
once, and none shares a process, and its thread pools, with another.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import jobs
from .networks import Files
from .process import peak_memory, real_time
from .runtimes import Run


def turn(run: Run, seconds: float) -> list[float]:
    """Call once untimed, to bring the weights back into the caches, then time calls for ``seconds``, at least three."""
    run()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < 50):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def serve(files: Files, job: jobs.Job, variant: str, requests: Any, answers: Any) -> None:
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
    serve(Files(Path(folder), network), jobs.find(network, task, who), variant, sys.stdin, answers)


if __name__ == "__main__":
    main()
