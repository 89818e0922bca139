"""Record what PyTorch says of each named architecture: python tests/make_architectures_reference.py [FILE [NAME ...]].

Recorded with torch 2.14.1 and torchvision 0.29.1 (EfficientNet-Lite: efficientnet_lite_pytorch 0.1.0) on a CPU, in
float64. The weights are npgradcam's `random_weights`, drawn by parameter name, so that only PyTorch's answers are
stored; which is why this script needs npgradcam beside PyTorch. The tests read only the file. With names, only these
are recorded again.

PyTorch differentiates hardsigmoid with 1/6 rounded to float32, also in float64, which is wrong in the eighth digit; so
it stands here as relu6(x + 3) / 6, which PyTorch differentiates exactly.
"""

from __future__ import annotations

import sys
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from architectures import LAYERS, RECORDED, RULES, SEED, picture, summary
from torch import nn

from npgradcam.models import random_weights


class Gate(torch.autograd.Function):
    """clamp(x, 0, high) whose backward is the gradient or the rule of guided backpropagation."""

    @staticmethod
    def forward(ctx, x, high, rule):
        ctx.save_for_backward((x > 0) & (x < high))
        ctx.rule = rule
        return x.clamp(0, high)

    @staticmethod
    def backward(ctx, signal):
        (slope,) = ctx.saved_tensors
        return (signal.clamp(min=0) if ctx.rule == "guided" else signal) * slope, None, None


class Rectifier(nn.Module):
    """In place of ReLU and ReLU6; nothing is done in place, so that every output can be asked for its gradient."""

    rule, count = "gradient", 0

    def __init__(self, high):
        super().__init__()
        self.high = high

    def forward(self, x):
        Rectifier.count += 1
        return Gate.apply(x, self.high, Rectifier.rule)


class HardSigmoid(nn.Module):
    """The same function, whose derivative is exact."""

    def forward(self, x):
        return (x + 3).clamp(0, 6) / 6


def functional_relu(x, inplace=False):
    functional_relu.last = Rectifier(float("inf"))(x)
    return functional_relu.last


def module(name):
    """Return the network in evaluation mode, float64, with our random weights."""
    settings = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):  # no numbers yet
        net = lite(name) if "_lite" in name else getattr(torchvision.models, name)(weights=None, **settings)
    drawn, state = random_weights(SEED), net.state_dict()
    for key, value in state.items():
        counter = key.endswith("num_batches_tracked")
        array = np.zeros((), np.int64) if counter else drawn.take(key, *value.shape).astype(np.float64)
        state[key] = torch.from_numpy(np.asarray(array))
    net.load_state_dict(state, assign=True)
    replace_rectifiers(net)
    return net.eval()


def lite(name):
    """EfficientNet-Lite of the package whose weights we load; its paddings suit pictures with sides of 32 times n."""
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name(name.replace("_", "-"), image_size=64)


def sequential(net):
    """The same layers as a module whose part `top` makes the maps."""
    for parent in (net, *net._blocks):
        parent._swish = Rectifier(6.0)
    body = nn.Sequential(net._conv_stem, net._bn0, net._swish, *net._blocks, net._conv_head, net._bn1, net._swish)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), net._fc)
    return nn.Sequential(OrderedDict(top=body, head=head)).eval()


def replace_rectifiers(net):
    tops = {nn.ReLU: float("inf"), nn.ReLU6: 6.0}
    for parent in list(net.modules()):
        for key, child in list(parent.named_children()):
            if type(child) in tops:
                setattr(parent, key, Rectifier(tops[type(child)]))
            elif type(child) is nn.Hardsigmoid:
                setattr(parent, key, HardSigmoid())
            elif getattr(child, "inplace", False):
                child.inplace = False


def record(name):
    """Return logits, alpha, the map before its ReLU, and summaries of the signals at the pixels."""
    net = module(name)
    if name.startswith("efficientnet_lite"):
        net = sequential(net)
    kept, layer = {}, LAYERS[name][1]
    if layer != "relu":
        net.get_submodule(layer).register_forward_hook(lambda _, __, output: kept.update(A=output))
    x = torch.from_numpy(picture(name)).requires_grad_()
    Rectifier.rule, Rectifier.count = "gradient", 0
    logits = net(x)
    A = functional_relu.last if layer == "relu" else kept["A"]
    gates, target = Rectifier.count, int(logits.argmax())
    dA, gradient = torch.autograd.grad(logits[0, target], (A, x))
    alpha = dA.mean((2, 3))[0]
    signed_cam = torch.einsum("k,kij->ij", alpha, A[0])
    found = {"logits": logits[0], "target": torch.tensor(target), "gates": torch.tensor(gates), "alpha": alpha,
             "signed_cam": signed_cam}
    signals = {"gradient": gradient}
    if gates:
        Rectifier.rule = "guided"
        signals["guided"] = torch.autograd.grad(net(x)[0, target], x)[0]
    numbers = {key: value.detach().numpy() for key, value in found.items()}
    margin = np.diff(np.sort(numbers["logits"])[-2:])[0]
    print(f"{name:20} logits {numbers['logits'].std():9.3g} margin {margin:9.3g} maps {tuple(A.shape[1:])} "
          f"cam {numbers['signed_cam'].min():9.3g} .. {numbers['signed_cam'].max():9.3g} "
          f"gradient {float(gradient.norm()):9.3g} gates {gates}", flush=True)
    for rule in RULES:
        if rule in signals:
            parts = summary(signals[rule].detach().numpy())
            numbers |= {f"{rule}.{part}": value for part, value in parts.items()}
    return numbers


def main(path=RECORDED, *names):
    warnings.simplefilter("ignore")
    F.relu = functional_relu  # DenseNet and the Inceptions call it as a function
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    arrays = dict(np.load(path)) if Path(path).exists() else {}
    for name in names or LAYERS:
        arrays |= {f"{name}.{key}": value for key, value in record(name).items()}
        np.savez_compressed(path, **arrays | {"versions": np.array(versions)})
    print(path, Path(path).stat().st_size, "bytes,", versions)


if __name__ == "__main__":
    main(*sys.argv[1:])
