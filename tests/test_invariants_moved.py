"""Row 11: move the picture, and the map moves along: mirrored, shifted, channels exchanged, brighter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from invariants import Mode, clear_picture, error, expect, made, modes, numbers, pooled
from small_nets import conv, linear, norm

from npgradcam import maps
from npgradcam.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    MaxPool2d,
    PadAxes,
    ReLU,
    ReLU6,
)

pytestmark = pytest.mark.usefixtures("warm")
LIMITS = {"float64": 1e-12, "float32": 1e-5}
MAPS = ("activations", "gradients", "signed_cam", "input")


def head(random: np.random.Generator, channels: int) -> list[tuple[str, Layer]]:
    return [("maps", ReLU()), ("pool", GlobalAvgPool2d()), ("flat", Flatten()), ("fc", linear(random, 4, channels))]


@modes
@pytest.mark.parametrize("axis", [-1, -2], ids=["left and right", "above and below"])
def test_row_11_a_mirrored_picture_and_mirrored_kernels_have_the_mirrored_map(axis: int, mode: Mode) -> None:
    """Where (H + 2p - k) mod s = 0; sizes are 11 and 15, odd, so that stride 2 begins and ends at the edge.

    Cells that are tied in a max pooling are closed rectifiers, so their signals go nowhere; and they lie below "maps".
    """
    errors = []
    for number in range(100):
        random = np.random.default_rng(number)
        layers: list[tuple[str, Layer]] = [
            ("conv1", conv(random, 8, 3, padding=(1, 0, 1, 2) if axis == -1 else (0, 1, 2, 1))), ("relu1", ReLU6()),
            ("pool1", (MaxPool2d if number % 2 else AvgPool2d)((3, 3), (1, 1), (1, 1, 1, 1))),
            ("conv2", conv(random, 8, 8, stride=(2, 2), padding=(1, 1, 1, 1))), ("norm2", norm(random, 8)),
            ("relu2", ReLU()), ("conv3", conv(random, 4, 8, 1)), *head(random, 4),
        ]

        def mirrored(layer: Layer) -> Layer:
            if not isinstance(layer, Conv2d):
                return layer
            top, left, bottom, right = layer.padding
            turned = (top, right, bottom, left) if axis == -1 else (bottom, left, top, right)
            return replace(layer, weight=np.ascontiguousarray(np.flip(layer.weight, axis)), padding=turned)

        x = clear_picture(random, layers, mode[0], height=11, width=15)
        found = numbers(made([(name, mirrored(layer)) for name, layer in layers], mode),
                        np.ascontiguousarray(np.flip(x, axis)), [1])
        right = numbers(made(layers, mode), x, [1])
        errors.append(error(found["logits"], right["logits"]))
        errors += [error(found[part], np.flip(right[part], axis)) for part in MAPS]
    expect(errors, LIMITS, mode)


@modes
def test_row_11_a_shifted_picture_has_the_shifted_map_where_edges_wrap_around(mode: Mode) -> None:
    errors = []
    for number in range(100):
        random = np.random.default_rng(number)
        wrap = PadAxes((0, 0, 1, 1), (0, 0, 1, 1), mode="wrap")
        layers: list[tuple[str, Layer]] = [
            ("wrap1", wrap), ("conv1", conv(random, 8, 3)), ("relu1", ReLU()),
            ("wrap2", wrap), ("conv2", conv(random, 4, 8)), *head(random, 4),
        ]
        net, x = made(layers, mode), clear_picture(random, layers, mode[0])
        by = tuple(int(n) for n in random.integers(1, 9, 2))
        found, right = numbers(net, np.roll(x, by, (2, 3)), [2]), numbers(net, x, [2])
        errors.append(error(found["logits"], right["logits"]))
        errors += [error(found[part], np.roll(right[part], by, (-2, -1))) for part in MAPS]
    expect(errors, LIMITS, mode)


@modes
def test_row_11_the_order_of_channels_does_not_matter(mode: Mode) -> None:
    """The picture's channels and those of "maps" are exchanged, and the weights with them."""
    errors = []
    for number in range(100):
        random = np.random.default_rng(number)
        first, second = random.permutation(3), random.permutation(8)
        conv1, norm1, fc = conv(random, 8, 3, padding="same"), norm(random, 8), linear(random, 4, 8)
        turned = replace(conv1, weight=conv1.weight[second][:, first], bias=conv1.bias[second])
        of_norm = (norm1.weight, norm1.bias, norm1.mean, norm1.variance)
        tail: list[tuple[str, Layer]] = [("maps", ReLU()), ("pool", GlobalAvgPool2d()), ("flat", Flatten())]
        layers = [("conv1", conv1), ("norm1", norm1), *tail, ("fc", fc)]
        others = [("conv1", turned), ("norm1", BatchNorm2d(*(a[second] for a in of_norm), norm1.epsilon)), *tail,
                  ("fc", replace(fc, weight=fc.weight[:, second]))]
        x = clear_picture(random, layers, mode[0])
        right, found = numbers(made(layers, mode), x, [3]), numbers(made(others, mode), x[:, first], [3])
        order = {"activations": second, "gradients": second, "input": first}
        errors += [error(found[part], right[part][:, order[part]] if part in order else right[part])
                   for part in right]
    expect(errors, LIMITS, mode)


@modes
def test_row_11_without_biases_a_brighter_picture_has_the_brighter_map(mode: Mode) -> None:
    """A and the raw map times lambda; gradients and the normalised map as they were."""
    errors = []
    for number in range(100):
        random = np.random.default_rng(number)
        layers = pooled(random, bias=False)
        net, x, scale = made(layers, mode), clear_picture(random, layers, mode[0]), random.uniform(0.1, 10)
        right, found = numbers(net, x, [0]), numbers(net, (scale * x.astype(np.float64)).astype(mode[0]), [0])
        factors = {"logits": scale, "activations": scale, "signed_cam": scale}
        errors += [error(found[part], factors.get(part, 1) * right[part]) for part in right]
        shown = [maps.normalise(np.maximum(n["signed_cam"], 0)) for n in (found, right)]
        errors.append(error(*shown))
    expect(errors, LIMITS, mode)
