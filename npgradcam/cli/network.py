"""The network that was asked for, and what of it is to be explained."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from math import prod
from pathlib import Path

import numpy as np

from npgradcam import load
from npgradcam.cli.arguments import MODEL
from npgradcam.cli.console import readable
from npgradcam.cli.folder import MAX_MANIFEST
from npgradcam.cli.parser import METHODS
from npgradcam.errors import (
    MissingPackageError,
    ModelFormatError,
    NpGradcamError,
    TargetError,
    UnknownLayerError,
    close_matches,
)
from npgradcam.formats import read_npy, read_npz, read_text
from npgradcam.formats.strict_json import read_json
from npgradcam.images import PRESETS, Preprocess
from npgradcam.methods import NoCamHeadError, default_layer
from npgradcam.methods.cam import cam_head
from npgradcam.methods.start import explained_output
from npgradcam.models import MODELS, Model
from npgradcam.models.weights import Outline
from npgradcam.typing import Array, Shape

SMALL = "shapes"


def open_model(options: argparse.Namespace, shapes_only: bool = False) -> Model:
    """Load the network that the command line names.

    With `shapes_only` an architecture by name, without --weights, gets parameters that are all 0: nobody needs a
    checkpoint in order to see its layers.

    Raises
    ------
    MissingPackageError
        If its weights are not installed; the sentence has the command, and a network to try without it.
    ModelFormatError
        If the name, the weights, the labels or the file of the preprocessing are not what they should be.
    NpGradcamError
        If no preprocessing has that name.
    """
    if options.model.lower() in MODELS:
        options.model = options.model.lower()
    weights = options.weights
    if weights is None and options.model in MODELS and shapes_only:
        weights = Outline()
    if weights is None and options.model in MODELS and MODELS[options.model].weights is None:
        raise ModelFormatError(f"--model {options.model}: no weights come along; bring them with --weights FILE")
    try:
        return load(options.model, weights, preprocess=_preprocess(options.preprocess), labels=options.labels,
                    dtype=options.dtype, backend=options.backend)
    except MissingPackageError as error:
        raise MissingPackageError(f"{error}; or try the small network that comes along: --model {SMALL}") from None


def model_named(options: argparse.Namespace) -> str:
    """Return what `verify MODEL` or `profile MODEL` names, or what --model does; both must not differ."""
    if options.network and options.model not in (MODEL, options.network):
        raise NpGradcamError(f"{options.command}: expected one model, got {readable(options.network)} and --model "
                             f"{readable(options.model)}; leave one out")
    return str(options.model if options.network is None else options.network)


def needs_one_input(model: Model) -> Model:
    """Return the model, if one picture is all that it takes; raise `ModelFormatError` if not."""
    if len(model.network.inputs) > 1:
        raise ModelFormatError(
            f"--model {model.source}: this network has {len(model.network.inputs)} inputs "
            f"({', '.join(model.network.inputs)}), the command line has one picture; use Python and give a dict, "
            "as in net.network({name: array, ...})"
        )
    return model


def needs_preprocessing(model: Model) -> Model:
    """Return the model, if it says how a photograph becomes its input: that is never guessed.

    Raises
    ------
    ModelFormatError
        With the presets.
    """
    needs_one_input(model)
    if model.preprocessing is None:
        raise ModelFormatError(
            f"--model {model.source}: the file does not say how photographs become its input; say it with "
            f"--preprocess: {', '.join(PRESETS)}, or a .json file"
        )
    return model


def input_from(model: Model, source: Path) -> Array:
    """Return what goes into the network: made of a photograph, or ready from an .npy file."""
    if source.suffix.lower() != ".npy":
        return model.preprocess(needs_preprocessing(model) and source)
    needs_one_input(model)
    try:
        return _finite(source, read_npy(source).astype(model.network.dtype, casting="same_kind"))
    except ModelFormatError as error:
        raise NpGradcamError(f"input: {error}") from None
    except TypeError:
        raise NpGradcamError(f"input {source}: expected floating-point numbers (N, C, H, W)") from None


def inputs_from(model: Model, source: Path) -> Array | dict[str, Array]:
    """Return what goes into every input: into one as `input_from` makes it, into several from an .npz file."""
    names = model.network.inputs
    together = source.suffix.lower() == ".npz"
    if len(names) == 1 and not together:
        return input_from(model, source)
    if len(names) == 1:
        raise NpGradcamError(f"input {source}: this network has one input; expected a photograph, or an .npy file as "
                             "numpy.save writes it")
    if not together:
        raise NpGradcamError(f"input {source}: this network has {len(names)} inputs; expected an .npz file with an "
                             f"array for each, {', '.join(names)}, as numpy.savez writes it")
    try:
        arrays = read_npz(source)
    except ModelFormatError as error:
        raise NpGradcamError(f"input: {error}") from None
    if {*arrays} != {*names}:
        raise NpGradcamError(f"input {source}: expected the arrays {', '.join(names)}, got {', '.join(arrays)}")
    floats = {name: x.astype(model.network.dtype) for name, x in arrays.items() if x.dtype.kind == "f"}
    return arrays | {name: _finite(f"{source}, {name}", x) for name, x in floats.items()}


def _finite(where: str | Path, x: Array) -> Array:
    if not np.isfinite(x).all():
        raise NpGradcamError(f"input {where}: expected finite numbers, got NaN or infinity")
    return x


def _preprocess(asked: str | None) -> str | Preprocess | None:
    if asked is None or asked in PRESETS:
        return asked
    if not asked.lower().endswith(".json"):
        raise NpGradcamError(f"--preprocess {asked}: expected one of {', '.join(PRESETS)}, or a .json file")
    try:
        record = read_json(read_text(asked, MAX_MANIFEST))
        if isinstance(record, dict) and "conventions" in record:  # a whole manifest: take its part
            record = record["preprocess"]
        return Preprocess.from_dict(record)
    except ModelFormatError as error:
        raise ModelFormatError(f"--preprocess {asked}: {error}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFormatError(
            f"--preprocess {asked}: expected a JSON record like that in manifest.json, got {error}"
        ) from None


def input_shapes(model: Model, size: tuple[int, int] | None = None) -> dict[str, Shape]:
    """Return the shape of each of the model's inputs for one photograph, (1, C, H, W) or (1, H, W, C).

    `size` is taken where the model has none of its own.
    """
    if not (model.size or size):
        raise ModelFormatError(
            f"model {model.name!r} takes pictures of any size; say how its input is made with --preprocess: "
            f"{', '.join(PRESETS)}, or a .json file, or use Python"
        )
    return model.input_shapes(model.size or size)


def labels_pixels(model: Model) -> bool:
    """Whether the network tells the class of every pixel, so that a class is ranked by its share of them."""
    output = explained_output(model)
    return prod(model.network.shapes(input_shapes(model))[output][1:]) > model.class_count(output)


def classes_of(model: Model, asked: Sequence[str]) -> list[int]:
    """Return the indices of classes given by number or name, each once, in the order asked.

    Raises
    ------
    TargetError
        If there is no such class, or several.
    """
    output = explained_output(model)
    count = model.class_count(output)
    found = []
    for text in asked:
        if text.strip().lstrip("+-").isdecimal():
            index = int(text)
            if not 0 <= index < count:
                raise TargetError(f"--class {text}: expected a number from 0 to {count - 1}, or a label")
        elif model.labels is None:
            raise TargetError(f"--class {text!r}: this network has no class names; give a number from 0 to {count - 1}")
        else:
            index = model.labels.find(text)
        found.append(index)
    return list(dict.fromkeys(found))


def how_many(model: Model, top: int | None) -> int:
    """Return how many of the best classes are explained: what --top-k says, else one.

    Raises
    ------
    TargetError
        If there are not so many.
    """
    count = model.class_count(explained_output(model))
    if top is not None and top > count:
        raise TargetError(f"--top-k {top}: expected at most the {count} classes of {model.name}; take --top-k {count}")
    return top or 1


def layers_of(model: Model, asked: Sequence[str], size: tuple[int, int] | None = None) -> tuple[str, ...]:
    """Return the layers to explain: those asked for, each once, or the default; none where there is no default.

    Raises
    ------
    UnknownLayerError
        If a layer is not there, or has no maps.
    """
    network, given = model.network, input_shapes(model, size)
    shapes = network.shapes(given)
    if not asked:
        with suppress(UnknownLayerError):
            return (default_layer(network, given, explained_output(model)),)
        return ()
    maps = [node.name for node in network.nodes if len(shapes[node.name]) == 4]
    tensors = [tensor for tensor, name in network.aliases.items() if name in maps]
    for name in asked:
        try:
            got = f"got {shapes[network.resolve(name)]}"
        except UnknownLayerError:
            got = "no layer has that name"
        else:
            if len(shapes[network.resolve(name)]) == 4:
                continue
        raise UnknownLayerError(
            f"--layer {name}: expected a layer with maps (N, K, I, J), {got}; near it: "
            f"{close_matches(name, [*tensors, *maps])}; `npgradcam layers` lists all"
        )
    return tuple(dict.fromkeys(map(network.resolve, asked)))


def observed(model: Model, methods: Sequence[str], layers: Sequence[str]) -> tuple[str, ...]:
    """Return what one forward must keep so that all these methods can share it."""
    reads = {part for method in methods for part in METHODS[method].reads}
    names = list(layers) if "layer" in reads else []
    if "head" in reads:
        with suppress(NoCamHeadError):
            names.append(cam_head(model.network, explained_output(model))[0])
    if "input" in reads:
        names.extend(model.network.sources(explained_output(model)))
    return tuple(dict.fromkeys(names))
