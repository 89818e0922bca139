"""What explains a map that somebody computed: a convention, a layer, a class, or a known mistake."""

from .diagnose import diagnose
from .diagnosis import Diagnosis
from .findings import Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
