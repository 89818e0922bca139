"""Hold the reference pack against PyTorch and onnxruntime: python tests/make_reference_pack_checked.py.

Made with Python 3.11, torch 2.14.1, onnx 1.23.2, onnxruntime 1.32.0 and NumPy 2.4.6. The pack's ONNX files run in torch
in float64 (make_onnx_in_torch.py), whose autograd differentiates them, and in onnxruntime in float32; nothing of
npgradcam is imported. What is written down is how far the pack is from either, relative to the largest magnitude, and
the SHA-256 of the files that were looked at.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from make_onnx_in_torch import Graph

PACK = Path(__file__).parents[1] / "npgradcam" / "reference"
CHECKED = Path(__file__).parent / "data" / "reference_pack_checked.json"


def apart(a, b):
    return float(np.abs(np.asarray(a, np.float64) - b).max() / (np.abs(b).max() or 1))


def logits_of(model):
    """The tensor before a last softmax or sigmoid."""
    last = model.graph.node[-1]
    return last.input[0] if last.op_type in ("Softmax", "Sigmoid") else last.output[0]


def in_torch(model, right):
    layers, output, image = list(right["layers"]), logits_of(model), right["image"]
    found = {}
    for rule in ("gradient", "guided", "deconvnet"):
        graph, rows = Graph(model), []
        for n, c in zip(image, right["target"], strict=True):
            x = torch.from_numpy(right["images"][n : n + 1]).requires_grad_()
            values = graph.run({graph.inputs[0]: x}, rule, keep={*layers, output})
            rows.append((values, torch.autograd.grad(values[output][0, c], (x, *(values[k] for k in layers)))))
        found[rule] = np.concatenate([grads[0].numpy() for _, grads in rows])
        if rule == "gradient":
            first = [list(image).index(n) for n in range(len(right["images"]))]
            found["logits"] = np.concatenate([rows[r][0][output].detach().numpy() for r in first])
            for i, layer in enumerate(layers, start=1):
                A = np.concatenate([rows[r][0][layer].detach().numpy() for r in first])
                dA = np.concatenate([grads[i].numpy() for _, grads in rows])
                alpha = dA.mean((2, 3))
                found |= {f"{layer}/A": A, f"{layer}/dA": dA, f"{layer}/alpha": alpha,
                          f"{layer}/signed_map": np.einsum("rk,rkij->rij", alpha, A[image])}
    return found


def in_onnxruntime(model, right):
    names = [logits_of(model), *right["layers"]]
    there = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in there)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(names, {session.get_inputs()[0].name: right["images"].astype(np.float32)})
    return dict(zip(["logits", *(f"{layer}/A" for layer in right["layers"])], values, strict=True))


def main():
    told = {"torch": torch.__version__.split("+")[0], "onnxruntime": onnxruntime.__version__, "cases": {}}
    for path in sorted(PACK.glob("*.onnx")):
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as right:
            right = dict(right)
        witnesses = {"torch float64": in_torch(onnx.load(path), right),
                     "onnxruntime float32": in_onnxruntime(onnx.load(path), right)}
        files = (path, path.with_suffix(".npz"))
        told["cases"][path.stem] = {
            "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
            **{name: {key: apart(value, right[key]) for key, value in found.items()}
               for name, found in witnesses.items()},
        }
    CHECKED.write_text(json.dumps(told, indent=1) + "\n")
    for case, facts in told["cases"].items():
        print(case, *(f"{name} {max(facts[name].values()):.1e}" for name in ("torch float64", "onnxruntime float32")))


if __name__ == "__main__":
    main()
