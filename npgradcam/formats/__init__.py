"""From a file to named arrays, and to a network; nothing that a file holds is ever run."""

from __future__ import annotations

from .checkpoint import read_checkpoint
from .graph import network_of_record, record_of
from .npz import read_npy, read_npz, write_npz
from .safetensors import read_safetensors

__all__ = ["network_of_record", "read_checkpoint", "read_npy", "read_npz", "read_safetensors", "record_of", "write_npz"]
