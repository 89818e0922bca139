"""`npgradcam models`: the architectures that have a name, and what each needs."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import Any

from npgradcam.cli.console import Console, as_json, table, times
from npgradcam.methods.cam import NoCamHeadError, cam_head
from npgradcam.models import MODELS
from npgradcam.models.registry import Entry
from npgradcam.topology import Topology

COLUMNS = ("name", "parameters", "input", "CAM", "weights")


def models(options: argparse.Namespace) -> int:
    """Print every named architecture: parameters, size of its input, whether CAM applies, where its weights are."""
    found = [_about(name, entry) for name, entry in MODELS.items()]
    console = Console()
    if options.json:
        console.result(as_json(found))
        return 0
    rows = [
        (m["name"], f"{m['parameters']:,}", times(m["input"]), "yes" if m["cam"] else "", m["weights"])
        for m in found
    ]
    console.result(table(COLUMNS, rows, left=("name", "weights")))
    console.result(f"\n{len(rows)} architectures; FILE is a checkpoint (.pth, .pt, .safetensors, .npz) of that name")
    return 0


def _about(name: str, entry: Entry) -> dict[str, Any]:
    network = Topology(tuple(entry.outline()[0].nodes))
    head = None
    with suppress(NoCamHeadError):
        head = cam_head(network, network.outputs[0])[0]
    weights = "--weights FILE"
    if entry.weights is not None:
        weights = "come along" if entry.weights.endswith(".npz") else "npgradcam[imagenet]"
    return {"name": name, "parameters": network.parameter_count, "input": entry.preprocessing.size, "cam": head,
            "weights": weights}
