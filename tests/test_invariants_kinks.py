"""Row 13: at kinks, ties and odd windows, PyTorch's recorded answers: the same cells win, the same signals arrive."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from kinks import CASES, RECORDED, Case, image, seed_like

from npgradcam import kernels
from npgradcam.layers import AdaptiveAvgPool2d, AvgPool2d, Conv2d, Layer, MaxPool2d, ReLU, ReLU6

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")]


def layer_of(case: Case) -> Layer:
    s = case.settings
    padding = s.get("padding", (0, 0, 0, 0))
    if case.kind == "max":
        return MaxPool2d(s["kernel"], s["stride"], padding, s.get("ceil", False), s.get("dilation", (1, 1)))
    if case.kind == "avg":
        return AvgPool2d(s["kernel"], s["stride"], padding, s.get("ceil", False), s.get("count", True))
    if case.kind == "adaptive":
        return AdaptiveAvgPool2d(s["size"])
    if case.kind == "conv":
        weight = np.arange(1.0, 1 + np.prod(s["kernel"])).reshape(1, 1, *s["kernel"])
        return Conv2d(weight, None, s["stride"], s.get("auto", padding))
    return {"relu": ReLU, "relu6": ReLU6}[case.kind]()


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as file:
        return dict(file)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_row_13_pytorchs_answer_at_a_kink(case: Case, dtype: str, backend: str, recorded) -> None:  # type: ignore
    """Whole numbers, so routing is exact; only averages are rounded.

    Two answers are not PyTorch's: it pays a NaN before a rectifier, whose slope is 0 here; and of two NaN in a window
    it pays the last, we the first (test_kinks.py), so no window here has two. 5e-324 is 0 in float32.
    """
    layer, x = layer_of(case).astype(dtype), image(case).astype(dtype)
    y_right, dx_right = (recorded[f"{case.name}/{part}"] for part in ("y", "dx"))
    if case.picture == "kinks":
        y_right, dx_right = np.where(x == 0, 0, y_right), np.where((x == 0) | np.isnan(x), 0, dx_right)
    with kernels.session(backend):
        y, cache = layer.forward(x)
        (dx,) = layer.backward(seed_like(y).astype(dtype), cache)
    averages = case.kind in ("avg", "adaptive")
    limit = {"rtol": {"float64": 1e-14, "float32": 1e-6}[dtype] if averages else 0, "atol": 0}
    if case.kind.startswith("relu"):
        limit["rtol"] = 1e-7 if dtype == "float32" else 0
    np.testing.assert_allclose(y, y_right, **limit)
    np.testing.assert_allclose(dx, dx_right, **limit)


def test_row_13_at_least_eighty_cases_are_recorded(recorded) -> None:  # type: ignore[no-untyped-def]
    assert len({case.name for case in CASES}) == len(CASES) >= 80
    assert {f"{case.name}/{part}" for case in CASES for part in ("y", "dx")} | {"versions"} == set(recorded)
    assert min(Counter(case.kind for case in CASES).values()) >= 2
    assert RECORDED.stat().st_size < 100_000
