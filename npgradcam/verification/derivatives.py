"""Whether backward is the derivative of forward: by differences, layer by layer, and as one sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from npgradcam import kernels
from npgradcam.errors import NpGradcamError
from npgradcam.testing import check_adjoint, check_completeness
from npgradcam.testing.checks import affine
from npgradcam.testing.completeness import CurvedLayerError
from npgradcam.typing import Array

from .record import Check, NotApplicableError
from .subject import Subject

STEPS = (1e-7, 1e-8, 1e-9, 1e-5)  # relative to the largest pixel
DIRECTIONS = 3  # the first is the gradient's own
CLOSE = 1e-6


def finite_differences(s: Subject) -> Check:
    """(y(x + h d) - y(x - h d)) / 2h = <dy/dx, d>.

    Between two kinks of a network the quotients on either side of x agree. h is the first step at which they do, which
    does not ask what backward says; where they never do, x lies at a kink in direction d. Photographs have cells that
    are equal, where max pooling has kinks, so x is moved away from them by a little noise. Of several inputs one is
    moved while the others stay.
    """
    random, x = np.random.default_rng(0), s.x
    x = x | {name: x[name] + 1e-2 * np.abs(x[name]).max() * random.uniform(-1, 1, x[name].shape) for name in s.inputs}
    tape = s.exact.forward(x, observe=s.inputs, output=s.output)
    gradients = s.exact.backward(tape, s.seed, down_to=s.inputs)

    def score(name: str, at: Array) -> float:
        return float((s.seed * s.exact.forward({**x, name: at}, output=s.output).logits).sum())

    errors = []
    for name, n in product(s.inputs, range(DIRECTIONS)):
        at, gradient = x[name], gradients[name]
        d = random.uniform(-1, 1, at.shape) if n else gradient / (np.abs(gradient).max() or 1)
        scale = np.linalg.norm(gradient) * np.linalg.norm(d) / np.sqrt(at.size if n else 1)  # how large <g, d> is
        slope, kink = _slope(partial(score, name), at, d, CLOSE * scale)
        if kink <= CLOSE * scale:  # a kink moves the centred quotient by half of it
            errors.append(abs(slope - float((gradient * d).sum())) / (scale or 1))
    if not errors:
        raise NotApplicableError("a kink lies beside the image in every direction")
    about = f"the score along {len(errors)} directions, relative to <dy/dx, d>"
    return Check("finite differences", about, float(np.max(errors)), CLOSE)


def _slope(score: Callable[[Array], float], x: Array, d: Array, close: float) -> tuple[float, float]:
    """Return the centred quotient, and how far those on either side of x are apart, at the step that fits best."""
    here, found = score(x), []
    for step in STEPS:
        h = step * (np.abs(x).max() or 1)
        above, below = (score(x + h * d) - here) / h, (here - score(x - h * d)) / h
        found.append((abs(above - below), (above + below) / 2))
        if found[-1][0] <= close:
            break
    kink, slope = min(found)
    return slope, kink


def adjoints(s: Subject) -> Check:
    """<J u, v> = <u, J^T v> for every affine layer, at inputs of the shapes that it sees."""
    shapes, layers = s.exact.shapes(s.shapes), s.exact.layers(s.shapes)
    errors: dict[str, float] = {}
    for node in s.exact.nodes:
        if node.name not in s.tape.caches or node.pays != node.inputs:  # settings of whole numbers come in as well
            continue
        xs, layer = [np.zeros(shapes[name]) for name in node.inputs], layers[node.name]
        with kernels.session(s.exact.backend):
            if affine(layer, *xs):
                try:
                    errors[node.name] = check_adjoint(layer, *xs, tolerance=np.inf)
                except AssertionError as error:
                    return Check("adjoint of each layer", f"{node.name}: {str(error).splitlines()[0]}", np.inf, 1e-14)
    if not errors:
        raise NotApplicableError("no layer is affine")
    furthest = max(errors, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    about = f"<J u, v> and <u, J^T v> of {len(errors)} affine layers; furthest apart in {furthest}"
    return Check("adjoint of each layer", about, errors[furthest], 1e-14)


def completeness(s: Subject) -> Check:
    """The score is <dy/dx, x> + sum over layers of <signal, offset>, in a piecewise-linear network."""
    try:
        figure = check_completeness(replace(s.exact, outputs=(s.output,)), s.x, s.seed, tolerance=np.inf)
    except CurvedLayerError as error:
        curved = f"{type(error.node.layer).__name__} {error.node.name!r} is curved"
        raise NotApplicableError(f"the parts add up in a piecewise-linear network only, and {curved}") from None
    except NpGradcamError:  # what handles whole numbers or parameters only
        raise NotApplicableError("no signal reaches every layer on the way, so not every part is known") from None
    return Check("completeness", "the score, and <dy/dx, x> plus each layer's offset times its signal", figure, 1e-12)
