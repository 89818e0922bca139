"""``python -m benchmarks.throughput``: 32 images at once, our Grad-CAM against onnxruntime's forward alone."""

from __future__ import annotations

import sys
from statistics import median

from .compare import compare, publish, settings_of, settings_parser
from .competitor import Competitor
from .jobs import BATCH, OURS, THROUGHPUT
from .machine import facts
from .table import find, milliseconds, ratios, spread

NETWORKS = ("vgg16", "resnet50", "mobilenet_v2", "efficientnet_lite0")


def rate(one: Competitor | None) -> str:
    """Return images per second, and why there are none."""
    if one is None or not one.rounds:
        return "-" if one is None else f"does not run: {one.error}"
    return f"{BATCH / median(milliseconds(one)[i] for i in one.quiet_rounds()) * 1e3:.1f} ({one.peak:.0f} MB)"


def page(results: list[Competitor], about: list[str], rounds: int) -> str:
    """Return the table: one row a network."""
    lines = [
        *(f"- {fact}" for fact in about),
        f"- {BATCH} images of 3 x 224 x 224, float32; {rounds} interleaved rounds, one process each",
        "",
        "| | npgradcam, Grad-CAM: images/s (peak memory) | onnxruntime, forward: images/s (peak memory) "
        "| npgradcam's images/s over onnxruntime's |",
        "|---|---|---|---|",
    ]
    for name in dict.fromkeys(one.files.name for one in results):
        ours, theirs = find(results, name, THROUGHPUT, OURS), find(results, name, THROUGHPUT, "onnxruntime")
        faster = spread([1 / number for number in ratios(ours, theirs)])
        lines.append(f"| {name} | {rate(ours)} | {rate(theirs)} | {faster} |")
    return "\n".join(lines)


def main() -> int:
    options = settings_parser(__doc__.partition(": ")[2]).parse_args()
    names = options.networks or NETWORKS
    results = compare(names, options.data, settings_of(options), options.rounds, lambda task, who: task == THROUGHPUT)
    return publish(page(results, facts(options.threads, options.first), options.rounds), results, options)


if __name__ == "__main__":
    sys.exit(main())
