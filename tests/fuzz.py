"""Damages valid files at random and reads them: `python tests/fuzz.py --count 1000000 --seed 7` (see --help).

Every input is read or refused in one sentence, with 1 GiB of memory, 2 seconds, and nothing opened, run or sent.
What fails that is kept in --save; `--replay FILE` reads it again in this process, with its traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path

from fuzzing.doors import DOORS
from fuzzing.runs import Figures, run
from fuzzing.seeds import damaged, seeds

SMALLEST = 5


def cuts(kind: str) -> list[bytes]:
    """Return the beginnings, of every length, of the five smallest valid files."""
    small = sorted({seed.data for seed in seeds(kind)}, key=len)[:SMALLEST]
    return [data[:length] for data in small for length in range(len(data))]


def warm_up(kind: str) -> None:
    """Read every valid file, so that what libraries import late is there; a seed that is refused is no seed."""
    suffix, door = DOORS[kind]
    path = Path(f"/tmp/npgradcam-seed-{os.getpid()}{suffix}")  # noqa: S108
    for seed in seeds(kind):
        path.write_bytes(seed.data)
        door(path)
    path.unlink()


def fuzz(kind: str, count: int, seed: int, workers: int) -> Figures:
    """Put `count` damaged files of a kind through its door."""
    warm_up(kind)
    return run(kind, partial(damaged, kind, seed), count, workers)


def truncations(kind: str, workers: int) -> Figures:
    """Put every beginning of the smallest files through the door."""
    warm_up(kind)
    parts = cuts(kind)
    return run(kind, parts.__getitem__, len(parts), workers)


def main() -> int:
    """Run what the command line asks for; 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", action="append", choices=DOORS, help="may be repeated; all where nothing is said")
    parser.add_argument("--count", type=int, default=20_000, help="damaged inputs of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--cut", action="store_true", help="also every beginning of the five smallest files")
    parser.add_argument("--save", type=Path, default=Path("findings"), help="where inputs that fail are kept")
    parser.add_argument("--replay", type=Path, help="read one file again; its name begins with its kind")
    options = parser.parse_args()
    if options.replay:
        print(DOORS[options.replay.name.partition("-")[0]][1](options.replay))
        return 0
    found = 0
    for kind in options.kind or DOORS:
        began = time.monotonic()
        runs = {f"seed {options.seed}": (partial(damaged, kind, options.seed),
                                         fuzz(kind, options.count, options.seed, options.workers))}
        if options.cut:
            runs["every cut"] = cuts(kind).__getitem__, truncations(kind, options.workers)
        for name, (make, figures) in runs.items():
            print(f"{kind}, {name}: {figures.inputs:,} inputs, {figures.refused:,} refused, {figures.read:,} read, "
                  f"{figures.explained:,} read and explained, {len(figures.findings)} findings", flush=True)
            for finding in figures.findings:
                options.save.mkdir(parents=True, exist_ok=True)
                place = options.save / f"{kind}-{name.replace(' ', '-')}-{finding.n}{DOORS[kind][0]}"
                place.write_bytes(make(finding.n))
                print(f"  {place}: {finding.what}")
            found += len(figures.findings)
        print(f"{kind}: {time.monotonic() - began:.0f} s", flush=True)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
