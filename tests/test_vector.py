"""Vector code on other processors, and with every address compared with its array."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
HERE = Path(__file__).parent

PLAN = """
import numpy as np
import test_blocked_plans as plans
random = np.random.default_rng(3)
plans.expect_same(plans.residual(random), plans.pictures(2, 17, 14), ("input", "relu2"))
plans.expect_same(plans.concatenated(random), plans.pictures(1, 10, 13), ("input", "both"))
plans.test_a_shortcut_whose_frame_has_other_zeros_around()
from test_winograd import direct, forward, normal, Window
x, weight = normal(1, 16, 9, 10), normal(16, 16, 3, 3)
for m in (2, 4):
    found = forward(x, weight, Window((3, 3), padding=(1, 1)), (1, 1), m=m)
    assert abs(found - direct(x, weight, (1, 1, 1, 1))).max() < 1e-3
print("same")
"""


def run(code: str, cache: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **variables}
    return subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = [{str(HERE)!r}]\n{code}"], text=True,
                          capture_output=True, env=environment, timeout=900, cwd=HERE.parent)


@pytest.mark.skipif("NPGRADCAM_SLOW" not in os.environ, reason="compiles everything twice: NPGRADCAM_SLOW=1 runs it")
@pytest.mark.parametrize("variables", [
    {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma"},
    {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    {"NUMBA_BOUNDSCHECK": "1"},
    {"NUMBA_THREADING_LAYER": "workqueue"},
], ids=["AVX2", "without AVX", "checked addresses", "workqueue"])
def test_a_plan_is_the_same_on_other_processors_and_with_checks(variables: dict[str, str], tmp_path: Path) -> None:
    done = run(PLAN, tmp_path, **variables)
    assert done.stdout.endswith("same\n"), done.stderr[-3000:]


def test_the_checked_build_catches_an_address_outside_of_its_array(tmp_path: Path) -> None:
    """A table that leads beyond the picture is refused by Python; past Python, the checked build stops it."""
    code = """
import numpy as np
from dataclasses import replace
from npgradcam.kernels import passes, rooms
from npgradcam.kernels.frames import Frame
from npgradcam.kernels.passes import Frames
from npgradcam.kernels.taps import Window, forward_taps
frame = Frame(16, 6, 6)
taps = forward_taps(Window((1, 1)), (6, 6))
(made,) = passes.dense(np.ones((16, 16, 1, 1), np.float32), None, taps, Frames(frame, frame))
x = np.ones(frame.shape(1), np.float32)
made.run(x, np.empty_like(x))
for broken in (replace(made, taps=made.taps + 16), replace(made, y_lines=made.y_lines + 1),
               replace(made, x_lines=made.x_lines - 1), replace(made, bias=made.bias[:8]),
               replace(made, weight=made.weight[:-16])):
    try:
        broken.run(x, np.empty_like(x))
    except IndexError as error:
        print(error)
"""
    done = run(code, tmp_path, NUMBA_BOUNDSCHECK="1")
    assert done.stdout.count("vector code reads or writes outside of") == 5, done.stdout + done.stderr[-2000:]


def test_block_shapes_follow_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    from npgradcam.kernels.register_blocks import register_blocks

    for features, registers in (("+avx512f,+avx2", 32), ("+avx2,+fma", 8)):
        register_blocks.cache_clear()
        monkeypatch.setattr(numba.config, "CPU_FEATURES", features)
        blocks = register_blocks()
        assert (1, 1) in blocks
        assert max(p * q + q for p, q in blocks) < registers
    register_blocks.cache_clear()


def test_every_register_block_covers_every_line() -> None:
    from npgradcam.kernels.register_blocks import register_block

    for cells in range(1, 60):
        for blocks in range(1, 9):
            p, q = register_block(cells, blocks)
            assert 1 <= p <= cells
            assert 1 <= q <= blocks


def test_a_linear_layer_is_read_row_by_row() -> None:
    from npgradcam import kernels

    random = np.random.default_rng(0)
    for n, c, o in ((1, 16, 4), (1, 37, 5), (3, 100, 11), (2, 7, 3), (9, 40, 130), (40, 20, 3)):
        for dtype, limit in ((np.float32, 1e-5), (np.float64, 1e-14)):
            x, weight, signal = (random.standard_normal(shape).astype(dtype) for shape in ((n, c), (o, c), (n, o)))
            assert abs(kernels.linear(x, weight) - x @ weight.T).max() < limit * 10 * np.sqrt(c)
            assert abs(kernels.linear_adjoint(signal, weight) - signal @ weight).max() < limit * 10 * np.sqrt(o)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_signal_of_one_class_is_its_row_of_the_weights_to_the_last_bit(dtype: str) -> None:
    """With one row for each class, W itself; and rows that nobody asked for are not read: here they are NaN."""
    from npgradcam import kernels

    weight = np.random.default_rng(0).standard_normal((130, 70)).astype(dtype)
    assert (kernels.linear_adjoint(np.eye(130, dtype=dtype), weight) == weight).all()
    weight[2::3] = np.nan
    asked = np.eye(130, dtype=dtype)[0::3]
    assert (kernels.linear_adjoint(asked, weight) == weight[0::3]).all()
