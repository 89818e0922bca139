"""Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: a map that survives random weights explains nothing.

Layers are randomised one after the other, from the output down (section 3.1, cascading randomisation). Instead of
being drawn, a layer's numbers are shuffled, so that their distribution stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from npgradcam.errors import TargetError
from npgradcam.layers import Layer
from npgradcam.methods import ClassActivationMap, NoCamHeadError, backprop, cam, grad_cam
from npgradcam.methods.cam import cam_head
from npgradcam.methods.counterfactual import counterfactual_of
from npgradcam.methods.grad_cam_plus_plus import grad_cam_plus_plus_of
from npgradcam.methods.guided_grad_cam import product
from npgradcam.methods.hires_cam import hires_cam_of
from npgradcam.methods.layer_cam import layer_cam_of
from npgradcam.methods.xgrad_cam import xgrad_cam_of
from npgradcam.network import Network
from npgradcam.typing import Array

from .record import Randomised
from .subject import Subject

STAGES = 5
RELATIVES: dict[str, Callable[[ClassActivationMap], ClassActivationMap]] = {  # from Grad-CAM's A and dA
    "counterfactual": counterfactual_of, "Grad-CAM++": grad_cam_plus_plus_of, "XGrad-CAM": xgrad_cam_of,
    "HiResCAM": hires_cam_of, "LayerCAM": layer_cam_of,
}


def randomised(s: Subject) -> Randomised | None:
    """Return how each method's map changes; None where no layer has weights."""
    needed = s.exact.leads_to(s.output)
    held = [node for node in s.exact.nodes if node.name in needed and _arrays(node.layer)]
    if not held:
        return None
    random = np.random.default_rng(0)
    shuffled = {node.name: _shuffled(node.layer, random) for node in reversed(held)}  # from the output down
    counts = sorted({max(1, round(len(held) * n / (STAGES - 1))) for n in range(STAGES)})
    before = _maps(s, s.net)
    found: dict[str, list[float | None]] = {method: [] for method in before}
    for count in counts:
        new = dict(list(shuffled.items())[:count])
        nodes = tuple(replace(node, layer=new.get(node.name, node.layer)) for node in s.net.nodes)
        after = _maps(s, replace(s.net, nodes=nodes))
        for method, maps in before.items():
            found[method].append(_likeness(maps, after.get(method)))
    return Randomised(tuple(counts), {method: tuple(row) for method, row in found.items()})


def _arrays(layer: Layer) -> dict[str, Array]:
    return {name: a for name, a in layer.parameters.items() if a.dtype.kind == "f" and a.size > 1}


def _shuffled(layer: Layer, random: np.random.Generator) -> Layer:
    """Shuffle each array; those of one length alike, so that a channel keeps its mean, variance and scale."""
    arrays = _arrays(layer)
    orders = {size: random.permutation(size) for size in sorted({a.size for a in arrays.values()})}
    new = {name: a.ravel()[orders[a.size]].reshape(a.shape) for name, a in arrays.items()}
    return replace(layer, **new)  # type: ignore[type-var]


def _maps(s: Subject, network: Network) -> dict[str, Array]:
    """Return |map| of each method that applies, of all images, by one forward; nothing where numbers overflow."""
    observed = list(s.observed)
    with suppress(NoCamHeadError):
        observed.append(cam_head(network, s.output)[0])
    tape = network.forward(s.images, observe=tuple(dict.fromkeys(observed)), output=s.output)
    try:
        e = grad_cam(network, tape, s.target, s.layer)
    except TargetError:
        return {}
    found = {"gradient": backprop(network, tape, s.target, input=s.input).signal}
    if network.rectifiers(s.output, s.input):
        guided = backprop(network, tape, s.target, "guided", input=s.input)
        found["deconvnet"] = backprop(network, tape, s.target, "deconvnet", input=s.input).signal
        found |= {"guided backpropagation": guided.signal, "Guided Grad-CAM": product(e, guided).signal}
    with suppress(NoCamHeadError):
        found["CAM"] = cam(network, tape, s.target).cam
    found |= {"Grad-CAM": e.cam} | {method: of(e).cam for method, of in RELATIVES.items()}
    return {method: np.abs(numbers) for method, numbers in found.items()}


def _likeness(before: Array, after: Array | None) -> float | None:
    """Return the mean over images of Spearman's rank correlation."""
    from scipy.stats import spearmanr

    if after is None:
        return None
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(before, after, strict=True)]
    if not all(np.ptp(a) > 0 and np.ptp(b) > 0 for a, b in pairs):  # a constant map has no ranks, nor has NaN
        return None
    return float(np.mean([spearmanr(a, b).statistic for a, b in pairs]))
