"""Grad-CAM from its equations: NumPy and Numba, a CPU, and no deep learning framework.

>>> import npgradcam as ng
>>> net = ng.load("shapes")                       # or "efficientnet_lite0", with its ImageNet weights
>>> net.name
'shapes'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npgradcam._version import __version__

if TYPE_CHECKING:
    from . import errors, images, kernels, layers, maps, methods, models, rules, study, testing
    from .convention import Convention, conventions
    from .diagnosis import Diagnosis
    from .diagnosis.diagnose import diagnose
    from .errors import NpGradcamError
    from .methods.backprop import backprop
    from .methods.cam import cam
    from .methods.counterfactual import counterfactual_grad_cam
    from .methods.grad_cam import grad_cam
    from .methods.grad_cam_plus_plus import grad_cam_plus_plus
    from .methods.guided_grad_cam import guided_grad_cam
    from .methods.hires_cam import hires_cam
    from .methods.layer import default_layer
    from .methods.layer_cam import layer_cam
    from .methods.xgrad_cam import xgrad_cam
    from .models.load import build, load
    from .models.model import Model
    from .models.saved import save
    from .network import Network, Node, Tape
    from .study.trace import Trace, trace
    from .verification.record import Verification
    from .verification.verify import verify

__all__ = [
    "Convention", "Diagnosis", "Model", "Network", "Node", "NpGradcamError", "Tape", "Trace", "Verification",
    "__version__", "backprop", "build", "cam", "conventions", "counterfactual_grad_cam", "default_layer", "diagnose",
    "errors", "grad_cam", "grad_cam_plus_plus", "guided_grad_cam", "hires_cam", "images", "kernels", "layer_cam",
    "layers", "load", "maps", "methods", "models", "rules", "save", "study", "testing", "trace", "verify", "xgrad_cam",
]

_HOME = {
    "backprop": "methods", "cam": "methods", "counterfactual_grad_cam": "methods", "default_layer": "methods",
    "grad_cam": "methods", "grad_cam_plus_plus": "methods", "guided_grad_cam": "methods", "hires_cam": "methods",
    "layer_cam": "methods", "xgrad_cam": "methods", "Model": "models", "build": "models", "load": "models",
    "save": "models.saved", "Convention": "convention", "conventions": "convention", "Diagnosis": "diagnosis",
    "diagnose": "diagnosis", "Network": "network", "Node": "network", "Tape": "network", "NpGradcamError": "errors",
    "Trace": "study", "trace": "study", "Verification": "verification", "verify": "verification",
}


def __getattr__(name: str) -> Any:
    """Import a name of the interface when it is first used, so that the command line answers at once."""
    from importlib import import_module

    if name in _HOME:
        value = getattr(import_module(f"npgradcam.{_HOME[name]}"), name)
    elif name in __all__:
        value = import_module(f"npgradcam.{name}")
    else:
        raise AttributeError(f"module 'npgradcam' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
