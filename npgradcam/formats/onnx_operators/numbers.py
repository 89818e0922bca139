"""Operators that treat every number alone: activations, arithmetic, comparisons."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from npgradcam import layers
from npgradcam.formats.onnx_file import DTYPES
from npgradcam.layers import Layer

from .registry import Array, Call, operator

# operators without attributes that are a layer of the same name, or of this one
_SAME = {
    "Relu": layers.ReLU, "Sigmoid": layers.Sigmoid, "Tanh": layers.Tanh, "Softplus": layers.Softplus,
    "Softsign": layers.Softsign, "HardSwish": layers.HardSwish, "Mish": layers.Mish, "Erf": layers.Erf,
    "Exp": layers.Exp, "Log": layers.Log, "Sqrt": layers.Sqrt, "Abs": layers.Abs, "Neg": layers.Neg,
    "Reciprocal": layers.Reciprocal, "Floor": layers.Floor, "Ceil": layers.Ceil, "Sign": layers.Sign,
    "Round": layers.Round,
    "Not": layers.Not, "LessOrEqual": layers.LessOrEqual, "GreaterOrEqual": layers.GreaterOrEqual,
}


@operator(*_SAME)
def same(call: Call) -> Layer:
    return _SAME[call.operation.kind]()


@operator("LeakyRelu")
def leaky_relu(call: Call) -> Layer:
    return layers.LeakyReLU(call("alpha", 0.01))


@operator("PRelu", settings=(1,))
def prelu(call: Call, slope: Array) -> Layer:
    if call.opset < 7 and slope.ndim == 1 and slope.size > 1:  # one slope a channel
        slope = slope.reshape(-1, *(1,) * (call.rank(0, 4) - 2))
    return layers.PReLU(slope)


@operator("ThresholdedRelu")
def thresholded_relu(call: Call) -> Layer:
    return layers.ThresholdedReLU(call("alpha", 1.0))


@operator("Elu")
def elu(call: Call) -> Layer:
    return layers.Elu(call("alpha", 1.0))


@operator("Celu")
def celu(call: Call) -> Layer:
    return layers.Celu(call("alpha", 1.0))


@operator("Selu")
def selu(call: Call) -> Layer:
    return layers.Selu(call("alpha", 1.67326319217681884765625), call("gamma", 1.05070102214813232421875))


@operator("HardSigmoid")
def hard_sigmoid(call: Call) -> Layer:
    return layers.HardSigmoid(call("alpha", 0.2), call("beta", 0.5))


@operator("Swish")
def swish(call: Call) -> Layer:
    if call("alpha", 1.0) != 1:
        call.unsupported("a Swish whose sigmoid is of alpha x")
    return layers.SiLU()


@operator("Gelu")
def gelu(call: Call) -> Layer:
    approximate: Any = call("approximate", "none")
    return layers.Gelu(approximate)


@operator("Clip")
def clip_6(call: Call) -> Layer:
    largest = float(np.finfo(np.float32).max)
    return _clip(call, call("min", -largest), call("max", largest))


@operator("Clip", since=11, settings=(1, 2))
def clip(call: Call, low: Array | None, high: Array | None) -> Layer:
    kind = np.dtype(call.kinds[0] or "float")
    least, most = (-np.inf, np.inf) if kind.kind == "f" else (np.iinfo(kind).min, np.iinfo(kind).max)
    return _clip(call, least if low is None else low.item(), most if high is None else high.item())


def _clip(call: Call, low: float, high: float) -> Layer:
    largest = float(np.finfo(np.float32).max)
    low, high = (-np.inf if low <= -largest else low), (np.inf if high >= largest else high)
    if low == 0 and high == np.inf:
        return layers.ReLU()
    if low == 0 and high == 6:
        return layers.ReLU6()
    return layers.Clip(low, high)


@operator("Sum", holds=True)
def sum_(call: Call, *held: Array | None) -> Layer:
    return layers.Add(_joined(np.add, held))


@operator("Min", holds=True)
def minimum(call: Call, *held: Array | None) -> Layer:
    return layers.Minimum(_joined(np.minimum, held))


@operator("Max", holds=True)
def maximum(call: Call, *held: Array | None) -> Layer:
    return layers.Maximum(_joined(np.maximum, held))


@operator("Mean", holds=True)
def mean(call: Call, *held: Array | None) -> list[Any]:
    arriving = [name for name, value in zip(call.operation.inputs, held, strict=True) if value is None]
    total = call.add(layers.Add(_joined(np.add, held)), *arriving)
    return [call.add(layers.Mul(np.array(1 / len(held))), total)]


def _joined(join: Any, held: tuple[Array | None, ...]) -> Array | None:
    """Make one constant of those of an operator whose order does not matter."""
    constants = [value for value in held if value is not None]
    return reduce(join, constants) if constants else None


# two operands, each of which may be a constant that the layer holds
_PAIRS: dict[str, Callable[..., Layer]] = {
    "Add": lambda first, second: layers.Add(first if second is None else second),
    "Mul": lambda first, second: layers.Mul(first if second is None else second),
    "Sub": layers.Sub, "Div": layers.Div, "Pow": layers.Pow,
}
_TESTS = {"And": layers.And, "Or": layers.Or, "Equal": layers.Equal, "Less": layers.Less, "Greater": layers.Greater}


@operator(*_PAIRS, since=7, holds=True)
def pair(call: Call, first: Array | None, second: Array | None) -> Layer:
    return _PAIRS[call.operation.kind](first, second)


@operator(*_PAIRS, holds=True)
def pair_6(call: Call, first: Array | None, second: Array | None) -> Any:
    """The second operand's axes begin at `axis` of the first one's, where `broadcast` is said."""
    free = _free_axes(call)
    if second is not None and free:
        second = second.reshape(*second.shape, *(1,) * free)
    elif free:
        wider = call.add(layers.Unsqueeze(tuple(range(-free, 0))), call.operation.inputs[1])
        made = _PAIRS[call.operation.kind](first, None)
        return [call.add(made, *([call.operation.inputs[0]] if first is None else []), wider)]
    return pair(call, first, second)


def _free_axes(call: Call) -> int:
    """How many axes of the first operand come after those of the second."""
    if not call("broadcast", 0) or "axis" not in call.operation.attributes:
        return 0
    first, second = call.shapes
    if first is None or second is None:
        call.unsupported("operands whose number of axes is open")
    axis: int = call("axis", 0)
    return max(0, len(first) - axis % max(1, len(first)) - len(second))


@operator(*_TESTS)
def test(call: Call) -> Any:
    free = _free_axes(call) if call.opset < 7 else 0
    if not free:
        return _TESTS[call.operation.kind]()
    wider = call.add(layers.Unsqueeze(tuple(range(-free, 0))), call.operation.inputs[1])
    return [call.add(_TESTS[call.operation.kind](), call.operation.inputs[0], wider)]


@operator("Where", holds=True)
def where(call: Call, condition: Array | None, first: Array | None, second: Array | None) -> Layer:
    return layers.Where(condition, first, second)


@operator("Mod")
def mod(call: Call) -> Layer:
    return layers.Mod(bool(call("fmod", 0)))


@operator("Cast")
def cast(call: Call) -> Layer:
    return layers.Cast(_dtype(call, call("to", 1)))


@operator("CastLike")
def cast_like(call: Call) -> list[str]:
    kind = call.kinds[1]
    if kind is None or np.dtype(kind).kind not in "fiub":
        call.unsupported(f"numbers of type {kind or 'that is not known'}")
    return [call.add(layers.Cast(kind), call.operation.inputs[0])]


def _dtype(call: Call, to: int) -> str:
    import onnx

    types = onnx.TensorProto.DataType
    kind = types.Name(to) if to in types.values() else str(to)
    if kind not in DTYPES:
        call.unsupported(f"numbers of type {kind}")
    dtype = np.dtype(DTYPES[kind])
    return "float" if dtype.kind == "f" else str(dtype)  # whatever floating type the file means, the network's is used
