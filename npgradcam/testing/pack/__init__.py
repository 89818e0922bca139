"""The reference pack: small networks with every number of their explanations, for implementers in any language.

`npgradcam/reference/` holds what `python -m npgradcam.testing.pack OUT` makes.
"""

from .answers import answers
from .networks import CASES, Case
from .write import VERSION, write_pack

__all__ = ["CASES", "VERSION", "Case", "answers", "write_pack"]
