"""Row 10: one function written in two ways is explained alike: scores, maps, gradients, and what reaches the input.

What an ONNX file and a checkpoint of one network owe each other is in test_onnx_and_named.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from invariants import Mode, channels_of, clear_picture, error, expect, made, modes, numbers, pooled
from small_nets import conv, linear, norm

from npgradcam.layers import Conv2d, Dropout, Flatten, GlobalAvgPool2d, Identity, Layer, Linear, Pad, ReLU

pytestmark = pytest.mark.usefixtures("warm")
Layers = list[tuple[str, Layer]]
Draw = np.random.Generator


def folded(random: Draw) -> tuple[Layers, Layers]:
    """gamma (W x + b - mean) / sqrt(variance + epsilon) + beta is a convolution."""
    layers = pooled(random)
    outs = channels_of(layers)
    first, last = conv(random, outs, outs, padding="same"), norm(random, outs)
    scale = last.weight / np.sqrt(last.variance + last.epsilon)
    bias = last.bias + scale * (first.bias - last.mean)
    one = Conv2d(first.weight * scale[:, None, None, None], bias, padding="same")
    head = layers[-3:]
    return ([*layers[:-3], ("c", first), ("n", last), ("last", ReLU()), *head],
            [*layers[:-3], ("c", one), ("last", ReLU()), *head])


def point(random: Draw) -> tuple[Layers, Layers]:
    """On maps of one cell a linear layer is a 1 x 1 convolution."""
    *layers, _ = pooled(random)
    head = linear(random, 4, channels_of(layers))
    as_conv = Conv2d(head.weight[:, :, None, None], head.bias)
    return [*layers, ("fc", head)], [*layers[:-1], ("conv", as_conv), ("flat", Flatten())]


def padded(random: Draw) -> tuple[Layers, Layers]:
    """A frame of zeros may be a layer of its own."""
    sides = tuple(int(n) for n in random.integers(0, 4, 4))
    layers, first = pooled(random), conv(random, 3, 3, 3, padding=sides)
    bare = replace(first, padding=(0, 0, 0, 0))
    return [("first", first), *layers], [("pad", Pad(sides)), ("first", bare), *layers]


def dropped(random: Draw) -> tuple[Layers, Layers]:
    """Dropout and Identity do nothing."""
    layers, more = pooled(random), []
    for name, layer in layers:
        more.append((name, layer))
        if random.random() < 0.5:
            more.append((f"{name}.nothing", Dropout() if random.random() < 0.5 else Identity()))
    return layers, more


def grouped(random: Draw) -> tuple[Layers, Layers]:
    """Groups are blocks on the diagonal of a dense convolution."""
    layers, groups = pooled(random), int(random.choice((2, 4)))
    outs = channels_of(layers)
    last = conv(random, 8, outs, groups=groups, padding="same")
    weight = np.zeros((8, outs, 3, 3))
    for g, (rows, columns) in enumerate(zip(np.split(np.arange(8), groups), np.split(np.arange(outs), groups),
                                            strict=True)):
        weight[np.ix_(rows, columns)] = last.weight[g * 8 // groups : (g + 1) * 8 // groups]
    head = [("last", ReLU()), ("pool", GlobalAvgPool2d()), ("flat", Flatten()), ("fc", linear(random, 4, 8))]
    return ([*layers[:-3], ("c", last), *head], [*layers[:-3], ("c", Conv2d(weight, last.bias, padding="same")), *head])


def flattened(random: Draw) -> tuple[Layers, Layers]:
    """A linear layer on flattened maps is a convolution as large as they are."""
    layers = pooled(random)[:-3]
    rows, columns = (5, 7) if any(name.startswith("pool") for name, _ in layers) else (10, 14)
    outs = channels_of(layers)
    head = linear(random, 4, outs * rows * columns)
    as_conv = Conv2d(head.weight.reshape(4, outs, rows, columns), head.bias)
    return ([*layers, ("flat", Flatten()), ("fc", Linear(head.weight, head.bias))],
            [*layers, ("conv", as_conv), ("flat", Flatten())])


@modes
@pytest.mark.parametrize("pair", [folded, point, padded, dropped, grouped, flattened], ids=lambda pair: pair.__name__)
def test_row_10_one_function_written_in_two_ways_is_explained_alike(
        pair: Callable[[Draw], tuple[Layers, Layers]], mode: Mode) -> None:
    errors = []
    for number in range(100):
        random = np.random.default_rng(number)
        layers, others = pair(random)
        one, other, x = made(layers, mode), made(others, mode), clear_picture(random, layers, mode[0])
        found, right = numbers(one, x, [number % 4]), numbers(other, x, [number % 4])
        errors.append(max(error(found[part], right[part]) for part in right))
    expect(errors, {"float64": 1e-12, "float32": 1e-4}, mode)
