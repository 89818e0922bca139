"""``python -m benchmarks.compare``: npgradcam beside its peers, interleaved, answers checked before times."""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import jobs, ours, table
from .competitor import ROOT, Competitor, Failed, Settings
from .machine import facts
from .networks import NAMES, Files

Wanted = Callable[[str, str], bool]  # of task and who: takes part or not


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def fastest_variant(one: Competitor) -> str:
    """Try every variant of a job in a process of its own, and return the one with the shortest call."""
    if len(one.job.variants) == 1:
        return one.job.variants[0]
    shortest: dict[str, float] = {}
    for variant in one.job.variants:
        trial = Competitor(one.files, one.task, one.job, one.settings)
        try:
            trial.start(variant)
            shortest[variant] = min(trial.turn()[0])
        except Failed as reason:
            say(f"  {one.job.who} ({variant}): {reason}")
        finally:
            trial.stop()
    if not shortest:
        raise Failed("no variant runs")
    say(f"  {one.task}, {one.job.who}: " + ", ".join(f"{v or 'plain'} {1e3 * s:.1f} ms" for v, s in shortest.items()))
    return min(shortest, key=lambda v: shortest[v])


def line_up(files: Files, settings: Settings, wanted: Wanted, plan: str) -> list[Competitor]:
    """Start every competitor of one network at its best variant, and check what it computes."""
    answers, everyone = files.read(), []
    for task, everybody in jobs.jobs(files.name, plan).items():
        for job in everybody:
            if not wanted(task, job.who):
                continue
            one = Competitor(files, task, job, settings)
            everyone.append(one)
            try:
                one.start(fastest_variant(one))
                one.check(answers)
                say(f"  {task}, {job.who}: {'WRONG' if one.wrong else 'right'} ({one.error})")
            except Failed as reason:
                one.error, one.wrong = str(reason), job.who == jobs.OURS
                say(f"  {task}, {job.who}: does not run: {reason}")
                one.stop()
            if one.wrong:
                one.stop()
    return everyone


def make_files(data: Path, name: str) -> Files:
    """Make what is missing for one network, in a process of its own: this one stays small."""
    making = [sys.executable, "-m", "benchmarks.making", str(data), name]
    subprocess.run(making, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return Files(data, name)


def compare(
    names: Sequence[str], data: Path, settings: Settings, rounds: int, wanted: Wanted, plan: str = "default"
) -> list[Competitor]:
    """Return the competitors of each network with their times: ``rounds`` rounds, each in another order."""
    begun, results = time.monotonic(), []
    for number, name in enumerate(names, 1):
        say(f"{name}, network {number} of {len(names)}, after {(time.monotonic() - begun) / 60:.1f} minutes")
        everyone = line_up(make_files(data, name), settings, wanted, plan)
        results += everyone
        runners, order = [one for one in everyone if one.process is not None], random.Random(0)
        try:
            for turn in range(rounds):
                order.shuffle(runners)
                for one in runners:
                    one.play()
                say(f"  round {turn + 1} of {rounds}, ms: " + table.short(everyone))
        finally:
            for one in everyone:
                one.stop()
    return results


def record(one: Competitor) -> dict[str, Any]:
    """Return what the JSON file says about one competitor."""
    return {
        "network": one.files.name, "task": one.task, "who": one.job.who, "variant": one.variant, "note": one.job.note,
        "error": one.error, "wrong": one.wrong, "peak_mb": one.peak, "rounds_s": one.rounds, "others_cores": one.others,
    }  # fmt: skip


def settings_parser(about: str, rounds: int = 5) -> argparse.ArgumentParser:
    """Return the arguments that every timing of several competitors has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"one turn for everybody in each (default {rounds})")
    parser.add_argument("--threads", type=int, default=2, help="threads for each competitor (default 2)")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a turn, at least 3 calls (default 0.4)")
    parser.add_argument("--pause", type=float, default=0.3, help="seconds of silence before a turn (default 0.3)")
    parser.add_argument("--patience", type=float, default=5, help="seconds to wait for a quiet machine (default 5)")
    parser.add_argument("--first", action="store_true", help="real-time priority for each turn: a busy Linux, as root")
    parser.add_argument(
        "--data",
        type=lambda text: Path(text).resolve(),
        default=ROOT / "benchmarks" / "data",
        help="where files are made",
    )
    parser.add_argument("--output", type=Path, help="write the Markdown here as well")
    parser.add_argument("--json", type=Path, help="write every single time here")
    parser.add_argument(
        "networks", nargs="*", metavar="NETWORK", type=_network, help=f"of {', '.join(NAMES)} (default: all of them)"
    )
    return parser


def _network(name: str) -> str:
    if name not in NAMES:  # `choices` would refuse the empty list as well
        raise argparse.ArgumentTypeError(f"unknown network {name!r}: choose from {', '.join(NAMES)}")
    return name


def settings_of(options: argparse.Namespace) -> Settings:
    return Settings(options.threads, options.seconds, options.pause, patience=options.patience, first=options.first)


def publish(text: str, results: list[Competitor], options: argparse.Namespace) -> int:
    """Print and write what was found; return the exit code."""
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps([record(one) for one in results], indent=1), encoding="utf-8")
    return 1 if any(one.wrong for one in results) else 0


def main() -> int:
    parser = settings_parser(__doc__.partition(": ")[2])
    parser.add_argument("--all", action="store_true", help="also who is not in the table of ratios: torch.compile, ...")
    parser.add_argument("--plan", choices=ours.OPTIMISE, default="default", help="ours: as drawn is optimise=False")
    parser.add_argument("--skip", action="append", default=[], metavar="WHO", help="leave this one out (repeatable)")
    parser.add_argument("--task", action="append", default=[], metavar="TASK", help="only this task (repeatable)")
    options = parser.parse_args()

    def wanted(task: str, who: str) -> bool:
        asked = (task != jobs.THROUGHPUT) if options.all else table.needed(task, who)
        return asked and who not in options.skip and (not options.task or task in options.task)

    results = compare(
        options.networks or NAMES, options.data, settings_of(options), options.rounds, wanted, options.plan
    )
    about = [*facts(options.threads, options.first), f"Our networks: {options.plan} plan"]
    return publish(table.page(results, about, options.rounds), results, options)


if __name__ == "__main__":
    sys.exit(main())
