"""From a file to named arrays: PyTorch checkpoints and npz files, of which nothing is ever run."""

from __future__ import annotations

from .checkpoint import read_checkpoint
from .npz import read_npz, write_npz

__all__ = ["read_checkpoint", "read_npz", "write_npz"]
