"""``python -m benchmarks.compare``: npgradcam beside its peers, interleaved, answers checked before times."""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import networks, peers, table
from .competitor import ROOT, Competitor, Failed, Settings
from .machine import facts
from .networks import Files


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


def line_up(files: Files, settings: Settings, skip: list[str], tasks: list[str]) -> list[Competitor]:
    """Start every competitor of one network at its best variant, and check what it computes."""
    answers, everyone = files.read(), []
    for task, jobs in peers.jobs(files.name).items():
        for job in jobs:
            if job.who in skip or (tasks and task not in tasks):
                continue
            one = Competitor(files, task, job, settings)
            everyone.append(one)
            try:
                one.start(fastest_variant(one))
                one.check(answers)
                say(f"  {task}, {job.who}: {'WRONG' if one.wrong else 'right'} ({one.error})")
            except Failed as reason:
                one.error, one.wrong = str(reason), job.who == peers.OURS
                say(f"  {task}, {job.who}: does not run: {reason}")
                one.stop()
            if one.wrong:
                one.stop()
    return everyone


def compare(files: Files, settings: Settings, rounds: int, skip: list[str], tasks: list[str]) -> list[Competitor]:
    """Return the competitors of one network with their times: ``rounds`` rounds, each in another order."""
    everyone = line_up(files, settings, skip, tasks)
    runners = [one for one in everyone if one.process is not None]
    order = random.Random(0)
    try:
        for number in range(rounds):
            order.shuffle(runners)
            for one in runners:
                one.play()
            say(f"  round {number + 1} of {rounds}: " + table.short(everyone))
    finally:
        for one in everyone:
            one.stop()
    return everyone


def record(one: Competitor) -> dict[str, Any]:
    """Return what the JSON file says about one competitor."""
    return {
        "network": one.files.name, "task": one.task, "who": one.job.who, "variant": one.variant, "note": one.job.note,
        "error": one.error, "wrong": one.wrong, "peak_mb": one.peak, "rounds_s": one.rounds, "others_cores": one.others,
    }  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.partition(": ")[2])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(networks.NAMES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, each with one turn for everybody (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="threads for each competitor (default 2)")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a turn, at least 3 calls (default 0.4)")
    parser.add_argument("--pause", type=float, default=0.3, help="seconds of silence before a turn (default 0.3)")
    parser.add_argument("--patience", type=float, default=20, help="seconds to wait for a quiet machine (default 20)")
    parser.add_argument("--first", action="store_true", help="real-time priority for each turn: a busy Linux, as root")
    parser.add_argument("--skip", action="append", default=[], metavar="WHO", help="leave this one out (repeatable)")
    parser.add_argument("--task", action="append", default=[], metavar="TASK", help="only this task (repeatable)")
    parser.add_argument("--data", type=Path, default=ROOT / "benchmarks" / "data", help="where files are made")
    parser.add_argument("--output", type=Path, help="write the Markdown here as well")
    parser.add_argument("--json", type=Path, help="write every single time here")
    options = parser.parse_args()
    unknown = set(options.networks) - set(networks.NAMES)
    if unknown:
        parser.error(f"unknown network {', '.join(sorted(unknown))}: choose from {', '.join(networks.NAMES)}")
    return options


def main() -> int:
    options = arguments()
    settings = Settings(options.threads, options.seconds, options.pause, patience=options.patience, first=options.first)
    results: list[Competitor] = []
    for name in options.networks or networks.NAMES:
        say(f"{name}: weights, answers in float64, ONNX file")
        making = [sys.executable, "-m", "benchmarks.networks", name, str(options.data.resolve())]
        subprocess.run(making, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        results += compare(Files(options.data.resolve(), name), settings, options.rounds, options.skip, options.task)
    about = facts(options.threads)
    if options.first:
        about.append(
            "Whoever's turn it was ran with real-time priority, all alike: the machine was busy with other work"
        )
    text = table.page(results, about, options.rounds)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps([record(one) for one in results], indent=1), encoding="utf-8")
    return 1 if any(one.wrong for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
