"""`npgradcam explain`: one forward pass for each photograph, every method from it, and a folder that tells it all."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from npgradcam import maps
from npgradcam.cli import pictures
from npgradcam.cli.console import Console, as_json, imports_are_over, readable, short
from npgradcam.cli.every_method import Outcome, explain_all
from npgradcam.cli.folder import MANIFEST, check_free, default_folder, folder_names, whole_folder
from npgradcam.cli.manifest import manifest_of
from npgradcam.cli.network import (
    classes_of,
    how_many,
    labels_pixels,
    layers_of,
    needs_preprocessing,
    observed,
    open_model,
)
from npgradcam.cli.parser import METHODS, OF_THE_PAPER
from npgradcam.cli.photographs import Photograph, photographs, sha256_of
from npgradcam.cli.predict import called, predictions_table, ranked
from npgradcam.errors import ImageError, NpGradcamError
from npgradcam.figure import Cell
from npgradcam.images import Prepared
from npgradcam.methods import Explanation
from npgradcam.methods.explanation import write_npy
from npgradcam.methods.start import explained_output
from npgradcam.models import Model, Prediction

SHOWN = 5  # predictions in a summary and a manifest
FEW = 20  # pictures that nobody needs a bar for
TOGETHER = 8  # classes that go back through the network at once: more would need more memory than they save time


class Plan(NamedTuple):
    """What is done for every photograph."""

    model: Model
    methods: tuple[str, ...]
    strict: tuple[str, ...]
    layers: tuple[str, ...]
    classes: tuple[int, ...]  # none: the best `top`
    top: int


def explain(options: argparse.Namespace) -> int:
    """Explain each photograph; return 4 where one of them could not be read."""
    console = Console(options.quiet)
    asked = photographs(options)
    plan = _plan(options)
    out = options.out or default_folder(options.model)
    places = [out / name for name in folder_names(p.path.stem for p in asked)]
    check_free(places, options.overwrite)
    console.computing_with(options.backend)
    manifests: list[dict[str, Any]] = []
    bad: list[str] = []
    tasks = zip(asked, places, _one_ahead(plan.model, asked), strict=True)
    for photograph, place, task in console.progress(tasks, len(asked)):
        try:
            prepared = task.result()
        except ImageError as error:
            console.error(error)
            bad.append(photograph.name)
            continue
        with console.compiling(options.dtype, options.backend), whole_folder(place, options.overwrite) as folder:
            manifest = _explain_one(plan, console, photograph, prepared, folder)
        imports_are_over()
        for note in dict.fromkeys(note for e in manifest["explanations"] for note in e["notes"]):
            console.remark(f"{photograph.name}: {note}")
        if options.json:
            manifests.append({"folder": readable(place), **manifest})
        elif not options.quiet:
            console.result(_summary(photograph, place, manifest, labels_pixels(plan.model)))
    if options.json:
        console.result(as_json(manifests))
    return console.left_out(bad, len(asked))


def _one_ahead(model: Model, asked: Sequence[Photograph]) -> Iterator[Future[Prepared]]:
    """Read the next photograph while one is being explained; never more than one, so memory does not grow."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(model.prepare, asked[0].path)
        for after in asked[1:]:
            task, following = following, pool.submit(model.prepare, after.path)
            yield task
            del task
        yield following


def _plan(options: argparse.Namespace) -> Plan:
    named = options.method or ()
    strict = tuple(method for method in METHODS if method in named)
    methods = tuple(METHODS) if "all" in named else strict or tuple(OF_THE_PAPER)
    if options.layer and not any("layer" in METHODS[method].reads for method in methods):
        raise NpGradcamError(
            f"--layer: expected a method that weighs a layer of your choice, got {', '.join(methods)}; "
            "leave --layer out"
        )
    model = needs_preprocessing(open_model(options))
    layers = layers_of(model, options.layer)
    classes = tuple(classes_of(model, options.classes))
    return Plan(model, methods, strict, layers, classes, how_many(model, options.top_k))


def _explain_one(plan: Plan, console: Console, photograph: Photograph, prepared: Prepared,
                 folder: Path) -> dict[str, Any]:
    model = plan.model
    with _drawing(folder, len(plan.layers) > 1) as drawing:
        sha256 = drawing.pool.submit(sha256_of, photograph.path)
        drawn_on = drawing.pool.submit(pictures.to_draw_on, prepared)
        x, explained = model.arranged(prepared.x), explained_output(model)
        tape = model.forward(x, observed(model, plan.methods, plan.layers), explained)
        predictions = ranked(model, tape, photograph.name)
        by_index = {p.index: p for p in predictions}
        classes = plan.classes or tuple(p.index for p in predictions[: plan.top])
        seen = pictures.as_seen(prepared)
        rows: dict[tuple[str, str | None], Outcome] = {}
        for first in range(0, len(classes), TOGETHER):
            some = classes[first : first + TOGETHER]
            for outcome in explain_all(model, tape, some, plan.methods, plan.layers, plan.strict):
                rows[outcome.method, outcome.layer] = outcome
                for row, index in enumerate(some):
                    drawing.add(outcome, row, first + row, by_index[index], seen, drawn_on)
        entries, cells = drawing.finish(console)
        named = [by_index[c] for c in classes]
        why = [p.label if model.labels else called(p.label, p.index) for p in named]
        title = f"{model.name}: why {' / '.join(why)}?"
        columns = [f"{called(p.label, p.index)}, p = {p.probability:.3f}" for p in named]
        caption = f"{photograph.name}, {prepared.x.shape[3]} x {prepared.x.shape[2]} pixels as the network saw it"
        used = [o.layer for o in rows.values() if o.layer and o.explanation]
        layers = tuple(dict.fromkeys([*(name for name in plan.layers if name in used), *used]))
        caption += f"; maps of layer {', '.join(layers)}" if layers else ""
        maps.save_png(folder / "input.png", seen.photograph)
        grid = pictures.draw_grid(seen, title, caption, columns, list(rows.values()), cells)
        maps.save_png(folder / "grid.png", grid)
        best = predictions[: max(SHOWN, plan.top)]
        manifest = manifest_of(model, photograph, sha256.result(), prepared, drawn_on.result(), layers, best, entries)
        (folder / MANIFEST).write_text(as_json(manifest) + "\n", encoding="utf-8")
    return manifest


