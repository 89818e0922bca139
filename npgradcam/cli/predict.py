"""`npgradcam predict`: what a network sees in photographs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from npgradcam.cli.console import Console, as_json, readable, table, warm_up
from npgradcam.cli.network import needs_preprocessing, open_model
from npgradcam.cli.photographs import photographs
from npgradcam.errors import ImageError, ModelFormatError
from npgradcam.methods.start import explained_output
from npgradcam.models import Model, Prediction
from npgradcam.network import Tape

HEAD = ("rank", "index", "label", "logit", "probability")


def predict(options: argparse.Namespace) -> int:
    """Print the best classes of each photograph; return 4 where one of them could not be read."""
    console = Console(options.quiet)
    asked = photographs(options)
    model = needs_preprocessing(open_model(options))
    found: list[dict[str, Any]] = []
    bad = False
    for n, photograph in enumerate(console.progress(asked)):
        try:
            prepared = model.prepare(photograph.path)
        except ImageError as error:
            console.error(error)
            bad = True
            continue
        if not found:
            warm_up(console, options.dtype, options.backend)
        tape = model.forward(model.arranged(prepared.x), output=explained_output(model))
        best = ranked(model, tape, photograph.name)[: options.top_k]
        found.append({"image": readable(photograph.path), "predictions": [asdict(p) for p in best]})
        if not options.json:
            heading = [f"{photograph.name}:"] if len(asked) > 1 else []
            console.result("\n".join([*([""] if heading and n else []), *heading, predictions_table(best)]))
    if options.json:
        console.result(as_json(found))
    return 4 if bad else 0


def ranked(model: Model, tape: Tape, name: str) -> list[Prediction]:
    """Return every class of a tape's one image, best first.

    Raises
    ------
    ModelFormatError
        If a logit is NaN or infinite.
    """
    if not np.isfinite(tape.logits).all():
        raise ModelFormatError(
            f"{model.name}: expected finite logits for {name}, got NaN or infinity; check the weights and the "
            "preprocessing, or take --dtype float64"
        )
    return model.ranked(model.scores(tape)[0], None)


def predictions_table(predictions: Sequence[Prediction]) -> str:
    """Return predictions as aligned text."""
    rows = [[str(p.rank), str(p.index), p.label, f"{p.logit:.3f}", f"{p.probability:.4f}"] for p in predictions]
    return table(HEAD, rows, left=("label",))
