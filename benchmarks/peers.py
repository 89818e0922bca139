"""PyTorch and pytorch-grad-cam, each at its best; each is a job as `jobs.py` has it.

``variant`` names one way to run the same job ("channels_last folded"): compare.py tries all and keeps the fastest.
Every Grad-CAM, ours too, ends with a map scaled to its maximum at the size of the image: all do the same work.
"""

from __future__ import annotations

from typing import Any

from .networks import Files, module
from .runtimes import Check, Run, threads


def torch_forward(files: Files, variant: str) -> tuple[Run, Check]:
    """Evaluation mode, inference mode, parameters frozen."""
    import torch

    net, x, _ = _prepare(files, variant)

    def run() -> Any:
        with torch.inference_mode():
            return net(x)

    return run, lambda: {"logits": run().numpy()}


def expert_grad_cam(files: Files, variant: str) -> tuple[Run, Check]:
    """What an expert writes: frozen parameters, no graph before the layer, autograd from logit to layer only."""
    import torch

    net, x, target = _prepare(files, variant)

    def explain() -> tuple[Any, Any, Any]:
        with torch.no_grad():
            activations = net.body(x)
        activations.requires_grad_(True)
        logits = net.head(activations)
        (gradients,) = torch.autograd.grad(logits[0, target], activations)
        alpha = gradients.mean(dim=(2, 3), keepdim=True)
        signed = (alpha * activations.detach()).sum(dim=1, keepdim=True)
        cam = torch.nn.functional.interpolate(signed.relu(), size=x.shape[2:], mode="bilinear", align_corners=False)
        return logits, signed, cam / cam.max()

    def check() -> dict[str, Any]:
        logits, signed, _ = explain()
        return {"logits": logits.detach().numpy(), "cam": signed[0, 0].numpy()}

    return explain, check


def pytorch_grad_cam(files: Files, variant: str) -> tuple[Run, Check]:
    """Run the library as its manual says, every parameter with a gradient; the variant "frozen" takes them away."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net, x, target = _prepare(files, variant, frozen="frozen" in variant)
    x.requires_grad_("frozen" in variant)
    targets, layers = [ClassifierOutputTarget(target)], [net.body]
    explainer = GradCAM(model=net, target_layers=layers)

    def check() -> dict[str, Any]:
        explainer(input_tensor=x, targets=targets)
        kept = explainer.activations_and_grads
        a, g = kept.activations[0].numpy(), kept.gradients[0].numpy()
        cam = explainer.get_cam_image(x, layers, targets, a, g)[0]
        return {"logits": explainer.outputs.detach().numpy(), "cam": cam}

    return lambda: explainer(input_tensor=x, targets=targets), check


def pytorch_grad_cam_guided(files: Files, variant: str) -> tuple[Run, Check]:
    """It replaces modules of the class ReLU only: on a network of ReLU6 its result is the plain gradient."""
    from pytorch_grad_cam import GuidedBackpropReLUModel

    net, x, target = _prepare(files, variant, frozen="frozen" in variant)
    explainer = GuidedBackpropReLUModel(model=net)

    def run() -> Any:
        return explainer(x.detach().clone(), target_category=target)  # it adds to the gradient of the array it is given

    return run, lambda: {"signal": run().transpose(2, 0, 1)}


def _prepare(files: Files, variant: str, frozen: bool = True) -> tuple[Any, Any, int]:
    """Return the network, the input and the target as the variant asks."""
    import torch

    torch.set_num_threads(threads())
    net, data = module(files, "mapped" in variant).requires_grad_(not frozen), files.read()
    x = torch.from_numpy(data["x"])
    if "folded" in variant:
        from torch.fx.experimental.optimization import fuse

        net.body = fuse(net.body)
    if "channels_last" in variant:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if "compiled" in variant:
        import torch._inductor.config

        torch._inductor.config.freezing = True
        net.body = torch.compile(net.body)
        net.head = torch.compile(net.head) if "whole" in variant else net.head
    return net, x, int(data["target"])
