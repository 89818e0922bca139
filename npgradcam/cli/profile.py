"""`npgradcam profile`: where the milliseconds go, layer by layer, beside what this machine could do."""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from npgradcam import kernels
from npgradcam.cli.console import Console, as_json, table
from npgradcam.cli.doctor import busy, load_now
from npgradcam.cli.network import model_named, open_model
from npgradcam.errors import NpGradcamError
from npgradcam.network import Network
from npgradcam.rewrites.timed import Row, peak, timed
from npgradcam.typing import Array


def profile(options: argparse.Namespace) -> int:
    """Time every layer of the plan that runs, forward and, if asked, back to the pixels; print a table."""
    console, crowd = Console(options.quiet), busy(load_now())
    options.model = model_named(options)
    model = open_model(options, shapes_only=True)
    if crowd:
        console.remark(f"{crowd}, so these times are not what it can do; run it again when nobody else does")
    network, rows = timed(model.network)
    x = model.noise()
    with console.compiling(options.dtype, options.backend):
        _run(network, x, options.back)
    if not rows:
        raise NpGradcamError("profile: the sizes inside this network depend on the numbers that go in, so no plan is "
                             "made beforehand whose layers could be timed; time net(x) in Python")
    for row in rows.values():  # the first run made tables and loaded kernels
        row.forward.clear()
        row.backward.clear()
    for _ in range(options.rounds):
        _run(network, x, options.back)
    whole = _whole(model.network, x, options.rounds)
    with kernels.session(options.backend):
        fastest = peak() if kernels.vectorised() and network.dtype == "float32" else None
    _print(console, options, list(rows.values()), fastest, whole)
    return 0


def _whole(network: Network, x: dict[str, Array], rounds: int) -> float:
    """Return the median seconds of a forward that no clock disturbs: layers that nobody goes back through in a row."""
    seconds = []
    for _ in range(rounds + 1):
        start = perf_counter()
        network(x)
        seconds.append(perf_counter() - start)
    return median(seconds[1:])  # the first one settled the plan


def _run(network: Network, x: dict[str, Array], back: bool) -> None:
    """One forward, and one guided backward from the first class to the pixels of every picture."""
    sources = network.sources(network.outputs[0]) if back else ()
    tape = network.forward(x, sources)
    if back:
        seed = np.zeros_like(tape.logits)
        seed.flat[0] = 1
        network.backward(tape, seed, sources, "guided")


def _print(console: Console, options: argparse.Namespace, rows: list[Row], fastest: float | None,
           whole: float) -> None:
    found: list[dict[str, Any]] = [
        {
            "name": row.name, "kind": row.kind, "shape": list(row.shape), "operations": row.operations,
            "forward_ms": 1e3 * median(row.forward), "backward_ms": 1e3 * median(row.backward or [0.0]),
        }
        for row in rows if row.forward
    ]
    sums = {key: sum(each[key] for each in found) for key in ("operations", "forward_ms", "backward_ms")}
    if options.json:
        console.result(as_json({"model": options.model, "rounds": options.rounds, "peak_gflop_s": fastest,
                                "layers": found, "sum": sums, "forward_ms": 1e3 * whole}))
        return
    lines = [_line(each, sums["forward_ms"], options.back, fastest) for each in (*found, {"name": "sum", **sums})]
    heads = ("layer", "computed by", "ms", "share", *(("ms back",) if options.back else ()), "GFLOP/s", "of the peak")
    console.result(table(heads, lines, left=("layer", "computed by")))
    said = "" if fastest is None else f"; the fastest kernel reaches {fastest:.0f} GFLOP/s here (the peak)"
    console.result(f"\nmedians of {options.rounds} runs of one example{said}; a layer above it has an algorithm that "
                   f"multiplies less than its equation; a forward without clocks takes {1e3 * whole:.2f} ms")


def _line(each: dict[str, Any], whole: float, back: bool, fastest: float | None) -> list[str]:
    speed = each["operations"] / each["forward_ms"] / 1e6 if each["operations"] and each["forward_ms"] else None
    share = f"{100 * each['forward_ms'] / whole:.1f} %" if whole else ""
    return [
        each["name"], each.get("kind", ""), f"{each['forward_ms']:.3f}", share,
        *([f"{each['backward_ms']:.3f}"] if back else []),
        "" if speed is None else f"{speed:.0f}",
        "" if speed is None or fastest is None else f"{100 * speed / fastest:.0f} %",
    ]
