"""Operators that normalise."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgradcam import layers
from npgradcam.layers import Layer

from .registry import Array, Call, operator


def _training(call: Call) -> bool:
    return bool(call("training_mode", 0)) or any(call.uses(n) for n in range(1, 5))


def _statistics_of_weights(call: Call) -> list[str]:
    """A batch norm as it is in training, on weights: that is how exporters write weight standardisation."""
    if not call("spatial", 1):
        call.unsupported("batch normalisation of every cell by itself (spatial=0)")
    if not _training(call):
        return []
    if call.constants[0] is None:
        call.unsupported("batch normalisation as it is in training")
    x, _, _, mean, variance = call.operation.inputs
    axes = tuple(axis for axis in range(call.constants[0].ndim) if axis != 1)
    kept: float = call("momentum", 0.9)
    own = call.add(layers.ReduceMean(axes, False), x)
    centred = call.add(layers.Sub(), x, call.add(layers.ReduceMean(axes, True), x))
    spread = call.add(layers.ReduceMean(axes, False), call.add(layers.Mul(), centred, centred))
    moved = [
        call.add(
            layers.Add(),
            call.add(layers.Mul(np.array(kept)), before),
            call.add(layers.Mul(np.array(1 - kept)), now),
        )
        for before, now in ((mean, own), (variance, spread))
    ]
    return [*moved, own, spread][: len(call.operation.outputs) - 1]


@operator("BatchNormalization", settings=(1, 2, 3, 4), others=_statistics_of_weights)
def batch_normalization(call: Call, weight: Array, bias: Array, mean: Array, variance: Array) -> Layer:
    x = call.constants[0]
    if x is not None and _training(call):
        axes = tuple(axis for axis in range(x.ndim) if axis != 1)
        mean, variance = x.mean(axes), x.var(axes)
    return layers.BatchNorm(weight, bias, mean, variance, call("epsilon", 1e-5))


@operator("InstanceNormalization", settings=(1, 2))
def instance_normalization(call: Call, weight: Array, bias: Array) -> Layer:
    return layers.InstanceNorm(weight, bias, call("epsilon", 1e-5))


@operator("GroupNormalization", since=18, settings=(1, 2))
def group_normalization_18(call: Call, weight: Array, bias: Array) -> Any:
    """One scale and shift a group: a group norm without, then an affine layer with them is not needed: repeat them."""
    groups: int = call("num_groups", 1)
    each = call.length(0, 1, "a scale for each group of channels") // groups
    return layers.GroupNorm(groups, np.repeat(weight, each), np.repeat(bias, each), call("epsilon", 1e-5))


@operator("GroupNormalization", since=21, settings=(1, 2))
def group_normalization(call: Call, weight: Array, bias: Array) -> Layer:
    groups: int = call("num_groups", 1)
    return layers.GroupNorm(groups, weight, bias, call("epsilon", 1e-5))


def _statistics(call: Call) -> list[str]:
    """The mean and 1 / sqrt(variance + epsilon), which nobody needs but who checks."""
    if not (call.uses(1) or call.uses(2)):
        return []
    x, rank = call.operation.inputs[0], call.rank(0, 4)
    axes = tuple(range(call("axis", -1) % rank, rank))
    mean = call.add(layers.ReduceMean(axes, True), x)
    centred = call.add(layers.Sub(), x, mean)
    variance = call.add(layers.ReduceMean(axes, True), call.add(layers.Mul(), centred, centred))
    spread = call.add(layers.Sqrt(), call.add(layers.Add(np.array(call("epsilon", 1e-5))), variance))
    return [mean, call.add(layers.Reciprocal(), spread)]


@operator("LayerNormalization", settings=(1, 2), others=_statistics)
def layer_normalization(call: Call, weight: Array | None, bias: Array | None = None) -> Layer:
    if weight is None:
        call.fail("expected a scale, got none")
    return layers.LayerNorm(weight, bias, call("axis", -1), call("epsilon", 1e-5))


@operator("LRN")
def lrn(call: Call) -> Layer:
    size: int = call("size", 1)
    return layers.LRN(size, call("alpha", 1e-4), call("beta", 0.75), call("bias", 1.0))
