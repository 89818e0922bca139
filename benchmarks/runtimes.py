"""The forward-only opponents, each at its best documented settings and in float32: onnxruntime, OpenVINO, MNN.

All read the file that PyTorch exports, or what their own converter makes of it; each is a job as `peers.py` has it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .making import picture
from .networks import Files

Run = Callable[[], Any]
Check = Callable[[], dict[str, Any]]


def threads() -> int:
    """Return the number of threads that the parent asked for."""
    return int(os.environ["OMP_NUM_THREADS"])


def onnxruntime_forward(files: Files, variant: str) -> tuple[Run, Check]:
    """All graph optimisations; its threads may spin between operators, as by default."""
    session, feed = _session(files.onnx), {"x": files.read()["x"]}
    return lambda: session.run(None, feed), lambda: {"logits": session.run(None, feed)[0]}


def onnxruntime_batch(files: Files, variant: str) -> tuple[Run, Check]:
    """The same for ``variant`` images at once, of which the first is the one that is checked."""
    session, feed = _session(files.onnx_batch), {"x": picture(count=int(variant))}
    return lambda: session.run(None, feed), lambda: {"logits": session.run(None, feed)[0][:1]}


def _session(path: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def openvino_forward(files: Files, variant: str) -> tuple[Run, Check]:
    """The latency hint; without the precision hint it would compute in bfloat16 where the CPU can."""
    import openvino

    core = openvino.Core()
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads()}
    request = core.compile_model(core.read_model(files.onnx), "CPU", settings).create_infer_request()
    x = files.read()["x"]

    def run() -> Any:
        return request.infer([x], share_inputs=True, share_outputs=True)[0]

    return run, lambda: {"logits": np.array(run())}


def mnn_forward(files: Files, variant: str) -> tuple[Run, Check]:
    """Converted for speed; precision "high" is float32. More memory or power changed no time that we could measure."""
    import MNN

    network = MNN.Interpreter(str(files.mnn))
    if variant == "small tiles":
        network.setSessionHint(3, 2)  # WINOGRAD_MEMORY_LEVEL, of which 3 is the default
    session = network.createSession({"backend": "CPU", "numThread": threads(), "precision": "high"})
    x, logits = files.read()["x"], np.empty((1, 1000), np.float32)
    source, result = (
        MNN.Tensor(a.shape, MNN.Halide_Type_Float, a, MNN.Tensor_DimensionType_Caffe) for a in (x, logits)
    )
    goes_in, comes_out = network.getSessionInput(session), network.getSessionOutput(session)

    def run() -> Any:
        goes_in.copyFrom(source)
        network.runSession(session)
        comes_out.copyToHostTensor(result)
        return result.getNumpyData()

    return run, lambda: {"logits": np.array(run())}
