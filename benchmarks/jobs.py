"""Who takes part in which task. A new opponent is one function, and one line here.

A job is ``make(files, variant) -> (run, check)``. ``run()`` does the whole task once; ``check()`` does it once more
and returns what can be compared: ``logits``, ``cam`` (before the ReLU, at the layer's size) or ``signal`` (3, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import ours, peers, runtimes
from .networks import RELU6, Files
from .runtimes import Check, Run

OURS = "npgradcam"
BATCH = 32
THROUGHPUT = f"{BATCH} images"
LAYOUTS = ("", "channels_last")
FOLDED = (*LAYOUTS, "folded", "channels_last folded")


@dataclass(frozen=True)
class Job:
    """One competitor in one task, with the variants to choose from and the answer it is compared with."""

    who: str
    make: Callable[[Files, str], tuple[Run, Check]]
    variants: Sequence[str] = ("",)
    note: str = ""
    logits: float = 1e-4  # largest error over largest magnitude; bfloat16 makes 6e-3 and more


def jobs(network: str, plan: str = "default") -> dict[str, list[Job]]:
    """Return every job by task; the first of each task is ours, with the plan that was asked for."""
    note = "plain gradient: ReLU6 is not replaced" if network in RELU6 else ""
    frozen = tuple(f"{layout} frozen".strip() for layout in LAYOUTS)
    folded = LAYOUTS if network in ("vgg16", "squeezenet1_1") else FOLDED  # those two have no batch norm
    return {
        "forward": [
            Job(OURS, ours.forward, (plan,)),
            Job("onnxruntime", runtimes.onnxruntime_forward),
            Job("OpenVINO", runtimes.openvino_forward),
            Job("MNN", runtimes.mnn_forward, logits=5e-3),  # its large Winograd tiles cost accuracy: 4e-3 on ResNet-50
            Job("MNN, small Winograd tiles", runtimes.mnn_forward, ("small tiles",)),
            Job("PyTorch", peers.torch_forward, folded),
            Job("PyTorch, torch.compile", peers.torch_forward, ("compiled whole",)),
        ],
        "Grad-CAM": [
            Job(OURS, ours.grad_cam, (plan,)),
            Job("pytorch-grad-cam", peers.pytorch_grad_cam, LAYOUTS),
            Job("pytorch-grad-cam, parameters frozen", peers.pytorch_grad_cam, frozen),
            Job("expert's PyTorch", peers.expert_grad_cam, folded),
            Job("expert's PyTorch, body compiled", peers.expert_grad_cam, ("compiled",)),
        ],
        "guided backpropagation": [
            Job(OURS, ours.guided, (plan,)),
            Job("pytorch-grad-cam", peers.pytorch_grad_cam_guided, LAYOUTS, note),
            Job("pytorch-grad-cam, parameters frozen", peers.pytorch_grad_cam_guided, frozen, note),
        ],
        THROUGHPUT: [
            Job(OURS, ours.grad_cam_batch, (str(BATCH),), "Grad-CAM"),
            Job("onnxruntime", runtimes.onnxruntime_batch, (str(BATCH),), "forward"),
        ],
    }


def find(network: str, task: str, who: str) -> Job:
    """Return one job."""
    return next(job for job in jobs(network)[task] if job.who == who)


def expected(answers: dict[str, Any], key: str, note: str) -> np.ndarray:
    """Return the float64 answer that a checked array must equal; one with a note computes the plain gradient."""
    return answers["gradient" if note and key == "signal" else {"signal": "guided"}.get(key, key)]
