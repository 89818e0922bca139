"""The compiled kernels against their NumPy definition, whatever the threads, the processes and the compiler do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from invariants import examples
from small_nets import lite0, needs_imagenet

import npgradcam
from npgradcam import kernels
from npgradcam.errors import MissingPackageError, NpGradcamError, ShapeError
from npgradcam.kernels.session import choose
from npgradcam.layers import Conv2d, MaxPool2d
from npgradcam.testing.strategies import layers as cases

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("warm")
ON_KERNELS = ("AvgPool2d", "Conv2d", "ConvTranspose2d", "Linear", "MaxPool2d")

# A network with every kernel in it, at odd geometries; the same numbers are asked of processes set up in other ways.
NETWORK = """
import numpy as np
from npgradcam.layers import *
from npgradcam.network import Network, Node

random = np.random.default_rng(7)
def array(*shape): return random.standard_normal(shape)
def conv(o, c, u, v, groups=1, **settings):
    return Conv2d(array(o, c // groups, u, v), array(o), groups=groups, **settings)
nodes = [
    Node("dense", conv(6, 3, 3, 2, stride=(2, 1), padding="same"), ("input",)),
    Node("relu", ReLU6(), ("dense",)),
    Node("deep", conv(6, 6, 3, 3, groups=6, padding=(2, 1, 0, 1), dilation=(1, 2)), ("relu",)),
    Node("split", conv(4, 6, 1, 2, groups=2, stride=(1, 2), padding=(0, 3, 0, 0)), ("relu",)),
    Node("max", MaxPool2d((3, 2), (1, 2), (1, 1, 1, 0), True), ("deep",)),
    Node("avg", AvgPool2d((2, 3), (2, 1), (1, 0, 0, 1), True, False), ("max",)),
    Node("skip", conv(4, 4, 2, 2, stride=(2, 1), padding=(0, 0, 1, 1)), ("split",)),
    Node("pool", GlobalAvgPool2d(), ("avg",)), Node("pool2", GlobalAvgPool2d(), ("skip",)),
    Node("both", Concat(), ("pool", "pool2")), Node("flat", Flatten(), ("both",)),
    Node("scores", Linear(array(5, 10), array(5)), ("flat",)),
]
images = array(2, 3, 9, 12)

def numbers(backend="auto", dtype="float64"):
    network = Network(tuple(nodes), dtype=dtype, backend=backend)
    tape = network.forward(images.astype(dtype), observe=("input", "relu"))
    seed = np.eye(5, dtype=dtype)[[1, 4, 0, 1]]
    found = {"scores": tape.logits}
    for rule in ("gradient", "guided", "deconvnet"):
        found |= {rule + name: signal for name, signal in network.backward(
            tape, seed, ("input", "relu"), rule, image=np.array([0, 1, 1, 0])).items()}
    return found
"""
HERE: dict = {}
exec(NETWORK, HERE)  # noqa: S102


def in_a_fresh_process(tmp_path: Path, before: str = "", call: str = "numbers()", **environment: str) -> dict:
    """Run the network in a new interpreter and return its numbers."""
    end = f"\nimport sys; np.savez(sys.argv[1], **{call})\n"
    root = Path(npgradcam.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", before + NETWORK + end, str(tmp_path / "numbers.npz")], cwd=root,
                          env=os.environ | environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "numbers.npz") as arrays:
        return dict(arrays)


def same(one: dict, other: dict, tolerance: float) -> bool:
    """Whether all arrays agree relative to their largest magnitudes."""
    assert one.keys() == other.keys()
    return all(np.abs(one[k] - other[k]).max() <= tolerance * np.abs(one[k]).max() for k in one)


# ------------------------------------------------------------------------------------------- twins


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
@pytest.mark.parametrize("name", ON_KERNELS)
@examples(300)
@given(data=st.data())
def test_compiled_kernels_equal_their_definition(name: str, dtype: str, tolerance: float, data) -> None:  # type: ignore
    case = data.draw(cases("real")[name]).astype(dtype)
    found = {}
    for backend in ("numpy", "numba"):
        with kernels.session(backend):
            y, cache = case.layer.forward(*case.xs)
            signal = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
            found[backend] = (y, *case.layer.backward(signal, cache))
    for slow, fast in zip(found["numpy"], found["numba"], strict=True):
        assert np.abs(fast - slow).max() <= tolerance * max(1, np.abs(slow).max())


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
@examples(300)
@given(images=st.one_of(st.integers(1, 9), st.integers(30, 40)), ins=st.integers(1, 70), outs=st.integers(1, 40),
       one_class_a_row=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_a_compiled_linear_layer_is_its_definition(dtype: str, tolerance: float, images: int, ins: int, outs: int,
                                                   one_class_a_row: bool, seed: int) -> None:
    """Few images and many, few channels and many, signals of one class and of all: each goes its own way."""
    random = np.random.default_rng(seed)
    weight, x = (random.standard_normal(shape).astype(dtype) for shape in ((outs, ins), (images, ins)))
    signal = random.standard_normal((images, outs)).astype(dtype)
    if one_class_a_row:
        signal *= np.eye(outs, dtype=dtype)[random.integers(0, outs, images)]
    found = []
    for backend in ("numpy", "numba"):
        with kernels.session(backend):
            found.append((kernels.linear(x, weight), kernels.linear_adjoint(signal, weight)))
    for slow, fast in zip(*found, strict=True):
        assert fast.dtype == dtype
        assert np.abs(fast - slow).max() <= tolerance * max(1, np.abs(slow).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@examples(300)
@given(rows=st.integers(1, 3), images=st.booleans(), cells=st.integers(0, 40), seed=st.integers(0, 2**32 - 1),
       high=st.sampled_from([6.0, np.inf]), flags=st.sampled_from([(True, False), (True, True), (False, True)]))
def test_a_compiled_gate_is_its_definition(dtype: str, rows: int, images: bool, cells: int, seed: int, high: float,
                                           flags: tuple[bool, bool]) -> None:
    random = np.random.default_rng(seed)
    signal = random.standard_normal((rows, cells, 2)).astype(dtype)
    y = np.clip(random.integers(-3, 10, (rows if images else 1, cells, 2)), 0, high).astype(dtype)
    found = []
    for backend in ("numpy", "numba"):
        with kernels.session(backend):
            found.append(kernels.gate(signal, y, 0.0, high, *flags))
    np.testing.assert_array_equal(*found, strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@examples(300)
@given(cells=st.integers(16385, 40000), seed=st.integers(0, 2**32 - 1))
def test_a_compiled_sum_is_its_definition(dtype: str, cells: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).standard_normal((2, cells)).astype(dtype)
    with kernels.session("numba"):
        np.testing.assert_array_equal(kernels.add(a, b), a + b, strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_kernels_equal_their_definition_where_work_is_cut_into_blocks(dtype: str) -> None:
    """Pictures and channels large enough for several blocks, the last of them not full."""
    random = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return random.integers(-8, 9, shape).astype(dtype)  # exact, so one cell too many or too few is seen

    for outs, ins, groups, h, w, settings in (
        (130, 7, 1, 9, 11, {}), (70, 40, 1, 5, 6, {"padding": (1, 1, 1, 1)}), (3, 5, 1, 37, 53, {"stride": (2, 1)}),
        (9, 30, 1, 3, 700, {}), (40, 40, 40, 19, 23, {"padding": "same"}), (33, 22, 11, 8, 9, {"dilation": (2, 1)}),
    ):
        layer = Conv2d(array(outs, ins // groups, 3, 2), array(outs), groups=groups, **settings)
        x, found = array(2, ins, h, w), {}
        for backend in ("numpy", "numba"):
            with kernels.session(backend):
                y, cache = layer.forward(x)
                found[backend] = y, layer.backward(y % 17 - 8, cache)[0]
        for slow, fast in zip(found["numpy"], found["numba"], strict=True):
            np.testing.assert_array_equal(slow, fast, strict=True)


@pytest.mark.parametrize("name", ON_KERNELS)
@given(data=st.data())
def test_the_python_inside_the_compiled_kernels_is_right(name: str, data) -> None:  # type: ignore[no-untyped-def]
    """The same loops run by Python, which checks every index: none lies outside its array."""
    compiled = choose("numba")
    case = data.draw(cases("whole")[name])
    y, cache = case.layer.forward(*case.xs)
    down = case.layer.backward(y, cache)
    with pytest.MonkeyPatch.context() as patch, kernels.session("numba"):
        for attribute, value in list(vars(compiled).items()):
            if hasattr(value, "py_func"):
                patch.setattr(compiled, attribute, value.py_func)
        again, cache = case.layer.forward(*case.xs)
        np.testing.assert_array_equal(y, again)
        np.testing.assert_array_equal(down, case.layer.backward(y, cache))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_network_gives_the_same_answer_with_either_backend(dtype: str) -> None:
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    assert same(HERE["numbers"]("numpy", dtype), HERE["numbers"]("numba", dtype), tolerance)


def test_the_answer_is_the_same_when_numba_may_not_compile(tmp_path: Path) -> None:
    found = in_a_fresh_process(tmp_path, NUMBA_DISABLE_JIT="1")
    assert same(HERE["numbers"]("numpy"), found, 0)  # "auto" then takes the definition
    assert same(HERE["numbers"]("numba"), found, 1e-13)


def test_the_loops_give_the_same_answer_uncompiled(tmp_path: Path) -> None:
    found = in_a_fresh_process(tmp_path, call="numbers('numba')", NUMBA_DISABLE_JIT="1")
    assert same(HERE["numbers"]("numba"), found, 1e-13)


def test_the_answer_is_the_same_where_numba_is_not_installed(tmp_path: Path) -> None:
    found = in_a_fresh_process(tmp_path, before="import sys; sys.modules['numba'] = None\n")
    assert same(HERE["numbers"]("numpy"), found, 0)
    assert same(HERE["numbers"]("numba"), found, 1e-13)


def test_numba_asked_for_and_absent_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    refused = (
        "import sys; sys.modules['numba'] = None\nfrom npgradcam import kernels\n"
        "try:\n    kernels.session('numba').__enter__()\nexcept Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    root = Path(npgradcam.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", refused], cwd=root, capture_output=True, text=True, check=True)
    assert MissingPackageError.__name__ in done.stdout
    assert "backend='numpy'" in done.stdout
    with pytest.raises(NpGradcamError, match="expected 'auto', 'numba' or 'numpy', got 'cuda'"):
        choose("cuda")  # type: ignore[arg-type]


# Numba checks no index in parallel code, whatever NUMBA_BOUNDSCHECK says: compile the same loops for one thread.
CHECKED = """
import numba
compile = numba.njit
numba.njit = lambda parallel, cache=False, **settings: compile(boundscheck=True, **settings)
import numpy as np
from npgradcam.kernels import compiled
try:
    compiled.max_pool2d_adjoint(np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 99, np.int32), (2, 2))
except IndexError:
    pass
else:
    raise SystemExit("an index beyond the array was not noticed")
"""


@pytest.mark.slow
def test_no_index_leaves_its_array_in_compiled_code(tmp_path: Path) -> None:
    own = str(tmp_path / "kernels")  # elsewhere the same loops are kept without checks
    found = in_a_fresh_process(tmp_path, before=CHECKED, call="numbers('numba')", NUMBA_CACHE_DIR=own)
    assert same(HERE["numbers"]("numba"), found, 1e-13)


# ------------------------------------------------------------------------------------------- threads


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_thread_and_two_give_bitwise_the_same(dtype: str) -> None:
    random, found = np.random.default_rng(3), {}
    x = random.standard_normal((1, 32, 29, 31)).astype(dtype)
    for groups, outs in ((1, 48), (32, 32), (4, 16)):
        weight = random.standard_normal((outs, 32 // groups, 3, 3)).astype(dtype)
        layer = Conv2d(weight, weight[:, 0, 0, 0], padding="same", groups=groups)
        for threads in (1, 2):
            numba.set_num_threads(threads)
            with kernels.session("numba"):
                y, cache = layer.forward(x)
                pooled, winners = MaxPool2d((3, 3), (2, 2)).forward(y)
                (down,) = MaxPool2d((3, 3), (2, 2)).backward(pooled, winners)
                found[threads] = y, pooled, down, layer.backward(down, cache)[0]
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
        assert all(np.array_equal(one, two) for one, two in zip(found[1], found[2], strict=True))


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_eight_python_threads_share_one_network(backend: str) -> None:
    expected = HERE["numbers"](backend, "float32")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: HERE["numbers"](backend, "float32"), range(24)))
    assert all(np.array_equal(one[key], expected[key]) for one in found for key in expected)


def blas_threads() -> list[int]:
    from threadpoolctl import threadpool_info

    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_runs_at_one_thread_inside_and_gets_its_setting_back() -> None:
    import scipy.linalg  # noqa: F401  (its BLAS must be loaded before the setting is noted)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2, "blas"):
        before = blas_threads()
        assert max(before) == 2 or os.cpu_count() == 1
        with kernels.session():
            assert set(blas_threads()) == {1}
            with kernels.session("numpy"):
                HERE["numbers"]()
                assert set(blas_threads()) == {1}
            assert set(blas_threads()) == {1}
        assert blas_threads() == before
        with pytest.raises(ShapeError), kernels.session():
            raise ShapeError("on the way out")
        assert blas_threads() == before


def test_scipys_blas_is_loaded_when_a_kernel_needs_it_and_limited_from_then_on() -> None:
    """SciPy's BLAS comes while sessions overlap: one thread until the last of them leaves, and then as it was."""
    lines = """
import sys, numpy as np, threadpoolctl
from npgradcam import kernels
from npgradcam.kernels.blas import load_blas
def threads():
    return {p["filepath"]: p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"}
with kernels.session("numpy"):
    x = np.ones((1, 2, 5, 5), np.float32)
    kernels.correlate2d(x, x[:, :, :3, :3], (1, 1), (0, 0, 0, 0), (1, 1), 1)
    assert "scipy.linalg" not in sys.modules, "NumPy's kernels have no use for it"
    with kernels.session("numpy"):
        few = threads()
        load_blas()
        assert len(threads()) > len(few)
        assert set(threads().values()) == {1}
    assert set(threads().values()) == {1}
import os
most = min(2, os.cpu_count())
assert set(threads().values()) == {most}, threads()
with kernels.session("numpy"):
    assert set(threads().values()) == {1}
assert set(threads().values()) == {most}
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False, env=environment)
    if "len(threads()) > len(few)" in done.stderr:
        pytest.skip("NumPy and SciPy share one BLAS here")
    assert done.returncode == 0, done.stderr


def test_blas_gets_its_setting_back_when_the_last_of_two_overlapping_threads_leaves() -> None:
    from threadpoolctl import threadpool_limits

    with kernels.session():
        pass
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with kernels.session("numpy"):
            entered.set()
            leave.wait(30)

    with threadpool_limits(2, "blas"):
        before = blas_threads()
        thread = threading.Thread(target=other)
        with kernels.session("numpy"):
            thread.start()
            entered.wait(30)
        assert set(blas_threads()) == {1}  # first in has left, but the other is still at work
        leave.set()
        thread.join()
        assert blas_threads() == before


def test_a_session_in_another_thread_is_limited_under_the_callers_own_limit() -> None:
    from threadpoolctl import threadpool_limits

    def inside() -> list[int]:
        with kernels.session("numpy"):
            return blas_threads()

    with threadpool_limits(2, "blas"), ThreadPoolExecutor(1) as pool:
        before = blas_threads()
        assert set(pool.submit(inside).result()) == {1}
        assert blas_threads() == before


def test_the_backend_of_one_thread_is_not_that_of_another() -> None:
    from npgradcam.kernels.session import backend

    with kernels.session("numpy"), ThreadPoolExecutor(1) as pool:
        assert backend() is choose("numpy")
        assert pool.submit(backend).result() is choose("auto")


# ------------------------------------------------------------------------------------------- what is refused


def conv(x, weight, groups=1):  # type: ignore[no-untyped-def]
    return kernels.correlate2d(x, weight, (1, 1), (0, 0, 0, 0), (1, 1), groups)


def adjoint(signal, weight, shape, groups=1):  # type: ignore[no-untyped-def]
    return kernels.correlate2d_adjoint(signal, weight, (1, 1), (0, 0, 0, 0), (1, 1), groups, shape)


@pytest.mark.parametrize("call", [
    lambda one: conv(one(1, 1, 3, 3), one(1, 3, 2, 2)),
    lambda one: conv(one(1, 3, 3, 3), one(1, 1, 2, 2)),
    lambda one: conv(one(1, 3, 3, 3), one(2, 1, 2, 2), 2),
    lambda one: conv(one(1, 2, 3, 3), one(3, 1, 2, 2), 2),
    lambda one: conv(one(1, 1, 3, 3), one(1, 1, 4, 2)),
    lambda one: conv(one(1, 1, 3, 3), one(1, 1, 2, 2).astype("float32")),
    lambda one: conv(one(1, 1, 3, 3).astype(int), one(1, 1, 2, 2).astype(int)),
    lambda one: conv(one(1, 3, 3), one(1, 1, 2, 2)),
    lambda one: adjoint(one(1, 1, 2, 2), one(1, 1, 3, 3), (1, 1, 3, 3)),
    lambda one: adjoint(one(1, 2, 2, 2), one(1, 1, 2, 2), (1, 1, 3, 3)),
    lambda one: adjoint(one(1, 1, 2, 2), one(1, 1, 2, 2).astype("float32"), (1, 1, 3, 3)),
    lambda one: kernels.max_pool2d(one(1, 1, 3, 3).astype(int), (2, 2), (1, 1), (0,) * 4, (1, 1), (2, 2)),
])
def test_arrays_that_do_not_fit_are_refused_before_any_loop_runs(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError):
        call(lambda *shape: np.ones(shape))


def test_winners_of_another_batch_or_layer_are_refused() -> None:
    pool, x = MaxPool2d((2, 2), (2, 2)), np.random.default_rng(0).standard_normal((2, 1, 4, 4))
    _, (winner, shape) = pool.forward(x)
    for rows, index in ((3, winner), (2, winner + 99), (2, winner - 99), (2, winner[:, :, :1])):
        with pytest.raises(ShapeError):
            pool.backward(np.ones((rows, 1, 2, 2)), (index, shape))


@needs_imagenet
def test_an_explanation_of_a_photograph_is_bitwise_the_same_for_one_and_two_threads() -> None:
    net, most = lite0("float32"), numba.get_num_threads()
    if most < 2:
        pytest.skip("one core: there is nothing to compare")
    x = net.preprocess(npgradcam.images.sample("chelsea"))
    found = []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            g = npgradcam.guided_grad_cam(net, x)
            found.append((g.logits, g.grad_cam.alpha, g.grad_cam.cam, g.backprop.signal, g.signal))
    finally:
        numba.set_num_threads(most)
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("stride", "padding", "dilation"), [
    ((0, 1), (0, 0, 0, 0), (1, 1)), ((1, -1), (0, 0, 0, 0), (1, 1)), ((1, 1), (-1, 0, 0, 0), (1, 1)),
    ((1, 1), (0, 0, 0, 0), (0, 1)),
])
def test_a_window_that_stands_still_or_begins_inside_is_refused(stride, padding, dilation):
    x, weight = np.ones((1, 2, 5, 6), np.float32), np.ones((3, 2, 2, 2), np.float32)
    with pytest.raises(ShapeError, match="expected stride and dilation >= 1 and padding >= 0, got"):
        kernels.correlate2d(x, weight, stride, padding, dilation, 1)
    with pytest.raises(ShapeError, match="expected stride and dilation >= 1 and padding >= 0, got"):
        kernels.correlate2d_adjoint(np.ones((1, 3, 4, 5), np.float32), weight, stride, padding, dilation, 1, x.shape)
