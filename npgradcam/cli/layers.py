"""`npgradcam layers`: what a network is made of, and what `--layer` can name."""

from __future__ import annotations

import argparse
from typing import Any

from npgradcam.cli.console import Console, as_json, table
from npgradcam.cli.network import input_shape, layers_of, needs_one_input, open_model

ARROW = "<- default"


def layers(options: argparse.Namespace) -> int:
    """Print every layer of a network, with the shapes that it has for the model's own input; nothing is computed."""
    model = needs_one_input(open_model(options, shapes_only=True))
    network, shape = model.network, input_shape(model, model.usual_size)
    shapes = network.shapes(shape)
    default = layers_of(model, (), model.usual_size)
    kinds = {name: type(layer).__name__ for name, layer in network.layers(shape).items()}
    tensors: dict[str, list[str]] = {}
    for alias, name in network.aliases.items():
        tensors.setdefault(name, []).append(alias)
    found: list[dict[str, Any]] = [
        {
            "name": node.name,
            "kind": kinds[node.name],
            "also": tensors.get(node.name, []),
            "output_shape": list(shapes[node.name]),
            "parameters": sum(p.size for p in node.layer.parameters.values()),
            "default": node.name in default,
        }
        for node in network.nodes
    ]
    console = Console()
    if options.json:
        about = {"model": model.name, "input_shape": list(shape), "parameters": network.parameter_count}
        console.result(as_json({**about, "layers": found}))
        return 0
    rows = [
        (n["name"], n["kind"], _times(n["output_shape"]), f"{n['parameters']:,}", ", ".join(n["also"]),
         ARROW if n["default"] else "")
        for n in found if n["kind"] != "Constant"
    ]
    named = bool(tensors)  # a file names what flows between its nodes as well
    heads = ("name", "kind", "output shape", "parameters", "output tensor", "")
    shown = [range(6), (0, 1, 2, 3, 5)][not named]
    console.result(f"{model.name}, input {_times(shape)} ({model.layout})\n")
    console.result(table([heads[i] for i in shown], [[row[i] for i in shown] for row in rows],
                         left=("name", "kind", "output tensor", "")))
    console.result(f"\n{len(rows)} layers, {network.parameter_count:,} parameters")
    if not default:
        console.result("no layer with maps lies on every path to the output: choose one with --layer")
    return 0


def _times(shape: Any) -> str:
    return " x ".join(str(n) for n in shape)
