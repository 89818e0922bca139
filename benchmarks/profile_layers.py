"""``python -m benchmarks.profile_layers NETWORK [FOLDER]``: where our milliseconds go, by kind of layer and way."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from npgradcam import kernels, rules

from . import ours
from .compare import ROOT, make_files
from .networks import Files


def kind(layer: Any) -> str:
    """Return the row of the table that a layer belongs to."""
    name = type(layer).__name__
    if name != "Conv2d":
        return name
    (u, v), depthwise = layer.weight.shape[2:], layer.groups > 1
    return f"Conv2d {'depthwise ' if depthwise else ''}{u} x {v}, stride {layer.stride[0]}"


def operations(layer: Any, shape: tuple[int, ...]) -> int:
    """Return how many multiplications and additions a convolution or linear layer does for one output of this shape."""
    return 2 * int(np.prod(shape)) * int(np.prod(layer.weight.shape[1:])) if hasattr(layer, "weight") else 0


def once(network: Any, x: np.ndarray, target: int, timed: Callable[..., Any]) -> dict[str, int]:
    """Walk the graph forward and back, each layer through ``timed``; return operations by kind."""
    values, caches, work = {network.inputs[0]: x}, {}, dict[str, int]()
    for node in network.nodes:
        arguments = [values[name] for name in node.inputs]
        values[node.name], caches[node.name] = timed("forward", node.layer, node.layer.forward, *arguments)
        if type(node.layer).__name__ in ("Conv2d", "Linear"):
            row = kind(node.layer)
            work[row] = work.get(row, 0) + operations(node.layer, values[node.name].shape)
    seed = np.zeros_like(values[network.outputs[0]])
    seed[0, target] = 1
    signals = {network.outputs[0]: seed}
    for node in reversed(network.nodes):
        rule = (rules.guided,) if node.layer.rectifies else ()
        down = timed("backward", node.layer, node.layer.backward, signals.pop(node.name), caches[node.name], *rule)
        for name, part in zip(node.inputs, down, strict=True):
            signals[name] = signals[name] + part if name in signals else part
    return work


def profile(files: Files, rounds: int = 7) -> str:
    """Return a Markdown table: milliseconds by kind of layer, medians of ``rounds``, and GFLOP/s of the forward."""
    network, data = ours.network(files).network, files.read()
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    count: dict[str, int] = defaultdict(int)
    for number in range(rounds + 1):  # the first one compiles
        spent: dict[tuple[str, str], float] = defaultdict(float)

        def timed(direction: str, layer: Any, call: Callable[..., Any], *arguments: Any, into: Any = spent) -> Any:
            start = time.perf_counter()
            result = call(*arguments)
            into[direction, kind(layer)] += time.perf_counter() - start
            return result

        with kernels.session(network.backend):
            work = once(network, data["x"], int(data["target"]), timed)
        if number:
            for key, seconds in spent.items():
                times[key].append(seconds)
    for node in network.nodes:
        count[kind(node.layer)] += 1
    ms = {key: 1e3 * median(each) for key, each in times.items()}
    lines = ["| layers | how many | forward ms | GFLOP/s | guided backward ms |", "|---|---|---|---|---|"]
    for row in sorted(count, key=lambda k: -ms["forward", k] - ms["backward", k]):
        speed = f"{work[row] / ms['forward', row] / 1e6:.1f}" if row in work else "-"
        lines.append(f"| {row} | {count[row]} | {ms['forward', row]:.1f} | {speed} | {ms['backward', row]:.1f} |")
    forward, backward = (sum(v for k, v in ms.items() if k[0] == way) for way in ("forward", "backward"))
    lines.append(
        f"| all | {len(network.nodes)} | {forward:.1f} | {sum(work.values()) / forward / 1e6:.1f} | {backward:.1f} |"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    name, folder = [*sys.argv[1:], ROOT / "benchmarks" / "data"][:2]
    print(profile(make_files(Path(folder).resolve(), name)))
