"""The photographs that were asked for, by path and by name."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import NamedTuple

from npgradcam import images
from npgradcam.cli.console import readable
from npgradcam.errors import NpGradcamError, printable


class Photograph(NamedTuple):
    """A file, and its name where it came with the package."""

    path: Path
    sample: str | None

    @property
    def name(self) -> str:
        """What to call it, on one line."""
        return self.sample or printable(readable(self.path.name or self.path))


def photographs(options: argparse.Namespace) -> list[Photograph]:
    """Return what the command line asks for; nothing is read."""
    for path in options.images:
        _check_a_photograph(options.command, path)
    asked = [Photograph(Path(path), None) for path in options.images]
    asked += [Photograph(images.sample(name), name) for name in options.sample]
    if not asked:
        raise NpGradcamError(
            f"{options.command}: expected a photograph, got none; give a path, or --sample with one of "
            f"{', '.join(images.sample_names())}"
        )
    return asked


def _check_a_photograph(command: str, path: str) -> None:
    """Refuse what is something else by its name: nothing, an address, a model."""
    suffix = Path(path).suffix.lower()
    if not path:
        raise NpGradcamError(f"{command}: expected a photograph, got an empty name; give its path")
    if "://" in path:
        raise NpGradcamError(f"{command} {path}: expected a photograph on this machine, got an address; download it "
                             "first")
    if suffix in (".onnx", ".npz"):
        way_out = f"--model {readable(path)}"
    elif suffix in (".pth", ".pt", ".safetensors"):
        way_out = f"--model NAME --weights {readable(path)}, where NAME is an architecture of `npgradcam models`"
    else:
        return
    raise NpGradcamError(f"{command} {readable(path)}: expected a photograph, got a model; say {way_out}")


def sha256_of(path: Path) -> str:
    """Read a file's bytes once more, for the manifest."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
