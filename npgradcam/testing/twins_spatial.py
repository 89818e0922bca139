"""The slow definitions of layers that look around in pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..layers import LRN, BatchNorm, ConvTranspose2d, GroupNorm, InstanceNorm, Layer, LayerNorm, Resize
from . import definitions as slow

Pair = tuple[Callable[..., Any], Callable[..., Any]]  # forward(layer, *xs), backward(layer, signal, *xs)


def _settings(layer: Layer, *without: str) -> dict[str, Any]:
    return {name: value for name, value in vars(layer).items() if name not in without}


PAIRS: dict[type[Layer], Pair] = {
    ConvTranspose2d: (
        lambda layer, x: slow.conv_transpose2d(x, **_settings(layer)),
        lambda layer, signal, x: slow.conv_transpose2d_adjoint(
            signal, layer.weight, x.shape, **_settings(layer, "weight", "bias", "output_padding")),
    ),
    BatchNorm: (
        lambda layer, x: slow.batch_norm2d(x, **_settings(layer)),
        lambda layer, signal, x: slow.batch_norm2d_adjoint(signal, layer.weight, layer.variance, layer.epsilon),
    ),
    InstanceNorm: (
        lambda layer, x: slow.instance_norm(x, **_settings(layer)),
        lambda layer, signal, x: slow.instance_norm_adjoint(signal, x, **_settings(layer, "bias")),
    ),
    GroupNorm: (
        lambda layer, x: slow.group_norm(x, **_settings(layer)),
        lambda layer, signal, x: slow.group_norm_adjoint(signal, x, **_settings(layer, "bias")),
    ),
    LayerNorm: (
        lambda layer, x: slow.layer_norm(x, **_settings(layer)),
        lambda layer, signal, x: slow.layer_norm_adjoint(signal, x, **_settings(layer, "bias")),
    ),
    LRN: (
        lambda layer, x: slow.lrn(x, **_settings(layer)),
        lambda layer, signal, x: slow.lrn_adjoint(signal, x, **_settings(layer)),
    ),
    Resize: (
        lambda layer, x: slow.resize(x, **_settings(layer)),
        lambda layer, signal, x: slow.resize_adjoint(signal, x.shape, **_settings(layer)),
    ),
}
