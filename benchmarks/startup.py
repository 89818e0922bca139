"""``python -m benchmarks.startup``: seconds from the shell, interpreter included: imports, and first explanations."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from .compare import say
from .competitor import ROOT
from .machine import facts
from .process import environment
from .table import spread

EXPLAIN = ["-m", "npgradcam", "explain", "--sample", "chelsea", "--model", "efficientnet_lite0", "--overwrite"]
IMPORTS = (  # names are imported when they are used
    "import numpy",
    "import numpy, npgradcam",
    "import numpy, npgradcam; npgradcam.load; npgradcam.grad_cam",
)


def seconds(arguments: list[str], settings: dict[str, str]) -> float:
    """Return the wall time of one Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=settings, check=True, capture_output=True)
    return time.perf_counter() - start


def measure(rounds: int, threads: int) -> dict[str, list[float]]:
    """Return seconds by what was run; a cold first run is one with an empty cache of compiled code."""
    times: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        warm = environment(threads) | {"NUMBA_CACHE_DIR": str(Path(folder) / "warm")}
        one, all_methods = ([*EXPLAIN, "--method", m, "--out", str(Path(folder) / m)] for m in ("grad-cam", "all"))
        seconds(all_methods, warm)  # compiles
        for number in range(rounds):
            for _ in range(5):
                for what in IMPORTS:
                    times[what].append(seconds(["-c", what], warm))
            cold = warm | {"NUMBA_CACHE_DIR": str(Path(folder) / str(number))}
            times["Grad-CAM of EfficientNet-Lite0, warm cache"].append(seconds(one, warm))
            times["all methods, warm cache"].append(seconds(all_methods, warm))
            times["Grad-CAM of EfficientNet-Lite0, cold cache"].append(seconds(one, cold))
            say(f"round {number + 1} of {rounds}: " + ", ".join(f"{each[-1]:.2f}" for each in times.values()))
    base, *others = IMPORTS
    over = {f"{what}, over {base}": [a - b for a, b in zip(times[what], times[base], strict=True)] for what in others}
    return over | times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(": ")[2])
    parser.add_argument("--rounds", type=int, default=5, help="how often, one after the other (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--json", type=Path, help="write every single time here")
    options = parser.parse_args()
    times = measure(options.rounds, options.threads)
    lines = [*(f"- {fact}" for fact in facts(options.threads)), "", "| | seconds: median (min..max) |", "|---|---|"]
    print("\n".join(lines + [f"| {what} | {spread(each)} |" for what, each in times.items()]))
    if options.json:
        options.json.write_text(json.dumps(times, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
