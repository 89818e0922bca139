"""Other implementations on PyTorch, as their users call them, for the kit to look at."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

import numpy as np
import torch
from captum.attr import Deconvolution, GuidedBackprop, GuidedGradCam, LayerGradCam, Saliency
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, GuidedBackpropReLUModel, HiResCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam import methods as torchcam

from .kit_in_torch import Net


def pytorch_grad_cam(model, images, target, layer, method, style="modules"):
    network = Net(model, style)
    if method == "guided-backprop":  # it answers one image, with channels last
        if len(images) > 1:
            raise NotImplementedError("it explains the first image of a batch")
        return GuidedBackpropReLUModel(network, "cpu")(torch.from_numpy(images), target[0])[None]
    kind = {"grad-cam": GradCAM, "grad-cam-plus-plus": GradCAMPlusPlus, "xgrad-cam": XGradCAM, "hires-cam": HiResCAM,
            "layer-cam": LayerCAM}[method]
    with kind(network, [network.layer(layer)]) as cam:
        return cam(torch.from_numpy(images), [ClassifierOutputTarget(c) for c in target])


def captum(model, images, target, layer, method, style="modules"):
    network, x = Net(model, style), torch.from_numpy(images).requires_grad_()
    if method == "grad-cam":
        found = LayerGradCam(network, network.layer(layer)).attribute(x, list(target))[:, 0]
    elif method == "guided-grad-cam":
        found = GuidedGradCam(network, network.layer(layer)).attribute(x, list(target))
    elif method == "gradient":
        found = Saliency(network).attribute(x, list(target), abs=False)
    else:
        kind = {"guided-backprop": GuidedBackprop, "deconvnet": Deconvolution}[method]
        found = kind(network).attribute(x, list(target))
    return found.detach().numpy()


def torch_cam(model, images, target, layer, method, style="modules"):
    network, x = Net(model, style), torch.from_numpy(images).requires_grad_()
    kind = {"cam": "CAM", "grad-cam": "GradCAM", "grad-cam-plus-plus": "GradCAMpp", "xgrad-cam": "XGradCAM",
            "layer-cam": "LayerCAM"}[method]
    with getattr(torchcam, kind)(network, network.named[layer]) as cam:
        maps, = cam(list(target), network(x))
    return maps.detach().numpy()


MAPS = ["grad-cam", "grad-cam-plus-plus", "xgrad-cam", "layer-cam"]
PEERS = {
    "pytorch-grad-cam": (pytorch_grad_cam, "grad-cam", [*MAPS, "hires-cam", "guided-backprop"]),
    "captum": (captum, "captum", ["grad-cam", "gradient", "guided-backprop", "deconvnet", "guided-grad-cam"]),
    "torchcam": (torch_cam, "torchcam", ["cam", *MAPS]),
}


def peers():
    """Yield (name with version, how the network is written, function, methods)."""
    for name, (function, package, methods) in PEERS.items():
        yield f"{name} {version(package)}", "modules", function, methods
        rules = [m for m in methods if m in ("guided-backprop", "deconvnet")]
        for style in ("functions", "one ReLU for all") if rules else ():
            yield f"{name} {version(package)}", style, partial(function, style=style), rules


FRAMEWORK = f"torch {torch.__version__}, numpy {np.__version__}"
