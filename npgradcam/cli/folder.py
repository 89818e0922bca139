"""One folder for each photograph: named before anything is computed, built out of sight, and there only when whole."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from unicodedata import normalize
from uuid import uuid4

from npgradcam.cli.arguments import MODEL
from npgradcam.errors import NotWrittenError, NpGradcamError, OutputExistsError
from npgradcam.formats import read_text
from npgradcam.unfinished import all_or_nothing
from npgradcam.writing import not_written

MANIFEST, MAX_MANIFEST = "manifest.json", 64 * 2**20  # its name; bytes
OUT = "explained"
_LITTER = ("thumbs.db", "desktop.ini")  # what file managers leave behind


def folder_names(stems: Iterable[str]) -> list[str]:
    """Return a folder name for each photograph, no two alike, also where upper and lower case are the same.

    Examples
    --------
    >>> folder_names(["My Cat", "my_cat (2)", "My Cat", "../Été", "!"])
    ['My-Cat', 'my_cat-2', 'My-Cat-2', 'Été', 'photograph']
    """
    taken: set[str] = set()
    names = []
    for stem in stems:
        readable = os.fsencode(stem).decode("utf-8", "replace")
        plain = re.sub(r"[^\w]+", "-", normalize("NFC", readable)).strip("-_")[:60]
        plain = plain.encode()[:180].decode("utf-8", "ignore")  # systems count bytes: 255, and a hidden name is longer
        base = plain.strip("-_") or "photograph"
        name, count = base, 1
        while name.casefold() in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name.casefold())
        names.append(os.fsdecode(name.encode()))  # its bytes are UTF-8 also where the locale is not
    return names


def default_folder(model: str) -> Path:
    """Return the folder for a model's explanations: two models that explain one photograph do not meet.

    Examples
    --------
    >>> print(default_folder(MODEL), default_folder("resnet50"), default_folder("nets/my net.onnx"))
    explained explained-resnet50 explained-my-net
    """
    return Path(OUT) if model == MODEL else Path(f"{OUT}-{folder_names([Path(model).stem])[0]}")


def check_free(places: Iterable[Path], overwrite: bool) -> None:
    """Refuse, before anything is computed, what would overwrite something.

    Raises
    ------
    OutputExistsError
        If a place is taken; with `overwrite` only if it holds something that no earlier run wrote.
    """
    for place in places:
        if not os.path.lexists(place):
            continue
        if not overwrite:
            raise OutputExistsError(f"{place} exists; choose another folder with --out, or replace it with --overwrite")
        strangers = _strangers(place)
        if strangers:
            raise OutputExistsError(
                f"{place}: --overwrite replaces only what npgradcam wrote, got {strangers[0]} there; "
                "move it, or choose another folder with --out"
            )


def _strangers(place: Path) -> list[str]:
    """Return the files in a folder that its manifest does not list."""
    if place.is_symlink() or not place.is_dir():
        return ["something that is not a folder"]
    there = sorted(p.name for p in place.iterdir() if not p.name.startswith(".") and p.name.lower() not in _LITTER)
    try:
        manifest = json.loads(read_text(place / MANIFEST, MAX_MANIFEST))
        ours = {*manifest["files"].values(), *(f for e in manifest["explanations"] for f in e["files"].values())}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # a file that is none is a ValueError
        return there  # an empty folder may be replaced by anybody
    return [name for name in there if name not in ours]


@contextmanager
def whole_folder(place: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a hidden folder beside `place` to write into; at the end it takes its place, or is gone.

    Raises
    ------
    OutputExistsError
        If something else took the place meanwhile, and `overwrite` is not set.
    NotWrittenError
        If the disk is full or the place may not be written to.
    """
    part = place.with_name(f".{place.name}.{uuid4().hex[:8]}.part")
    old = part.with_suffix(".old")
    made = [folder for folder in (place.parent, *place.parent.parents) if not folder.exists()]
    try:
        with all_or_nothing(lambda: _take_away(part, made)):
            part.mkdir(parents=True)
            yield part
            check_free([place], overwrite)
            with all_or_nothing(lambda: _put_back(old, place)):
                if os.path.lexists(place):
                    place.rename(old)
                part.rename(place)
                shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if isinstance(error, NpGradcamError) and not isinstance(error, NotWrittenError):
            raise
        raise not_written(place, error, "choose another folder with --out") from error


def _take_away(part: Path, made: Iterable[Path]) -> None:
    """Take away a folder that is not whole, and the folders that were made for it."""
    for _ in range(40):  # a thread that draws may write one more file
        shutil.rmtree(part, ignore_errors=True)
        if not part.exists():
            break
        sleep(0.05)
    with suppress(OSError):  # a folder that holds something by now stays
        for folder in made:
            folder.rmdir()


def _put_back(old: Path, place: Path) -> None:
    """Put the folder that was moved aside back in its place; where the new one is there, the old one is not needed."""
    if os.path.lexists(place):
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():
        old.rename(place)
