"""Records what PyTorch answers at kinks, ties and odd windows: data/kinks.npz.

    python tests/make_kinks_torch.py        # needs torch; kinks.py says which cases
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from kinks import CASES, RECORDED, image, seed_like


def answer(case, x):
    """y, in PyTorch's words. Padding that is not the same on both sides is a layer of its own there."""
    kind, s = case.kind, case.settings
    top, left, bottom, right = s.get("padding", (0, 0, 0, 0))
    around = (left, right, top, bottom)
    if kind == "relu":
        return F.relu(x)
    if kind == "relu6":
        return F.relu6(x)
    if kind == "max":
        even = (top, left) == (bottom, right)
        x = x if even else F.pad(x, around, value=-torch.inf)
        return F.max_pool2d(x, s["kernel"], s["stride"], (top, left) if even else 0, s.get("dilation", (1, 1)),
                            s.get("ceil", False))
    if kind == "avg":
        return F.avg_pool2d(x, s["kernel"], s["stride"], (top, left), s.get("ceil", False), s.get("count", True))
    if kind == "adaptive":
        return F.adaptive_avg_pool2d(x, s["size"])
    weight = torch.arange(1.0, 1 + s["kernel"][0] * s["kernel"][1], dtype=x.dtype).reshape(1, 1, *s["kernel"])
    return F.conv2d(F.pad(x, around), weight, None, s["stride"], 0, s.get("dilation", (1, 1)))


def main() -> None:
    found = {"versions": np.array(f"torch {torch.__version__}")}
    for case in CASES:
        x = torch.tensor(image(case), requires_grad=True)
        y = answer(case, x)
        y.backward(torch.tensor(seed_like(y.detach().numpy())))
        found |= {f"{case.name}/y": y.detach().numpy(), f"{case.name}/dx": x.grad.numpy()}
    np.savez_compressed(RECORDED, **found)
    print(len(CASES), "cases", Path(RECORDED).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
