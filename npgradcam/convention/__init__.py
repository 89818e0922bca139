"""What different implementations make of the same A^k and dy/dA^k: one record of every choice that changes numbers."""

from .guided import guided_backprop, guided_grad_cam
from .presets import Conventions, conventions
from .record import Convention
from .resizing import KERNELS
from .weighing import WEIGHINGS

__all__ = [
    "KERNELS", "WEIGHINGS", "Convention", "Conventions", "conventions", "guided_backprop", "guided_grad_cam",
]
