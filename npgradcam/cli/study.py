"""`npgradcam study`: every step from a photograph to its map, as a page to click, as text, or as a file of arrays."""

from __future__ import annotations

import argparse
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from npgradcam.cli.arguments import MOST_MB
from npgradcam.cli.console import Console, short
from npgradcam.cli.network import classes_of, how_many, input_shapes, layers_of, needs_preprocessing, open_model
from npgradcam.cli.photographs import photographs, sha256_of
from npgradcam.cli.predict import ranked
from npgradcam.errors import NpGradcamError, OutputExistsError, ShapeError, UnknownLayerError
from npgradcam.layout import axes, channels_first
from npgradcam.models import Model
from npgradcam.study import trace, write_page
from npgradcam.study.saved import save
from npgradcam.writing import expect_writable

FEW = 12  # passes back, three a class, that nobody needs a bar for
_PAGE = re.compile(rb'<!DOCTYPE html>\s<html lang="[a-z]+">\s<head>\s<meta charset="utf-8">\s'
                   rb'<meta http-equiv="Content-Security-Policy" content="default-src .none.; img-src data:;')


def study(options: argparse.Namespace) -> int:
    """Trace one photograph, and write what was asked for."""
    console = Console(options.quiet)
    asked = photographs(options)
    if len(asked) != 1:
        raise NpGradcamError(f"study: expected one photograph, got {len(asked)}; run it once for each")
    page, cell = _page(options), _cell(options.cell)
    for path in (page, options.npz):
        _expect_free(path, options.overwrite)
    model = needs_preprocessing(open_model(options))
    layers, classes = layers_of(model, options.layer), classes_of(model, options.classes)
    top = how_many(model, options.top_k)
    if not layers:
        raise UnknownLayerError(f"{model.name}: no layer with maps lies on every path to the output; name one, --layer")
    if options.text:
        _expect_place(model, layers, cell, options.channel)
    prepared = model.prepare(asked[0].path)
    console.computing_with(options.backend)
    with console.compiling(options.dtype, options.backend):
        first = trace(model, model.arranged(prepared.x), classes or None, layers[0])
    best = ranked(model, first.tape, asked[0].name)
    if not classes and top > 1:
        classes = [p.index for p in best[:top]]
        first = trace(model, first.tape, classes, layers[0])
    traces = [first, *(trace(model, first.tape, list(first.target), layer) for layer in layers[1:])]
    if options.text:
        texts = [t.text(options.channel, cell, row, options.lang) for t in traces for row in range(len(t.target))]
        console.result("\n".join(texts).rstrip("\n"))
    if options.npz is not None:
        save(traces, options.npz)
        console.remark(f"every array of {', '.join(layers)} is in {short(options.npz)}")
    if page is not None:
        size = write_page(page, traces, prepared, name=asked[0].name, sha256=sha256_of(asked[0].path),
                          lang=options.lang, budget=int((options.budget or 5) * 1e6),
                          progress=lambda passes: console.progress(passes, len(passes), "pass back", FEW))
        said = f"{', '.join(first.label(row) for row in range(len(first.target)))}; layer {', '.join(layers)}"
        if not options.quiet:
            console.result(f"{asked[0].name}: {said}; open {short(page)} ({size / 1e6:.1f} MB) in a browser")
    return 0


def _page(options: argparse.Namespace) -> Path | None:
    """Return where the page goes, if one is asked for; refuse options that would do nothing."""
    page: Path | None = options.out or (None if options.text or options.npz else Path("why.html"))
    if page is not None and options.npz is not None and page.absolute() == options.npz.absolute():
        raise NpGradcamError(f"study: expected two files, got {page} for --out and --npz; choose another name for one")
    for name, value, does, asked in (("--cell", options.cell, "--text", options.text),
                                     ("--channel", options.channel, "--text", options.text),
                                     ("--budget", options.budget, "a page, -o FILE", page)):
        if value is not None and not asked:
            raise NpGradcamError(f"{name} {value}: expected it with {does}; ask for that as well, or leave {name} out")
    if options.budget is not None and options.budget > MOST_MB:
        raise NpGradcamError(f"--budget {options.budget:g}: expected at most {MOST_MB}, with which a browser copes; "
                             "--npz FILE has every array")
    return page


def _expect_free(path: Path | None, overwrite: bool) -> None:
    """Refuse, before anything is computed, a place that is taken or cannot be written."""
    if path is None:
        return
    if os.path.lexists(path):
        if not overwrite:
            raise OutputExistsError(f"{path} exists; choose another name, or replace it with --overwrite")
        if not _of_a_study(path):
            raise OutputExistsError(f"{path}: --overwrite replaces only what study wrote, got something else there; "
                                    "move it, or choose another name")
    expect_writable(path)


def _expect_place(model: Model, layers: Sequence[str], cell: tuple[int, int] | None, channel: int | None) -> None:
    """Refuse, before anything is computed, a cell or a channel that a layer does not have."""
    given = input_shapes(model)
    shapes, letters = model.network.shapes(given), axes(model.network, given)
    for layer in layers:
        order = channels_first(letters[layer]) or range(4)
        _, K, I, J = (shapes[layer][axis] for axis in order)
        if channel is not None and channel >= K:
            raise ShapeError(f"--channel {channel}: expected a map of {layer}, from 0 to {K - 1}")
        if cell is not None and not (cell[0] < I and cell[1] < J):
            raise ShapeError(f"--cell {cell[0]},{cell[1]}: expected a cell of {layer}, from 0,0 to {I - 1},{J - 1}")


def _of_a_study(path: Path) -> bool:
    """Whether an earlier run wrote the file: a page, known by how it begins, or an archive with the steps in it."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        if _PAGE.match(file.read(200)):
            return True
    try:
        with zipfile.ZipFile(path) as archive:
            return {"about.npy", "signed_cam.npy"} <= {*archive.namelist()}
    except zipfile.BadZipFile:
        return False


def _cell(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(re.fullmatch("[0-9]{1,9}", part.strip()) for part in parts):
        raise ShapeError(f"--cell {text}: expected row and column as I,J, for example 3,4")
    return int(parts[0]), int(parts[1])
