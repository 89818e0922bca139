"""Our side of the comparison, through the public interface only; a variant is the plan: rewritten, or as drawn."""

from __future__ import annotations

from typing import Any

from .making import picture
from .networks import LAYERS, Files
from .runtimes import Check, Run

OPTIMISE = {"default": {}, "drawn": {"optimise": False}}  # what `ng.load` is told


def network(files: Files, plan: str = "default") -> Any:
    """Return the network with the weights that the peers have."""
    import npgradcam as ng

    name, weights = files.name, None if files.name == "efficientnet_lite0" else files.weights
    return ng.load(name, weights=weights, **OPTIMISE[plan])


def forward(files: Files, variant: str) -> tuple[Run, Check]:
    net, x = network(files, variant), files.read()["x"]
    return lambda: net(x), lambda: {"logits": net(x)}


def grad_cam(files: Files, variant: str) -> tuple[Run, Check]:
    data = files.read()
    return _explained(network(files, variant), files, data["x"], int(data["target"]))


def grad_cam_batch(files: Files, variant: str) -> tuple[Run, Check]:
    """Explain ``variant`` different images at once, of which the first is the one that is checked."""
    return _explained(network(files), files, picture(count=int(variant)), int(files.read()["target"]))


def _explained(net: Any, files: Files, x: Any, target: int) -> tuple[Run, Check]:
    import npgradcam as ng

    def explain() -> tuple[Any, Any]:
        e = ng.grad_cam(net, x, target=target, layer=LAYERS[files.name])
        return e, ng.maps.normalise(ng.maps.upsample(e.cam, x.shape[2:]))

    def check() -> dict[str, Any]:
        e, _ = explain()
        return {"logits": e.logits[:1], "cam": e.signed_cam[0]}

    return explain, check


def guided(files: Files, variant: str) -> tuple[Run, Check]:
    import npgradcam as ng

    net, data = network(files, variant), files.read()
    x, target = data["x"], int(data["target"])
    return (
        lambda: ng.backprop(net, x, target=target, rule="guided"),
        lambda: {"signal": ng.backprop(net, x, target=target, rule="guided").signal[0]},
    )
