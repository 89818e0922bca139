"""A trace as one .npz file: plain arrays and one JSON text, for any reader of NumPy's format."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from npgradcam._version import __version__
from npgradcam.writing import whole_file

if TYPE_CHECKING:
    from .trace import Trace

SCHEMA = "npgradcam/trace/1"
STEPS = ("activations", "gradients", "alpha", "signed_cam", "cam", "upsampled", "normalised")


def save(t: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace, whole or not at all; the same trace gives the same bytes.

    Notes
    -----
    `output/NAME` is what a layer gives, `signal/RULE/NAME` what flows back to it, (R, ...); the steps and
    `contributions` (R, K, I, J) are as in `Trace`; `about` is JSON: names, classes, layers in order.
    """
    about = {
        "schema": SCHEMA, "version": __version__, "layer": t.layer, "output": t.tape.output,
        "labels": [t.label(row) for row in range(len(t.target))], "layers": list(t.outputs),
        "equations": {
            "alpha": "1/Z sum_ij gradients[r, k, i, j]", "contributions": "alpha[r, k] activations[k, i, j]",
            "signed_cam": "sum_k contributions[r, k, i, j], in the order of k", "cam": "max(signed_cam, 0)",
            "upsampled": "cam, bilinear, half-pixel centres", "normalised": "upsampled / max upsampled",
        },
    }
    arrays: dict[str, Any] = {name: getattr(t, name) for name in STEPS}
    arrays["contributions"] = np.stack([t.contributions(row) for row in range(len(t.target))])
    arrays |= {"logits": t.tape.logits, "target": np.array(t.target), "about": np.array(json.dumps(about))}
    arrays |= {f"output/{name}": x for name, x in t.outputs.items()}
    arrays |= {f"signal/{rule}/{name}": x for rule, signals in t.signals.items() for name, x in signals.items()}
    with whole_file(path) as file:
        np.savez(file, **arrays)
