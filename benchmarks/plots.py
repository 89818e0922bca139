"""The pictures of `scaling.py`: time and peak memory over targets, pixels or images, both axes logarithmic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = {"efficientnet_lite0": "EfficientNet-Lite0", "resnet50": "ResNet-50"}
COLOURS = ("#0b6e8a", "#c4551a")
TITLES = {
    "targets": ("classes explained of one image", "seconds for all classes"),
    "pixels": ("pixels on a side", "seconds for one image"),
    "images": ("images at once", "seconds for each image"),
}


def draw(points: list[dict[str, Any]], path: Path) -> None:
    """Draw the points of one axis, one line a network, its name at the end; what was skipped is a line of words."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    axis = points[0]["axis"]
    along, seconds = TITLES[axis]
    measured = [p for p in points if "skipped" not in p]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
    each = {p["value"]: p["value"] if axis == "images" else 1 for p in points}  # what a time is divided by
    _lines(left, {(p["network"], p["value"]): p["seconds"] / each[p["value"]] for p in measured}, _time)
    _lines(right, {(p["network"], p["value"]): p["peak_mb"] for p in measured}, lambda mb: f"{mb:.0f} MB")
    left.set_title(f"Grad-CAM: {seconds}", loc="left", fontsize=11)
    right.set_title("Peak memory of the process", loc="left", fontsize=11)
    for plot in (left, right):
        plot.set_xlabel(along)
        plot.set_xticks(list(each), [str(value) for value in each])
        wide = max(each) / min(each)
        plot.set_xlim(min(each) / wide**0.16, max(each) * wide**0.5)  # room for the names
        plot.minorticks_off()
    words = [
        f"{NAMES.get(p['network'], p['network'])} at {p['value']}: {p['skipped']}" for p in points if "skipped" in p
    ]
    if words:
        figure.supxlabel("Not measured: " + "; ".join(words), fontsize=8, color="#555555")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _lines(plot: Any, heights: dict[tuple[str, int], float], words: Callable[[float], str]) -> None:
    """Draw one line a network, the number at each point: above it where the line is the upper one, else below."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    for colour, name in zip(COLOURS, dict.fromkeys(name for name, _ in heights), strict=False):
        mine = {x: y for (who, x), y in heights.items() if who == name}
        plot.plot(list(mine), list(mine.values()), "o-", color=colour, linewidth=1.8, markersize=5)
        for x, y in mine.items():
            up = 1 if y >= max(other for (_, at), other in heights.items() if at == x) else -1
            last = x == max(mine)
            plot.annotate(
                f"{NAMES.get(name, name)}, {words(y)}" if last else words(y), (x, y),
                (8, 5 * up) if last else (0, 10 * up), textcoords="offset points", ha="left" if last else "center",
                va="center", fontsize=8.5, weight="bold" if last else "normal", color=colour,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
            )  # fmt: skip
    plot.set_xscale("log")
    plot.set_yscale("log")
    low, high = plot.get_ylim()
    plot.set_ylim(low / 1.3, high * 1.3)
    plot.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    plot.yaxis.set_major_formatter(FuncFormatter(lambda y, _: words(y)))
    plot.tick_params(labelsize=8)
    plot.spines[["top", "right"]].set_visible(False)
    plot.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    plot.set_axisbelow(True)


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
