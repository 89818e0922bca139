"""Step by step from a photograph to its map: the record of every number, as text, as a file, and as a page to click."""

from .trace import Trace, trace

__all__ = ["Trace", "trace"]
