"""The oracle's tools, public: slow definitions, checks of derivatives, and strategies that draw layers and networks.

Hold your own Grad-CAM against these. `definitions` are the equations as nested loops; `twins` says which of them each
layer is held against; the checks need nothing but a layer's or network's own numbers; `strategies` (to be imported by
its name, it needs Hypothesis) draws layers with inputs, and whole networks.
"""

from . import definitions, slow_methods
from .checks import check_adjoint, check_gradient, check_parameter_gradients
from .completeness import check_completeness
from .kit import check
from .slow_network import slow_outputs, slow_signals
from .twins import slow_backward, slow_forward

__all__ = [
    "check", "check_adjoint", "check_completeness", "check_gradient", "check_parameter_gradients", "definitions",
    "slow_backward", "slow_forward", "slow_methods", "slow_outputs", "slow_signals",
]
