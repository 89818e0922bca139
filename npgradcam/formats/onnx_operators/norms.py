"""Operators that normalise."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgradcam import layers
from npgradcam.layers import Layer

from .registry import Array, Call, operator


def _inference(call: Call) -> list[str]:
    if call("training_mode", 0) or any(call.uses(n) for n in range(1, 5)):
        call.unsupported("batch normalisation as it is in training")
    if not call("spatial", 1):
        call.unsupported("batch normalisation of every cell by itself (spatial=0)")
    return []


@operator("BatchNormalization", settings=(1, 2, 3, 4), others=_inference)
def batch_normalization(call: Call, weight: Array, bias: Array, mean: Array, variance: Array) -> Layer:
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
