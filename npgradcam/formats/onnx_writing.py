"""From a small network to ONNX, so that any framework can compute it too; the layers of plain CNNs, in opset 13."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from npgradcam.errors import UnsupportedOperatorError
from npgradcam.kernels import resolve
from npgradcam.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Pad,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
)
from npgradcam.network import Network
from npgradcam.typing import Array, Shape

from .onnx_file import package

OPSET, IR = 13, 7  # both of 2020: Clip and Pad read numbers as inputs, Softmax competes along one axis
Written: TypeAlias = tuple[str, dict[str, Array], dict[str, Any]]  # operator, further inputs by name, attributes


def onnx_bytes(network: Network, channels: int, size: tuple[int, int]) -> bytes:
    """Return a network as an ONNX file: every node and its tensor bear the name of the node here.

    Padding by name becomes that of this size in numbers: many readers know no `auto_pad`.

    Parameters
    ----------
    network : Network
        With one input (N, C, H, W); its parameters are written in its own precision.
    channels, size : int, (int, int)
        C, and (H, W); N is left open.

    Raises
    ------
    UnsupportedOperatorError
        If a layer is not written here, or not as it is set; all such nodes are listed.
    MissingPackageError
        If the package `onnx` is not installed.
    """
    onnx = package()
    make, kind = onnx.helper, onnx.TensorProto.FLOAT if network.dtype == "float32" else onnx.TensorProto.DOUBLE
    shapes = network.shapes((1, channels, *size))
    nodes, arrays, strange = [], [], []
    for node in network.nodes:
        write = next((WRITERS[k] for k in type(node.layer).__mro__ if k in WRITERS), None)
        written = None if write is None else write(_padded_in_numbers(node.layer, shapes[node.inputs[0]]))
        if written is None:
            strange.append(f"{type(node.layer).__name__} {node.name!r}")
            continue
        operator, further, attributes = written
        held = {f"{node.name}.{name}": value for name, value in further.items()}
        arrays += [onnx.numpy_helper.from_array(_as(value, network.dtype), name) for name, value in held.items()]
        nodes.append(make.make_node(operator, [*node.inputs, *held], [node.name], node.name, **attributes))
    if strange:
        raise UnsupportedOperatorError(f"expected layers that ONNX' opset {OPSET} has, got {', '.join(strange)}")
    picture = make.make_tensor_value_info(network.inputs[0], kind, ["N", channels, *size])
    outputs = [make.make_tensor_value_info(name, kind, ["N", *shapes[name][1:]]) for name in network.outputs]
    graph = make.make_graph(nodes, "npgradcam", [picture], outputs, arrays)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=IR,
                            producer_name="npgradcam")
    return bytes(model.SerializeToString(deterministic=True))


def _as(value: Array, dtype: str) -> Array:
    return np.asarray(value, dtype) if np.asarray(value).dtype.kind == "f" else np.asarray(value)


def _padded_in_numbers(layer: Layer, shape: Shape) -> Layer:
    """Return the layer with (top, left, bottom, right) in the place of "same", for an input of this shape."""
    if not isinstance(layer, (Conv2d, MaxPool2d, AvgPool2d)):
        return layer
    kernel = layer.weight.shape[2:] if isinstance(layer, Conv2d) else layer.kernel
    return replace(layer, padding=resolve(layer.padding, shape, kernel, layer.stride, layer.dilation))


def _window(layer: Conv2d | MaxPool2d | AvgPool2d, kernel: tuple[int, ...]) -> dict[str, Any]:
    return {"kernel_shape": kernel, "strides": layer.stride, "pads": layer.padding}


def _conv(layer: Conv2d) -> Written:
    window = _window(layer, layer.weight.shape[2:])
    return "Conv", layer.arrays, {**window, "dilations": layer.dilation, "group": layer.groups}


def _max_pool(layer: MaxPool2d) -> Written:
    window = _window(layer, layer.kernel)
    return "MaxPool", {}, {**window, "dilations": layer.dilation, "ceil_mode": int(layer.ceil)}


def _avg_pool(layer: AvgPool2d) -> Written | None:
    if layer.dilation != (1, 1):  # since opset 19
        return None
    counts = int(layer.count_include_pad)
    return "AveragePool", {}, {**_window(layer, layer.kernel), "ceil_mode": int(layer.ceil),
                               "count_include_pad": counts}


def _linear(layer: Linear) -> Written:
    return "Gemm", layer.arrays, {"transB": 1}


def _batch_norm(layer: BatchNorm2d) -> Written:
    held = {name: getattr(layer, name) for name in ("weight", "bias", "mean", "variance")}
    return "BatchNormalization", held, {"epsilon": layer.epsilon}


def _clip(layer: Clip) -> Written:
    return "Clip", {"low": np.asarray(layer.low, float), "high": np.asarray(layer.high, float)}, {}


def _pad(layer: Pad) -> Written:
    top, left, bottom, right = layer.padding
    pads = np.array([0, 0, top, left, 0, 0, bottom, right])
    return "Pad", {"pads": pads, "value": np.asarray(layer.value, float)}, {}


def _add(layer: Add) -> Written | None:
    return None if layer.constant is not None else ("Add", {}, {})


def _softmax(layer: Softmax) -> Written | None:
    return None if layer.onward else ("Softmax", {}, {"axis": layer.axis})


def _plain(operator: str) -> Callable[[Any], Written | None]:
    return lambda layer: (operator, {}, {})


WRITERS: dict[type[Layer], Callable[[Any], Written | None]] = {
    Conv2d: _conv, Linear: _linear, BatchNorm2d: _batch_norm, Clip: _clip, ReLU6: _clip, MaxPool2d: _max_pool,
    AvgPool2d: _avg_pool, Pad: _pad, Add: _add, Softmax: _softmax, ReLU: _plain("Relu"),
    Sigmoid: _plain("Sigmoid"), LeakyReLU: lambda layer: ("LeakyRelu", {}, {"alpha": layer.alpha}),
    GlobalAvgPool2d: _plain("GlobalAveragePool"), Dropout: _plain("Identity"), Identity: _plain("Identity"),
    Flatten: lambda layer: ("Flatten", {}, {"axis": layer.axis}),
    Concat: lambda layer: ("Concat", {}, {"axis": layer.axis}),
}
