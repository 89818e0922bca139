"""From a file to named arrays, and to a network; nothing that a file holds is ever run.

A file that holds a whole graph is read by `formats.onnx` and `formats.graph`, imported where one is there to be read.
"""

from __future__ import annotations

from ._source import read_text
from .checkpoint import read_checkpoint
from .npz import read_npy, read_npz, write_npz
from .safetensors import read_safetensors

__all__ = ["read_checkpoint", "read_npy", "read_npz", "read_safetensors", "read_text", "write_npz"]
