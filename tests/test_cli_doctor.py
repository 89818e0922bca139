"""`npgradcam doctor`: each part has a verdict and a way out, and what is broken is a line, never an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from npgradcam.cli import doctor, main
from npgradcam.kernels import machine

pytest.importorskip("numba")
VERDICTS = {"ok", "slow", "missing", "broken"}


@pytest.fixture
def said(capsys, monkeypatch):
    """Run the doctor in this process; return each part's verdict and sentence."""
    monkeypatch.setattr(machine, "threads", lambda: machine.Threads("omp", 3.0, 2, 2))
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0.1, 0.1), raising=False)

    def said():
        assert main(["doctor", "--json"]) == 0
        findings = json.loads(capsys.readouterr().out)
        assert {f["verdict"] for f in findings} <= VERDICTS
        for f in findings:
            assert (f["verdict"] == "ok") == (not f["said"].startswith("because ")), f
        return {f["part"]: f"{f['verdict']} {f['said']}" for f in findings}

    return said


def shell(**settings):
    """Run the doctor in a process with other settings."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("NUMBA_", "OMP_")) or name == "NUMBA_CACHE_DIR"}
    done = subprocess.run([sys.executable, "-m", "npgradcam", "doctor", "--json"], capture_output=True, text=True,
                          check=False, env={**environment, **settings})
    assert (done.returncode, done.stderr) == (0, "")
    return {f["part"]: f for f in json.loads(done.stdout)}


def test_each_part_has_a_line_and_the_way_out_where_it_is_slow(said):
    found = said()
    assert list(found) == ["versions", "processor", "switches", "threads", "waiting", "BLAS", "kernel cache",
                           "extra imagenet", "extra onnx", "extra safetensors"]
    assert found["threads"] == "ok 2 on 2 cores; omp, 3 microseconds to start a parallel loop"
    assert "numba" in found["versions"]
    assert "one thread while kernels run" in found["BLAS"]


def test_people_read_a_table_that_ends_with_where_to_look(said, capsys, monkeypatch):
    monkeypatch.setattr(machine, "threads", lambda: machine.Threads("workqueue", 55.0, 2, 2))
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["verdict", "part"]
    assert any(line.startswith("slow") and " threads " in line and "55 microseconds" in line for line in lines)
    assert lines[-1].startswith("look at: ")
    assert "threads" in lines[-1]


@pytest.mark.parametrize(
    ("threads", "words"),
    [
        (machine.Threads("workqueue", 55.0, 2, 2), ("slow", "take turns", "pip install tbb", "libgomp")),
        (machine.Threads("omp", 3.0, 1, 2), ("slow", "1 thread for 2 cores", "NUMBA_NUM_THREADS=2")),
        (machine.Threads("tbb", 900.0, 2, 2), ("slow", "900 microseconds")),
        (machine.Threads("", 0.0, 1, 2), ("slow", "unset NUMBA_DISABLE_JIT")),
        (machine.Threads("tbb", 5.0, 2, 2), ("ok", "tbb")),
    ],
)
def test_threads_are_judged(said, monkeypatch, threads, words):
    monkeypatch.setattr(machine, "threads", lambda: threads)
    assert all(word in said()["threads"] for word in words)


@pytest.mark.parametrize(
    ("processor", "words"),
    [
        (machine.Processor("znver3", ("avx2", "fma"), None, None), ("ok", "znver3", "avx2 fma")),
        (machine.Processor("znver3", ("avx2", "fma"), "generic", None), ("slow", "NUMBA_CPU_NAME=generic", "unset")),
        (machine.Processor("znver4", ("avx512f", "avx2"), None, "-avx512f"), ("slow", "NUMBA_CPU_FEATURES", "unset")),
        (machine.Processor("core2", (), None, None), ("slow", "no AVX2")),
        (machine.Processor("apple-m1", ("neon",), None, None), ("ok", "neon")),
    ],
)
def test_the_processor_is_judged(said, monkeypatch, processor, words):
    monkeypatch.setattr(machine, "processor", lambda: processor)
    assert all(word in said()["processor"] for word in words)


@pytest.mark.parametrize(
    ("load", "policy", "words"),
    [
        (0.2, None, ("ok", "not set")),
        (1.7, None, ("slow", "load 1.7 on 2 cores", "OMP_WAIT_POLICY=passive")),
        (1.7, "PASSIVE", ("ok", "passive")),
        (0.2, "active", ("slow", "OMP_WAIT_POLICY=passive")),
    ],
)
def test_threads_that_spin_on_a_busy_machine_are_pointed_out(said, monkeypatch, load, policy, words):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0), raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    assert all(word in said()["waiting"] for word in words)


def test_two_openmp_pools_and_no_blas_are_pointed_out(said, monkeypatch):
    blas = machine.Pool("blas", "openblas", "0.3", 2, "pthreads", "/lib/libopenblas.so")
    gomp = machine.Pool("openmp", "openmp", None, 2, None, "/lib/libgomp.so")
    iomp = gomp._replace(file="/lib/libiomp5.so")
    for pools, words in (
        ([blas, gomp], ("ok", "openblas 0.3 (2 threads)")),
        ([blas, gomp, iomp], ("slow", "libgomp.so and libiomp5.so", "keep one")),
        ([gomp], ("slow", "no BLAS", "OMP_NUM_THREADS=1")),
    ):
        monkeypatch.setattr(machine, "pools", lambda pools=pools: pools)
        assert all(word in said()["BLAS"] for word in words)


def test_a_cache_that_cannot_be_kept_names_the_way_out(said, monkeypatch):
    for cache, words in (
        (machine.Cache("/home/me", True, 9, 2_000_000), ("ok", "/home/me", "9 compiled", "2.0 MB")),
        (machine.Cache("/home/me", True, 0, 0), ("ok", "npgradcam warmup")),
        (machine.Cache("/home/me", False, 0, 0), ("slow", "/home/me cannot be written", "NUMBA_CACHE_DIR")),
        (machine.Cache(None, False, 0, 0), ("slow", "every run compiles", "NUMBA_CACHE_DIR")),
    ):
        monkeypatch.setattr(machine, "kernel_cache", lambda cache=cache: cache)
        assert all(word in said()["kernel cache"] for word in words)


def test_what_is_not_installed_is_missing_with_the_command(said, monkeypatch):
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in ("onnx", "tqdm") else version(name))
    found = said()
    assert found["extra onnx"] == "missing because it is not installed; pip install 'npgradcam[onnx]'"
    assert found["versions"] == "missing because there is no tqdm; pip install tqdm"


@pytest.mark.parametrize("part", ["processor", "threads", "pools", "kernel_cache", "switches"])
def test_a_broken_part_is_reported_and_the_others_too(said, monkeypatch, part):
    names = {"pools": "BLAS", "kernel_cache": "kernel cache"}
    for error, verdict in ((RuntimeError("it\nburns"), "broken because RuntimeError: it burns"),
                           (ImportError("no numba"), "missing because no numba; install it again")):
        def broken(error=error):
            raise error

        monkeypatch.setattr(machine, part, broken)
        found = said()
        assert found[names.get(part, part)].startswith(verdict)
        assert found["versions"].startswith("ok")
        assert len(found) == 10


def test_the_facts_are_those_of_numba_and_of_this_process():
    import numba

    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    threads = machine.threads(launches=3)
    assert threads.layer == numba.threading_layer()
    assert threads.threads == numba.get_num_threads()
    assert threads.launch > 0
    assert 1 <= threads.cores <= (os.cpu_count() or 1)
    assert machine.processor().name
    assert {pool.api for pool in machine.pools()} >= {"blas"}


def test_slow_settings_of_a_process_are_seen():
    found = shell(NUMBA_THREADING_LAYER="workqueue", NUMBA_BOUNDSCHECK="1", NUMBA_CPU_NAME="generic",
                  NUMBA_CPU_FEATURES="")
    assert found["threads"]["facts"]["layer"] == "workqueue"
    assert "pip install tbb" in found["threads"]["said"]
    assert "NUMBA_BOUNDSCHECK=1" in found["switches"]["said"]
    assert "NUMBA_CPU_NAME=generic" in found["processor"]["said"]
    found = shell(NUMBA_DISABLE_JIT="1")
    assert "NUMBA_DISABLE_JIT=1" in found["switches"]["said"]
    assert found["threads"]["verdict"] == found["kernel cache"]["verdict"] == "slow"
    assert "broken" not in {f["verdict"] for f in found.values()}


def test_a_cache_in_a_folder_that_is_given_is_found_and_measured(tmp_path):
    found = shell(NUMBA_CACHE_DIR=str(tmp_path))["kernel cache"]
    assert found["verdict"] == "ok"
    assert found["facts"]["folder"].startswith(str(tmp_path))
    assert found["facts"]["bytes"] > 0  # the loop that is measured is kept there
