"""Step by step from a photograph to its map: the record of every number, as text, as a file, and as a page to click."""

from .page import write_page
from .trace import Trace, trace

__all__ = ["Trace", "trace", "write_page"]
