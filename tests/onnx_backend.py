"""npgradcam as a backend of the official ONNX suite, and the suite's verdict on it, test by test.

`verdicts` runs the official runner's own test functions at rtol 1e-5 and atol 1e-6. A test either passes, or the import
says `UnsupportedOperatorError`; anything else is a failure.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import unittest
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper
from onnx.backend.base import Backend, BackendRep

from npgradcam.errors import UnsupportedOperatorError
from npgradcam.formats.onnx import network_of
from npgradcam.formats.onnx_file import onnx_file
from npgradcam.network import Network

TOLERANCES = {"rtol": 1e-5, "atol": 1e-6}
HALF = {"rtol": 4e-3, "atol": 2e-3}  # float16 has a spacing of 2**-10; a reference that rounds at every step loses more
HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, *HALVES)

# the operators that the issue lists among those that carry a signal
SIGNAL = set(re.findall(r"\w+", """
    Abs Add AveragePool BatchNormalization Cast Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose
    DepthToSpace Div Dropout Elu Erf Exp Expand Flatten Gather Gelu Gemm GlobalAveragePool GlobalMaxPool
    GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN LayerNormalization LeakyRelu Log
    LogSoftmax MatMul Max MaxPool Mean Min Mish Mul Neg PRelu Pad Pow Range Reciprocal ReduceL2 ReduceMax ReduceMean
    ReduceMin ReduceSum Relu Reshape Resize Selu Shape Sigmoid Size Slice Softmax Softplus Softsign SpaceToDepth
    Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile Transpose Unsqueeze Upsample Where
"""))


class Prepared(BackendRep):
    """A network with the order of its inputs, and the types that its outputs were declared with."""

    def __init__(self, network: Network, inputs: Sequence[str], types: Sequence[int]):
        self.network, self.inputs, self.types = network, inputs, types

    def run(self, inputs: Any, **_: Any) -> tuple[np.ndarray, ...]:
        arrays = dict(zip(self.inputs, map(np.asarray, inputs), strict=False))
        given = {k: x.astype(self.network.dtype) if x.dtype.kind not in "iub" else x for k, x in arrays.items()}
        with contextlib.suppress(RuntimeWarning), np.errstate(all="ignore"):
            outputs = [self.network.forward(given, output=name).logits for name in self.network.outputs]
        return tuple(rounded(y, kind) for y, kind in zip(outputs, self.types, strict=True))


def rounded(y: np.ndarray, kind: int) -> np.ndarray:
    """A network computes in one precision: an output that was declared in another is rounded at the end."""
    return y.astype(helper.tensor_dtype_to_np_dtype(kind)) if kind in FLOATS and y.dtype.kind == "f" else y


class NpGradcam(Backend):
    """The interface that the official suite knows."""

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", dtype: str | None = None, **_: Any) -> Prepared:
        copy = ModelProto()  # the reader takes the weights out of what it is given
        copy.CopyFrom(model)
        file = onnx_file(copy)
        double = any(value.type == "DOUBLE" for value in (*file.inputs, *file.outputs))
        dtype = dtype or ("float64" if double else "float32")
        types = [value.type.tensor_type.elem_type for value in model.graph.output]
        return Prepared(network_of(file, dtype), [value.name for value in file.inputs], types)

    @classmethod
    def run_node(cls, node: NodeProto, inputs: Any, device: str = "CPU", outputs_info: Any = None,
                 **_: Any) -> tuple[np.ndarray, ...]:
        arrays = [np.asarray(x) for x in inputs]
        values = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
                  for name, x in zip(node.input, arrays, strict=True)]
        info = outputs_info or [(np.dtype(np.float32), None)] * len(node.output)
        outputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
                   for name, (kind, shape) in zip(node.output, info, strict=True)]
        return cls.prepare(helper.make_model(helper.make_graph([node], "node", values, outputs)), device).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"


@cache
def suite() -> dict[str, dict[str, Any]]:
    """Return the official tests on a CPU: category -> name -> item with a function and the model it runs."""
    os.environ["ONNX_HOME"] = os.environ.get("NPGRADCAM_ONNX_HOME") or tempfile.mkdtemp()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests
        from onnx.backend.test.runner import Runner

        kinds = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
        names = [case.name for kind in kinds for case in load_model_tests(kind=kind)]
        items = Runner(NpGradcam, test_kwargs=dict.fromkeys(names, TOLERANCES))._test_items
    categories = {"NodeModel": "node", "SimpleModel": "simple", "PyTorchConvertedModel": "pytorch-converted",
                  "PyTorchOperatorModel": "pytorch-operator", "RealModel": "light"}
    return {new: {name.removesuffix("_cpu"): item for name, item in sorted(items[old].items()) if name.endswith("_cpu")}
            for old, new in categories.items()}


def verdict(item: Any) -> str:
    """Return "passed", "passed: in which weaker sense", "unsupported: why", or "failed: how"."""
    case = unittest.TestCase()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            item.func(case)
        except UnsupportedOperatorError as error:
            return f"unsupported: {short(str(error))}"
        except AssertionError as error:
            senses = {"to the spacing of half precision": HALF} if halves(item.proto) else {}
            senses |= {"in float64": {"dtype": "float64"}, "to the suite's own rtol of 1e-3": {"rtol": 1e-3}}
            for sense, settings in senses.items():
                with contextlib.suppress(AssertionError):
                    item.func(case, **settings)
                    return f"passed: {sense}"
            return f"failed: {short(str(error))}"
        except Exception as error:
            return f"failed: {type(error).__name__}: {short(str(error))}"
    return "passed"


def short(text: str) -> str:
    """Return an error's text in one line; of unsupported nodes, which operators they are and why."""
    nodes = re.findall(r"(\w+) '[^']*' \(([^()]*(?:\([^()]*\)[^()]*)*)\)", text)
    if nodes:
        return "; ".join(sorted({f"{kind}: {why}" for kind, why in nodes}))[:200]
    if "of type" in text:
        kinds = sorted(set(re.findall(r"of type (\w+)", text)))
        return f"inputs of type {', '.join(kinds)}"
    return re.sub(r"\s+", " ", re.sub(r"^model: ('\w+': )?", "", text)).strip()[:200]


def halves(model: Any) -> bool:
    """Whether a model takes or makes numbers of half precision."""
    values = (*model[0].graph.input, *model[0].graph.output) if model and model[0] is not None else ()
    return any(value.type.tensor_type.elem_type in HALVES for value in values)


def verdicts(category: str, part: int = 0, parts: int = 1) -> Iterator[tuple[str, str]]:
    """Yield each test of a category, or of one part of it, with its verdict."""
    for name in list(suite()[category])[part::parts]:
        yield name, verdict(suite()[category][name])


@cache
def counted() -> frozenset[str]:
    """Return the node tests of one operator that the issue lists among those that carry a signal, on float32 arrays."""
    from onnx.backend.test.loader import load_model_tests

    return frozenset(
        case.name for case in load_model_tests(kind="node")
        if len(case.model.graph.node) == 1 and case.model.graph.node[0].op_type in SIGNAL
        and [value.type.tensor_type.elem_type for value in case.model.graph.input][:1] == [TensorProto.FLOAT]
    )
