"""Completeness: in a piecewise-linear network, gradient times input and every offset add up to the score exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import NpGradcamError
from ..layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Pad,
    PReLU,
    ReduceL2,
    ReduceMax,
    ReduceMin,
    ReLU,
    ReLU6,
    ThresholdedReLU,
)
from ..models import Model, network_of
from ..network import Network, Node
from ..typing import Array
from .checks import affine

LIMITS = {"float32": 1e-4, "float64": 1e-12}


class CurvedLayerError(NpGradcamError):
    """A layer of the network is neither known here nor affine; `node` is it."""

    def __init__(self, node: Node) -> None:
        super().__init__(
            f"check_completeness: expected a piecewise-linear network, got {type(node.layer).__name__} {node.name!r}; "
            "end the network before it, or add its offset to npgradcam.testing.completeness.OFFSETS"
        )
        self.node = node


def _nothing(layer: Any, *xs: Array) -> float:
    return 0.0  # f(x) = J x at every x: linear, or positively homogeneous (ReLU, max pooling)


def _bias(layer: Any, x: Array) -> Any:
    if layer.bias is None:
        return 0.0
    return np.asarray(layer.bias.reshape(-1, *(1,) * (x.ndim - 2)), dtype=np.float64)


def _shift(layer: BatchNorm2d, x: Array) -> Array:
    scale = layer.weight.astype(float) / np.sqrt(layer.variance.astype(float) + layer.epsilon)
    return np.asarray((layer.bias - scale * layer.mean)[:, None, None])


def _saturated(layer: Clip, x: Array) -> Array:
    return np.where(x >= layer.high, layer.high, np.where(x <= layer.low, layer.low, 0.0))


def _frame(layer: Pad, x: Array) -> Array:
    top, left, bottom, right = layer.padding
    frame = np.full((*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + left + right), float(layer.value))
    frame[:, :, top : top + x.shape[2], left : left + x.shape[3]] = 0
    return frame


OFFSETS: dict[type[Layer], Callable[..., Any]] = {
    Conv2d: _bias, Linear: _bias, BatchNorm2d: _shift, Clip: _saturated, ReLU6: _saturated, Pad: _frame,
    **dict.fromkeys((ReLU, LeakyReLU, PReLU, ThresholdedReLU, MaxPool2d, AvgPool2d, GlobalAvgPool2d, AdaptiveAvgPool2d,
                     Flatten, Dropout, Concat, GlobalMaxPool2d, ReduceMax, ReduceMin, ReduceL2), _nothing),
}


def check_completeness(network: Network | Model, images: Array | Mapping[str, Array], seed: Array | None = None,
                       tolerance: float | None = None) -> float:
    """Check score = <gradient, x> + sum over layers of <signal, f(x) - J x>, for each image.

    f(x) - J x is a layer's offset at the x it saw: the bias of a convolution or linear layer, bias - scale mean of a
    batch norm, 6 at a saturated unit of a ReLU6, the value of a pad's frame; nothing elsewhere. It is read from the
    layer's parameters and activations, not from its backward, so the sum holds only if every backward is right. Of
    several inputs <gradient, x> is the sum over all.

    Parameters
    ----------
    network : Network or Model
        Piecewise linear: no softmax on the way. A kind of layer that is not known here must be affine.
    images : ndarray of shape (N, C, H, W), or a mapping from input names to arrays
    seed : ndarray of the output's shape, optional
        The score is <seed, output>, image by image; each image's largest output where nothing is said.
    tolerance : float, optional
        On the difference relative to |<gradient, x>| plus every |<signal, f(x) - J x>|; 1e-12 in float64, 1e-4 in
        float32.

    Returns
    -------
    float
        The largest relative error.

    Raises
    ------
    AssertionError
        Where the score of an image is not the sum of its parts.
    CurvedLayerError
        Where a layer is neither known here nor affine.
    NpGradcamError
        Where there is no network.

    References
    ----------
    Srinivas and Fleuret 2019, "Full-Gradient Representation for Neural Network Visualization".
    """
    network = network_of(network)
    output = network.outputs[0]
    needed = network.leads_to(output)
    nodes = [node for node in network.nodes if node.name in needed]
    sources = [name for name in network.inputs if network.between(output, (name,))]  # whole numbers in a Cast as well
    names = [*sources, *(node.name for node in nodes)]
    tape = network.forward(images, observe=sorted(needed), output=output)
    if seed is None:
        flat = tape.logits.reshape(len(tape.logits), -1)
        seed = (np.arange(flat.shape[1]) == flat.argmax(axis=1)[:, None]).astype(flat.dtype).reshape(tape.logits.shape)
    signals = network.backward(tape, seed, down_to=names)

    terms = {name: _rows(signals[name], tape.activations[name]) for name in sources}
    for node in nodes:
        xs = [tape.activations[name] for name in node.inputs]
        terms[node.name] = _rows(signals[node.name], _offset(node, *xs))
    scores, sums = _rows(seed, tape.logits), np.sum(list(terms.values()), axis=0)
    scales = np.sum(np.abs(list(terms.values())), axis=0)
    errors = np.abs(scores - sums) / np.where(scales > 0, scales, 1)
    worst, limit = int(np.argmax(errors)), LIMITS[network.dtype] if tolerance is None else tolerance
    if not errors[worst] <= limit:
        largest = sorted(terms, key=lambda name: -abs(terms[name][worst]))[:5]
        table = "\n".join(f"    {name:<24}{terms[name][worst]:+.17e}" for name in largest)
        raise AssertionError(
            f"image {worst}: the score is not the sum of its parts: they differ by {errors[worst]:.1e} of "
            f"{scales[worst]:.3e}, at most {limit:.0e} is allowed.\n"
            f"  score           {scores[worst]:+.17e}\n  sum of parts    {sums[worst]:+.17e}\n  largest parts:\n{table}"
        )
    return float(errors[worst])


def _offset(node: Node, *xs: Array) -> Array:
    """f(x) - J x of one layer: a number, or an array that broadcasts to the layer's output."""
    known = next((kind for kind in type(node.layer).__mro__ if kind in OFFSETS), None)
    if known:
        return np.asarray(OFFSETS[known](node.layer, *xs))
    if affine(node.layer, *xs):
        return node.layer.forward(*(np.zeros_like(x) for x in xs))[0]
    raise CurvedLayerError(node)


def _rows(a: Array, b: Array) -> Array:
    """<a, b> for each image, in float64."""
    terms = a.astype(np.float64) * b
    return np.asarray(terms.reshape(len(terms), -1).sum(axis=1))
