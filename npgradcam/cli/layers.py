"""`npgradcam layers`: what a network is made of, and what `--layer` can name."""

from __future__ import annotations

import argparse
from typing import Any

from npgradcam.cli.console import Console, as_json, inputs_as_text, table, times
from npgradcam.cli.network import input_shapes, layers_of, open_model

ARROW = "<- default"


def layers(options: argparse.Namespace) -> int:
    """Print every layer of a network, with the shapes that it has for the model's own input; nothing is computed."""
    model = open_model(options, shapes_only=True)
    network, given = model.network, input_shapes(model, model.usual_size)
    shapes = network.shapes(given)
    default = layers_of(model, (), model.usual_size)
    kinds = {name: type(layer).__name__ for name, layer in network.layers(given).items()}
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
        inputs = {name: list(shape) for name, shape in given.items()}
        about = {"model": model.name, "input_shape": inputs[network.inputs[0]], "inputs": inputs,
                 "parameters": network.parameter_count}
        console.result(as_json({**about, "layers": found}))
        return 0
    rows = [
        (n["name"], n["kind"], times(n["output_shape"]), f"{n['parameters']:,}", ", ".join(n["also"]),
         ARROW if n["default"] else "")
        for n in found if n["kind"] != "Constant"
    ]
    named = bool(tensors)  # a file names what flows between its nodes as well
    heads = ("name", "kind", "output shape", "parameters", "output tensor", "")
    shown = [range(6), (0, 1, 2, 3, 5)][not named]
    console.result(f"{model.name}, input {inputs_as_text(given)} ({model.layout})\n")
    console.result(table([heads[i] for i in shown], [[row[i] for i in shown] for row in rows],
                         left=("name", "kind", "output tensor", "")))
    console.result(f"\n{len(rows)} layers, {network.parameter_count:,} parameters")
    if not default:
        console.result("no layer with maps lies on every path to the output: choose one with --layer")
    return 0
