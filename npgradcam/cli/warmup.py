"""`npgradcam warmup`: compile what a network needs before anybody waits for it."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from time import perf_counter

import numpy as np

from npgradcam import kernels
from npgradcam.cli.console import Console, counted, next_run, resolved
from npgradcam.cli.every_method import explain_all
from npgradcam.cli.network import input_shape, needs_one_input, observed, open_model
from npgradcam.cli.parser import METHODS
from npgradcam.errors import NpGradcamError, UnknownLayerError
from npgradcam.kernels.session import choose
from npgradcam.methods import default_layer
from npgradcam.methods.start import explained_output
from npgradcam.models import Model
from npgradcam.typing import Array, Shape


def warmup(options: argparse.Namespace) -> int:
    """Explain a blank picture by every method, so that each kernel is compiled, and say what that took."""
    console = Console(options.quiet)
    console.computing_with(options.backend)
    model = open_model(options, shapes_only=True)
    shape = _shape(model, options.size)
    start = perf_counter()
    console.remark(f"explaining a blank picture, {' x '.join(map(str, shape))}, by {model.name}, every method ...")
    with kernels.compilation(options.backend, lambda name: console.remark(f"compiling {name} ...")) as done:
        _explain(model, np.zeros(shape, model.network.dtype))
    seconds = f"{perf_counter() - start:.1f} s"
    if done.names:
        console.result(f"{counted(done)}, {seconds} in all; {next_run(done)}")
    elif resolved(choose(options.backend)) == "numpy":
        console.result(f"nothing to compile: NumPy alone is in use; {seconds}")
    else:
        console.result(f"nothing to compile: all kernels came from the cache in {seconds}")
    return 0


def _shape(model: Model, side: int | None) -> Shape:
    """Return the shape of the model's input; `side` is for a network that takes pictures of more than one size."""
    plain = replace(needs_one_input(model), preprocessing=None)  # its size is what its file says, if anything
    size = (side, side) if side else model.usual_size
    if plain.size not in (None, size):
        raise NpGradcamError(f"--size {side}: {model.name} takes pictures of one size, {plain.size}; leave it out")
    return input_shape(plain, size)


def _explain(model: Model, x: Array) -> None:
    output = explained_output(model)
    layers: tuple[str, ...] = ()
    with suppress(UnknownLayerError):
        layers = (default_layer(model.network, x.shape, output),)
    tape = model.forward(x, observed(model, tuple(METHODS), layers), output)
    for _ in explain_all(model, tape, [0], tuple(METHODS), layers):
        pass
