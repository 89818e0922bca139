"""Which slow definition each layer is held against, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import NpGradcamError, UnknownLayerError, close_matches
from ..layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    OneAxis,
    Pad,
    ReLU,
    ReLU6,
)
from . import definitions as slow
from . import twins_axes, twins_pointwise, twins_spatial
from .definitions.numbers import Numbers


class Twin(NamedTuple):
    """The definition of one kind of layer: `forward(layer, *xs)` and `backward(layer, signal, *xs)`."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


def _conv(layer: Conv2d) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}


def _max(layer: MaxPool2d | AvgPool2d) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in ("kernel", "stride", "padding", "ceil", "dilation")}


def _avg(layer: AvgPool2d) -> dict[str, Any]:
    return _max(layer) | {"count_include_pad": layer.count_include_pad}


TWINS: dict[type[Layer], Twin] = {
    Conv2d: Twin(
        lambda layer, x: slow.conv2d(x, layer.weight, layer.bias, **_conv(layer)),
        lambda layer, signal, x: slow.conv2d_adjoint(signal, layer.weight, x.shape, **_conv(layer)),
    ),
    Linear: Twin(
        lambda layer, x: slow.linear(x, layer.weight, layer.bias),
        lambda layer, signal, x: slow.linear_adjoint(signal, layer.weight),
    ),
    BatchNorm2d: Twin(
        lambda layer, x: slow.batch_norm2d(x, **layer.arrays, epsilon=layer.epsilon),
        lambda layer, signal, x: slow.batch_norm2d_adjoint(signal, layer.weight, layer.variance, layer.epsilon),
    ),
    ReLU: Twin(
        lambda layer, x: slow.relu(x),
        lambda layer, signal, x: slow.rectifier_signal(signal, x),
    ),
    Clip: Twin(
        lambda layer, x: slow.clip(x, layer.low, layer.high),
        lambda layer, signal, x: slow.rectifier_signal(signal, x, layer.low, layer.high),
    ),
    ReLU6: Twin(
        lambda layer, x: slow.clip(x, 0, 6),
        lambda layer, signal, x: slow.rectifier_signal(signal, x, 0, 6),
    ),
    MaxPool2d: Twin(
        lambda layer, x: slow.max_pool2d(x, **_max(layer))[0],
        lambda layer, signal, x: slow.max_pool2d_adjoint(signal, slow.max_pool2d(x, **_max(layer))[1], x.shape),
    ),
    AvgPool2d: Twin(
        lambda layer, x: slow.avg_pool2d(x, **_avg(layer)),
        lambda layer, signal, x: slow.avg_pool2d_adjoint(signal, x.shape, **_avg(layer)),
    ),
    GlobalAvgPool2d: Twin(
        lambda layer, x: slow.global_avg_pool2d(x),
        lambda layer, signal, x: slow.global_avg_pool2d_adjoint(signal, x.shape),
    ),
    AdaptiveAvgPool2d: Twin(
        lambda layer, x: slow.adaptive_avg_pool2d(x, layer.sizes),
        lambda layer, signal, x: slow.adaptive_avg_pool2d_adjoint(signal, x.shape),
    ),
    Dropout: Twin(
        lambda layer, x: slow.wide(x),
        lambda layer, signal, x: slow.wide(signal),
    ),
    Pad: Twin(
        lambda layer, x: slow.pad(x, layer.padding, layer.value),
        lambda layer, signal, x: slow.pad_adjoint(signal, x.shape, layer.padding),
    ),
    **{kind: Twin(*pair)
       for kind, pair in (twins_axes.PAIRS | twins_pointwise.PAIRS | twins_spatial.PAIRS).items()},
    OneAxis: Twin(
        lambda layer, x: slow_forward(layer.layer, x[:, :, None])[:, :, 0],
        lambda layer, signal, x: slow_backward(layer.layer, signal[:, :, None], x[:, :, None])[0][:, :, 0],
    ),
}


def slow_forward(layer: Layer, *xs: Numbers) -> Numbers:
    """Return the layer's output by its definition: int64 where every number is whole and no mean is taken.

    Raises
    ------
    UnknownLayerError
        If this kind of layer has no slow definition.
    NpGradcamError
        If an input holds no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from npgradcam.layers import ReLU
    >>> slow_forward(ReLU(), np.array([-1.5, 2.0])).tolist()
    [0.0, 2.0]
    """
    twin = _twin(layer)
    _expect_numbers(layer, *xs)
    y: Numbers = twin.forward(layer, *xs)
    return y


def slow_backward(layer: Layer, signal: Numbers, *xs: Numbers) -> tuple[Numbers, ...]:
    """Return one signal per input by the definition of the layer's adjoint at `xs`, under the gradient rule.

    Raises
    ------
    UnknownLayerError
        If this kind of layer has no slow definition.
    NpGradcamError
        If an input holds no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from npgradcam.layers import ReLU
    >>> slow_backward(ReLU(), np.array([3.0, 5.0]), np.array([-1.5, 2.0]))[0].tolist()
    [0.0, 5.0]
    """
    twin = _twin(layer)
    _expect_numbers(layer, signal, *xs)
    down = twin.backward(layer, signal, *xs)
    return down if isinstance(down, tuple) else (down,)


def _expect_numbers(layer: Layer, *xs: object) -> None:
    """Refuse what holds no numbers: None, a generator, text."""
    wrong = [x for x in xs if np.asarray(x).dtype.kind in "OUS"]
    if wrong:
        kind = type(wrong[0]).__name__
        raise NpGradcamError(f"{type(layer).__name__}: expected an array of numbers for each input, got {kind}")


def _twin(layer: Layer) -> Twin:
    known = next((kind for kind in type(layer).__mro__ if kind in TWINS), None)
    if known is None:
        names = [kind.__name__ for kind in TWINS]
        raise UnknownLayerError(
            f"no slow definition of {type(layer).__name__}; near it: {close_matches(type(layer).__name__, names)}; "
            "add one to npgradcam.testing.twins.TWINS"
        )
    return TWINS[known]
