"""Other implementations on Keras, as their users call them, for the kit to look at.

Rectifiers are activations, `Activation(tf.nn.relu6)`, or layers of their own, `ReLU(6.0)`.
"""

from __future__ import annotations

import os
from functools import lru_cache, partial
from importlib.metadata import version

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import onnx
import tensorflow as tf
from onnx import numpy_helper
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation
from tf_keras_vis.utils.scores import CategoricalScore
from xplique import attributions

L = tf.keras.layers


class Frame(L.Layer):
    """A frame of one value around a picture (N, H, W, C); a layer that can be cloned."""

    def __init__(self, sides, value, **settings):
        super().__init__(**settings)
        self.sides, self.value = sides, value

    def call(self, x):
        return tf.pad(x, self.sides, constant_values=self.value)

    def get_config(self):
        return {**super().get_config(), "sides": self.sides, "value": self.value}


def padded(x, pads, value=0.0):
    """Frame a picture (N, H, W, C) with ONNX' (top, left, bottom, right)."""
    top, left, bottom, right = pads
    if not any(pads):
        return x
    if value == 0:
        return L.ZeroPadding2D(((top, bottom), (left, right)))(x)
    return Frame([[0, 0], [top, bottom], [left, right], [0, 0]], value)(x)


def step(node, xs, a, held, name, style):
    """Return a node's output, channels last."""
    kind, x = node.op_type, xs[0]
    if kind == "Conv":
        weight, bias = held["weight"], held.get("bias")
        conv = L.Conv2D(len(weight), weight.shape[2:], a["strides"], "valid", dilation_rate=a["dilations"],
                        groups=a["group"], use_bias=bias is not None, name=name)
        y = conv(padded(x, a["pads"]))
        conv.set_weights([weight.transpose(2, 3, 1, 0), *([] if bias is None else [bias])])
        return y
    if kind == "BatchNormalization":
        norm = L.BatchNormalization(epsilon=a["epsilon"], name=name)
        y = norm(x)
        norm.set_weights([held["weight"], held["bias"], held["mean"], held["variance"]])
        return y
    if kind == "Gemm":
        dense = L.Dense(len(held["weight"]), name=name)
        y = dense(x)
        dense.set_weights([held["weight"].T, held["bias"]])
        return y
    if kind in ("Relu", "Clip"):
        if style == "layers":
            return L.ReLU(None if kind == "Relu" else 6.0, name=name)(x)
        return L.Activation(tf.nn.relu if kind == "Relu" else tf.nn.relu6, name=name)(x)
    if kind == "Pad":
        pads = held["pads"].tolist()
        return padded(x, (pads[2], pads[3], pads[6], pads[7]), float(held["value"]))
    if kind in ("MaxPool", "AveragePool"):
        pool = L.MaxPooling2D if kind == "MaxPool" else L.AveragePooling2D
        inside = -np.inf if kind == "MaxPool" else 0.0
        return pool(a["kernel_shape"], a["strides"], name=name)(padded(x, a["pads"], inside))
    if kind == "Flatten":  # in the order of channels first
        return L.Flatten(name=name)(L.Permute((3, 1, 2))(x) if len(x.shape) == 4 else x)
    if kind == "GlobalAveragePool":
        return L.GlobalAveragePooling2D(name=name, keepdims=True)(x)
    if kind in ("Add", "Concat"):
        return (L.Add if kind == "Add" else L.Concatenate)(name=name)(xs)
    return (L.Softmax(name=name) if kind == "Softmax" else L.Activation("linear", name=name))(x)


@lru_cache(48)
def net(model, style):
    graph = onnx.load_from_string(model).graph
    arrays = {t.name: np.array(numpy_helper.to_array(t)) for t in graph.initializer}
    _, C, H, W = (d.dim_value for d in graph.input[0].type.tensor_type.shape.dim)
    given = tf.keras.Input((H, W, C))
    values = {graph.input[0].name: given}
    for node in graph.node:
        held = {name.removeprefix(f"{node.name}."): arrays[name] for name in node.input if name in arrays}
        settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        xs = [values[name] for name in node.input if name not in arrays]
        values[node.name] = last = step(node, xs, settings, held, node.name, style)
    return tf.keras.Model(given, last)


def channels_last(images):
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def tf_keras_vis(model, images, target, layer, method, style="activations"):
    network, x, score = net(model, style), channels_last(images), CategoricalScore(list(target))
    if method in ("grad-cam", "grad-cam-plus-plus"):
        kind = Gradcam if method == "grad-cam" else GradcamPlusPlus
        return np.asarray(kind(network, clone=True)(score, x, penultimate_layer=layer,
                                                    seek_penultimate_conv_layer=False))
    modifier = GuidedBackpropagation() if method == "guided-backprop" else None
    saliency = Saliency(network, model_modifier=modifier, clone=True)
    return np.asarray(saliency(score, x, keepdims=True, normalize_map=False, gradient_modifier=lambda g: g))


def xplique(model, images, target, layer, method, style="activations"):
    network, x = net(model, style), channels_last(images)
    seed = tf.one_hot(target, network.output_shape[-1])
    if method in ("grad-cam", "grad-cam-plus-plus"):
        kind = attributions.GradCAM if method == "grad-cam" else attributions.GradCAMPP
        return np.asarray(kind(network, conv_layer=layer).explain(x, seed))[..., 0]
    kind = {"gradient": attributions.Saliency, "guided-backprop": attributions.GuidedBackprop,
            "deconvnet": attributions.DeconvNet}[method]
    return np.asarray(kind(network, reducer=None).explain(x, seed))


PEERS = {
    "tf-keras-vis": (tf_keras_vis, ["grad-cam", "grad-cam-plus-plus", "gradient", "guided-backprop"]),
    "xplique": (xplique, ["grad-cam", "grad-cam-plus-plus", "guided-backprop", "deconvnet"]),
}


def peers():
    """Yield (name with version, how the network is written, function, methods)."""
    for name, (function, methods) in PEERS.items():
        yield f"{name} {version(name)}", "activations", function, methods
        rules = [m for m in methods if m in ("guided-backprop", "deconvnet")]
        yield f"{name} {version(name)}", "layers", partial(function, style="layers"), rules


FRAMEWORK = f"tensorflow {tf.__version__}, tf_keras {version('tf_keras')}, numpy {np.__version__}"
