"""Record what PyTorch says of the small network of small_nets.py: python tests/make_reference.py [FILE].

Recorded with torch 2.14.1 on a CPU, in float64. The tests read only the file; they never need PyTorch.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from reference_weights import RECORDED, TARGETS, reference_arrays


class Rectifier(torch.autograd.Function):
    """clamp(x, 0, high) whose backward is one of three rules."""

    @staticmethod
    def forward(ctx, x, high, rule):
        ctx.save_for_backward(x)
        ctx.high, ctx.rule = high, rule
        return x.clamp(0, high)

    @staticmethod
    def backward(ctx, signal):
        (x,) = ctx.saved_tensors
        if ctx.rule != "gradient":
            signal = signal.clamp(min=0)
        if ctx.rule != "deconvnet":
            signal = signal * ((x > 0) & (x < ctx.high))
        return signal, None, None


def run(x, a, rule, watch=lambda name, y: y):
    """Return logits and the last feature maps; `watch` is shown two layers' outputs as they pass."""
    relu = lambda x, high=float("inf"): Rectifier.apply(x, high, rule)  # noqa: E731
    pair = lambda name: (a[f"{name}.weight"], a[f"{name}.bias"])  # noqa: E731
    y = F.conv2d(F.pad(x, (1, 0, 0, 2)), *pair("stem"), stride=(2, 1))  # F.pad: left, right, top, bottom
    y = watch("relu6", relu(F.batch_norm(y, a["norm.mean"], a["norm.variance"], *pair("norm"), eps=1e-3), 6.0))
    pooled = F.max_pool2d(y, 3, (1, 2), 1)
    y = F.conv2d(relu(F.conv2d(pooled, *pair("depthwise"), padding=1, groups=8)), *pair("grouped"), groups=2)
    y = relu(y + pooled)
    y = torch.cat([y, F.avg_pool2d(y, 3, 1, 1, count_include_pad=False)], 1)
    features = watch("features", relu(F.conv2d(y, *pair("dilated"), padding=2, dilation=2)))
    return F.linear(features.mean((2, 3)), *pair("fc")), features


def main(path):
    a = {name: torch.from_numpy(value) for name, value in reference_arrays().items()}
    x = a["images"].requires_grad_()
    rows = [(n, c) for n, classes in enumerate(TARGETS) for c in classes]
    logits, A = run(x, a, "gradient")
    dA = [torch.autograd.grad(logits[n, c], A, retain_graph=True)[0][n] for n, c in rows]
    alpha = torch.stack([g.mean((1, 2)) for g in dA])
    cam = torch.stack([torch.relu((w[:, None, None] * A[n]).sum(0)) for w, (n, _) in zip(alpha, rows, strict=True)])
    recorded = {"logits": logits, "activations": A, "alpha": alpha, "cam": cam}
    for rule in ("gradient", "guided", "deconvnet"):
        scores = run(x, a, rule)[0]
        recorded[rule] = torch.stack([torch.autograd.grad(scores[n, c], x, retain_graph=True)[0][n] for n, c in rows])
    np.savez_compressed(path, **{name: value.detach().numpy() for name, value in recorded.items()})
    print(path, Path(path).stat().st_size, "bytes, torch", torch.__version__)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else RECORDED)
