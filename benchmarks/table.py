"""From times to Markdown: medians of rounds, ratios of the same round, errors beside the times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from .competitor import Competitor
from .jobs import OURS


def milliseconds(one: Competitor) -> list[float]:
    """Return one time a round: the median of its calls."""
    return [1e3 * median(times) for times in one.rounds]


def ratios(ours: Competitor | None, other: Competitor | None) -> list[float]:
    """Return ours / other of each round that was quiet for both; empty where one has no times."""
    if ours is None or other is None or not ours.rounds or not other.rounds:
        return []
    mine, theirs = milliseconds(ours), milliseconds(other)
    both = set(ours.quiet_rounds()) & set(other.quiet_rounds()) or range(len(mine))
    return [mine[i] / theirs[i] for i in both]


def spread(numbers: list[float], digits: int = 2, unit: str = "") -> str:
    """Return median and range; a dash for nothing."""
    if not numbers:
        return "-"
    return f"**{median(numbers):.{digits}f}**{unit} ({min(numbers):.{digits}f}..{max(numbers):.{digits}f})"


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
    times = spread([milliseconds(one)[i] for i in one.quiet_rounds()], 1)
    return f"| {one.task} | {who} | {times} | {spread(ratios(ours, one))} | {error} | {one.peak:.0f} |"


def network_table(results: list[Competitor], network: str) -> list[str]:
    """Return the table of one network."""
    lines = [
        f"## {network}",
        "| task | who | ms: median (min..max) | ours / it | error against float64 | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [row(one, find(results, network, one.task)) for one in results if one.files.name == network]
    return [*lines, ""]


@dataclass(frozen=True)
class Column:
    """What one column of the table of ratios sets against each other; of several opponents the fastest counts."""

    title: str
    task: str
    who: tuple[str, ...]
    times_faster: bool = True


COLUMNS = (
    Column("forward / onnxruntime", "forward", ("onnxruntime",), False),
    Column("forward / the faster of MNN and OpenVINO", "forward", ("MNN", "OpenVINO"), False),
    Column("Grad-CAM against pytorch-grad-cam", "Grad-CAM", ("pytorch-grad-cam",)),
    Column("Grad-CAM against an expert's frozen PyTorch", "Grad-CAM", ("expert's PyTorch",)),
    Column("guided backpropagation against pytorch-grad-cam", "guided backpropagation", ("pytorch-grad-cam",)),
)


def needed(task: str, who: str) -> bool:
    """Return whether the table of ratios has this competitor."""
    return any(column.task == task and who in (OURS, *column.who) for column in COLUMNS)


def cell(results: list[Competitor], network: str, column: Column) -> str:
    """Return ours / theirs, or how many times faster ours is: the median over rounds, and the range."""
    found = [find(results, network, column.task, who) for who in column.who]
    others = [one for one in found if one is not None and one.rounds]
    if not others:
        return "-"
    fastest = min(others, key=lambda one: median(milliseconds(one)))
    numbers = ratios(find(results, network, column.task), fastest)
    named = f" {fastest.job.who}" if len(column.who) > 1 else ""
    if column.times_faster:
        return spread([1 / number for number in numbers], 1, " x")
    return spread(numbers) + named


def summary(results: list[Competitor]) -> list[str]:
    """Return the table of ratios: one row a network."""
    lines = [
        "## Ratios: median over rounds (smallest..largest)",
        "| | " + " | ".join(column.title for column in COLUMNS) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    names = dict.fromkeys(one.files.name for one in results)
    lines += [f"| {name} | " + " | ".join(cell(results, name, column) for column in COLUMNS) + " |" for name in names]
    return [*lines, "", "The first two columns: our time over theirs. The others: how many times faster ours is.", ""]


def page(results: list[Competitor], facts: list[str], rounds: int) -> str:
    """Return everything: the machine, the ratios, one table a network."""
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
    lines += ["", *summary(results)]
    for name in dict.fromkeys(one.files.name for one in results):
        lines += network_table(results, name)
    return "\n".join(lines).rstrip()
