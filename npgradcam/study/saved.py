"""Traces as one .npz file: plain arrays and one JSON text, for any reader of NumPy's format."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from npgradcam._version import __version__
from npgradcam.errors import NpGradcamError
from npgradcam.writing import whole_file

if TYPE_CHECKING:
    from .trace import Trace

SCHEMA = "npgradcam/trace/1"
STEPS = ("activations", "gradients", "alpha", "signed_cam", "cam", "upsampled", "normalised")


def save(traces: Trace | Sequence[Trace], path: str | os.PathLike[str]) -> None:
    """Write the traces of one forward and the same classes, whole or not at all; the same traces give the same bytes.

    Parameters
    ----------
    traces : Trace, or sequence of Trace
        One for each layer.
    path : str or Path

    Raises
    ------
    NpGradcamError
        If the traces do not belong together.

    Notes
    -----
    `output/NAME` is what a layer gives, `signal/RULE/NAME` what flows back to it, (R, ...); the steps and
    `contributions` (R, K, I, J) are as in `Trace`, for the first trace; those of any further one are `layer/NAME/STEP`,
    with the name of its layer. `about` is JSON: names, classes, layers in order.
    """
    t, *others = together(traces)
    about = {
        "schema": SCHEMA, "version": __version__, "layer": t.layer, "compared": [other.layer for other in others],
        "output": t.tape.output, "labels": [t.label(row) for row in range(len(t.target))], "layers": list(t.outputs),
        "equations": {
            "alpha": "1/Z sum_ij gradients[r, k, i, j]", "contributions": "alpha[r, k] activations[k, i, j]",
            "signed_cam": "sum_k contributions[r, k, i, j], in the order of k", "cam": "max(signed_cam, 0)",
            "upsampled": "cam, bilinear, half-pixel centres", "normalised": "upsampled / max upsampled",
        },
    }
    arrays = _steps(t, "")
    arrays |= {"logits": t.tape.logits, "target": np.array(t.target), "about": np.array(json.dumps(about))}
    for other in others:
        arrays |= _steps(other, f"layer/{other.layer}/")
    arrays |= {f"output/{name}": x for name, x in t.outputs.items()}
    arrays |= {f"signal/{rule}/{name}": x for rule, signals in t.signals.items() for name, x in signals.items()}
    with whole_file(path) as file:
        np.savez(file, **arrays)


def _steps(t: Trace, prefix: str) -> dict[str, Any]:
    steps: dict[str, Any] = {prefix + name: getattr(t, name) for name in STEPS}
    return steps | {f"{prefix}contributions": np.stack([t.contributions(row) for row in range(len(t.target))])}


def together(traces: Trace | Sequence[Trace]) -> tuple[Trace, ...]:
    """Return traces as a tuple, if they are of one forward and the same classes."""
    several = tuple(traces) if isinstance(traces, Sequence) else (traces,)
    if not several or any(t.tape is not several[0].tape or t.target != several[0].target for t in several):
        raise NpGradcamError("study: expected traces of one forward and the same classes; give trace() the same tape")
    return several
