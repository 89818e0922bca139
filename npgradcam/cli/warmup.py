"""`npgradcam warmup`: compile what a network needs before anybody waits for it."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from itertools import product
from time import perf_counter

import numpy as np

from npgradcam import kernels
from npgradcam.cli.console import Console, counted, inputs_as_text, next_run, resolved
from npgradcam.cli.every_method import explain_all
from npgradcam.cli.network import observed, open_model
from npgradcam.cli.parser import METHODS
from npgradcam.errors import NpGradcamError, UnknownLayerError
from npgradcam.kernels.session import choose
from npgradcam.methods.backprop import NAMES, backprop
from npgradcam.methods.start import explained_output, layer_of
from npgradcam.models import Model
from npgradcam.typing import Array


def warmup(options: argparse.Namespace) -> int:
    """Explain a blank picture by every method, so that each kernel is compiled, and say what that took."""
    console = Console(options.quiet)
    console.computing_with(options.backend)
    model = open_model(options, shapes_only=True)
    x = _blank(model, options.size)
    shapes, start = {name: zeros.shape for name, zeros in x.items()}, perf_counter()
    console.remark(f"explaining a blank picture, {inputs_as_text(shapes)}, by {model.name}, every method ...")
    with kernels.compilation(options.backend, lambda name: console.remark(f"compiling {name} ...")) as done:
        _explain(model, x)
    seconds = f"{perf_counter() - start:.1f} s"
    if done.names:
        console.result(f"{counted(done)}, {seconds} in all; {next_run(done)}")
    elif resolved(choose(options.backend)) == "numpy":
        console.result(f"nothing to compile: NumPy alone is in use; {seconds}")
    else:
        console.result(f"nothing to compile: all kernels came from the cache in {seconds}")
    return 0


def _blank(model: Model, side: int | None) -> dict[str, Array]:
    """Return what goes in, all 0; `side` is for a network that takes pictures of more than one size."""
    plain = replace(model, preprocessing=None)  # its size is what its file says, if anything
    size = (side, side) if side else model.usual_size
    if plain.size not in (None, size):
        raise NpGradcamError(f"--size {side}: {model.name} takes pictures of one size, {plain.size}; leave it out")
    return {name: np.zeros_like(noise) for name, noise in plain.noise(size).items()}


def _explain(model: Model, x: dict[str, Array]) -> None:
    output = explained_output(model)
    layers: tuple[str, ...] = ()
    with suppress(UnknownLayerError):
        layers = (layer_of(model, x, None, None, "logit"),)
    tape = model.forward(x, observed(model, tuple(METHODS), layers), output)
    for _ in explain_all(model, tape, [0], tuple(METHODS), layers):
        pass
    others = [name for name in model.network.sources(output) if name != model.network.inputs[0]]
    for name, rule in product(others, NAMES):
        with suppress(NpGradcamError):  # no rectifier on the way
            backprop(model, tape, [[0]], rule, input=name)
