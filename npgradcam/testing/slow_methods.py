"""The methods on a slow forward and a slow backward: a second truth, to hold `npgradcam.methods` or yourself against.

Each function takes a network (or model), images (N, C, H, W), one class for each image and mostly a layer's name, and
returns plain float64 arrays. What cannot be right is an error: TargetError for classes, UnknownLayerError for a layer
that is not there or has no slow definition, NpGradcamError where there is no network.

Examples
--------
>>> from npgradcam.testing.pack import CASES
>>> plain = CASES["plain"]
>>> found = grad_cam(plain.network, plain.images, [3], "relu2")
>>> found.weights.shape, found.signed.shape, found.map.shape
((1, 6), (1, 8, 16), (1, 8, 16))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError, TargetError
from ..models import Model, network_of
from ..network import Network
from ..typing import Shape
from . import definitions as slow
from .definitions.numbers import Numbers, wide
from .slow_network import Rule, slow_outputs, slow_signals
from .twins import slow_forward


class SlowMap(NamedTuple):
    """Weights (N, K), or cell by cell (N, K, I, J), the sum of weighed A^k, and its ReLU, both (N, I, J)."""

    weights: Numbers
    signed: Numbers
    map: Numbers


def maps_and_gradients(network: Network | Model, images: Numbers, target: Sequence[int],
                       layer: str) -> tuple[Numbers, Numbers]:
    """Return A^k and dy^c/dA^k of each image, both (N, K, I, J); y^c is the logit before a last softmax."""
    layer = network_of(network).resolve(layer)
    passes = ((_maps(values, layer), signals[layer]) for values, signals in _passes(network, images, target))
    A, g = zip(*passes, strict=True)
    return np.concatenate(A), np.concatenate(g)


def grad_cam(network: Network | Model, images: Numbers, target: Sequence[int], layer: str) -> SlowMap:
    """alpha_k = 1/Z sum_ij dy^c/dA^k_ij, and sum_k alpha_k A^k (Selvaraju et al. 2017)."""
    A, g = maps_and_gradients(network, images, target, layer)
    return SlowMap(slow.grad_cam_alpha(g), *slow.grad_cam(A, g))


def counterfactual_grad_cam(network: Network | Model, images: Numbers, target: Sequence[int], layer: str) -> SlowMap:
    """Grad-CAM of -y^c (Selvaraju et al. 2017, section 7)."""
    A, g = maps_and_gradients(network, images, target, layer)
    return SlowMap(slow.grad_cam_alpha(-g), *slow.grad_cam(A, -g))


def grad_cam_plus_plus(network: Network | Model, images: Numbers, target: Sequence[int], layer: str) -> SlowMap:
    """w_k = sum_ij alpha ReLU(g), alpha = g^2 / (2 g^2 + T g^3) (Chattopadhay et al. 2018)."""
    return SlowMap(*slow.grad_cam_plus_plus(*maps_and_gradients(network, images, target, layer))[1:])


def xgrad_cam(network: Network | Model, images: Numbers, target: Sequence[int], layer: str) -> SlowMap:
    """alpha_k = sum_ij A g / sum_ij A (Fu et al. 2020)."""
    return SlowMap(*slow.xgrad_cam(*maps_and_gradients(network, images, target, layer)))


def hires_cam(network: Network | Model, images: Numbers, target: Sequence[int], layer: str) -> SlowMap:
    """sum_k g A^k, cell by cell (Draelos and Carin 2020)."""
    A, g = maps_and_gradients(network, images, target, layer)
    return SlowMap(g, *slow.hires_cam(A, g))


def layer_cam(network: Network | Model, images: Numbers, target: Sequence[int], layer: str) -> SlowMap:
    """sum_k ReLU(g) A^k, cell by cell (Jiang et al. 2021)."""
    A, g = maps_and_gradients(network, images, target, layer)
    return SlowMap(np.where(g > 0, g, 0), *slow.layer_cam(A, g))


def cam(network: Network | Model, images: Numbers, target: Sequence[int], layer: str) -> SlowMap:
    """sum_k w^c_k A^k (Zhou et al. 2016), for a head that pools `layer` globally and weighs the means linearly.

    w^c_k is what the logit gains when the mean of channel k grows by 1: it is read off the head by trying.
    """
    network = network_of(network)
    values, layer = slow_outputs(network, images), network.resolve(layer)
    _expect_classes(target, values[network.score(network.outputs[0])].shape)
    A = _maps(values, layer)
    weights, steps = np.zeros((len(A), A.shape[1])), np.eye(A.shape[1])
    for n, c in enumerate(target):
        constant = (np.broadcast_to(e[None, :, None, None], A[n : n + 1].shape) for e in (0 * steps[0], *steps))
        scores = [_head(network, layer, maps)[0, c] for maps in constant]
        weights[n] = np.subtract(scores[1:], scores[0])
    return SlowMap(weights, *slow.cam(A, weights))


def backprop(network: Network | Model, images: Numbers, target: Sequence[int], rule: Rule = "gradient") -> Numbers:
    """Return what of y^c comes back to the images under a rule, (N, C, H, W)."""
    network = network_of(network)
    signals = [signals[network.inputs[0]] for _, signals in _passes(network, images, target, rule)]
    return np.concatenate(signals)


def guided_grad_cam(network: Network | Model, images: Numbers, target: Sequence[int], layer: str) -> Numbers:
    """Guided backpropagation times the map, enlarged bilinearly; both raw (Selvaraju et al. 2017, section 3)."""
    what = backprop(network, images, target, "guided")
    where = slow.upsample(grad_cam(network, images, target, layer).map, (images.shape[2], images.shape[3]))
    product = np.zeros(what.shape)
    for (n, c, h, w), number in np.ndenumerate(what):
        product[n, c, h, w] = number * where[n, h, w]
    return product


def _passes(network: Network | Model, images: Numbers, target: Sequence[int],
            rule: Rule = "gradient") -> Iterator[tuple[dict[str, Numbers], dict[str, Numbers]]]:
    """Yield the outputs and the signals of one image after another."""
    network = network_of(network)
    output = network.score(network.outputs[0])
    shapes = network.shapes(np.shape(images))
    _expect_classes(target, shapes[output])
    for n, c in enumerate(target):
        values = slow_outputs(network, wide(np.asarray(images[n : n + 1])))
        yield values, slow_signals(network, values, output, _seed(values[output], c), rule)


def _expect_classes(target: Sequence[int], scores: Shape) -> None:
    """Refuse what is not one class for each image; scores are (N, classes, ...)."""
    N, classes = scores[:2]
    if np.shape(target) != (N,) or not all(0 <= c < classes for c in target):
        raise TargetError(f"target: expected {N} classes from 0 to {classes - 1}, one for each image, got {target!r}")


def _maps(values: Mapping[str, Numbers], layer: str) -> Numbers:
    if values[layer].ndim != 4:
        raise ShapeError(f"layer {layer!r}: expected feature maps (N, K, I, J), got {values[layer].shape}")
    return values[layer]


def _seed(logits: Numbers, c: int) -> Numbers:
    """1 at the class; where every pixel has scores (1, classes, H, W), at those pixels whose largest is the class'."""
    seed = np.zeros(logits.shape)
    for place in np.ndindex(*logits.shape[2:]):
        column = logits[(0, slice(None), *place)]
        if logits[0, 0].size == 1 or int(np.argmax(column)) == c:
            seed[(0, c, *place)] = 1
    return seed


def _head(network: Network, layer: str, maps: Numbers) -> Numbers:
    """Return the logits for maps (1, K, I, J) in the place of a layer's."""
    values = {layer: maps}
    for node in network.nodes:
        if node.name != layer and all(name in values for name in node.inputs):
            values[node.name] = slow_forward(node.layer, *(values[name] for name in node.inputs))
    return values[network.score(network.outputs[0])]
