"""`npgradcam predict`: what a network sees in photographs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from npgradcam.checking import why_not_finite
from npgradcam.cli.console import Console, as_json, imports_are_over, readable, table
from npgradcam.cli.network import labels_pixels, needs_preprocessing, open_model
from npgradcam.cli.photographs import photographs
from npgradcam.errors import ImageError, ModelFormatError
from npgradcam.methods.start import explained_output
from npgradcam.models import Model, Prediction
from npgradcam.network import Tape

HEAD = ("rank", "index", "label", "logit", "probability")
OF_PIXELS = ("rank", "index", "label", "largest logit", "share of pixels")  # where every pixel has a class


def predict(options: argparse.Namespace) -> int:
    """Print the best classes of each photograph; return 4 where one of them could not be read."""
    console = Console(options.quiet)
    asked = photographs(options)
    model = needs_preprocessing(open_model(options))
    console.computing_with(options.backend)
    found: list[dict[str, Any]] = []
    bad: list[str] = []
    for n, photograph in enumerate(console.progress(asked, len(asked))):
        try:
            prepared = model.prepare(photograph.path)
        except ImageError as error:
            console.error(error)
            bad.append(photograph.name)
            continue
        with console.compiling(options.dtype, options.backend):
            tape = model.forward(model.arranged(prepared.x), output=explained_output(model))
        imports_are_over()
        best = ranked(model, tape, photograph.name)[: options.top_k]
        found.append({"image": readable(photograph.path), "predictions": [asdict(p) for p in best]})
        if not options.json:
            heading = f"{photograph.name}:\n" if len(asked) > 1 else ""
            gap = "\n" if heading and n else ""
            console.result(f"{gap}{heading}{predictions_table(best, labels_pixels(model))}")
    if options.json:
        console.result(as_json(found))
    return console.left_out(bad, len(asked))


def ranked(model: Model, tape: Tape, name: str) -> list[Prediction]:
    """Return every class of a tape's one image, best first.

    Raises
    ------
    ModelFormatError
        If a logit is NaN or infinite.
    """
    if not np.isfinite(tape.logits).all():
        raise ModelFormatError(
            f"{model.name}: expected finite logits for {name}, got NaN or infinity; {why_not_finite(model.network)}"
        )
    return model.ranked(model.scores(tape)[0], None)


def called(label: str, index: int) -> str:
    """Return what a class is called in a sentence; without a name it is its number, which need not be said twice."""
    return f"class {index}" if label == str(index) else f"{label} ({index})"


def predictions_table(predictions: Sequence[Prediction], of_pixels: bool) -> str:
    """Return predictions as aligned text, without labels where there are none."""
    rows = [[str(p.rank), str(p.index), p.label, f"{p.logit:.3f}", f"{p.probability:.4f}"] for p in predictions]
    named = any(p.label != str(p.index) for p in predictions)
    shown = range(5) if named else (0, 1, 3, 4)
    heads = OF_PIXELS if of_pixels else HEAD
    return table([heads[i] for i in shown], [[row[i] for i in shown] for row in rows], left=("label",))
