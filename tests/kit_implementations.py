"""Somebody's implementations for the kit to look at: right ones on our own layers, and ones with a planted mistake."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import onnx

import npgradcam as ng
from npgradcam.convention import guided_backprop
from npgradcam.diagnosis.training import in_training
from npgradcam.formats.onnx import network_of
from npgradcam.formats.onnx_file import onnx_file


@lru_cache(256)
def network(model):
    return network_of(onnx_file(onnx.load_from_string(model)), "float32", "numpy")


def right(model, images, target, layer, method):
    net = network(model)
    if method == "cam":
        return ng.cam(net, images, target).signed_cam
    if method in ("gradient", "deconvnet", "guided-backprop"):
        return ng.backprop(net, images, target, "guided" if method == "guided-backprop" else method).signal
    if method == "guided-grad-cam":
        return ng.guided_grad_cam(net, images, target, layer).signal
    return getattr(ng, method.replace("-", "_"))(net, images, target, layer).cam


def ours(method):
    return lambda *given: right(*given, method)


def finished(change, method="grad-cam"):
    """The right map, changed."""
    return lambda *given: change(right(*given, method))


def weighed(weigh, score="logit"):
    """sum_k of weigh(A, g), and its ReLU."""

    def grad_cam(model, images, target, layer):
        e = ng.grad_cam(network(model), images, target, layer, score=score)
        return np.maximum(weigh(e.activations, e.gradients).sum(axis=1), 0)

    return grad_cam


def cells(weights):
    return weights[:, :, None, None]


def plus_plus(denominator, score="logit"):
    def weigh(A, g):
        d = denominator(A, g)
        a = np.divide(g**2, d, out=np.zeros_like(g), where=d != 0)
        return cells((a * np.maximum(g, 0)).sum(axis=(2, 3))) * A

    return weighed(weigh, score)


def total(x):
    return x.sum(axis=(2, 3), keepdims=True)


def minmax(m, epsilon=0.0):
    with np.errstate(invalid="ignore"):
        m = m - m.min(axis=(1, 2), keepdims=True)
        return m / (m.max(axis=(1, 2), keepdims=True) + np.float32(epsilon))


def of_the_top_class(model, images, target, layer):
    return ng.grad_cam(network(model), images, None, layer).cam


def of_the_class_before(model, images, target, layer):
    net = network(model)
    classes = net.shapes(images.shape)[net.outputs[0]][1]
    return ng.grad_cam(net, images, [(c - 1) % classes for c in target], layer).cam


def with_gradients_below(model, images, target, layer):
    """As a hook that takes grad_input for grad_output; where the shapes differ nobody would not notice."""
    net = network(model)
    e, (below,) = ng.grad_cam(net, images, target, layer), net[layer].inputs[:1]
    if net.shapes(images.shape)[below] != net.shapes(images.shape)[layer] or below in net.inputs:
        return e.cam
    alpha = ng.grad_cam(net, images, target, below).alpha
    return np.maximum((cells(alpha) * e.activations).sum(axis=1), 0)


def wrong_where_normed(model, images, target, layer):
    """As with a batch norm that computes with the statistics of the batch: another network, somehow."""
    net = network(model)
    nodes = tuple(replace(n, layer=replace(n.layer, mean=n.layer.mean + 0.5, variance=2 * n.layer.variance))
                  if hasattr(n.layer, "variance") else n for n in net.nodes)
    return ng.grad_cam(replace(net, nodes=nodes), images, target, layer).cam


def finished_by_case(change, method="grad-cam"):
    """The right map and its record, changed."""

    def grad_cam(model, images, target, layer):
        e = getattr(ng, method.replace("-", "_"))(network(model), images, target, layer)
        return change(e.cam, e)

    return grad_cam


def of_the_default_layer(model, images, target, layer):
    return ng.grad_cam(network(model), images, target).cam


def of_the_probability(model, images, target, layer):
    return ng.grad_cam(network(model), images, target, layer, score="output").cam


def silent_about_missing_targets(model, images, target, layer):
    maps = np.zeros((len(images), *right(model, images, target[0], layer, "grad-cam").shape[1:]), np.float32)
    for n, c in enumerate(target):
        maps[n] = right(model, images[n : n + 1], [c], layer, "grad-cam")[0]
    return maps


def first_image_alone(model, images, target, layer):
    maps = right(model, images, target, layer, "grad-cam")
    return np.concatenate([maps[:1], 0 * maps[1:]])


def normalised_where_many(model, images, target, layer):
    maps = right(model, images, target, layer, "grad-cam")
    return minmax(maps, 1e-7) if len(maps) > 1 else maps


def guided_at_relu_alone(model, images, target, layer):
    return guided_backprop(ng.conventions["captum 0.9.0"], network(model), images, target)


def product_at_relu_alone(model, images, target, layer):
    large = ng.maps.upsample(right(model, images, target, layer, "grad-cam"), images.shape[2:])
    return guided_at_relu_alone(model, images, target, layer) * large[:, None]


def seeing(change, method="grad-cam"):
    """The right map of other pictures."""
    return lambda model, images, *given: right(model, np.ascontiguousarray(change(images)), *given, method)


def training(method):
    """Batch norm as in training, whatever comes after it."""

    def of(model, images, target, layer):
        net = in_training(network(model)) or network(model)
        if method == "grad-cam":
            return ng.grad_cam(net, images, target, layer).cam
        return ng.backprop(net, images, target, "guided").signal

    return of


def raising(error):
    def broken(*given):
        raise error

    return broken
