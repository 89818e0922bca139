"""Random small ONNX graphs: forward as onnxruntime says, backward as finite differences say."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
pytest.importorskip("onnxruntime", reason="needs onnxruntime, which the extra [test] brings")

import onnxruntime as runtime
from hypothesis import given, note
from onnx_backend import SIGNAL
from random_graphs import OPSETS, graphs, grown

from npgradcam.formats.onnx import network_of
from npgradcam.formats.onnx_file import onnx_file


def network(model, dtype):
    return network_of(onnx_file(type(model).FromString(model.SerializeToString())), dtype)


def answer(model, x):
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": x})[0]


def described(model):
    return "\n".join([f"opset {model.opset_import[0].version}", *(
        f"{n.op_type}({', '.join(n.input)}) -> {', '.join(n.output)}" for n in model.graph.node
    )])


@given(drawn=graphs())
def test_forward_agrees_with_onnxruntime(warm, drawn):
    model, x = drawn
    note(described(model))
    expected, y = answer(model, x), network(model, "float32")(x)
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    scale = max(np.abs(expected).max(), 1e-3)
    assert np.abs(y - expected).max() <= 1e-4 * scale


@given(drawn=graphs())
def test_backward_agrees_with_finite_differences(warm, drawn):
    model, x = drawn
    note(described(model))
    net, x, h = network(model, "float64"), x.astype(np.float64), 1e-6
    random = np.random.default_rng(x.size)
    tape = net.forward(x, observe="image")
    seed = random.standard_normal(tape.logits.shape)
    direction = random.standard_normal(x.shape)
    along = [np.sum(seed * (net(x + s * h * direction) - tape.logits)) / (s * h) for s in (1, -1)]
    signal = net.backward(tape, seed, down_to="image")
    assert signal.shape == x.shape
    expected = (along[0] + along[1]) / 2
    assert np.sum(signal * direction) == pytest.approx(expected, rel=1e-5, abs=1e-5 * (1 + abs(along[0] - along[1])))


def test_graphs_of_all_versions_reach_every_operator():
    drawn = [grown(opset, seed, 16)[0] for opset in range(OPSETS[0], OPSETS[1] + 1) for seed in range(30)]
    reached = {node.op_type for model in drawn for node in model.graph.node}
    assert SIGNAL - reached == {"Cast", "ConstantOfShape", "Range", "Size"}  # of these test_onnx_versions.py has some
