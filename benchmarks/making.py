"""``python -m benchmarks.making FOLDER [NETWORK...]``: weights, pictures, the right answers in float64, model files.

Everything is made once and only where it is missing; the same on every machine.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .networks import NAMES, Files, module, torchvision_network


def picture(size: int = 224, count: int = 1) -> np.ndarray:
    """Return ``count`` different smooth random pictures (count, 3, size, size) float32 of unit scale, size 7 * 2^k."""
    draw = np.random.default_rng(0)
    x = np.zeros((1, 3, size, size), np.float32)
    for cells in (7 * 2**k for k in range((size // 7).bit_length())):
        x += np.kron(draw.standard_normal((1, 3, cells, cells)), np.ones((size // cells,) * 2)).astype(np.float32)
    return np.concatenate([np.roll(x / x.std(), 5 * n, axis=(2, 3)) for n in range(count)])


def make(files: Files) -> None:
    """Make the files of one network, each unless it is there."""
    if all(path.exists() for path in (files.weights, files.answers, files.onnx, files.onnx_batch, files.mnn)):
        return
    import torch

    files.folder.mkdir(parents=True, exist_ok=True)
    x = torch.from_numpy(picture())
    if not files.weights.exists():
        _random_weights(files, x)
    net = module(files)
    if not files.answers.exists():
        np.savez(files.answers, x=x.numpy(), **_answers(net, x))
    settings = {"input_names": ["x"], "output_names": ["logits"], "dynamo": True, "external_data": False}
    if not files.onnx.exists():
        torch.onnx.export(net, (x,), str(files.onnx), **settings)
    if not files.onnx_batch.exists():
        any_number = ({0: torch.export.Dim("N", min=1, max=1024)},)
        torch.onnx.export(net, (x.repeat(2, 1, 1, 1),), str(files.onnx_batch), dynamic_shapes=any_number, **settings)
    if not files.mnn.exists():
        import _tools  # of the package MNN; its own wrapper also wants to log over the network

        paths = ["--modelFile", str(files.onnx), "--MNNModel", str(files.mnn)]
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *paths, "--bizCode", "benchmark", "--optimizePrefer", "2"])


def _random_weights(files: Files, x: Any) -> None:
    """Torchvision's own initialisation, then biases and batch norms that are not trivial, so that an error shows."""
    import torch

    torch.manual_seed(0)
    net = torchvision_network(files.name).eval()
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.weight.uniform_(0.5, 1.0)
                m.momentum = 1.0  # one pass in training mode then makes its statistics those of the input
                m.train()
            if getattr(m, "bias", None) is not None:
                m.bias.normal_(0, 0.05)
        net(x)
    torch.save(net.state_dict(), files.weights)


def _answers(net: Any, x: Any) -> dict[str, Any]:
    import torch

    net, x = copy.deepcopy(net).double(), x.double().requires_grad_(True)
    activations = net.body(x)
    logits = net.head(activations)
    target = int(logits.argmax())
    d_activations, gradient = torch.autograd.grad(logits[0, target], (activations, x))
    alpha = d_activations.mean(dim=(2, 3))[0]
    cam = torch.einsum("k,kij->ij", alpha, activations[0])
    (guided,) = torch.autograd.grad(guided_twin(net)(x)[0, target], x)
    arrays = {"logits": logits, "cam": cam, "gradient": gradient[0], "guided": guided[0]}
    return {"target": np.int64(target)} | {key: a.detach().numpy() for key, a in arrays.items()}


def guided_twin(net: Any) -> Any:
    """Return a copy whose ReLU and ReLU6 pass signal * (signal > 0) * slope: the rule of guided backpropagation."""
    import torch

    class Guided(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, top: float) -> Any:
            ctx.save_for_backward((x > 0) & (x < top))
            return x.clamp(0, top)

        @staticmethod
        def backward(ctx: Any, signal: Any) -> Any:
            return signal.clamp(min=0) * ctx.saved_tensors[0], None

    class Rectifier(torch.nn.Module):
        def __init__(self, top: float) -> None:
            super().__init__()
            self.top = top

        def forward(self, x: Any) -> Any:
            return Guided.apply(x, self.top)

    tops = {torch.nn.ReLU: float("inf"), torch.nn.ReLU6: 6.0}
    twin = copy.deepcopy(net)
    for parent in list(twin.modules()):
        for key, child in list(parent.named_children()):
            if type(child) in tops:
                setattr(parent, key, Rectifier(tops[type(child)]))
    return twin


if __name__ == "__main__":
    for name in sys.argv[2:] or NAMES:
        make(Files(Path(sys.argv[1]).resolve(), name))
