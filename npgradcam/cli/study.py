"""`npgradcam study`: every step from a photograph to its map, as a page to click, as text, or as a file of arrays."""

from __future__ import annotations

import argparse
import os
import re
import zipfile
from pathlib import Path

from npgradcam.cli.console import Console, short
from npgradcam.cli.network import classes_of, layers_of, needs_preprocessing, open_model
from npgradcam.cli.photographs import photographs, sha256_of
from npgradcam.cli.predict import ranked
from npgradcam.errors import NpGradcamError, OutputExistsError, ShapeError, UnknownLayerError
from npgradcam.study import trace, write_page

_PAGE = re.compile(rb'<!DOCTYPE html>\s<html lang="[a-z]+">\s<head>\s<meta charset="utf-8">\s'
                   rb'<meta http-equiv="Content-Security-Policy" content="default-src .none.; img-src data:;')


def study(options: argparse.Namespace) -> int:
    """Trace one photograph, and write what was asked for."""
    console = Console(options.quiet)
    asked = photographs(options)
    if len(asked) != 1:
        raise NpGradcamError(f"study: expected one photograph, got {len(asked)}; run it once for each")
    page = options.out or (None if options.text or options.npz else Path("why.html"))
    for path in (page, options.npz):
        if path is None or not os.path.lexists(path):
            continue
        if not options.overwrite:
            raise OutputExistsError(f"{path} exists; choose another name, or replace it with --overwrite")
        if not _of_a_study(path):
            raise OutputExistsError(f"{path}: --overwrite replaces only what study wrote, got something else there; "
                                    "move it, or choose another name")
    cell = _cell(options.cell)
    model = needs_preprocessing(open_model(options))
    layers, classes = layers_of(model, options.layer), classes_of(model, options.classes)
    if not layers:
        raise UnknownLayerError(f"{model.name}: no layer with maps lies on every path to the output; name one, --layer")
    prepared = model.prepare(asked[0].path)
    console.computing_with(options.backend)
    with console.compiling(options.dtype, options.backend):
        first = trace(model, model.arranged(prepared.x), classes or None, layers[0])
    best = ranked(model, first.tape, asked[0].name)
    if not classes and options.top_k > 1:
        classes = [p.index for p in best[: options.top_k]]
        first = trace(model, first.tape, classes, layers[0])
    traces = [first, *(trace(model, first.tape, list(first.target), layer) for layer in layers[1:])]
    if options.text:
        texts = [t.text(options.channel, cell, row, options.lang) for t in traces for row in range(len(t.target))]
        console.result("\n".join(texts).rstrip("\n"))
    if options.npz is not None:
        first.save(options.npz)
        console.remark(f"every array of {first.layer} is in {short(options.npz)}")
    if page is not None:
        size = write_page(page, traces, prepared, name=asked[0].name, sha256=sha256_of(asked[0].path),
                          lang=options.lang, budget=int(options.budget * 1e6))
        said = f"{', '.join(first.label(row) for row in range(len(first.target)))}; layer {', '.join(layers)}"
        if not options.quiet:
            console.result(f"{asked[0].name}: {said}; open {short(page)} ({size / 1e6:.1f} MB) in a browser")
    return 0


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
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise ShapeError(f"--cell {text}: expected row and column as I,J, for example 3,4")
    return int(parts[0]), int(parts[1])