class Drawing:
    """Draws and writes in other threads while the next method computes: encoding a PNG needs no interpreter."""

    def __init__(self, folder: Path, pool: ThreadPoolExecutor, several: bool) -> None:
        self.folder = folder
        self.several = several  # layers: then file names say which
        self.pool = pool
        self.names: set[str] = set()
        self.entries: dict[tuple[int, int], dict[str, Any]] = {}
        self.cells: dict[tuple[str, str | None, int], Future[Cell]] = {}
        self.order: dict[tuple[str, str | None], int] = {}

    def add(self, outcome: Outcome, row: int, column: int, class_: Prediction, seen: Prepared,
            drawn_on: Future[Prepared]) -> None:
        """Note one explanation of one class, and have it drawn."""
        explanation = outcome.explanation
        place = self.order.setdefault((outcome.method, outcome.layer), len(self.order))
        entry: dict[str, Any] = {
            "method": outcome.method,
            "target": class_.index,
            "label": class_.label,
            "status": "ok" if explanation else f"not applicable: {outcome.reason}",
            "files": {},
            "layer": outcome.layer,
            "rule": None,
            "gates": None,
            "range": None,
            "notes": [],
        }
        self.entries[place, column] = entry
        if explanation is None:
            return
        name = self._name(explanation, row, outcome.layer if self.several else None)
        entry["files"] = {"picture": f"{name}.png", "array": f"{name}.npy"}
        entry["rule"], entry["gates"] = pictures.rule_of(explanation)
        entry["range"] = pictures.value_range(explanation.array(row))
        entry["notes"] = [explanation.note(row)] if explanation.note(row) else []
        task = self.pool.submit(self._draw, name, explanation, row, seen, drawn_on)
        self.cells[outcome.method, outcome.layer, column] = task

    def _name(self, explanation: Explanation, row: int, layer: str | None) -> str:
        """Return the record's name for a row, and a number where two layers would have one name."""
        base = name = explanation.name(row, layer)
        count = 1
        while name in self.names:
            count += 1
            name = f"{base}-{count}"
        self.names.add(name)
        return name

    def _draw(self, name: str, explanation: Explanation, row: int, seen: Prepared, drawn_on: Future[Prepared]) -> Cell:
        maps.save_png(self.folder / f"{name}.png", explanation.shown(drawn_on.result(), row))
        write_npy(self.folder / f"{name}.npy", explanation.array(row))
        return pictures.cell(explanation, row, seen)

    def finish(self, console: Console) -> tuple[list[dict[str, Any]], dict[tuple[str, str | None, int], Cell]]:
        """Wait until everything is drawn; return the entries, method by method, and the cells of the grid."""
        tasks = console.progress(self.cells.items(), len(self.cells), "picture", FEW)
        cells = {key: task.result() for key, task in tasks}
        return [self.entries[key] for key in sorted(self.entries)], cells


@contextmanager
def _drawing(folder: Path, several: bool) -> Iterator[Drawing]:
    pool = ThreadPoolExecutor(2)
    try:
        yield Drawing(folder, pool, several)
    finally:
        pool.shutdown(cancel_futures=True)  # waits: nobody writes into a folder that is being taken away


def _summary(photograph: Photograph, place: Path, manifest: dict[str, Any], of_pixels: bool) -> str:
    image = manifest["image"]
    best = [Prediction(**p) for p in manifest["predictions"]]
    done: Sequence[dict[str, Any]] = [e for e in manifest["explanations"] if e["files"]]
    classes = dict.fromkeys(called(e["label"], e["target"]) for e in manifest["explanations"])
    lines = [
        f"{photograph.name}, {image['width']} x {image['height']} pixels, {manifest['model']['name']}:",
        predictions_table(best, of_pixels),
        f"{len(done)} explanation{'s' * (len(done) != 1)} of {', '.join(classes)}; look at {short(place / 'grid.png')}",
    ]
    idle = dict.fromkeys(e["method"] for e in manifest["explanations"] if not e["files"])
    if idle:
        lines.append(f"not applicable: {', '.join(idle)}; grid.png and manifest.json say why")
    return "\n".join(lines)
