"""An ONNX graph computed by PyTorch, operator by operator, so that autograd differentiates it in float64.

Only the recording scripts (make_onnx_*.py) use it; tests read what they recorded. It shares nothing with npgradcam, and
its forward is held against onnxruntime on every file. The operators themselves are in make_onnx_operators.py.
"""

from __future__ import annotations

import numpy as np
import torch
from make_onnx_operators import OPERATORS
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnx_skeletons import PASSED_ON, WEIGHTS


class Ruled(torch.autograd.Function):
    """A rectifier whose backward is one of three rules; `slope` is its derivative where it stands."""

    @staticmethod
    def forward(ctx, x, y, slope, rule):
        ctx.save_for_backward(slope)
        ctx.rule = rule
        return y.clone()

    @staticmethod
    def backward(ctx, signal):
        (slope,) = ctx.saved_tensors
        if ctx.rule != "gradient":
            signal = signal.clamp(min=0)
        return (signal if ctx.rule == "deconvnet" else signal * slope), None, None, None


class Graph:
    """A model file, ready to run in torch."""

    def __init__(self, model: ModelProto, dtype: torch.dtype = torch.float64):
        self.model, self.dtype = model, dtype
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.initializers = {t.name: self.tensor(numpy_helper.to_array(t)) for t in model.graph.initializer}
        self.inputs = [i.name for i in model.graph.input if i.name not in self.initializers]
        self.outputs = [o.name for o in model.graph.output]
        self.producer = {name: node for node in model.graph.node for name in node.output}
        self.gates = 0  # rectifiers that the last run passed on its way from the image

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        array = np.array(array)
        return torch.from_numpy(array).to(self.dtype) if array.dtype.kind == "f" else torch.from_numpy(array)

    def run(self, images: dict[str, torch.Tensor], rule: str = "gradient", keep: set[str] | None = None,
            calibrate: dict[str, float] | None = None) -> dict[str, torch.Tensor]:
        """Return every tensor of the graph by name; `calibrate` collects a factor for each weight."""
        values, self.gates = {"": None, **self.initializers, **images}, 0
        last = {name: i for i, node in enumerate(self.model.graph.node) for name in node.input}
        for i, node in enumerate(self.model.graph.node):
            if calibrate is not None:
                self.calibrate(node, values, calibrate)
            values.update(zip(node.output, self.outcome(node, values, rule), strict=False))
            for name in node.input:  # forget what nobody reads again
                if keep is not None and last[name] == i and name not in keep and name not in self.outputs and name:
                    values.pop(name, None)
        return values

    def outcome(self, node: NodeProto, values: dict, rule: str) -> tuple[torch.Tensor, ...]:
        settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type not in OPERATORS:
            raise NotImplementedError(f"{node.op_type} {node.name}")
        xs = [values[name] for name in node.input]
        if node.op_type == "Split":
            settings["count"] = len(node.output)
        y = OPERATORS[node.op_type](self, settings, *xs)
        slope = self.slope(node, settings, xs)
        if slope is not None and xs[0].requires_grad:
            y, self.gates = Ruled.apply(xs[0], y, slope, rule), self.gates + 1
        return y if isinstance(y, tuple) else (y,)

    def slope(self, node: NodeProto, settings: dict, xs: list) -> torch.Tensor | None:
        """Return a rectifier's derivative; None for every other operator."""
        x = xs[0] if xs else None
        if node.op_type == "Relu":
            return (x > 0).to(x)
        if node.op_type in ("LeakyRelu", "PRelu"):
            a = settings.get("alpha", 0.01) if node.op_type == "LeakyRelu" else xs[1]
            return torch.where(x > 0, torch.ones_like(x), a * torch.ones_like(x))
        if node.op_type == "Clip":
            low = settings.get("min") if self.opset < 11 else xs[1] if len(xs) > 1 else None
            high = settings.get("max", np.inf) if self.opset < 11 else xs[2] if len(xs) > 2 else np.inf
            if low is not None and low == 0:
                return ((x > 0) & (x < (np.inf if high is None else high))).to(x)
        return None

    def root(self, name: str) -> str:
        """Return the initializer that a tensor is, looking through nodes that only pass it on."""
        while name in self.producer and self.producer[name].op_type in PASSED_ON:
            name = self.producer[name].input[0]
        return name

    def calibrate(self, node: NodeProto, values: dict, factors: dict[str, float]) -> None:
        """Scale a layer's weight such that its output has variance 1, the first time it is used."""
        for op, i in WEIGHTS:
            root = self.root(node.input[i]) if op == node.op_type and len(node.input) > i else None
            if root in self.initializers and root not in factors:
                bare = NodeProto()
                bare.CopyFrom(node)
                del bare.input[2:]
                factors[root] = 1 / max(float(self.outcome(bare, values, "gradient")[0].std()), 1e-6)
                values[node.input[i]] = values[node.input[i]] * factors[root]
                if node.input[i] != root and root in values:  # another node may read it yet
                    values[root] = values[root] * factors[root]
                return
