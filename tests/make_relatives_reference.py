"""Record what pytorch-grad-cam says of the small network: python tests/make_relatives_reference.py [FILE].

Recorded with grad-cam 1.5.7 and torch 2.14.1 on a CPU, in float64: the maps before its ReLU, resizing and scaling, and
the channels' weights. The tests read only the file; they need neither package.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from make_reference import run
from pytorch_grad_cam import GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from reference_weights import RELATIVES_RECORDED, TARGETS, reference_arrays

METHODS = {"grad_cam_plus_plus": GradCAMPlusPlus, "xgrad_cam": XGradCAM, "hires_cam": HiResCAM, "layer_cam": LayerCAM}
LAYERS = ("relu6", "features")


class Net(torch.nn.Module):
    """The network, with a module to hook at each of the two layers."""

    def __init__(self, arrays):
        super().__init__()
        self.arrays = arrays
        self.watched = torch.nn.ModuleDict({name: torch.nn.Identity() for name in LAYERS})
        self.device = torch.nn.Parameter(torch.zeros(1))  # pytorch-grad-cam asks a parameter where the network is

    def forward(self, x):
        return run(x, self.arrays, "gradient", lambda name, y: self.watched[name](y))[0]


def main(path):
    arrays = {name: torch.from_numpy(value) for name, value in reference_arrays().items()}
    x, net, recorded = arrays["images"].requires_grad_(), Net(arrays), {}
    for layer in LAYERS:
        for name, method in METHODS.items():
            maps, weights = [], []
            for n, c in ((n, c) for n, classes in enumerate(TARGETS) for c in classes):
                with method(net, [net.watched[layer]]) as cam:
                    cam(x[n : n + 1], [ClassifierOutputTarget(c)])
                    seen = cam.activations_and_grads
                    A, dA = seen.activations[0].numpy(), seen.gradients[0].numpy()
                    maps.append(cam.get_cam_image(x, None, None, A, dA, False)[0])
                    if name in ("grad_cam_plus_plus", "xgrad_cam"):
                        weights.append(cam.get_cam_weights(x, None, None, A, dA)[0])
            recorded[f"{name}/{layer}"] = np.stack(maps)
            if weights:
                recorded[f"{name}/{layer}/weights"] = np.stack(weights)
    np.savez_compressed(path, **recorded)
    size = Path(path).stat().st_size
    print(path, size, "bytes, grad-cam", version("grad-cam"), "torch", torch.__version__)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else RELATIVES_RECORDED)
