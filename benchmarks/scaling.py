"""``python -m benchmarks.scaling --output FOLDER``: what more targets, more pixels and more images cost Grad-CAM.

Every point is a process of its own, so its peak memory is its own. A point beyond the limits says so and is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from .compare import make_files, say
from .competitor import ROOT
from .machine import facts
from .networks import LAYERS, Files
from .process import environment, limit_memory, peak_memory, real_time

NETWORKS = ("efficientnet_lite0", "resnet50")
AXES = {"targets": (1, 10, 100, 1000), "pixels": (112, 224, 448, 896), "images": (1, 8, 32, 128)}


def once(files: Files, axis: str, value: int, first: bool) -> dict[str, float]:
    """Explain in this process: median seconds of up to five calls after one untimed, and the peak memory in MB."""
    import npgradcam as ng

    from . import ours
    from .making import picture

    net = ours.network(files)
    x = picture(value if axis == "pixels" else 224, value if axis == "images" else 1)
    target = [list(range(value))] if axis == "targets" else 0

    def explain() -> None:
        ng.grad_cam(net, x, target=target, layer=LAYERS[files.name])

    explain()
    times: list[float] = []
    with real_time(first):
        while not times or (len(times) < 5 and sum(times) < 5):
            start = time.perf_counter()
            explain()
            times.append(time.perf_counter() - start)
    return {"seconds": median(times), "peak_mb": peak_memory()}


def point(files: Files, axis: str, value: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return one point, measured in a process of its own, or with ``skipped``: why there is none."""
    about = {"network": files.name, "axis": axis, "value": value}
    arguments = [files.name, "--data", str(files.folder), "--most-gb", str(options.most_gb), "--once", axis, str(value)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scaling", *arguments, *(["--first"] if options.first else [])],
            cwd=ROOT, env=environment(options.threads), timeout=options.most_seconds, capture_output=True, text=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return about | {"skipped": f"more than {options.most_seconds:.0f} s"}
    if done.returncode:
        last = (done.stderr.splitlines() or [f"code {done.returncode}"])[-1]
        return about | {"skipped": f"more than {options.most_gb:.0f} GB" if "Memory" in last else last}
    return about | json.loads(done.stdout)


def line(names: list[str], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return every point, network by network; what follows a point that was skipped is skipped too."""
    points: list[dict[str, Any]] = []
    for name in names:
        files = make_files(options.data, name)
        for axis, values in AXES.items():
            for value in values:
                before = points[-1] if points and value != values[0] else {}
                skipped = {"network": name, "axis": axis, "value": value, "skipped": before.get("skipped")}
                points.append(skipped if "skipped" in before else point(files, axis, value, options))
                say(", ".join(f"{key} {value}" for key, value in points[-1].items()))
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(": ")[2].partition("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"default: {', '.join(NETWORKS)}")
    parser.add_argument("--output", type=Path, help="where scaling.json and the plots are written")
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--most-seconds", type=float, default=90, help="for a point, start included (default 90)")
    parser.add_argument("--most-gb", type=float, default=12, help="memory for a point (default 12)")
    parser.add_argument("--first", action="store_true", help="real-time priority: a busy Linux, as root")
    parser.add_argument("--data", type=lambda text: Path(text).resolve(), default=ROOT / "benchmarks" / "data")
    parser.add_argument("--once", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        axis, value = options.once
        limit_memory(options.most_gb)
        print(json.dumps(once(Files(options.data, options.networks[0]), axis, int(value), options.first)))
        return
    if not options.output:
        parser.error("--output: expected a folder for scaling.json and the plots")
    from .plots import draw

    options.output.mkdir(parents=True, exist_ok=True)
    points = line(options.networks or list(NETWORKS), options)
    about = {"facts": facts(options.threads, options.first), "points": points}
    (options.output / "scaling.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    for axis in AXES:
        draw([each for each in points if each["axis"] == axis], options.output / f"scaling_{axis}.png")


if __name__ == "__main__":
    main()
