"""From the cases to files: checked against the compiled layers first, then written, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ... import methods
from ...convention import conventions
from ...errors import NpGradcamError
from ...formats.npz import write_npz
from ...formats.onnx import load_onnx
from ...formats.onnx_writing import onnx_bytes
from ...network import Network
from ...writing import whole_file
from ..definitions.numbers import Numbers
from .answers import answers
from .networks import CASES, Case
from .readme import readme

VERSION = 1
EXACT = ("logits", "gradient", "guided", "deconvnet", "A", "dA", "alpha", "signed_map", "map", "counterfactual_map")


def write_pack(folder: Path, progress: Callable[[str], None] = lambda name: None) -> None:
    """Write every case as NAME.npz and NAME.onnx, with README.md and manifest.json, into a folder.

    Raises
    ------
    NpGradcamError
        If the compiled layers do not agree with the slow definitions; nothing of that case is written.
    MissingPackageError
        If the package `onnx` is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, bytes] = {}
    for case in CASES.values():
        progress(case.name)
        found = answers(case)
        H, W = case.images.shape[2:]
        model = onnx_bytes(replace(case.network, dtype="float32"), 3, (H, W))
        write_bytes(folder / f"{case.name}.onnx", model)
        check(case, found, load_onnx(folder / f"{case.name}.onnx", "float64")[0])
        write_npz(folder / f"{case.name}.npz", dict(sorted(found.items())))
        files |= {name: (folder / name).read_bytes() for name in (f"{case.name}.npz", f"{case.name}.onnx")}
    text = readme(VERSION, CASES.values())
    write_bytes(folder / "README.md", text.encode())
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = {"version": VERSION, "exact": EXACT, "sha256": dict(sorted(hashes.items()))}
    write_bytes(folder / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole."""
    with whole_file(path) as file:
        file.write(data)


def check(case: Case, found: dict[str, Numbers], network: Network) -> None:
    """Hold the slow answers against the compiled layers, on the network as it is read from the file.

    What is `EXACT` must be the same to the last bit and fit float32; everything else within 1e-13.
    """
    x, targets = case.images, case.targets
    fast: dict[str, Numbers] = {"logits": methods.grad_cam(network, x, targets, case.layers[0]).logits}
    for rule in ("gradient", "guided", "deconvnet"):
        fast[rule] = methods.backprop(network, x, targets, rule).signal
    for layer in case.layers:
        e = methods.grad_cam(network, x, targets, layer)
        plus = methods.grad_cam_plus_plus(network, x, targets, layer)
        of_layer = {
            "A": e.activations, "dA": e.gradients, "alpha": e.alpha, "signed_map": e.signed_cam, "map": e.cam,
            "counterfactual_map": methods.counterfactual_grad_cam(network, x, targets, layer).cam,
            "guided_grad_cam": methods.guided_grad_cam(network, x, targets, layer).signal,
            "plus_plus_map": plus.cam, "convention/npgradcam": conventions["npgradcam"].apply(e, x.shape[2:]),
        }
        fast |= {f"{layer}/{name}": np.asarray(value) for name, value in of_layer.items()}
    for name, value in fast.items():
        slow = found[name]
        exact = name.split("/")[-1] in EXACT
        near = np.abs(slow - value).max() <= 1e-13 * max(1.0, np.abs(slow).max())
        if not (np.array_equal(slow, value) and np.array_equal(slow, slow.astype(np.float32)) if exact else near):
            raise NpGradcamError(f"case {case.name}: the definition and the layers differ in {name}")
