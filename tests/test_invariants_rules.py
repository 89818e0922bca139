"""Row 12: the three rules against ten lines of NumPy, exactly on whole numbers, and where they coincide."""

from __future__ import annotations

import numpy as np
import pytest
from invariants import Mode, clear_picture, error, expect, made, modes, pooled

import npgradcam as ng
from npgradcam import kernels
from npgradcam.layers import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU
from npgradcam.network import Network

pytestmark = pytest.mark.usefixtures("warm")
RULES = ("gradient", "deconvnet", "guided")
EXACT = {"float64": 0.0, "float32": 0.0}


def naive(network: Network, x: np.ndarray, target: int, rule: str) -> np.ndarray:
    """Go back layer by layer in float64: linear layers by their adjoint, a rectifier by the rule's own formula."""
    kept = []
    with kernels.session("numpy"):
        for node in network.nodes:
            z = x
            x, cache = node.layer.astype("float64").forward(x)
            kept.append((node.layer.astype("float64"), z, cache))
        g = np.eye(x.shape[1])[[target]]
        for layer, z, cache in reversed(kept):
            if not isinstance(layer, ReLU):
                (g,) = layer.backward(g, cache)
            else:
                g = g * {"gradient": z > 0, "deconvnet": g > 0, "guided": (z > 0) & (g > 0)}[rule]
    return g


def whole_numbers(random: np.random.Generator, low: int = -2, pool: bool = True) -> list[tuple[str, Layer]]:
    """Two convolutions, a max pooling with many ties, a linear head: sums stay below 2^24, so float32 is exact."""
    def whole(*shape: int) -> np.ndarray:
        return random.integers(low, 3, shape).astype(float)

    between: list[tuple[str, Layer]] = [("max", MaxPool2d((2, 2), (2, 2)))] if pool else []
    rows, columns = (3, 7) if pool else (6, 14)
    return [
        ("conv1", Conv2d(whole(8, 3, 3, 3), whole(8), padding="same")), ("relu1", ReLU()), *between,
        ("conv2", Conv2d(whole(4, 8, 3, 3), whole(4), padding="same")), ("maps", ReLU()),
        ("flat", Flatten()), ("fc", Linear(whole(4, 4 * rows * columns), whole(4))),
    ]


def image(random: np.random.Generator, dtype: str, low: int = -4) -> np.ndarray:
    return random.integers(low, 5, (1, 3, 6, 14)).astype(dtype)


@modes
def test_row_12_every_rule_is_its_formula_exactly_on_whole_numbers(mode: Mode) -> None:
    errors = []
    for number in range(300):
        random = np.random.default_rng(number)
        net, x = made(whole_numbers(random), mode), image(random, mode[0])
        tape = net.forward(x, "input")
        for rule in RULES:
            right = naive(net, x.astype(np.float64), number % 4, rule)
            assert np.abs(right).max() < 2**24
            errors.append(error(ng.backprop(net, tape, number % 4, rule).signal, right, 1))
    expect(errors, EXACT, mode)


@modes
def test_row_12_every_rule_is_its_formula_on_any_network(mode: Mode) -> None:
    """Here in float64 the formula is rounded as well: 1e-12 stands for "equal"."""
    errors = []
    for number in range(300):
        random = np.random.default_rng(number)
        layers = pooled(random, bias=False)
        net, x = made(layers, mode), clear_picture(random, layers, mode[0])
        tape = net.forward(x, "input")
        for rule in RULES:
            right = naive(net, x.astype(np.float64), number % 4, rule)
            errors.append(error(ng.backprop(net, tape, number % 4, rule).signal, right))
    expect(errors, {"float64": 1e-12, "float32": 1e-6}, mode)


@modes
def test_row_12_where_all_is_positive_guided_is_the_gradient(mode: Mode) -> None:
    errors = []
    for number in range(300):
        random = np.random.default_rng(number)
        net, x = made(whole_numbers(random, low=1), mode), image(random, mode[0], low=1)
        plain, guided, other = (ng.backprop(net, x, 1, rule).signal for rule in ("gradient", "guided", "deconvnet"))
        assert plain.any()
        errors += [error(guided, plain, 1), error(other, plain, 1)]
    expect(errors, EXACT, mode)


@modes
def test_row_12_deconvnet_does_not_look_at_the_picture_without_pools(mode: Mode) -> None:
    errors = []
    for number in range(300):
        random = np.random.default_rng(number)
        net = made(whole_numbers(random, pool=False), mode)
        one, other = (ng.backprop(net, image(random, mode[0]), 2, "deconvnet").signal for _ in range(2))
        assert one.any()
        errors.append(error(one, other, 1))
    expect(errors, EXACT, mode)


@modes
def test_row_12_guided_grad_cam_is_the_product(mode: Mode) -> None:
    errors = []
    for number in range(300):
        random = np.random.default_rng(number)
        net, x = made(whole_numbers(random), mode), image(random, mode[0])
        tape = net.forward(x, ("input", "maps"))
        where, what = ng.grad_cam(net, tape, 0, "maps"), ng.backprop(net, tape, 0, "guided")
        product = what.signal * ng.maps.upsample(where.cam, x.shape[2:])[:, None]
        errors.append(error(ng.guided_grad_cam(net, tape, 0, "maps").signal, product, 1))
    expect(errors, EXACT, mode)
