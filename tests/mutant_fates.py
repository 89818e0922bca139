"""What became of the mutants, part by part, and which survivors are known, each below its reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

PARTS = ("npgradcam/layers", "npgradcam/rules.py", "npgradcam/methods")
SURVIVORS = Path(__file__).with_name("mutants_survivors.txt")


class Fate(NamedTuple):
    """What became of a mutant: "killed" by `test`, "timeout", "survived", or "broken": nobody knows, not noticed."""

    file: str
    line: int
    where: str
    says: str
    how: str
    test: str


def known_survivors() -> set[tuple[str, ...]]:
    """Return the file, function and change of each line below a reason in `mutants_survivors.txt`."""
    lines = [line.split(None, 2) for line in SURVIVORS.read_text().splitlines() if line.startswith(" ")]
    return {(place.split(":")[0], where.strip("-"), says) for place, where, says in lines}


def judged(fates: list[Fate]) -> bool:
    """Print what became of all mutants, part by part; return whether that is enough."""
    enough, known = True, known_survivors()
    for part in PARTS:
        by = Counter(fate.how for fate in fates if fate.file.startswith(part))
        if by:
            share = (by["killed"] + by["timeout"]) / by.total()
            enough &= share >= 0.9
            print(f"{part}: {by.total()} mutants, {by['killed']} killed, {by['timeout']} timeouts, {by['survived']} "
                  f"survived, {by['broken']} broken: {100 * share:.1f} % noticed")
    left = {fate[:1] + fate[2:4]: fate for fate in fates if fate.how in ("survived", "broken")}
    new = [fate for key, fate in left.items() if key not in known]
    for fate in new:
        print(f"new survivor: {fate.file}:{fate.line} {fate.where or '-'} {fate.says}")
    for key in sorted(known & {fate[:1] + fate[2:4] for fate in fates} - left.keys()):
        print("noticed now, take it off the list:", *key)
    return enough and not new
