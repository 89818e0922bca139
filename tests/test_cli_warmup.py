"""`npgradcam warmup`: everything that an explanation needs is compiled afterwards, and it says what that took."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

import npgradcam as ng
from npgradcam import kernels
from npgradcam.cli import main, warmup
from npgradcam.layers import Conv2d
from npgradcam.network import Network, Node

numba = pytest.importorskip("numba")


@pytest.fixture
def run(capsys, warm):
    def run(*arguments):
        code = main(["warmup", *(str(argument) for argument in arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_after_a_warmup_an_explanation_compiles_nothing(run, tmp_path, dtype):
    code, out, err = run("--model", "shapes", "--dtype", dtype)
    assert code == 0
    assert "blank picture, 1 x 3 x 32 x 32, by shapes" in err
    assert "nothing to compile: all kernels came from the cache" in out or "compiled" in out
    with kernels.compilation() as done:
        ask = ["explain", "--sample", "coffee", "--model", "shapes", "--method", "all", "--dtype", dtype, "--quiet"]
        assert main([*ask, "--out", str(tmp_path)]) == 0
    assert done.names == []


def test_every_kernel_is_named_while_it_is_compiled(run, monkeypatch):
    double, halve = numba.njit(lambda x: 2 * x), numba.njit(lambda x: x / 2)
    monkeypatch.setattr(warmup, "explain_all", lambda *a: [double(1), halve(1)])
    code, out, err = run("--model", "shapes")
    assert code == 0
    assert err.count("compiling <lambda> ...") == 2
    assert out.startswith("compiled 2 kernels in ")
    assert "every run compiles; set NUMBA_CACHE_DIR" in out  # these two are kept nowhere
    assert run("--model", "shapes", "--quiet")[1].startswith("nothing to compile")


@pytest.mark.parametrize(("size", "shape"), [((), (1, 3, 224, 224)), (("--size", 40), (1, 3, 40, 40))])
def test_a_name_needs_no_checkpoint_and_takes_the_size_that_is_asked_for(run, monkeypatch, size, shape):
    seen = []
    monkeypatch.setattr(warmup, "explain_all", lambda model, tape, *a: seen.append(tape.shapes["input"]) or [])
    code, out, _ = run("--model", "squeezenet1_1", "--backend", "numpy", *size)
    assert code == 0
    assert "nothing to compile: NumPy alone is in use" in out
    assert seen == [shape]


def test_every_method_is_asked(run, monkeypatch):
    asked = []
    monkeypatch.setattr(warmup, "explain_all", lambda model, tape, _, methods, layers: asked.extend(methods) or [])
    run("--model", "shapes", "--quiet")
    assert asked == list(warmup.METHODS)


def test_a_network_of_one_size_keeps_it(run, monkeypatch):
    conv = Conv2d(np.ones((2, 3, 1, 1), np.float32), np.zeros(2, np.float32))
    fixed = Network((Node("conv", conv, ("input",)),), declared={"input": (1, 3, 16, 16)})
    monkeypatch.setattr(warmup, "open_model", lambda *a, **k: ng.Model("fixed", fixed))
    code, _, err = run("--size", 8)
    assert code == 2
    assert "--size 8: fixed takes pictures of one size, (16, 16); leave it out" in err
    assert "1 x 3 x 16 x 16" in run()[2]


def test_a_kernel_that_fails_to_compile_is_not_counted_for_ever():
    with kernels.compilation() as done:
        broken = numba.njit(lambda x: x.no_such_thing)
        with pytest.raises(numba.TypingError):
            broken(1)
        assert numba.njit(lambda x: -x)(1) == -1
    assert len(done.names) == 2  # the failed one ended, so the next one is outermost again


def test_whoever_watches_is_told_of_outermost_kernels_alone():
    inner = numba.njit(lambda x: x + 2)
    outer, told = numba.njit(lambda x: 3 * inner(x)), []
    with kernels.compilation("numba", told.append) as done:
        assert outer(1) == 9
    assert told == done.names == ["<lambda>"]
    with kernels.compilation("numpy", told.append) as done:  # NumPy's kernels: nobody looks
        assert numba.njit(lambda x: 4 * x)(1) == 4
    assert done.names == []


def test_watches_may_overlap():
    @contextmanager
    def nothing():
        with kernels.compilation() as outer, kernels.compilation() as inner:
            yield outer, inner

    with nothing() as (outer, inner):
        numba.njit(lambda x: x - 1)(1)
    assert len(outer.names) == len(inner.names) == 1
    assert outer.seconds > 0
    assert not outer.kept
