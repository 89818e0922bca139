"""Every number of a case, by the slow definitions, in float64."""

from __future__ import annotations

import re

import numpy as np

from ...convention import Convention, conventions
from .. import definitions as slow
from ..definitions.finishing import finish
from ..definitions.numbers import Numbers, wide
from ..slow_network import slow_outputs, slow_signals
from .networks import Case

LEFT_OUT = ("lanczos", "spline")  # kernels that Pillow and SciPy define


def answers(case: Case) -> dict[str, Numbers]:
    """Return arrays by the names that the pack's README explains."""
    network, images = case.network, wide(case.images)
    output = network.score(network.outputs[0])
    image = [n for n, classes in enumerate(case.targets) for _ in classes]
    target = [c for classes in case.targets for c in classes]
    alone = [slow_outputs(network, images[n : n + 1]) for n in range(len(images))]
    logits = np.concatenate([values[output] for values in alone])
    seeds = np.eye(logits.shape[1])[target]
    passes = {rule: [slow_signals(network, alone[n], output, seed[None], rule)
                     for n, seed in zip(image, seeds, strict=True)] for rule in ("gradient", "guided", "deconvnet")}
    found = {"images": images, "image": np.array(image, np.int64), "target": np.array(target, np.int64),
             "layers": np.array(case.layers), "logits": logits}
    for rule, rows in passes.items():
        found[rule] = np.concatenate([signals[network.inputs[0]] for signals in rows])
    for layer in case.layers:
        A = np.concatenate([values[layer] for values in alone])
        dA = np.concatenate([signals[layer] for signals in passes["gradient"]])
        of_layer = _maps(A, dA, image, found["guided"], _conventions(case))
        found |= {f"{layer}/{name}": values for name, values in of_layer.items()}
    return {name: value + 0.0 if value.dtype.kind == "f" else value for name, value in found.items()}  # no -0


def _maps(A: Numbers, dA: Numbers, image: list[int], guided: Numbers,
          known: dict[str, Convention]) -> dict[str, Numbers]:
    """Return what follows from A^k (N, K, I, J) and dy^c/dA^k (R, K, I, J)."""
    size = (guided.shape[2], guided.shape[3])
    alpha = slow.grad_cam_alpha(dA)
    signed, cam = slow.grad_cam(A, dA, image)
    _, plus_weights, plus_signed, plus_map = slow.grad_cam_plus_plus(A, dA, image)
    upsampled = slow.upsample(cam, size)
    found = {
        "A": A, "dA": dA, "alpha": alpha, "signed_map": signed, "map": cam, "upsampled": upsampled,
        "guided_grad_cam": guided * upsampled[:, None],
        "counterfactual_map": slow.grad_cam(A, -dA, image)[1],
        "plus_plus_weights": plus_weights, "plus_plus_signed_map": plus_signed, "plus_plus_map": plus_map,
    }
    for name, c in known.items():
        Z = dA[0, 0].size if c.weights == "sum" else 1
        found[f"convention/{name}"] = finish(signed * Z, size, start=c.start, relu=c.relu, normalise=c.normalise,
                                             when=c.when, epsilon=c.epsilon, resize=c.resize)
    return found


def _conventions(case: Case) -> dict[str, Convention]:
    """Return the conventions whose numbers follow from the logit's gradients, by names without spaces.

    The signed map itself, which is what npgradcam saves, is there already.
    """
    ends = case.network.last(case.network.outputs[0]) is not None
    return {re.sub(r"[^a-z0-9.]+", "-", c.name.lower()): c for c in conventions.values()
            if c.resize not in LEFT_OUT and not c.levels and not (ends and c.score == "output")
            and c.name != "npgradcam, saved"}
