"""Our side of the comparison, through the public interface only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .networks import Files

Run = Callable[[], Any]
Check = Callable[[], dict[str, Any]]


def network(files: Files) -> Any:
    """Return the network with the weights that the peers have."""
    import npgradcam as ng

    if files.name == "efficientnet_lite0":
        return ng.load(files.name)
    return ng.load(files.name, weights=files.weights)


def forward(files: Files, variant: str) -> tuple[Run, Check]:
    net, x = network(files), files.read()["x"]
    return lambda: net(x), lambda: {"logits": net(x)}


def grad_cam(files: Files, variant: str) -> tuple[Run, Check]:
    import npgradcam as ng

    net, data = network(files), files.read()
    x, target = data["x"], int(data["target"])

    def explain() -> tuple[Any, Any]:
        e = ng.grad_cam(net, x, target=target)
        return e, ng.maps.normalise(ng.maps.upsample(e.cam, x.shape[2:]))

    def check() -> dict[str, Any]:
        e, _ = explain()
        return {"logits": e.logits, "cam": e.signed_cam[0]}

    return explain, check


def guided(files: Files, variant: str) -> tuple[Run, Check]:
    import npgradcam as ng

    net, data = network(files), files.read()
    x, target = data["x"], int(data["target"])
    return (
        lambda: ng.backprop(net, x, target=target, rule="guided"),
        lambda: {"signal": ng.backprop(net, x, target=target, rule="guided").signal[0]},
    )
