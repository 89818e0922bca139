"""Record what PyTorch (float64) and onnxruntime (float32) say of skeletons: python tests/make_onnx_truth.py [NAME...].

Made with Python 3.11, torch 2.14.1, onnxruntime 1.32.0, onnx 1.23.2, onnx2torch 1.5.15 and NumPy 2.4.6. The graph runs
in torch (make_onnx_in_torch.py) and autograd differentiates it. Two independent witnesses stand beside it:
onnxruntime's forward, and the gradient of the graph as onnx2torch reads it, where it can; the manifest holds how far
each is away. A skeleton is calibrated first, so that every convolution's output has variance about 1. Without a name,
what is not recorded yet is.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import onnx
import onnx.shape_inference
import onnx.version_converter
import onnx2torch
import onnxruntime
import torch
from make_onnx_in_torch import Graph
from onnx_skeletons import DATA, fill, load, note, noted, save
from onnx_truths import (
    CHANNELS_LAST,
    ELSEWHERE,
    EXPLAINED,
    MANIFEST,
    TAILS,
    explained_output,
    image_of,
    seed_of,
    summary,
)

torch.set_num_threads(1)


def calibrated(skeleton, x):
    """Return the skeleton with intervals under which no activation explodes or dies."""
    intervals, factors = noted(skeleton), {}
    graph = Graph(fill(skeleton))
    with torch.no_grad():
        graph.run({graph.inputs[0]: torch.from_numpy(x).double()}, keep=set(), calibrate=factors)
    note(skeleton, {k: tuple(factors.get(k, 1) * v for v in pair) for k, pair in intervals.items()})
    return skeleton


def runtime(model, x, names):
    """Return onnxruntime's tensors."""
    there = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in there)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(list(names), {session.get_inputs()[0].name: x})


def signals(graph, x, layer, output, rule):
    """Return the explained tensor, the logits and the signals at the layer and at the image."""
    x = torch.from_numpy(x).to(graph.dtype).requires_grad_()
    values = graph.run({graph.inputs[0]: x}, rule, keep={layer, output})
    A, logits = values[layer], values[output]
    seed = torch.from_numpy(seed_of(logits.detach().numpy()))  # in the logits' precision
    dA, dx = torch.autograd.grad(logits, (A, x), seed)
    return [t.detach().numpy() for t in (A, logits, dA, dx)]


def relative(a, b):
    return float(np.abs(np.asarray(a, np.float64) - b).max() / np.abs(b).max())


def angle(a, b):
    """Return 1 minus the cosine between two signals."""
    a, b = a.ravel(), b.ravel().astype(np.float64)
    return max(float(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b))), 0.0)


def second_reader(model, x, output, seed, dx):
    """Return how far the image's gradient is away from onnx2torch's, or why that has none."""
    cut = {name for node in model.graph.node if node.op_type in (*TAILS, "Identity") for name in node.output}
    ends = model.graph.output[0].name
    for node in reversed(list(model.graph.node)):
        if ends != output and ends in cut and ends in node.output:
            ends = node.input[0]
            model.graph.node.remove(node)
    model.graph.output[0].name = output
    del model.graph.output[1:]
    model.ir_version = max(model.ir_version, 8)
    for node in model.graph.node:  # no shape in these files holds a 0
        if node.op_type == "Reshape":
            del node.attribute[:]
    x, reasons = torch.from_numpy(x).double().requires_grad_(), []
    for version in (None, 17, 13):  # it knows operators of some versions only
        try:
            other = onnx.version_converter.convert_version(model, version) if version else model
            net = onnx2torch.convert(onnx.shape_inference.infer_shapes(other)).double().eval()
            return relative(torch.autograd.grad(net(x), x, torch.from_numpy(seed))[0].numpy(), dx)
        except Exception as error:  # noqa: PERF203
            reasons.append(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:90]}")
    return reasons[0]


def record(path, name):
    skeleton = load(path)
    x = image_of(skeleton, name)
    if "calibrated" not in {e.key for e in skeleton.metadata_props}:
        skeleton = calibrated(skeleton, x)
        skeleton.metadata_props.add(key="calibrated", value="variance 1")
        save(skeleton, path)
    model = fill(skeleton)
    graph = Graph(model)
    layer, output = EXPLAINED[name], explained_output(skeleton)
    recorded, single, gaps = {}, Graph(model, torch.float32), {}
    for rule in ("gradient", "guided", "deconvnet"):
        A, logits, dA, dx = signals(graph, x, layer, output, rule)
        recorded |= {f"{rule}/image": dx}
        gaps[rule] = angle(dx, signals(single, x, layer, output, rule)[3])
        if rule == "gradient":
            gradient, seed = dx, seed_of(logits)
            A, dA = (t.transpose(0, 3, 1, 2) if name in CHANNELS_LAST else t for t in (A, dA))
            alpha = dA.mean((2, 3))
            recorded |= {"logits": logits, "activations": A, "gradients": dA, "alpha": alpha,
                         "signed_cam": np.einsum("nk,nkij->nij", alpha, A)}
    ort = runtime(fill(skeleton), x, [output, layer])
    facts = {
        "input": list(x.shape), "output": output, "layer": layer, "opset": graph.opset, "nodes": len(model.graph.node),
        "gates": graph.gates, "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "largest activation": float(np.abs(A).max()),
        "onnxruntime": [relative(ort[0], logits), relative(np.sort(ort[1], None), np.sort(A, None))],
        "angle of torch's own float32": gaps,
        "onnx2torch": second_reader(model, x, output, seed, gradient),
    }
    if name in ELSEWHERE:  # the same file at another size, forward only
        other = image_of(skeleton, name, ELSEWHERE[name])
        recorded["logits at another size"] = runtime(fill(skeleton), other, [output])[0].astype(np.float64)
    small = {key: value for k, v in recorded.items() for key, value in summary(k, v).items()}
    small["onnxruntime/logits"] = ort[0] if ort[0].size <= 4096 else ort[0].reshape(-1)[:4096]
    (DATA / "truths").mkdir(exist_ok=True)
    np.savez_compressed(DATA / "truths" / f"{name}.npz", **small)
    return facts


def main(names):
    facts = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}
    for path in sorted((DATA / "skeletons").glob("*.onnx.xz")):
        name = path.name.removesuffix(".onnx.xz")
        if name not in names and (names or (DATA / "truths" / f"{name}.npz").exists()):
            continue
        began = time.perf_counter()
        facts[name] = record(path, name)
        print(f"{name}: {time.perf_counter() - began:.1f} s {json.dumps(facts[name])}", flush=True)
        MANIFEST.write_text(json.dumps(dict(sorted(facts.items())), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
