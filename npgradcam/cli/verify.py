"""`npgradcam verify`: whether everything holds on your model that must hold whatever its weights are."""

from __future__ import annotations

import argparse
from pathlib import Path

from npgradcam import verification
from npgradcam.cli.console import Console, as_json
from npgradcam.cli.network import classes_of, inputs_from, layers_of, model_named, open_model
from npgradcam.errors import NpGradcamError

FAILED = 1


def verify(options: argparse.Namespace) -> int:
    """Print what was checked, how far off it was, and the verdict; return 1 where anything failed."""
    console = Console(options.quiet)
    options.model = model_named(options)
    if len(options.classes) > 1:
        raise NpGradcamError(f"verify: expected one --class, got {len(options.classes)}; run it once for each")
    model = open_model(options)
    x = inputs_from(model, Path(options.image)) if options.image else verification.default_images(model)
    console.computing_with(options.backend)
    target = classes_of(model, options.classes)[0] if options.classes else None
    layer = layers_of(model, [options.layer], model.usual_size)[0] if options.layer else None
    with console.compiling(options.dtype, options.backend):
        found = verification.verify(model, x, target, layer, randomise=options.randomise,
                                    progress=lambda name: console.remark(f"{name} ..."))
    console.result(as_json(found.as_dict()) if options.json else str(found))
    return 0 if found.ok else FAILED
