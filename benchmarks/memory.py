"""``python -m benchmarks.memory``: peak resident memory of one process, from its start to a few explanations."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from . import jobs
from .compare import make_files, say
from .competitor import ROOT, Competitor, Failed, Settings
from .jobs import OURS
from .machine import facts
from .networks import Files

NETWORKS = ("vgg16", "resnet50")
ROWS = (  # task, who, variant; what a careful user adds: parameters mapped from the file, and without gradients
    ("Grad-CAM", OURS, "default"),
    ("Grad-CAM", "expert's PyTorch", ""),
    ("Grad-CAM", "expert's PyTorch", "mapped"),
    ("guided backpropagation", OURS, "default"),
    ("guided backpropagation", "pytorch-grad-cam", ""),
    ("guided backpropagation", "pytorch-grad-cam", "frozen mapped"),
)


def peak(files: Files, task: str, who: str, variant: str) -> float:
    """Return MB; ours of a second run, in which nothing is compiled any more."""
    for _ in range(2 if who == OURS else 1):
        one = Competitor(files, task, jobs.find(files.name, task, who), Settings(patience=0))
        try:
            one.start(variant)
            one.turn()
        finally:
            one.stop()
    return one.peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(": ")[2])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"default: {', '.join(NETWORKS)}")
    parser.add_argument("--data", type=Path, default=ROOT / "benchmarks" / "data", help="where files are made")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name in options.networks or NETWORKS:
        files = make_files(options.data.resolve(), name)
        for task, who, variant in ROWS:
            try:
                mb = peak(files, task, who, variant)
            except Failed as reason:
                say(f"{name}, {task}, {who} {variant}: does not run: {reason}")
                continue
            say(f"{name}, {task}, {who} {variant}: {mb:.0f} MB")
            results.append({"network": name, "task": task, "who": who, "variant": variant, "peak_mb": mb})
    lines = [f"- {fact}" for fact in facts(Settings().threads)]
    lines += ["", "| | task | who | peak MB |", "|---|---|---|---|"]
    for one in results:
        variant = f" ({one['variant']})" if "mapped" in one["variant"] else ""
        lines.append(f"| {one['network']} | {one['task']} | {one['who']}{variant} | {one['peak_mb']:.0f} |")
    print("\n".join(lines))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
