"""The photographs that were asked for, by path and by name."""

from __future__ import annotations

import argparse
import hashlib
import warnings
from pathlib import Path
from typing import NamedTuple

from npgradcam import images
from npgradcam.cli.console import readable
from npgradcam.errors import NpGradcamError


class Photograph(NamedTuple):
    """A file, and its name where it came with the package."""

    path: Path
    sample: str | None

    @property
    def name(self) -> str:
        """What to call it."""
        return self.sample or readable(self.path.name)


class Source(NamedTuple):
    """What a manifest says of a file: the SHA-256 of its bytes, and the EXIF orientation (1: as it is stored)."""

    sha256: str
    orientation: int


def photographs(options: argparse.Namespace) -> list[Photograph]:
    """Return what the command line asks for; nothing is read."""
    asked = [Photograph(Path(path), None) for path in options.images]
    asked += [Photograph(images.sample(name), name) for name in options.sample]
    if not asked:
        raise NpGradcamError(
            f"{options.command}: expected a photograph, got none; give a path, or --sample with one of "
            f"{', '.join(images.sample_names())}"
        )
    return asked


def source_of(path: Path) -> Source:
    """Read a file's bytes once more, for the manifest."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return Source(digest.hexdigest(), _orientation(path))


def _orientation(path: Path) -> int:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata count as none, as they do when the photograph is read
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
