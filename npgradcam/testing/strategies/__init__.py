"""Hypothesis strategies: layers with inputs that fit them, small networks with images, and these as ONNX bytes.

Most strategies take `numbers`, the kind of values that parameters and inputs have:

- "real": normal random numbers, float64;
- "apart": inputs with no two equal, none nearer than 0.005 to a whole hundredth, where the rectifiers drawn here have
  their kinks, so that finite differences do not cross one; parameters as "real";
- "whole": integers -8 .. 8 (as float64), which float32 adds and multiplies exactly.
"""

from ...errors import MissingPackageError

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise MissingPackageError(
        "npgradcam.testing.strategies needs Hypothesis; install it: pip install hypothesis"
    ) from error

from .cases import Case, Kind, layers, values
from .graphs import Drawn, networks
from .models import DrawnModel, images, models, targets

__all__ = [
    "Case", "Drawn", "DrawnModel", "Kind", "images", "layers", "models", "networks", "targets", "values",
]
