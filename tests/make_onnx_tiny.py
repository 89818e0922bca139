"""Export one tiny net with its own weights from each framework: python tests/make_onnx_tiny.py torch|keras|jax|paddle.

Each needs its framework and its exporter: torch 2.14.1 (both exporters; onnxscript 0.7.2), tensorflow-cpu 2.21.0 with
keras 3.15.1 and tf2onnx 1.17.0, jax 0.10.2 with flax 0.12.8 and jax2onnx 0.17.1, paddlepaddle 3.3.1 with paddle2onnx
2.1.0. The files lie in tests/data/onnx/tiny as the exporters wrote them. Beside each lies what its own framework says
of one image: the output, and the gradient of its largest entry by the image, in float32 (JAX: float64).
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent / "data" / "onnx" / "tiny"


def image(shape):
    return (3 * np.random.default_rng(7).random(shape) - 1.5).astype(np.float32)


def write(name, model, x, output, gradient):
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    np.savez_compressed(path.with_suffix(".npz"), image=x, output=output, gradient=gradient)
    print(f"{path.name}: {path.stat().st_size} bytes, output {np.round(output, 3).tolist()}")


def from_torch():
    import io

    import torch
    from make_onnx_nets import Bit

    torch.manual_seed(3)
    net = Bit().train()
    for _ in range(8):  # batch norm's statistics become those of noise
        net(torch.from_numpy(image((8, 3, 40, 40))))
    net.eval()
    x = torch.from_numpy(image((2, 3, 40, 48))).requires_grad_()
    y = net(x)
    y.max(1).values.sum().backward()
    sizes, buffer = {0: "batch", 2: "height", 3: "width"}, io.BytesIO()
    names = {"input_names": ["image"], "output_names": ["probabilities"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = net, (x.detach(),)
        torch.onnx.export(*given, buffer, dynamo=False, opset_version=13, dynamic_axes={"image": sizes}, **names)
        dynamic = {"dynamic_shapes": ({axis: torch.export.Dim.DYNAMIC for axis in sizes},), "verbose": False}
        program = torch.onnx.export(*given, dynamo=True, opset_version=18, **dynamic, **names)
    answer = (x.detach().numpy(), y.detach().numpy(), x.grad.numpy())
    write("torch_script13", buffer.getvalue(), *answer)
    model = program.model_proto
    for node in model.graph.node:  # all stays but the stack traces, which name the folders of one machine
        for i in reversed(range(len(node.metadata_props))):
            if "stack_trace" in node.metadata_props[i].key:
                del node.metadata_props[i]
    write("torch_dynamo18", model, *answer)


def from_keras():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf
    import tf2onnx
    from keras import layers as L

    keras.utils.set_random_seed(3)
    a = keras.Input((40, 48, 3), name="image")
    x = L.ZeroPadding2D(((0, 1), (0, 1)))(a)
    x = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(8, 3, strides=2, use_bias=False)(x)))
    y = L.LeakyReLU(negative_slope=0.2)(L.SeparableConv2D(12, 3, padding="same")(x))
    g = L.Dense(12, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(y))
    x = L.Concatenate()([L.Multiply()([y, g]), L.AveragePooling2D(3, strides=1, padding="same")(x)])
    x = L.Activation("swish")(L.Conv2D(10, 3, strides=2, padding="same")(x))
    x = L.ReLU()(L.UpSampling2D(2, interpolation="bilinear")(L.MaxPooling2D(3, 2, padding="same")(x)))
    net = keras.Model(a, L.Dense(4, activation="softmax")(L.Dropout(0.5)(L.GlobalAveragePooling2D()(x))))
    net(image((8, 40, 48, 3)), training=True)
    call = tf.function(lambda image: net(image, training=False))
    spec = (tf.TensorSpec((None, 40, 48, 3), tf.float32, name="image"),)
    model = tf2onnx.convert.from_function(call, spec, opset=13)[0]
    x = tf.Variable(image((2, 40, 48, 3)))
    with tf.GradientTape() as tape:
        y = net(x, training=False)
        score = tf.reduce_sum(tf.reduce_max(y, 1))
    write("keras_tf2onnx13", model, x.numpy(), y.numpy(), tape.gradient(score, x).numpy())


def from_jax():
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax2onnx
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            single = {"rngs": rngs, "param_dtype": "float32"}
            self.stem = nnx.Conv(3, 8, (3, 3), strides=2, **single)
            self.norm = nnx.BatchNorm(8, use_running_average=True, **single)
            self.wide = nnx.Conv(8, 16, (3, 3), feature_group_count=4, **single)
            self.last = nnx.Conv(16, 12, (1, 1), **single)
            self.norm2, self.head = nnx.LayerNorm(12, **single), nnx.Linear(12, 4, **single)

        def __call__(self, x):
            x = nnx.relu(self.norm(self.stem(x)))
            x = nnx.avg_pool(nnx.silu(self.wide(x)), window_shape=(2, 2), strides=(2, 2))
            x = nnx.gelu(self.norm2(self.last(x)))
            return self.head(nnx.relu(x).mean((1, 2)))

    net = Net(nnx.Rngs(3))
    x = image((2, 32, 40, 3))
    model = jax2onnx.to_onnx(net, [("B", 32, 40, 3)], model_name="tiny", opset=21, input_names=["image"])
    exact = x.astype(np.float64)
    y, gradient = net(exact), jax.grad(lambda x: net(x).max(1).sum())(exact)
    write("jax_jax2onnx21", model, x, np.asarray(y), np.asarray(gradient))


def from_paddle():
    import paddle
    from paddle import nn

    paddle.seed(3)

    class Net(nn.Layer):
        def __init__(self):
            super().__init__()
            self.stem, self.norm = nn.Conv2D(3, 8, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(8)
            self.wide, self.last = nn.Conv2D(8, 8, 3, 1, 1, groups=8), nn.Conv2D(16, 12, 1)
            self.up, self.head = nn.Conv2DTranspose(8, 8, 2, 2), nn.Linear(12, 4)

        def forward(self, x):
            x = nn.functional.relu6(self.norm(self.stem(x)))
            y = nn.functional.hardswish(self.wide(nn.functional.max_pool2d(x, 2)))
            x = nn.functional.leaky_relu(self.last(paddle.concat([x, self.up(y)], 1)), 0.1)
            return self.head(nn.functional.adaptive_avg_pool2d(nn.functional.relu(x), 1).flatten(1))

    net = Net()
    net(paddle.to_tensor(image((8, 3, 32, 32))))
    net.eval()
    with tempfile.TemporaryDirectory() as folder:
        spec = paddle.static.InputSpec([-1, 3, 32, 40], "float32", "image")
        paddle.onnx.export(net, f"{folder}/tiny", input_spec=[spec], opset_version=11, optimize_tool="None")
        model = Path(folder, "tiny.onnx").read_bytes()
    x = paddle.to_tensor(image((2, 3, 32, 40)), stop_gradient=False)
    y = net(x)
    y.max(1).sum().backward()
    write("paddle_paddle2onnx11", model, x.numpy(), y.numpy(), x.grad.numpy())


if __name__ == "__main__":
    {"torch": from_torch, "keras": from_keras, "jax": from_jax, "paddle": from_paddle}[sys.argv[1]]()
