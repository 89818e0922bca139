"""Every method that was asked for, from one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from npgradcam import methods as ng
from npgradcam.errors import NpGradcamError
from npgradcam.methods import Explanation, GuidedGradCam
from npgradcam.models import Model
from npgradcam.network import Tape

RULES = {"gradient": "gradient", "deconvnet": "deconvnet", "guided-backprop": "guided"}
OF_A_LAYER = ("grad-cam", "guided-grad-cam", "counterfactual-grad-cam")
TITLES = {
    "gradient": "Gradient",
    "deconvnet": "Deconvnet",
    "guided-backprop": "Guided backprop",
    "cam": "CAM",
    "grad-cam": "Grad-CAM",
    "guided-grad-cam": "Guided Grad-CAM",
    "counterfactual-grad-cam": "Counterfactual Grad-CAM",
}


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
    target = [list(classes)]
    both = _both_factors(model, tape, target, methods, layers)
    for method in methods:
        for layer in (layers or (None,)) if method in OF_A_LAYER else (None,):
            try:
                explanation = _explain(model, tape, target, method, layer, both)
            except NpGradcamError as error:  # noqa: PERF203
                if method in strict:
                    raise
                yield Outcome(method, layer, None, str(error))
            else:
                yield Outcome(method, getattr(explanation, "layer", None), explanation)


def _both_factors(model: Model, tape: Tape, target: list[list[int]], methods: Sequence[str],
                  layers: Sequence[str]) -> dict[str, GuidedGradCam]:
    """Return Guided Grad-CAM at each layer, if it is wanted: Grad-CAM and guided backpropagation are inside it."""
    if "guided-grad-cam" not in methods:
        return {}
    try:
        return {layer: ng.guided_grad_cam(model, tape, target, layer) for layer in layers}
    except NpGradcamError:  # it does not apply; one of its factors may
        return {}


def _explain(model: Model, tape: Tape, target: list[list[int]], method: str, layer: str | None,
             both: dict[str, GuidedGradCam]) -> Explanation:
    if method == "cam":
        return ng.cam(model, tape, target)
    if method == "guided-backprop" and both:
        return next(iter(both.values())).backprop
    if method in RULES:
        return ng.backprop(model, tape, target, RULES[method])
    if layer in both and method != "counterfactual-grad-cam":
        return both[layer] if method == "guided-grad-cam" else both[layer].grad_cam
    by_name: dict[str, Callable[..., Explanation]] = {
        "grad-cam": ng.grad_cam,
        "guided-grad-cam": ng.guided_grad_cam,
        "counterfactual-grad-cam": ng.counterfactual_grad_cam,
    }
    return by_name[method](model, tape, target, layer)  # without a layer this says why there is none
