"""Write tests/data/checkpoints: tiny files by the real PyTorch, and what PyTorch says is in them.

Run with PyTorch 2.13.0 (the CPU build): ``python tests/make_checkpoints.py``. The tests read the files, and need
no PyTorch.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

VERSION = "2.13.0"
FOLDER = Path(__file__).parent / "data" / "checkpoints"


def state() -> OrderedDict[str, torch.Tensor]:
    """Every type that is read, and every way in which a tensor can lie in its storage."""
    ramp = torch.arange(24, dtype=torch.float32)
    tensors = OrderedDict(
        float32=ramp.reshape(2, 3, 4) / 7,
        float64=ramp.double() / 7,
        float16=(ramp / 7).half(),
        bfloat16=(ramp / 7).bfloat16(),
        int64=torch.tensor([2**62, -1]),
        int32=torch.tensor([2**30, -1], dtype=torch.int32),
        int16=torch.tensor([2**14, -1], dtype=torch.int16),
        int8=torch.tensor([127, -128], dtype=torch.int8),
        uint8=torch.tensor([0, 255], dtype=torch.uint8),
        truth=torch.tensor([True, False, True]),
        scalar=torch.tensor(7),
        true=torch.tensor(True),
        empty=torch.zeros(0, 3),
        transposed=ramp.reshape(4, 6).t(),
        sliced=ramp.reshape(4, 6)[1:3, 2::2],
        expanded=torch.tensor([[1.0], [2.0]]).expand(2, 5),
        special=torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0]),
    )
    tensors["whole"], tensors["part"] = ramp, ramp[5:9]  # one storage, also shared with those above
    tensors["parameter"] = torch.nn.Parameter(torch.ones(2))
    return tensors


def main() -> None:
    if torch.__version__.partition("+")[0] != VERSION:
        sys.exit(f"expected PyTorch {VERSION}, got {torch.__version__}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    tensors = state()
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    numbers = {"epoch": 3, "loss": 0.5, "name": "ünï", "size": torch.Size([1, 2]), "none": None, "list": [True]}
    wrapper = {"state_dict": model.state_dict(), **numbers, "ema": {0: {"weight": torch.ones(2)}}}
    for suffix, modern in (("zip", True), ("stream", False)):
        for name, value, protocol in (("state", tensors, 2), ("wrapper", wrapper, 4)):
            path = FOLDER / f"{name}.{suffix}.pth"
            torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=modern)
    torch.save(model, FOLDER / "module.zip.pth")  # a Python object, which must be refused
    wide = {torch.float16, torch.bfloat16}
    np.savez(
        FOLDER / "state.npz",
        **{name: (t.float() if t.dtype in wide else t).detach().numpy() for name, t in tensors.items()},
    )


if __name__ == "__main__":
    main()
