"""Damages valid files at random and reads them: `python tests/fuzz.py --count 1000000 --seed 7` (see --help).

Every input is read or refused in one sentence, with 1 GiB of memory, 2 seconds, and nothing opened, run or sent.
What fails that is kept in --save; `--replay FILE` reads it again in this process, with its traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from fuzzing.doors import DOORS
from fuzzing.runs import Figures, run
from fuzzing.seeds import SOURCES, damaged, seeds
from hostile import CORPUS, dressed, judged

from npgradcam.formats.settings import KINDS, types_of

SMALLEST = 5
Run = tuple[str, Callable[[int], bytes], Figures]


def warm_up(kind: str) -> None:
    """Read every valid file, so that what libraries import late is there; a seed that is refused is no seed."""
    for layer in KINDS.values():  # a damaged name may be that of a layer which no seed has
        types_of(layer)
    suffix, door = DOORS["onnx" if kind == "compiled" else kind]  # compiled code makes threads, and they do not fork
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"seed{suffix}")
        for seed in seeds(kind):
            path.write_bytes(seed.data)
            door(path)


def cuts(kind: str) -> list[bytes]:
    """Return the beginnings, of every length, of the five smallest valid files."""
    small = sorted({seed.data for seed in seeds(kind)}, key=len)[:SMALLEST]
    return [data[:length] for data in small for length in range(len(data))]


def whole(kind: str, n: int, outcome: str, message: str) -> str | None:
    """No part of a file is taken for the whole; but the end of some pictures means nothing."""
    return None if outcome == "refused" or kind == "picture" else f"a part of a file was {outcome}"


def hostile(kind: str, workers: int) -> Run:
    """Put every file of the corpus through its door; each is to be refused for the right reason."""
    files = list(CORPUS[kind].items())
    with tempfile.TemporaryDirectory() as folder:
        place = dressed(Path(folder, "models"))
        return "hostile", lambda n: files[n][1].data, run(
            kind, lambda n: files[n][1].data, len(files), workers, partial(judged, files), place)


def runs(kind: str, options: argparse.Namespace) -> Iterator[Run]:
    """Do what was asked for, and yield its name, what makes its inputs, and what became of them."""
    if kind in SOURCES:
        warm_up(kind)
    if options.hostile and kind in CORPUS:
        yield hostile(kind, options.workers)
    if options.cut and kind in SOURCES:
        parts = cuts(kind)
        judge = partial(whole, kind)
        yield "cut", parts.__getitem__, run(kind, parts.__getitem__, len(parts), options.workers, judge)
    if options.count and kind in SOURCES:
        make = partial(damaged, kind, options.seed)
        yield f"seed{options.seed}", make, run(kind, make, options.count, options.workers)


def main() -> int:
    """Run what the command line asks for; 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", action="append", choices=DOORS, help="may be repeated; all where nothing is said")
    parser.add_argument("--count", type=int, default=20_000, help="damaged inputs of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--cut", action="store_true", help="also every beginning of the five smallest files")
    parser.add_argument("--hostile", action="store_true", help="also the files written by hand (tests/hostile.py)")
    parser.add_argument("--save", type=Path, default=Path("findings"), help="where inputs that fail are kept")
    parser.add_argument("--replay", type=Path, help="read one file again; its name begins with its kind")
    options = parser.parse_args()
    if options.replay:
        print(DOORS[options.replay.name.partition("-")[0]][1](options.replay))
        return 0
    found, began = 0, time.monotonic()
    for kind in options.kind or DOORS:
        for name, make, figures in runs(kind, options):
            print(f"{kind} {name}: {figures.inputs:,} inputs, {figures.refused:,} refused, {figures.read:,} read, "
                  f"{figures.explained:,} read and explained, {len(figures.findings)} findings; "
                  f"{time.monotonic() - began:.0f} s", flush=True)
            for finding in figures.findings:
                options.save.mkdir(parents=True, exist_ok=True)
                place = options.save / f"{kind}-{name}-{finding.n}{DOORS[kind][0]}"
                place.write_bytes(make(finding.n))
                print(f"  {place}: {finding.what}", flush=True)
            found += len(figures.findings)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
