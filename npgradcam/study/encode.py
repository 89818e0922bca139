"""Arrays and pictures as text inside a page; the same numbers give the same bytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray


def tensor(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array as JSON: little-endian numbers, gzip without a date, base64, and the SHA-256 of the numbers."""
    dtype = "<f8" if array.dtype == np.float64 else "<f4"  # never less than what was computed
    raw = np.ascontiguousarray(array, dtype).tobytes()
    return {
        "dtype": dtype, "shape": list(array.shape), "encoding": "gzip+base64",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "data": base64.b64encode(gzip.compress(raw, 6, mtime=0)).decode("ascii"),
    }


def stored(*tensors: dict[str, Any] | None) -> int:
    """How many bytes tensors take in the page."""
    return sum(len(t["data"]) for t in tensors if t)


def photograph_like(pixels: NDArray[np.uint8]) -> str:
    """Return a picture whose every pixel differs: as JPEG, unless it is so small that single pixels are seen."""
    return picture(pixels, "JPEG" if min(pixels.shape[:2]) >= 128 else "PNG")


def picture(pixels: NDArray[np.uint8], kind: str = "PNG") -> str:
    """Return a picture (H, W, 3) as a data: address."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, **({"quality": 85} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
