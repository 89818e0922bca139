"""Many threads at once, any number of cores, forked and spawned processes: the same bits, or one clear sentence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("warm")
HERE = Path(__file__).parent
LAYERS = ("omp", "workqueue", "tbb")

# Every method on networks of both precisions, compiled as loops and as a plan of vector code; a digest of all numbers.
EXPLAIN = """
import hashlib, os, sys
import numpy as np
import npgradcam as ng
from reference_weights import reference_arrays
from small_nets import gap_net, pictures, reference_net

shapes, large, images = ng.load("shapes"), pictures(2, 33, 41), reference_arrays()["images"]
CASES = [
    (shapes, shapes.preprocess([ng.images.sample("two_shapes")] * 2)),
    (gap_net(), large), (gap_net(dtype="float32", channels=40), large.astype("float32")),
    (reference_net(), images), (reference_net("float32"), images.astype("float32")),
]

def explain(number=0):
    net, x = CASES[number % len(CASES)]
    seen = hashlib.sha256()
    for e in (ng.grad_cam(net, x, [[0, 1], [2]]), ng.cam(net, x, 1), ng.guided_grad_cam(net, x, [1, 2])):
        for value in vars(e).values():
            if isinstance(value, np.ndarray):
                seen.update(value.tobytes())
    return seen.hexdigest()

def every(_=0):
    return [explain(number) for number in range(len(CASES))]
"""

THREADS = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:  # nothing has run yet: the first calls meet while the pool of threads starts
    found = list(pool.map(explain, range(8 * EACH)))
alone = every()
assert len(set(alone)) == len(CASES)
assert all(got == alone[n % len(CASES)] for n, got in enumerate(found)), "threads change the numbers"
import numba
print(numba.threading_layer(), numba.config.NUMBA_NUM_THREADS, *alone)
"""


@cache
def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process, with the tests' own folder on its path."""
    path = os.pathsep.join(filter(None, [str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH")]))
    done = subprocess.run([sys.executable, "-c", EXPLAIN + code], text=True, capture_output=True, timeout=300,
                          env={**os.environ, "PYTHONPATH": path, "NUMBA_BOUNDSCHECK": "0", **variables}, check=False)
    if re.search(r"NUMBA_THREADING_LAYER='\w+' in the environment: \w+ cannot be loaded here", done.stderr):
        pytest.skip(f"{variables['NUMBA_THREADING_LAYER']} is not installed")
    return done


def words(code: str, **variables: str) -> list[str]:
    done = python(code, **variables)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


# ------------------------------------------------------------------------------------------- threads


@pytest.mark.parametrize("layer", LAYERS)
def test_eight_threads_at_once_get_the_bits_of_one_on_every_layer(layer: str) -> None:
    said = words(THREADS.replace("EACH", "50"), NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="4")
    assert said[:2] == [layer, "4"]


@pytest.mark.parametrize("threads", ["1", "2", "4", "8"])
def test_any_number_of_cores_gives_the_same_bits(threads: str) -> None:
    said = words(THREADS.replace("EACH", "2"), NUMBA_NUM_THREADS=threads)
    assert said[2:] == words("print(*every())", NUMBA_NUM_THREADS="3")
    assert said[1] == threads


DRAWN = """
from invariants import made, numbers, picture, pooled
import numba
print(numba.config.NUMBA_NUM_THREADS)
for number in range(50):
    random = np.random.default_rng(number)
    layers, seen = pooled(random), hashlib.sha256()
    for mode in (("float32", "plan"), ("float32", "numba"), ("float64", "numba")):
        found = numbers(made(layers, mode), picture(random, mode[0], 3, 33, 41), [0, 1, 2])
        seen.update(b"".join(array.tobytes() for array in found.values()))
    print(seen.hexdigest())
"""


@pytest.mark.parametrize("threads", ["1", "2", "4", "8"])
def test_any_number_of_cores_gives_the_same_bits_on_fifty_drawn_networks(threads: str) -> None:
    said, (three, *right) = (words(DRAWN, NUMBA_NUM_THREADS=number) for number in (threads, "3"))
    assert said == [threads, *right]
    assert (three, len(set(right))) == ("3", 50)


# ------------------------------------------------------------------------------------------- processes

FORK = """
from multiprocessing import get_context
def child(write):
    try:
        os.write(write, " ".join(every()).encode())
    except ng.NpGradcamError as error:
        os.write(write, f"refused: {error}".encode())
    except BaseException as error:
        os.write(write, f"broken: {error!r}".encode())

def fork():
    read, write = os.pipe()
    if not (process := os.fork()):
        child(write)
        os._exit(0)
    os.close(write)
    with open(read) as file:
        said = file.read()
    return said, os.waitpid(process, 0)[1]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("layer", LAYERS)
def test_a_child_that_is_forked_after_kernels_ran_is_right_or_refused(layer: str) -> None:
    """OpenMP ends such a child by a signal, if it is not refused; the other two start new threads in it."""
    said = words(FORK + "right = ' '.join(every())\nsaid, status = fork()\nassert status == 0, status\n"
                 "print('right' if said == right else said)\nassert every() == right.split()",
                 NUMBA_THREADING_LAYER=layer)
    if layer == "omp":
        assert said[:4] == ["refused:", "this", "process", "was"]
        assert "multiprocessing.get_context('spawn')," in said
    else:
        assert said == ["right"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_openmp_may_still_take_numpy_and_so_may_its_own_child() -> None:
    words(FORK + """
every()
plain = ng.Network(gap_net().nodes, dtype="float64", backend="numpy")
right = plain(large).tobytes().hex()
every = lambda: [plain(large).tobytes().hex()]
for _ in range(2):
    said, status = fork()
    assert (said, status) == (right, 0)
    if process := os.fork():
        assert os.waitpid(process, 0)[1] == 0
        break
""", NUMBA_THREADING_LAYER="omp")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_before_anything_ran_is_right() -> None:
    words(FORK + "said, status = fork()\nassert (said.split(), status) == (every(), 0)")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_a_child_that_is_forked_while_another_thread_explains_does_not_hang(layer: str) -> None:
    """What that thread held stays locked for ever in the child."""
    said = words(FORK + """
import threading
from npgradcam import kernels
from npgradcam.kernels import rooms
locked = sys.modules["npgradcam.kernels.blas"]
entered, leave = threading.Event(), threading.Event()
def hold():
    with kernels.session("numba"), locked._lock, rooms._lock:
        entered.set()
        leave.wait(60)
thread = threading.Thread(target=hold)
thread.start()
assert entered.wait(60)
said, status = fork()
leave.set()
thread.join()
assert status == 0
every()
print(said)
""", NUMBA_THREADING_LAYER=layer)
    assert " ".join(said).startswith("refused: this process was forked while an explanation was being computed")


def test_spawned_workers_get_the_same_bits(tmp_path: Path) -> None:
    (tmp_path / "explained.py").write_text(EXPLAIN)
    file = tmp_path / "main.py"
    file.write_text(f"""
import multiprocessing
import sys
sys.path[:0] = [{str(HERE.parent)!r}, {str(HERE)!r}]
from explained import every
if __name__ == "__main__":
    right = every()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert all(found == right for found in pool.map(every, range(2)))
""")
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
