"""The cases at kinks, ties, NaN and odd windows that PyTorch's answers are recorded for."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RECORDED = Path(__file__).parent / "data" / "kinks.npz"


class Case(NamedTuple):
    """A layer, and the picture that goes in."""

    kind: str
    picture: str
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        said = " ".join(f"{key}={value}" for key, value in self.settings.items())
        return f"{self.kind} {self.picture} {said}".replace(", ", ",").strip()


PICTURES = {
    "kinks": [[-1, -0.0, 0, 5e-324, 6, 5.999], [7, np.inf, -np.inf, np.nan, 3, 6.001]],
    "zeros": np.zeros((6, 7)),  # all tied
    "ties": np.array([[(3 * i + 5 * j) % 3 for j in range(7)] for i in range(6)], float),
    "rectified": np.maximum(np.array([[(7 * i + 4 * j) % 9 - 4 for j in range(7)] for i in range(6)], float), 0),
    "negative": -1.0 - np.array([[(2 * i + 3 * j) % 4 for j in range(7)] for i in range(6)], float),
    "nan": np.where(np.arange(42).reshape(6, 7) % 11 == 3, np.nan, np.arange(42.0).reshape(6, 7) % 5),
}


def image(case: Case) -> np.ndarray:
    """The picture (1, 1, H, W)."""
    return np.array(PICTURES[case.picture], float)[None, None]


def seed_like(y: np.ndarray) -> np.ndarray:
    """A signal of whole numbers, all different, so that it shows where each went."""
    return np.arange(1.0, 1 + y.size).reshape(y.shape)


def same(size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], lower: bool) -> tuple[int, ...]:
    """ONNX's auto_pad SAME_UPPER and SAME_LOWER, from its text: the odd cell comes last, or first."""
    sides = []
    for n, k, s in zip(size, kernel, stride, strict=True):
        total = max(0, (-(-n // s) - 1) * s + k - n)
        sides.append((total - total // 2, total // 2) if lower else (total // 2, total - total // 2))
    (top, bottom), (left, right) = sides
    return top, left, bottom, right


WINDOWS: list[dict[str, Any]] = [
    {"kernel": (2, 2), "stride": (2, 2)}, {"kernel": (2, 2), "stride": (2, 2), "ceil": True},
    {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1, 1, 1)}, {"kernel": (3, 2), "stride": (1, 2)},
    {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1, 1, 1), "ceil": True},
    {"kernel": (2, 3), "stride": (3, 1), "padding": (1, 0, 1, 0), "ceil": True},
]
UNEVEN = [{"kernel": (3, 3), "stride": (2, 2), "padding": (0, 0, 1, 1)},
          {"kernel": (3, 2), "stride": (1, 2), "padding": (2, 0, 0, 1)},
          {"kernel": (2, 2), "stride": (1, 1), "padding": (1, 0, 0, 1)}]
AUTOMATIC = [{"kernel": k, "stride": s, "padding": same((6, 7), k, s, lower), "auto": "same_lower" if lower else "same"}
             for k, s, lower in product(((3, 3), (2, 4)), ((1, 1), (2, 2), (2, 3)), (False, True))]

CASES = [
    Case("relu", "kinks", {}), Case("relu6", "kinks", {}), Case("relu", "ties", {}), Case("relu6", "negative", {}),
    *(Case("max", picture, window) for picture, window in product(("zeros", "ties", "rectified", "negative", "nan"),
                                                                  WINDOWS)),
    *(Case("max", picture, {"kernel": (2, 2), "stride": (1, 2), "dilation": (2, 3)})
      for picture in ("zeros", "ties")),
    *(Case("max", picture, window) for picture, window in product(("rectified", "negative"), UNEVEN)),
    *(Case("avg", "ties", {**window, "count": count}) for window, count in product(WINDOWS, (True, False))),
    *(Case("avg", "nan", window) for window in WINDOWS[:3]),
    *(Case("adaptive", picture, {"size": size}) for picture, size in product(
        ("ties", "nan"), ((1, 1), (2, 3), (4, 5), (6, 7)))),
    *(Case("conv", "ties", window) for window in AUTOMATIC), *(Case("conv", "rectified", window) for window in UNEVEN),
    *(Case("conv", "nan", window) for window in AUTOMATIC[:2]),
    *(Case("max", "ties", window) for window in AUTOMATIC[:6]),
]
