"""Record what other implementations on Keras say of the small network: python tests/make_peers_keras.py [FILE].

Recorded on a CPU with tensorflow 2.20.0, tf_keras 2.20.1 (TF_USE_LEGACY_KERAS=1), tf-keras-vis 0.8.7 (scipy 1.15.3) and
xplique 2.0.2, in float32 as each of them returns it. Both explain what the network itself returns, here probabilities,
unless its last activation is taken away. The tests read only the file.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import tensorflow as tf
from peers_net import CASES, KERAS, LAYERS, arrays
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
from tf_keras_vis.utils.scores import CategoricalScore
from xplique.attributions import GradCAM, GradCAMPP

L = tf.keras.layers


def network(weights, case, softmax):
    """Build the network; a convolution's padding is a layer of its own, as PyTorch has it on all four sides."""
    act = {"relu": tf.nn.relu, "relu6": tf.nn.relu6}[case.rectifier]
    x = given = tf.keras.Input((case.height, case.width, 3))
    for n, channels in (("1", 5), ("2", 6)):
        x = L.Conv2D(channels, 3, 2, name=f"conv{n}")(L.ZeroPadding2D(1)(x))
        x = L.Activation(act, name=f"act{n}")(x)
    x = L.Dense(4, name="fc")(L.GlobalAveragePooling2D()(x))
    net = tf.keras.Model(given, L.Softmax(name="softmax")(x) if softmax else x)
    for name in ("conv1", "conv2", "fc"):
        order = (1, 0) if name == "fc" else (2, 3, 1, 0)
        net.get_layer(name).set_weights([weights[f"{name}.weight"].transpose(order), weights[f"{name}.bias"]])
    return net


def record(net, layer, x, target):
    both = tf.keras.Model(net.inputs, [net.get_layer(layer).output, net.output])
    with tf.GradientTape() as tape:
        A, y = both(x)
        score = tf.reduce_sum(y * tf.one_hot(target, 4))
    dA = tape.gradient(score, A)
    made = {key: np.transpose(value, (0, 3, 1, 2)) for key, value in {"activations": A, "gradients": dA}.items()}
    made["output"] = y.numpy()
    for name, method in {"grad-cam": Gradcam, "grad-cam-plus-plus": GradcamPlusPlus}.items():
        for kind, settings in {"": {}, "/raw": {"normalize_cam": False, "expand_cam": False}}.items():
            maps = method(net, clone=True)(CategoricalScore(list(target)), x, penultimate_layer=layer,
                                           seek_penultimate_conv_layer=False, **settings)
            made[f"tf-keras-vis/{name}{kind}"] = np.asarray(maps)
    for name, method in {"grad-cam": GradCAM, "grad-cam-plus-plus": GradCAMPP}.items():
        maps = method(net, conv_layer=layer).explain(x, tf.one_hot(target, 4))
        made[f"xplique/{name}"] = np.asarray(maps)[..., 0]
    return made


def main(path):
    drawn, recorded = arrays(), {}
    for name, case in CASES.items():
        x = drawn[f"{name}/images"].transpose(0, 2, 3, 1)
        for layer in LAYERS:
            for kind, softmax in {"output": True, "logit": False}.items():
                if kind == "logit" and name != "odd":
                    continue
                made = record(network(drawn, case, softmax), layer, x, case.target)
                recorded |= {f"{name}/{layer}/{kind}/{key}": value for key, value in made.items()}
    np.savez_compressed(path, **recorded)
    packages = ("tensorflow", "tf_keras", "tf-keras-vis", "scipy", "xplique")
    print(path, Path(path).stat().st_size, "bytes,", ", ".join(f"{p} {version(p)}" for p in packages))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else KERAS)
