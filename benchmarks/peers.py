"""Each opponent at its best: a job makes, for one network, the call that is timed and a check that returns its numbers.

A job is ``make(files, variant) -> (run, check)``. ``run()`` does the whole task once; ``check()`` does it once more
and returns what can be compared: ``logits``, ``cam`` (before the ReLU, at the layer's size) or ``signal`` (3, H, W).
``variant`` names one way to run the same job ("channels_last folded"): compare.py tries all and keeps the fastest.
Every Grad-CAM, ours too, ends with a map scaled to its maximum at the size of the image: all do the same work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .networks import Files, module

Run = Callable[[], Any]
Check = Callable[[], dict[str, Any]]
OURS = "npgradcam"
LAYOUTS = ("", "channels_last")
FOLDED = (*LAYOUTS, "folded", "channels_last folded")


@dataclass(frozen=True)
class Job:
    """One competitor in one task, with the variants to choose from and the answer it is compared with."""

    who: str
    make: Callable[[Files, str], tuple[Run, Check]]
    variants: Sequence[str] = ("",)
    note: str = ""


def onnxruntime_forward(files: Files, variant: str) -> tuple[Run, Check]:
    """All graph optimisations, sequential, the threads of OMP_NUM_THREADS; its threads may spin, as by default."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(files.onnx), options, providers=["CPUExecutionProvider"])
    feed = {"x": files.read()["x"]}
    return lambda: session.run(None, feed), lambda: {"logits": session.run(None, feed)[0]}


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


def threads() -> int:
    """Return the number of threads that compare.py asked for."""
    import os

    return int(os.environ["OMP_NUM_THREADS"])


def _prepare(files: Files, variant: str, frozen: bool = True) -> tuple[Any, Any, int]:
    """Return the network, the input and the target as the variant asks."""
    import torch

    torch.set_num_threads(threads())
    net, data = module(files).requires_grad_(not frozen), files.read()
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


def jobs(network: str) -> dict[str, list[Job]]:
    """Return every job by task; the first of each task is ours."""
    from . import ours

    relu6 = network == "efficientnet_lite0"
    note = "plain gradient: ReLU6 is not replaced" if relu6 else ""
    frozen = tuple(f"{layout} frozen".strip() for layout in LAYOUTS)
    folded = LAYOUTS if network == "vgg16" else FOLDED  # VGG-16 has no batch norm
    return {
        "forward": [
            Job(OURS, ours.forward),
            Job("onnxruntime", onnxruntime_forward),
            Job("PyTorch", torch_forward, folded),
            Job("PyTorch, torch.compile", torch_forward, ("compiled whole",)),
        ],
        "Grad-CAM": [
            Job(OURS, ours.grad_cam),
            Job("pytorch-grad-cam", pytorch_grad_cam, LAYOUTS),
            Job("pytorch-grad-cam, parameters frozen", pytorch_grad_cam, frozen),
            Job("expert's PyTorch", expert_grad_cam, folded),
            Job("expert's PyTorch, body compiled", expert_grad_cam, ("compiled",)),
        ],
        "guided backpropagation": [
            Job(OURS, ours.guided),
            Job("pytorch-grad-cam", pytorch_grad_cam_guided, LAYOUTS, note),
            Job("pytorch-grad-cam, parameters frozen", pytorch_grad_cam_guided, frozen, note),
        ],
    }


def expected(answers: dict[str, Any], key: str, note: str) -> np.ndarray:
    """Return the float64 answer that a checked array must equal; one with a note computes the plain gradient."""
    return answers["gradient" if note and key == "signal" else {"signal": "guided"}.get(key, key)]
