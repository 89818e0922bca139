"""The numbers that go into a page: tensors as computed, doubles as JSON, and as many channels as fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from npgradcam.errors import NpGradcamError
from npgradcam.layers import Linear
from npgradcam.methods import NoCamHeadError
from npgradcam.methods.cam import cam_head
from npgradcam.methods.target import rows
from npgradcam.methods.why import in_order
from npgradcam.models import Model, network_of

from .down import behind
from .encode import stored, tensor
from .receipt import receipt
from .text import rule_cells
from .trace import RULES, Trace
from .up import above

Progress = Callable[[Sequence[tuple[str, int]]], Iterable[tuple[str, int]]]
STRONGEST = 8  # channels whose cells can be followed down to the kernel
PROBES = 64  # pixels whose interpolation the page checks
EQUATIONS = {
    "Conv2d": "y[o,i,j] = b[o] + Σ_c,u,v w[o,c,u,v] x[c, s·i + d·u − p, s·j + d·v − p]",
    "ReLU": "y = max(x, 0)", "ReLU6": "y = min(max(x, 0), 6)", "BatchNorm2d": "y = γ (x − μ) / √(σ² + ε) + β",
    "MaxPool2d": "y[i,j] = max_u,v x[s·i + u − p, s·j + v − p]", "Add": "y = a + b", "Linear": "y = W x + b",
    "AvgPool2d": "y[i,j] = mean_u,v x[s·i + u − p, s·j + v − p]", "GlobalAvgPool2d": "y = 1/Z Σ_i,j x[i,j]",
    "Concat": "y = (a, b, …)", "Flatten": "y = x", "Dropout": "y = x", "Identity": "y = x",
}


def layer_data(t: Trace, budget: int) -> dict[str, Any]:
    """Return one layer's part of the page, in at most about `budget` bytes.

    Where not all K maps fit, those that move a map most are kept, alpha of all of them, and one remainder map for each
    class, sum over the others of alpha_k A^k, so that the sum is whole.
    """
    R, (K, I, J) = len(t.target), t.activations.shape
    moved = np.max([np.abs(t.contributions(row)).sum(axis=(1, 2)) for row in range(R)], axis=0)
    order = np.argsort(-moved, kind="stable")
    M = K
    while True:
        kept = np.sort(order[:M])
        A = tensor(t.activations[kept])
        dA = [tensor(t.gradients[row][kept]) for row in range(R)]
        size = stored(A, *dA)
        if size <= budget or M == 1:
            break
        M = max(1, min(M - 1, int(M * budget / size * 0.95)))
    followed, head = _followed(t, order), _head(t)
    dropped = np.setdiff1d(np.arange(K), kept)
    rest = [in_order(t.contributions(row)[dropped]) for row in range(R)]
    return {
        "name": t.layer, "kind": type(network_of(t.net)[t.layer].layer).__name__, "shape": [K, I, J],
        "kept": kept.tolist(), "order": [int(k) for k in order if k in set(kept.tolist())],
        "A": A, "dA": dA, "alpha": tensor(t.alpha),
        "rest": tensor(np.stack(rest)) if len(dropped) else None,
        "signed": tensor(t.signed_cam), "probes": _probes(t),
        "peak": [float(up.max()) for up in t.upsampled], "notes": [t.grad_cam.note(row) for row in range(R)],
        "head": head, "receipt": receipt(t), "behind": behind(t, followed, budget * 2 // 3),
        "above": None if head else above(t, np.intersect1d(followed, kept).tolist(), budget // 3),
        "rules": [rule_cells(t, row) for row in range(R)],
    }


def _followed(t: Trace, order: Any) -> list[int]:
    """The maps that can be followed down to the kernel: the strongest of each class's hottest cell, and over all."""
    found: dict[int, None] = {}
    for row in range(len(t.target)):
        hot = t.contributions(row).reshape(len(order), -1)[:, t.signed_cam[row].argmax()]
        found |= dict.fromkeys(int(k) for k in np.argsort(-hot, kind="stable")[: STRONGEST // 2 // len(t.target) + 1])
    return list(found | dict.fromkeys(int(k) for k in order))[:STRONGEST]


def _probes(t: Trace) -> list[list[list[float]]]:
    """Pixels (h, w, value) of each class's map at the input's size, spread evenly."""
    H, W = t.upsampled.shape[1:]
    places = np.unique(np.linspace(0, H * W - 1, PROBES).astype(int))
    return [[[int(p // W), int(p % W), float(up.ravel()[p])] for p in places] for up in t.upsampled]


def _head(t: Trace) -> dict[str, Any] | None:
    """Where the layer is pooled and weighed by one linear layer: its weights, the features, the bias, y^c from them."""
    network = network_of(t.net)
    with suppress(NoCamHeadError):
        layer, weights = cam_head(network, t.tape.output)
        last = network[t.tape.output].layer
        if layer != t.layer or not isinstance(last, Linear):
            return None
        features = t.outputs[network[t.tape.output].inputs[0]][0].astype(np.float64)
        w = weights[list(t.target)]
        bias = [float(last.bias[c]) for c in t.target]
        products = in_order((w.astype(np.float64) * features).T)
        return {"name": t.tape.output, "w": tensor(w), "features": tensor(features), "bias": bias,
                "logit": [float(p + b) for p, b in zip(products, bias, strict=True)]}
    return None


def predictions(t: Trace) -> dict[str, Any]:
    """Return what the network says: the explained classes, the best ones, and whether it labels pixels.

    The score of a class is its logit; of a network that labels pixels, the sum of its logits over the pixels it has.
    """
    network = network_of(t.net)
    model = t.net if isinstance(t.net, Model) else Model("network", network)
    scores, last = model.scores(t.tape)[0], network.last(network.outputs[0])
    ranked, pixels = model.ranked(scores, None), scores.ndim == 3
    classes = [asdict(next(p for p in ranked if p.index == c)) for c in t.target]
    if pixels:
        for one, seed in zip(classes, rows(t.tape, [list(t.target)]).seed, strict=True):
            one["logit"] = float((seed * t.tape.logits[0].astype(np.float64)).sum())
    of_softmax = not pixels and (last is None or type(last.layer).__name__ != "Sigmoid")
    return {"classes": classes, "top": [asdict(p) for p in ranked if p.rank <= 5 or p.index in t.target],
            "logits": tensor(np.zeros(0) if pixels else scores), "pixels": pixels, "probabilities": of_softmax}


def check_cap(size: int, cap: int) -> None:
    """Refuse a page that is too large to be opened."""
    if size > cap:
        raise NpGradcamError(
            f"study: expected a page of at most {cap / 1e6:g} MB, got {size / 1e6:.1f} MB; take fewer classes or layers"
        )


def network_data(t: Trace, progress: Progress) -> list[dict[str, Any]]:
    """Name, kind, equation, shape, parameters and settings of every layer, and what flows forward and back."""
    network, largest = network_of(t.net), _largest(t, progress)
    found = []
    for name, x in t.outputs.items():
        layer = None if name in network.inputs else network[name].layer
        kind = "input" if layer is None else type(layer).__name__
        flows = {rule: found.get(name) for rule, found in largest.items()}
        found.append({
            "name": name, "kind": kind, "equation": EQUATIONS.get(kind, ""), "shape": list(x.shape),
            "parameters": 0 if layer is None else sum(p.size for p in layer.parameters.values()),
            "about": "" if layer is None else repr(layer), "signals": flows,
            "low": float(x.min()) if x.size else 0.0, "high": float(x.max()) if x.size else 0.0,
        })
    return found


def _largest(t: Trace, progress: Progress) -> dict[str, dict[str, list[float]]]:
    """By rule and layer: max |signal| of each class. One rule and class at a time: all signals at once are large."""
    found: dict[str, dict[str, list[float]]] = {rule: {} for rule in RULES}
    for rule, row in progress([(rule, row) for rule in RULES for row in range(len(t.target))]):
        for name, signal in t.flow(rule, row).items():
            found[rule].setdefault(name, []).append(float(np.abs(signal).max()))
    return found
