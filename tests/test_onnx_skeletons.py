"""Files without weights: what leaves, what stays, and that everybody draws the same numbers again."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx import checker, numpy_helper
from onnx_skeletons import DATA, FEW, draw, fill, load, noted, strip

NAMES = ("resnet18-dynamo18", "shufflenet_v2_x0_5-script11", "keras_mobilenet-tf2onnx9", "light_squeezenet-caffe2")


def test_drawn_numbers_are_those_that_were_recorded():
    numbers = draw("conv.weight", (4, 3, 2), -0.5, 0.5)  # another generator would change every recorded truth
    recorded = "3305efe1f02a831f662c87159e51bc838e2bbdaa828805ec4ba16cfc087e3ea3"
    assert hashlib.sha256(numbers.tobytes()).hexdigest() == recorded
    assert (numbers.dtype, numbers.shape) == (np.float32, (4, 3, 2))
    assert -0.5 <= numbers.min() < numbers.max() <= 0.5


def test_numbers_depend_on_name_shape_and_seed():
    drawn = [draw("a", (6,), 0, 1), draw("b", (6,), 0, 1), draw("a", (2, 3), 0, 1), draw("a", (6,), 0, 1, seed=1)]
    assert len({numbers.tobytes() for numbers in drawn}) == len(drawn)


@pytest.mark.parametrize("name", NAMES)
def test_strip_undoes_fill_and_keeps_what_is_no_weight(name):
    skeleton = load(DATA / "skeletons" / f"{name}.onnx.xz")
    model = fill(skeleton)
    checker.check_model(model)
    again = {tensor.name: len(tensor.raw_data) for tensor in strip(model).graph.initializer}
    there = {tensor.name: len(tensor.raw_data) for tensor in skeleton.graph.initializer}
    assert again == there
    assert list(skeleton.graph.node) == list(model.graph.node)
    for tensor in model.graph.initializer:
        if tensor.name in noted(skeleton):
            low, high = noted(skeleton)[tensor.name]
            numbers = numpy_helper.to_array(tensor)
            assert numbers.size > FEW
            assert low <= numbers.min() < numbers.max() <= np.float32(high)


def test_all_fixtures_together_are_small():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 6e6
