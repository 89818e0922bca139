"""What the equations say of each other: CAM and Grad-CAM, sums of classes, rules where nothing is negative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from npgradcam.layers import Add, BatchNorm, Conv2d, Div, Layer, Linear, MatMul, Mul, ReduceSum, Softmax
from npgradcam.methods import NoCamHeadError, cam, grad_cam
from npgradcam.methods.cam import cam_head
from npgradcam.network import Network, Node

from .record import Check, NotApplicableError
from .subject import Subject, apart, worst


def cam_against_grad_cam(s: Subject) -> Check:
    """alpha_k = w_k / Z on a head of global average pooling and one linear layer; without the 1/Z where it sums."""
    try:
        layer, _ = cam_head(s.exact, s.output)
    except NoCamHeadError:
        raise NotApplicableError("the network does not end in global average pooling and one linear layer") from None
    c = cam(s.exact, s.x, s.target)
    e = grad_cam(s.exact, s.x, s.target, layer)
    Z, share = e.cam[0].size, 1.0
    for name in s.exact.between(s.output, (layer,)):
        above = s.exact[name].layer
        share *= Z if isinstance(above, ReduceSum) else 1 / _divisor(above) if isinstance(above, Div) else 1
    about = f"CAM and Grad-CAM times Z = {Z}, relative to the largest value"
    return Check("CAM = Z Grad-CAM", about, apart(e.signed_cam * Z / share, c.signed_cam), 1e-13)


def _divisor(layer: Div) -> float:
    return 1.0 if layer.second is None else float(layer.second.item())


def linearity(s: Subject) -> Check:
    """The signed map of a y + b y' is a times the map of y plus b times the map of y'."""
    other = np.random.default_rng(0).standard_normal(s.seed.shape)
    one, two, both = (grad_cam(s.exact, s.tape, layer=s.layer, seed=seed).signed_cam
                      for seed in (s.seed, other, 3 * s.seed - 2 * other))
    return Check("linear in the score", "the map of 3 y - 2 y' and 3 maps of y less 2 of y'",
                 apart(both, 3 * one - 2 * two), 1e-12)


def class_sum(s: Subject, several: int = 9) -> Check:
    """Probabilities add up to 1, so their gradients add up to 0: sum_c dp_c/dA = 0."""
    best = s.best(several)
    softmax = Node("softmax of the logits", Softmax(), (s.output,))
    network = Network((*s.exact.nodes, softmax), s.exact.inputs, (softmax.name,), declared=s.exact.declared,
                      whole=s.exact.whole, dtype="float64", backend=s.exact.backend)
    tape = network.forward(s.x, observe=s.layer)
    rest = np.ones((1, s.tape.logits.shape[1]))
    rest[:, best] = 0
    seeds = np.concatenate([np.eye(rest.size)[best], rest])  # each of the best alone, the others together
    parts = network.backward(tape, seeds, down_to=s.layer)
    largest = np.abs(s.exact.backward(s.tape, s.seed, down_to=s.layer)).max() or 1
    about = f"the sum of dp_c/dA over all {rest.size} classes and 0, relative to the largest dy_c/dA"
    return Check("class sum", about, float(np.abs(parts.sum(axis=0)).max() / largest), 1e-13)


def positive(s: Subject) -> Check:
    """Where no signal is negative and each rectifier is open, the three rules are one: bitwise.

    Every rectifier's input is positive if the image and all weights are. Each convolution here is a weighted mean,
    without a bias, of a small image, so that nothing saturates.
    """
    nodes = tuple(replace(node, layer=_positive(node.layer)) for node in s.exact.nodes)
    network = replace(s.exact, nodes=nodes)
    gates = network.rectifiers(s.output, s.inputs)
    if not gates:
        raise NotApplicableError("the network has no rectifier")
    names, random = [*s.inputs, *gates], np.random.default_rng(0)
    x = s.x | {name: random.uniform(1e-9, 1e-8, s.x[name].shape) for name in s.inputs}
    tape = network.forward(x, observe=names, output=s.output)
    signals = {rule: network.backward(tape, s.seed, names, rule) for rule in ("gradient", "guided", "deconvnet")}
    gradient = signals["gradient"]
    for name in gates:
        if (gradient[name] < 0).any() or not (tape.activations[name] > 0).all():
            raise NotApplicableError(f"with positive weights there is still something negative at {name}")
    figure = worst((signals[rule][name], gradient[name]) for rule in ("guided", "deconvnet") for name in s.inputs)
    if not all(gradient[name].any() for name in s.inputs):
        figure = np.nan
    return Check("one rule if positive", f"guided, deconvnet and gradient through {len(gates)} open rectifiers",
                 figure, 0.0)


def _positive(layer: Layer) -> Layer:
    """Return a layer without a negative number that keeps a small image small."""
    if isinstance(layer, (Conv2d, Linear)):
        weight = np.abs(layer.weight) + 1e-3
        weight /= weight.sum(axis=tuple(range(1, weight.ndim)), keepdims=True)
        return replace(layer, weight=weight, bias=np.zeros(len(weight)))
    if isinstance(layer, MatMul) and layer.second is not None:
        second = np.abs(layer.second) + 1e-3
        return replace(layer, second=second / second.sum(axis=-2, keepdims=True))
    if isinstance(layer, (Add, Mul)) and layer.constant is not None:
        return replace(layer, constant=np.full_like(layer.constant, 0 if isinstance(layer, Add) else 1))
    if isinstance(layer, BatchNorm):
        one, zero = np.ones_like(layer.mean), np.zeros_like(layer.mean)
        return replace(layer, weight=one, bias=zero, mean=zero, variance=one)
    return layer
