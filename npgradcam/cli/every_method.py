"""Every method that was asked for, from one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from npgradcam import methods as ng
from npgradcam.cli.parser import METHODS
from npgradcam.errors import NpGradcamError
from npgradcam.methods import ClassActivationMap, Explanation, InputSignal
from npgradcam.methods.counterfactual import counterfactual_of
from npgradcam.methods.grad_cam_plus_plus import grad_cam_plus_plus_of
from npgradcam.methods.guided_grad_cam import product
from npgradcam.methods.hires_cam import hires_cam_of
from npgradcam.methods.layer_cam import layer_cam_of
from npgradcam.methods.xgrad_cam import xgrad_cam_of
from npgradcam.models import Model
from npgradcam.network import Tape


class Outcome(NamedTuple):
    """What came of one method (at one of the layers): a record with a row for each class, or why there is none."""

    method: str
    layer: str | None
    explanation: Explanation | None
    reason: str = ""


def explain_all(model: Model, tape: Tape, classes: Sequence[int], methods: Sequence[str], layers: Sequence[str],
                strict: Sequence[str] = ()) -> Iterator[Outcome]:
    """Explain several classes of one image by several methods.

    Parameters
    ----------
    model : Model
    tape : Tape
        Of one image; it observes what the methods read.
    classes : sequence of int
        All of them go back through the network together, one row each.
    methods, layers : sequence of str
    strict : sequence of str
        Methods that were asked for by name: one that does not apply is an error.

    Yields
    ------
    Outcome
        In the order of `methods`, and within a method in the order of `layers`.
    """
    explain = _ways(model, tape, [list(classes)])
    for method in methods:
        for layer in (layers or (None,)) if "layer" in METHODS[method].reads else (None,):
            try:
                explanation = explain[method](layer)
            except NpGradcamError as error:  # noqa: PERF203
                if method in strict:
                    raise
                yield Outcome(method, layer, None, str(error))
            else:
                yield Outcome(method, getattr(explanation, "layer", None), explanation)


def _ways(model: Model, tape: Tape, target: list[list[int]]) -> dict[str, Callable[[str | None], Explanation]]:
    """Return how each method explains a layer; what several of them start from is computed once.

    Guided Grad-CAM takes both factors from here, Grad-CAM's relatives its activations and gradients. Without a layer, a
    method that needs one says why there is none.
    """

    @cache
    def where(layer: str | None) -> ClassActivationMap:
        return ng.grad_cam(model, tape, target, layer)

    @cache
    def what(rule: str) -> InputSignal:
        return ng.backprop(model, tape, target, rule)

    return {
        "gradient": lambda layer: what("gradient"),
        "deconvnet": lambda layer: what("deconvnet"),
        "guided-backprop": lambda layer: what("guided"),
        "cam": lambda layer: ng.cam(model, tape, target),
        "grad-cam": where,
        "guided-grad-cam": lambda layer: product(where(layer), what("guided")),
        "counterfactual-grad-cam": lambda layer: counterfactual_of(where(layer)),
        "grad-cam-plus-plus": lambda layer: grad_cam_plus_plus_of(where(layer)),
        "xgrad-cam": lambda layer: xgrad_cam_of(where(layer)),
        "hires-cam": lambda layer: hires_cam_of(where(layer)),
        "layer-cam": lambda layer: layer_cam_of(where(layer)),
    }
