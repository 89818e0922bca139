"""The methods, one paper a file. None of them resizes, normalises or colours, but for one visible line."""

from .backprop import backprop
from .cam import NoCamHeadError, cam
from .counterfactual import counterfactual_grad_cam
from .explanation import Explanation
from .grad_cam import grad_cam
from .grad_cam_plus_plus import GradCamPlusPlus, grad_cam_plus_plus
from .guided_grad_cam import GuidedGradCam, guided_grad_cam
from .hires_cam import hires_cam
from .layer import default_layer
from .layer_cam import layer_cam
from .records import ClassActivationMap, InputSignal
from .xgrad_cam import xgrad_cam

__all__ = [
    "ClassActivationMap", "Explanation", "GradCamPlusPlus", "GuidedGradCam", "InputSignal", "NoCamHeadError",
    "backprop", "cam", "counterfactual_grad_cam", "default_layer", "grad_cam", "grad_cam_plus_plus", "guided_grad_cam",
    "hires_cam", "layer_cam", "xgrad_cam",
]
