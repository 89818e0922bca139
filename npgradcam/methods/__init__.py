"""The methods, one paper a file. None of them resizes, normalises or colours, but for one visible line."""

from .backprop import backprop
from .cam import NoCamHeadError, cam
from .counterfactual import counterfactual_grad_cam
from .explanation import Explanation
from .grad_cam import grad_cam
from .guided_grad_cam import GuidedGradCam, guided_grad_cam
from .layer import default_layer
from .records import ClassActivationMap, InputSignal

__all__ = [
    "ClassActivationMap", "Explanation", "GuidedGradCam", "InputSignal", "NoCamHeadError", "backprop", "cam",
    "counterfactual_grad_cam", "default_layer", "grad_cam", "guided_grad_cam",
]
