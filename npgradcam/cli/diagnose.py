"""`npgradcam diagnose`: what explains a map that somebody computed."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from npgradcam import diagnosis, images, maps
from npgradcam.cli.console import Console, as_json, readable, short
from npgradcam.cli.network import classes_of, input_from, layers_of, open_model
from npgradcam.errors import ModelFormatError, NpGradcamError, OutputExistsError
from npgradcam.formats import read_npy, read_npz
from npgradcam.models import Model
from npgradcam.typing import Array
from npgradcam.writing import expect_writable

UNEXPLAINED = 5
LARGE = 2**18  # cells: comparing more takes longer than one waits without a word


def diagnose(options: argparse.Namespace) -> int:
    """Print what explains a map; return 5 where nothing does."""
    console = Console(options.quiet)
    if options.picture is not None:
        if os.path.lexists(options.picture):
            raise OutputExistsError(f"--picture {readable(options.picture)} exists; choose another name")
        expect_writable(options.picture)
    given = _map(options.map)
    model = open_model(options)
    x = _input(options, model)
    console.computing_with(options.backend)
    classes = _classes(model, options.classes, len(x))
    layer = layers_of(model, [options.layer])[0] if options.layer else None
    if given.size > LARGE:
        console.remark(f"comparing {given.size:,} cells with some hundred maps of as many; fewer take less time")
    with console.compiling(options.dtype, options.backend):
        found = diagnosis.diagnose(given, model, x, classes, layer, method=options.method, tolerance=options.tolerance)
    where = []
    if options.picture is not None:
        maps.save_png(options.picture, found.picture())
        where = [short(options.picture)]
    console.result(as_json(found.as_dict()) if options.json else found.text(*where))
    return 0 if found.explained else UNEXPLAINED


def _map(text: str) -> Array:
    """Read the map: FILE.npy, FILE.npz with one array, or FILE.npz:NAME."""
    path, colon, name = text.rpartition(":")
    if not (colon and path.lower().endswith(".npz")):
        path, name = text, ""
    try:
        if path.lower().endswith(".npy"):
            return read_npy(path)
        if not path.lower().endswith(".npz"):
            raise NpGradcamError(f"map {text}: expected an .npy or .npz file; save the map with numpy.save")
        arrays = read_npz(path)
    except ModelFormatError as error:
        raise NpGradcamError(f"map: {error}") from None
    if name in arrays or (len(arrays) == 1 and not name):
        return arrays[name or next(iter(arrays))]
    raise NpGradcamError(f"map {text}: expected one of its arrays as {path}:NAME, NAME among {', '.join(arrays)}")


def _input(options: argparse.Namespace, model: Model) -> Array:
    """Return what goes into the network: of a photograph, or ready from a file."""
    if options.sample is None and options.images is None:
        raise NpGradcamError("diagnose: expected a photograph or an .npy file with the network's input, got none; give "
                             "its path, or --sample NAME")
    if options.sample is not None and options.images is not None:
        raise NpGradcamError(f"diagnose: expected one picture, got {readable(options.images)} and the sample "
                             f"{options.sample}; leave one out")
    return input_from(model, images.sample(options.sample) if options.sample else Path(options.images))


def _classes(model: Model, asked: list[str], count: int) -> list[int] | int | None:
    """Return the class of each image, one class for all, or None."""
    if not asked:
        return None
    if len(asked) not in (1, count):
        raise NpGradcamError(f"--class: expected one, or one for each image ({count}), got {len(asked)}; drop some")
    found = [classes_of(model, [text])[0] for text in asked]
    return found[0] if len(found) == 1 else found
