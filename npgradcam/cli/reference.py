"""`npgradcam reference`: the reference pack, copied to where somebody wants it."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from npgradcam.cli.console import Console, readable
from npgradcam.errors import ModelFormatError, OutputExistsError
from npgradcam.unfinished import all_or_nothing
from npgradcam.writing import not_written, whole_file

PACK = Path(__file__).parents[1] / "reference"


def reference(options: argparse.Namespace) -> int:
    """Copy every file of the pack, once its bytes are what the manifest says."""
    console, out = Console(options.quiet), options.out
    if os.path.lexists(out) and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{readable(out)} is there already; name a new folder, or an empty one")
    files = {path.name: path.read_bytes() for path in sorted(PACK.iterdir())}
    manifest = json.loads(files["manifest.json"])
    for name, told in manifest["sha256"].items():
        if hashlib.sha256(files.get(name, b"")).hexdigest() != told:
            raise ModelFormatError(f"{PACK / name} is not what came with this package; install it again")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        with all_or_nothing(lambda: _take_away(out, files, made)):
            out.mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                with whole_file(out / name) as file:
                    file.write(data)
    except OSError as error:
        raise not_written(out, error, "choose another folder") from error
    size = sum(map(len, files.values())) / 1e6
    console.remark(f"version {manifest['version']}, {len(files)} files, {size:.1f} MB; {readable(out / 'README.md')} "
                   "says what is in it")
    return 0


def _take_away(out: Path, names: Iterable[str], made: Iterable[Path]) -> None:
    """Take away the files, and the folders that were not there before."""
    with suppress(OSError):
        for name in names:
            (out / name).unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()
