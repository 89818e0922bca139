"""Export Keras applications through tf2onnx, as skeletons: python tests/make_onnx_keras.py [NAME...].

Made with Python 3.11, tensorflow-cpu 2.21.0, keras 3.15.1, tf2onnx 1.17.0 and onnx 1.23.2. Inputs stay (N, H, W, C), as
Keras has them; batch norms are folded, or not, as tf2onnx does it.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from onnx import numpy_helper
from onnx_skeletons import DATA, save, strip

A = keras.applications
BARE = {"weights": None, "classifier_activation": None}

# name: (what is built, input shape with None where it is open, opset)
ZOO = {
    "keras_mobilenet_v2": (lambda: A.MobileNetV2((96, 96, 3), 0.35, **BARE), (None, 96, 96, 3), 13),
    "keras_xception": (lambda: A.Xception(input_shape=(96, 96, 3), weights=None), (1, 96, 96, 3), 15),
    "keras_efficientnet_b0": (lambda: A.EfficientNetB0(input_shape=(64, 64, 3), weights=None), (None, 64, 64, 3), 17),
    "keras_resnet50_v2": (lambda: A.ResNet50V2(input_shape=(64, 64, 3), weights=None), (None, 64, 64, 3), 11),
    "keras_densenet121": (lambda: A.DenseNet121(input_shape=(64, 64, 3), **BARE), (None, 64, 64, 3), 18),
    "keras_mobilenet_v3": (lambda: A.MobileNetV3Small((64, 64, 3), weights=None), (None, 64, 64, 3), 13),
    "keras_nasnet_mobile": (lambda: A.NASNetMobile((96, 96, 3), weights=None), (1, 96, 96, 3), 9),
    "keras_mobilenet": (lambda: A.MobileNet((64, 64, 3), 0.25, weights=None), (None, 64, 64, 3), 9),
}


def exported(net, shape, opset):
    call = tf.function(lambda image: net(image, training=False))
    spec = (tf.TensorSpec(shape, tf.float32, name="image"),)
    model = tf2onnx.convert.from_function(call, input_signature=spec, opset=opset)[0]
    for i, value in reversed(list(enumerate(model.graph.input))[1:]):  # a layer's plain constants come out as inputs
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
        numbers = np.linspace(0.9, 1.1, int(np.prod(dims)), dtype=np.float32).reshape(dims)
        model.graph.initializer.append(numpy_helper.from_array(numbers, value.name))
        del model.graph.input[i]
    return model


def main(names):
    for name in names or ZOO:
        build, shape, opset = ZOO[name]
        keras.utils.set_random_seed(0)
        try:
            model = exported(build(), shape, opset)
        except Exception as error:
            print(f"{name}: not exported: {type(error).__name__}: {str(error)[:300]}", flush=True)
            continue
        path = DATA / "skeletons" / f"{name}-tf2onnx{opset}.onnx.xz"
        save(strip(model), path)
        kinds = sorted({node.op_type for node in model.graph.node})
        print(f"{path.name}: {path.stat().st_size} bytes, {len(model.graph.node)} nodes: {' '.join(kinds)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
