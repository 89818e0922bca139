"""Grad-CAM from its equations: NumPy and Numba, a CPU, and no deep learning framework.

>>> import npgradcam as ng
>>> net = ng.load("shapes")                       # or "efficientnet_lite0", with its ImageNet weights
>>> net.name
'shapes'
"""

from . import errors, images, kernels, layers, maps, methods, models, rules
from ._version import __version__
from .errors import NpGradcamError
from .methods import (
    backprop,
    cam,
    counterfactual_grad_cam,
    default_layer,
    grad_cam,
    guided_grad_cam,
)
from .models import Model, build, load
from .network import Network, Node, Tape

__all__ = [
    "Model", "Network", "Node", "NpGradcamError", "Tape", "__version__", "backprop", "build", "cam",
    "counterfactual_grad_cam", "default_layer", "errors", "grad_cam", "guided_grad_cam", "images", "kernels", "layers",
    "load", "maps", "methods", "models", "rules",
]
