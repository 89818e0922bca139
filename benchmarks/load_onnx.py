"""How long an ONNX file takes to become a network, and how much memory: python -m benchmarks.load_onnx model.onnx.

Everything is imported first. Memory is what the process's peak grows by, in multiples of the weights.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter


def once(path: str) -> None:
    """Load in this process and print seconds, megabytes and megabytes of weights."""
    import numba  # noqa: F401
    import onnx.inliner  # noqa: F401
    import scipy.linalg  # noqa: F401

    import npgradcam.models  # noqa: F401
    from npgradcam.formats.onnx import load_onnx

    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    start = perf_counter()
    network, _ = load_onnx(path)
    seconds = perf_counter() - start
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    weights = sum(array.nbytes for node in network.nodes for array in node.layer.arrays.values())
    print(seconds, peak / 1e6, weights / 1e6)


def main() -> None:
    path = sys.argv[1]
    if "--once" in sys.argv:
        once(path)
        return
    runs = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-m", "benchmarks.load_onnx", path, "--once"], capture_output=True,
                              text=True, check=True)
        runs.append(tuple(map(float, done.stdout.split())))
    seconds, peak, weights = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"{path}: {seconds:.2f} s, peak {peak:.0f} MB for {weights:.0f} MB of weights ({peak / weights:.2f} times)")


if __name__ == "__main__":
    main()
