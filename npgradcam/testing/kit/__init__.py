"""The kit: hand-chosen and drawn networks, identities, and a sentence for what an implementation does differently."""

from .check import check
from .report import Report, Result
from .truth import METHODS

__all__ = ["METHODS", "Report", "Result", "check"]
