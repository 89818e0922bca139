"""Numba's environment variables: a value that it cannot use is a sentence with the variable's name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from npgradcam.errors import NpGradcamError
from npgradcam.kernels.variables import MOST_THREADS, import_numba

ROOT = Path(__file__).parents[1]
BAD = [
    ("NUMBA_NUM_THREADS", "0"), ("NUMBA_NUM_THREADS", "-3"), ("NUMBA_NUM_THREADS", "abc"), ("NUMBA_NUM_THREADS", ""),
    ("NUMBA_NUM_THREADS", "1.5"), ("NUMBA_NUM_THREADS", str(MOST_THREADS + 1)), ("NUMBA_NUM_THREADS", "9" * 5000),
    ("NUMBA_THREADING_LAYER", "nonsense"), ("NUMBA_THREADING_LAYER", ""), ("NUMBA_THREADING_LAYER_PRIORITY", "omp"),
    ("NUMBA_THREADING_LAYER_PRIORITY", "omp omp tbb"),
]
GOOD = [
    ("NUMBA_NUM_THREADS", "1"), ("NUMBA_NUM_THREADS", str(MOST_THREADS)), ("NUMBA_THREADING_LAYER", "WORKQUEUE"),
    ("NUMBA_THREADING_LAYER", "threadsafe"), ("NUMBA_THREADING_LAYER_PRIORITY", "workqueue omp  tbb"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_that_makes_no_sense_is_refused_by_name(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(NpGradcamError, match=f"^{name}='{value}' in the environment: expected .*, or unset it$"):
        import_numba()


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_a_value_that_numba_takes_is_let_through(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert import_numba().__name__ == "numba"


def predicted(*more: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ask = [sys.executable, "-m", "npgradcam", "predict", "--sample", "two_shapes", "--model", "shapes", *more]
    return subprocess.run(ask, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **variables}, check=False)


@pytest.mark.parametrize(("name", "value"), [("NUMBA_NUM_THREADS", "0"), ("NUMBA_OPT", "abc"), ("NUMBA_DEBUG", "x")])
def test_on_the_command_line_it_is_one_line_and_no_fault_of_ours(name, value):
    done = predicted(**{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"npgradcam: error: {name}='{value}' in the environment: expected ")
    assert done.stderr.count("\n") == 1


def test_a_pool_that_is_not_there_is_named_and_not_the_picture():
    done = predicted(NUMBA_THREADING_LAYER="tbb")
    said = "npgradcam: error: NUMBA_THREADING_LAYER='tbb' in the environment: tbb cannot be loaded here"
    assert done.returncode == 0 or done.stderr.startswith(said)


def test_numpys_kernels_do_not_ask_numbas_variables():
    done = predicted("--backend", "numpy", NUMBA_NUM_THREADS="0")
    assert (done.returncode, done.stderr) == (0, "")
