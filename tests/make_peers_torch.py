"""Record what other implementations on PyTorch say of the small network: python tests/make_peers_torch.py [FILE].

Recorded on a CPU with torch 2.14.1, grad-cam 1.5.7 (opencv-python-headless 5.0.0.93), captum 0.9.0, torchcam 0.5.0 and
saliency 0.2.1 (scikit-image 0.26.0), in float32 as each of them returns it. Two more exist only as scripts; what they
do after the backward is repeated here with the operations that they call, from their source:
kazuto1011/grad-cam-pytorch, grad_cam.py as of January 2020; utkuozbulak/pytorch-cnn-visualizations, src/gradcam.py
(commit 697e7fa) with Pillow 13.0's LANCZOS, which was called ANTIALIAS. ramprs/grad-cam is Lua: misc/utils.lua and
Torch7's image.scale, loop by loop. The tests read only the file.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import saliency.core as pair
import torch
from captum.attr import GuidedBackprop, GuidedGradCam, LayerAttribution, LayerGradCam
from peers_net import CASES, LAYERS, TORCH, arrays
from PIL import Image
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, GuidedBackpropReLUModel, HiResCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torch.nn import functional as F
from torchcam.methods import GradCAM as TorchCam
from torchcam.methods import GradCAMpp as TorchCamPlusPlus

RELATIVES = {"grad-cam": GradCAM, "grad-cam-plus-plus": GradCAMPlusPlus, "xgrad-cam": XGradCAM, "hires-cam": HiResCAM,
             "layer-cam": LayerCAM}


class Net(nn.Module):
    def __init__(self, weights, rectifier):
        super().__init__()
        act = {"relu": nn.ReLU, "relu6": nn.ReLU6}[rectifier]
        self.conv1, self.act1 = nn.Conv2d(3, 5, 3, 2, 1), act()
        self.conv2, self.act2 = nn.Conv2d(5, 6, 3, 2, 1), act()
        self.fc = nn.Linear(6, 4)
        self.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
        self.eval()

    def forward(self, x):
        maps = self.act2(self.conv2(self.act1(self.conv1(x))))
        return self.fc(maps.mean(dim=(2, 3)))


def maps_and_gradients(net, layer, x, target):
    kept = {}
    handle = getattr(net, layer).register_forward_hook(lambda module, given, made: kept.update(A=made))
    logits = net(x)
    handle.remove()
    dA, = torch.autograd.grad(logits[torch.arange(len(x)), list(target)].sum(), kept["A"])
    return kept["A"].detach(), dA, logits.detach()


def torch7_scale(row, size):
    """What image.scale of Torch7 does to one row that grows: source cell d (n - 1) / (size - 1), in float."""
    row, n = np.float32(row), len(row)
    if size == n:
        return row
    scale, out = np.float32(n - 1) / np.float32(size - 1), np.empty(size, np.float32)
    for d in range(size - 1):
        where = np.float32(d) * scale
        cell = int(where)
        part = where - np.float32(cell)
        out[d] = (1 - part) * row[cell] + part * row[cell + 1] if n > 1 else row[0]
    out[-1] = row[-1]
    return out


def ramprs(A, dA, size):
    weights = dA.sum(dim=(2, 3), keepdim=True)
    maps = (A * weights).sum(dim=1)
    maps = (maps * (maps > 0)).numpy()
    wide = [np.stack([torch7_scale(row, size[1]) for row in m]) for m in maps]
    return np.stack([np.stack([torch7_scale(column, size[0]) for column in m.T], axis=1) for m in wide])


def kazuto1011(A, dA, size):
    maps = F.relu(torch.mul(A, F.adaptive_avg_pool2d(dA, 1)).sum(dim=1, keepdim=True))
    maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    flat = maps.view(len(maps), -1)
    flat = flat - flat.min(dim=1, keepdim=True)[0]
    return (flat / flat.max(dim=1, keepdim=True)[0]).view(len(maps), *size).numpy()


def utkuozbulak(A, dA, size):
    found = []
    for maps, gradients in zip(A.numpy(), dA.numpy(), strict=True):
        cam = np.ones(maps.shape[1:], np.float32)
        for k, weight in enumerate(gradients.mean(axis=(1, 2))):
            cam += weight * maps[k]
        cam = np.maximum(cam, 0)
        cam = (cam - cam.min()) / (cam.max() - cam.min())
        picture = Image.fromarray(np.uint8(cam * 255)).resize(size, Image.Resampling.LANCZOS)  # (H, W) for (W, H)
        found.append(np.uint8(picture) / 255)
    return np.stack(found)


def pair_saliency(A, dA, x):
    def answer(given, call_model_args=None, expected_keys=None):
        a, g = call_model_args
        return {pair.CONVOLUTION_LAYER_VALUES: a[None], pair.CONVOLUTION_OUTPUT_GRADIENTS: g[None]}

    last = [t.numpy().transpose(0, 2, 3, 1) for t in (A, dA, x)]
    return {
        kind: np.stack([pair.GradCam().GetMask(p, answer, (a, g), should_resize=kind == "", three_dims=False)
                        for a, g, p in zip(*last, strict=True)])
        for kind in ("", "/layer size")
    }


def record(net, layer, x, target):
    module, size = getattr(net, layer), tuple(x.shape[2:])
    A, dA, logits = maps_and_gradients(net, layer, x, target)
    made = {"activations": A.numpy(), "gradients": dA.numpy(), "logits": logits.numpy(), "ramprs": ramprs(A, dA, size),
            "kazuto1011": kazuto1011(A, dA, size), "utkuozbulak": utkuozbulak(A, dA, size)}
    made |= {f"saliency{kind}": maps for kind, maps in pair_saliency(A, dA, x).items()}
    for name, method in RELATIVES.items():
        with method(net, [module]) as cam:
            made[f"pytorch-grad-cam/{name}"] = cam(x, [ClassifierOutputTarget(c) for c in target])
    attribution = LayerGradCam(net, module).attribute(x, list(target))
    made["captum"] = attribution[:, 0].detach().numpy()
    made["captum/interpolated"] = LayerAttribution.interpolate(attribution, size)[:, 0].detach().numpy()
    for name, method in {"grad-cam": TorchCam, "grad-cam-plus-plus": TorchCamPlusPlus}.items():
        for normalised in (True, False):
            with method(net, layer) as cam:
                maps, = cam(list(target), net(x.clone().requires_grad_()), normalised)
                made[f"torchcam/{name}{'' if normalised else '/raw'}"] = maps.numpy()
    if layer == LAYERS[-1]:
        signal = GuidedBackprop(net).attribute(x.clone().requires_grad_(), list(target))
        made["captum/guided"] = signal.detach().numpy()
        made["captum/guided-grad-cam"] = GuidedGradCam(net, module).attribute(x.clone(), list(target)).detach().numpy()
        one = [GuidedBackpropReLUModel(net)(x[n : n + 1].clone(), c) for n, c in enumerate(target)]
        made["pytorch-grad-cam/guided"] = np.stack(one).transpose(0, 3, 1, 2)
    return made


def main(path):
    drawn, recorded = arrays(), {}
    weights = {name: value for name, value in drawn.items() if "/" not in name}
    for name, case in CASES.items():
        for layer in LAYERS:
            x = torch.from_numpy(drawn[f"{name}/images"])
            made = record(Net(weights, case.rectifier), layer, x, case.target)
            recorded |= {f"{name}/{layer}/{key}": value for key, value in made.items()}
    np.savez_compressed(path, **drawn, **recorded)
    packages = ("torch", "grad-cam", "opencv-python-headless", "captum", "torchcam", "saliency", "scikit-image")
    print(path, Path(path).stat().st_size, "bytes,", *(f"{package} {version(package)}" for package in packages))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else TORCH)
