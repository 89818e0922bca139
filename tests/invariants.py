"""What the tests of invariants share: every way to compute, random networks drawn by number, and how errors are judged.

A mode is a dtype and an engine: NumPy alone, the compiled loops, or the default plan (folded, fused, in vector code).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from small_nets import conv, linear, norm

import npgradcam as ng
from npgradcam.layers import AvgPool2d, Flatten, GlobalAvgPool2d, Layer, MaxPool2d, ReLU, ReLU6
from npgradcam.network import Network
from npgradcam.rewrites import choose, optimise

Mode = tuple[str, str]
MODES = [(dtype, engine) for dtype in ("float64", "float32") for engine in ("numpy", "numba", "plan")]
modes = pytest.mark.parametrize("mode", MODES, ids="-".join)
PARTS = ("logits", "activations", "gradients", "signed_cam")


def examples(count: int) -> settings:
    """Let a test draw `count` cases where it draws 40; the profile's number where that is more, or is meant low."""
    usual = settings().max_examples
    return settings(max_examples=usual if usual < 40 else max(count, usual))


def made(layers: Iterable[tuple[str, Layer]] | Network, mode: Mode) -> Network:
    """A network that computes in a mode."""
    dtype, engine = mode
    nodes = layers.nodes if isinstance(layers, Network) else Network.sequential(layers, dtype="float64").nodes
    plain = Network(nodes, dtype=dtype, backend="numpy" if engine == "numpy" else "numba")
    return replace(plain, rewrite=optimise, choose=choose) if engine == "plan" else plain


def body(random: np.random.Generator, bias: bool = True) -> list[tuple[str, Layer]]:
    """Random layers from 3 channels to "maps": some convolutions, norms, rectifiers and pools, then a rectifier.

    Sizes come from few values, so that the plan's vector code is compiled for few shapes.
    """
    layers: list[tuple[str, Layer]] = []
    channels = 3
    for n in range(random.integers(1, 4)):
        depthwise = n > 0 and random.random() < 0.3
        outs, side = channels if depthwise else int(random.choice((4, 8, 20))), int(random.choice((1, 3, 3)))
        layer = conv(random, outs, channels, side, padding="same", groups=channels if depthwise else 1)
        layers.append((f"conv{n}", layer if bias else replace(layer, bias=None)))
        if bias and random.random() < 0.5:
            layers.append((f"norm{n}", norm(random, outs)))
        layers.append((f"relu{n}", ReLU6() if bias and random.random() < 0.3 else ReLU()))
        if n == 0 and random.random() < 0.6:
            pool = MaxPool2d if random.random() < 0.5 else AvgPool2d
            layers.append((f"pool{n}", pool((2, 2), (2, 2))))
        channels = outs
    last, _ = layers[-1] if layers[-1][0].startswith("relu") else layers[-2]
    return [("maps" if name == last else name, layer) for name, layer in layers]


def channels_of(layers: list[tuple[str, Layer]]) -> int:
    """How many channels come out."""
    return [len(layer.weight) for name, layer in layers if name.startswith("conv")][-1]


def pooled(random: np.random.Generator, bias: bool = True, classes: int = 4) -> list[tuple[str, Layer]]:
    """A random body, a global average and one linear layer: CAM's head."""
    layers = body(random, bias)
    head = linear(random, classes, channels_of(layers))
    head = head if bias else replace(head, bias=0 * head.bias)
    return [*layers, ("pool", GlobalAvgPool2d()), ("flat", Flatten()), ("fc", head)]


def picture(random: np.random.Generator, dtype: str, count: int = 1, height: int = 10, width: int = 14) -> np.ndarray:
    return random.standard_normal((count, 3, height, width)).astype(dtype)


def clear_picture(random: np.random.Generator, layers: list[tuple[str, Layer]], dtype: str, **size: int) -> np.ndarray:
    """A picture for which rounding moves nothing across a kink: whoever sums in another order takes the same branch."""
    exact = made(layers, ("float64", "numpy"))
    bent = [node for node in exact.nodes if isinstance(node.layer, ReLU | ReLU6 | MaxPool2d)]
    for _ in range(100):
        x = picture(random, dtype, **size)
        seen = exact.forward(x.astype(np.float64), [node.inputs[0] for node in bent]).activations
        if all(_clear(node.layer, seen[node.inputs[0]]) for node in bent):
            return x
    raise AssertionError("no picture keeps this network away from its kinks")


def _clear(layer: Layer, z: np.ndarray) -> bool:
    """Rectifiers: none near 0 or the upper end. Max pooling: no two cells of a channel nearly equal.

    What is exactly 0 is a sum of zeros, in any order.
    """
    near = 1e-6 * np.abs(z).max()
    if not isinstance(layer, MaxPool2d):
        ends = np.abs(np.stack([z, z - getattr(layer, "high", np.inf)]))
        return bool((ends[:, z != 0] > near).all())
    cells = np.sort(z.reshape(*z.shape[:2], -1), axis=-1)
    apart = np.diff(cells)[cells[..., 1:] > 0]
    return bool(((apart == 0) | (apart > near / 10)).all())  # equal ones are saturated units of a ReLU6


def error(found: np.ndarray, right: np.ndarray, scale: float | None = None) -> float:
    """The largest difference, relative to the largest magnitude or to `scale`; a NaN is no agreement.

    What is 0 everywhere agrees with nothing but zeros.
    """
    found, right = np.asarray(found, np.float64), np.asarray(right, np.float64)
    assert found.shape == right.shape
    assert np.isfinite(found).all()
    if scale is None and not right.any():
        return np.inf if found.any() else 0.0
    return float(np.abs(found - right).max() / max(1e-30, np.abs(right).max() if scale is None else scale))


def expect(errors: list[float], limits: dict[str, float], mode: Mode) -> None:
    """All errors stay below the dtype's limit; `pytest -s` shows the worst."""
    print(f"worst of {len(errors)}: {max(errors):.1e}, allowed {limits[mode[0]]:.0e}")
    assert max(errors) <= limits[mode[0]], f"number {int(np.argmax(errors))}"


def numbers(net: Network, x: np.ndarray, target: list[int], layer: str = "maps") -> dict[str, np.ndarray]:
    """Scores, maps, their gradients, the signed map, and the gradient of the input, at one look."""
    tape = net.forward(x, (layer, "input"))
    e = ng.grad_cam(net, tape, target, layer)
    return {name: getattr(e, name) for name in PARTS} | {"input": ng.backprop(net, tape, target).signal}
