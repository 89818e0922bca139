"""From times to Markdown: medians of rounds, ratios of the same round, errors beside the times."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from .competitor import Competitor
from .peers import OURS


def milliseconds(one: Competitor) -> list[float]:
    """Return one time a round: the median of its calls."""
    return [1e3 * median(times) for times in one.rounds]


def ratio(ours: Competitor | None, other: Competitor) -> str:
    """Return the median over rounds of ours / other, each pair from one round; a dash where one has no times."""
    if ours is None or not ours.rounds or not other.rounds:
        return "-"
    mine, theirs = milliseconds(ours), milliseconds(other)
    both = set(ours.quiet_rounds()) & set(other.quiet_rounds()) or range(len(mine))
    return f"{median(mine[i] / theirs[i] for i in both):.2f}"


def short(everyone: Iterable[Competitor]) -> str:
    """Return the last round in one line."""
    return ", ".join(f"{milliseconds(one)[-1]:.1f}" for one in everyone if one.rounds)


def find(results: Iterable[Competitor], network: str, task: str, who: str = OURS) -> Competitor | None:
    """Return one competitor, or None if it did not take part."""
    return next((c for c in results if (c.files.name, c.task, c.job.who) == (network, task, who)), None)


def row(one: Competitor, ours: Competitor | None) -> str:
    """Return one competitor's line."""
    variant = one.variant.replace("_", "-").replace("frozen", "").strip()
    who = one.job.who + (f" ({variant})" if variant and len(one.job.variants) > 1 else "")
    error = one.error + (f" ({one.job.note})" if one.job.note else "")
    if not one.rounds:
        why = "WRONG, not timed" if one.wrong else "does not run"
        return f"| {one.task} | {who} | {why} | - | {error} | - |"
    times = [milliseconds(one)[i] for i in one.quiet_rounds()]
    spread = f"**{median(times):.1f}** ({min(times):.1f}..{max(times):.1f})"
    return f"| {one.task} | {who} | {spread} | {ratio(ours, one)} | {error} | {one.peak:.0f} |"


def network_table(results: list[Competitor], network: str) -> list[str]:
    """Return the table of one network."""
    lines = [
        f"## {network}",
        "| task | who | ms: median (min..max) | ours / it | error against float64 | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [row(one, find(results, network, one.task)) for one in results if one.files.name == network]
    return [*lines, ""]


def summary(results: list[Competitor]) -> list[str]:
    """Return the table of ratios, below 1 where ours is faster."""
    pairs = [
        ("forward / onnxruntime", "forward", "forward", "onnxruntime"),
        ("forward / PyTorch", "forward", "forward", "PyTorch"),
        ("Grad-CAM / onnxruntime's forward", "Grad-CAM", "forward", "onnxruntime"),
        ("Grad-CAM / pytorch-grad-cam", "Grad-CAM", "Grad-CAM", "pytorch-grad-cam"),
        ("Grad-CAM / expert's PyTorch", "Grad-CAM", "Grad-CAM", "expert's PyTorch"),
        ("guided / pytorch-grad-cam", "guided backpropagation", "guided backpropagation", "pytorch-grad-cam"),
    ]
    names = list(dict.fromkeys(one.files.name for one in results))
    lines = ["## Ratios of times, ours / theirs: below 1 ours is faster", "| | " + " | ".join(names) + " |"]
    lines.append("|---|" + "---|" * len(names))
    for title, mine, task, who in pairs:
        cells = []
        for name in names:
            other = find(results, name, task, who)
            cells.append(ratio(find(results, name, mine), other) if other else "-")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def page(results: list[Competitor], facts: list[str], rounds: int) -> str:
    """Return everything: the machine, one table a network, the ratios."""
    others = [load for one in results for load in one.others]
    lines = [f"- {fact}" for fact in facts]
    lines.append(
        f"- Batch 1, 3 x 224 x 224, float32; {rounds} interleaved rounds, one process each, one awake at a time"
    )
    if others:
        kept = sum(len(one.quiet_rounds()) for one in results)
        lines.append(
            f"- Others on this machine used {median(others):.2f} cores (median), {max(others):.2f} at most, while "
            f"times were taken; {kept} of {len(others)} turns count"
        )
    lines.append("")
    for name in dict.fromkeys(one.files.name for one in results):
        lines += network_table(results, name)
    return "\n".join([*lines, *summary(results)]).rstrip()
