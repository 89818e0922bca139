"""The kit's ONNX files as torch modules, written as a user would: one module a node, or rectifiers as functions."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

STYLES = ("modules", "functions", "one ReLU for all")  # how a user may have written the rectifiers


class Sum(nn.Module):
    def forward(self, *xs):
        return sum(xs)


class Concatenation(nn.Module):
    def forward(self, *xs):
        return torch.cat(xs, dim=1)


class Padding(nn.Module):
    def __init__(self, sides, value=0.0):
        super().__init__()
        self.sides, self.value = sides, value

    def forward(self, x):
        return F.pad(x, self.sides, value=self.value)


class Function(nn.Module):
    """A rectifier as a function; the module around it is ours, so that a layer can be named."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def sides(pads):
    """From ONNX' (top, left, bottom, right) to torch's (left, right, top, bottom)."""
    top, left, bottom, right = pads
    return left, right, top, bottom


def made(kind, a, held, style, shared):
    """Return the module of one node: its attributes `a`, the arrays that it holds, torch tensors."""
    if kind == "Conv":
        weight, bias = held["weight"], held.get("bias")
        pads = a["pads"]
        even = pads[:2] == pads[2:]
        conv = nn.Conv2d(weight.shape[1] * a["group"], weight.shape[0], tuple(weight.shape[2:]), tuple(a["strides"]),
                         tuple(pads[:2]) if even else 0, tuple(a["dilations"]), a["group"],
                         bias is not None)
        conv.load_state_dict(held)
        return conv if even else nn.Sequential(Padding(sides(pads)), conv)
    if kind == "BatchNormalization":
        norm = nn.BatchNorm2d(len(held["weight"]), a["epsilon"])
        norm.load_state_dict({"weight": held["weight"], "bias": held["bias"], "running_mean": held["mean"],
                              "running_var": held["variance"], "num_batches_tracked": torch.tensor(0)})
        return norm
    if kind == "Gemm":
        linear = nn.Linear(held["weight"].shape[1], held["weight"].shape[0])
        linear.load_state_dict(held)
        return linear
    if kind == "Clip":
        return nn.ReLU6() if style != "functions" else Function(F.relu6)
    if kind == "Relu":
        return {"modules": nn.ReLU, "functions": lambda: Function(F.relu), "one ReLU for all": lambda: shared}[style]()
    if kind == "Pad":
        pads = held["pads"].tolist()
        return Padding(sides((pads[2], pads[3], pads[6], pads[7])), float(held["value"]))
    if kind in ("MaxPool", "AveragePool"):
        pads, inside = a["pads"], -torch.inf if kind == "MaxPool" else 0.0
        pool = (nn.MaxPool2d if kind == "MaxPool" else nn.AvgPool2d)(tuple(a["kernel_shape"]), tuple(a["strides"]))
        return pool if not any(pads) else nn.Sequential(Padding(sides(pads), inside), pool)
    return {"Add": Sum, "Concat": Concatenation, "Identity": nn.Identity, "Flatten": nn.Flatten,
            "GlobalAveragePool": lambda: nn.AdaptiveAvgPool2d(1), "Softmax": lambda: nn.Softmax(1)}[kind]()


class Net(nn.Module):
    def __init__(self, model, style="modules"):
        super().__init__()
        graph = onnx.load_from_string(model).graph
        arrays = {t.name: torch.from_numpy(np.array(numpy_helper.to_array(t))) for t in graph.initializer}
        self.steps, self.named, shared = [], {}, nn.ReLU()
        for node in graph.node:
            held = {name.removeprefix(f"{node.name}."): arrays[name] for name in node.input if name in arrays}
            settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            module = made(node.op_type, settings, held, style, shared)
            name = node.name.replace(".", "_")
            self.add_module(name, module)
            self.named[node.name] = name
            self.steps.append((name, [x.replace(".", "_") for x in node.input if x not in arrays]))
        self.eval()

    def layer(self, name):
        return getattr(self, self.named[name])

    def forward(self, x):
        values = {"input": x}
        for name, inputs in self.steps:
            values[name] = getattr(self, name)(*(values[i] for i in inputs))
        return values[name]
