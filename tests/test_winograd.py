"""Winograd's convolution: exact in fractions, right in floats, bitwise the same for any number of threads."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.kernels import winograd

pytestmark = pytest.mark.usefixtures("warm")
BACKENDS = ["numpy", "numba"]
random = np.random.default_rng(4)


def product(rows: tuple, columns: list[list[Fraction]]) -> list[list[Fraction]]:
    return [[sum((a * column[k] for k, a in enumerate(row)), Fraction(0)) for column in columns] for row in rows]


def transposed(rows: list[list[Fraction]]) -> list[list[Fraction]]:
    return [list(column) for column in zip(*rows, strict=True)]


def both_sides(rows: tuple, matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """R matrix R^T."""
    return transposed(product(rows, transposed(transposed(product(rows, transposed(matrix))))))


def fractions(height: int, width: int) -> list[list[Fraction]]:
    return [[Fraction(int(random.integers(-99, 99)), int(random.integers(1, 9))) for _ in range(width)]
            for _ in range(height)]


@pytest.mark.parametrize("points", [*winograd.POINTS.values(), tuple(map(Fraction, (0, 1, -1, 2, -2))),
                                    (Fraction(3, 7), Fraction(-5), Fraction(1, 2), Fraction(9))])
def test_a_tile_is_exactly_the_correlation(points: tuple) -> None:
    A, G, B = winograd.matrices(points)
    m, w = len(points) - 1, fractions(3, 3)
    d = fractions(m + 2, m + 2)
    U, V = both_sides(G, w), both_sides(B, d)
    M = [[u * v for u, v in zip(*rows, strict=True)] for rows in zip(U, V, strict=True)]
    direct = [[sum(w[u][v] * d[i + u][j + v] for u in range(3) for v in range(3)) for j in range(m)] for i in range(m)]
    assert both_sides(A, M) == direct


def test_the_compiled_transforms_are_the_exact_matrices() -> None:
    """Row by row: every coefficient is a float32 exactly, so applied to unit vectors nothing is rounded."""
    compiled = pytest.importorskip("npgradcam.kernels.compiled_winograd")
    for m, into, out in ((2, compiled._input_2, compiled._output_2), (4, compiled._input_4, compiled._output_4)):
        exact = winograd.matrices(winograd.POINTS[m])
        for function, rows in ((into, exact.input), (out, exact.output)):
            columns = [function.py_func(*map(np.float32, unit)) for unit in np.eye(m + 2)]
            assert [tuple(map(Fraction, map(float, row))) for row in zip(*columns, strict=True)] == list(rows)


def direct(x: np.ndarray, weight: np.ndarray, padding: tuple, store: kernels.Store) -> np.ndarray:
    """The convolution in float64."""
    store = store._replace(bias=None if store.bias is None else store.bias.astype(float))
    with kernels.session("numpy"):
        return kernels.correlate2d(x.astype(float), weight.astype(float), (1, 1), padding, (1, 1), 1, store)


def normal(*shape: int) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest error over the output's root mean square."""
    return float(abs(found - expected).max() / np.sqrt(np.mean(expected**2)))


LIMITS = {2: 1e-5, 4: 1e-4}
GEOMETRIES = [  # N, C, O, H, W, padding
    (1, 1, 1, 1, 1, (1, 1, 1, 1)), (1, 3, 5, 7, 7, (1, 1, 1, 1)), (2, 5, 3, 13, 9, (0, 2, 1, 0)),
    (3, 2, 7, 5, 150, (2, 2, 2, 2)), (1, 33, 37, 14, 30, (1, 0, 2, 1)), (2, 7, 9, 33, 20, (3, 0, 0, 4)),
    (1, 1, 2, 3, 3, (0, 0, 0, 0)), (1, 66, 40, 57, 59, (1, 1, 1, 1)), (1, 4, 4, 150, 2, (0, 1, 2, 0)),
    (1, 2, 2, 121, 119, (1, 1, 1, 1)),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_it_is_the_convolution_with_bias_and_clamp(geometry: tuple, m: int, backend: kernels.Backend) -> None:
    N, C, O, H, W, padding = geometry
    x, weight, bias = normal(N, C, H, W), normal(O, C, 3, 3), normal(O)
    before = x.copy()
    with kernels.session(backend):
        for store in (kernels.Store(), kernels.Store(bias), kernels.Store(bias, 0.0), kernels.Store(bias, 0.0, 6.0)):
            found = winograd.correlate(x, winograd.transform(weight, m), padding, store)
            assert found.dtype == np.float32
            expected = direct(x, weight, padding, store)
            assert abs(found - expected).max() < LIMITS[m] * 3 * np.sqrt(C)  # a sum of 9 C products
    assert (x == before).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_the_adjoint_pays_back_what_the_convolution_looked_at(geometry: tuple, m: int,
                                                              backend: kernels.Backend) -> None:
    N, C, O, H, W, padding = geometry
    x, weight = normal(N, C, H, W), normal(O, C, 3, 3)
    U, turned = winograd.transform(weight, m), winograd.transform(winograd.adjoint_weight(weight), m)
    with kernels.session(backend):
        y = winograd.correlate(x, U, padding)
        signal = normal(*y.shape)
        back = winograd.correlate_adjoint(signal, turned, padding, x.shape)
    with kernels.session("numpy"):
        exact = kernels.correlate2d_adjoint(
            signal.astype(float), weight.astype(float), (1, 1), padding, (1, 1), 1, x.shape)
    assert back.shape == x.shape
    assert abs(back - exact).max() < LIMITS[m] * 3 * np.sqrt(O)
    one, other = np.vdot(y.astype(float), signal), np.vdot(x.astype(float), back)
    scale = np.linalg.norm(y) * np.linalg.norm(signal) / np.sqrt(y.size)
    assert abs(one - other) < 10 * LIMITS[m] * scale


@given(st.tuples(*[st.integers(1, 9)] * 2, *[st.integers(1, 40)] * 2, *[st.integers(0, 2)] * 4),
       st.sampled_from([2, 4]), st.integers(0, 99))
def test_any_geometry(sizes: tuple, m: int, seed: int) -> None:
    C, O, H, W, *padding = sizes
    if H + padding[0] + padding[2] < 3 or W + padding[1] + padding[3] < 3:
        return
    draw = np.random.default_rng(seed)
    x, weight = (draw.standard_normal(shape, np.float32) for shape in ((1, C, H, W), (O, C, 3, 3)))
    found = winograd.correlate(x, winograd.transform(weight, m), tuple(padding))
    expected = direct(x, weight, tuple(padding), kernels.Store())
    # every cell against what it sums: |w| correlated with |x|
    assert (abs(found - expected) <= 1e-4 * abs(x).max() * abs(weight).sum(axis=(1, 2, 3))[:, None, None]).all()


@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("shape", [(1, 24, 24, 13, 22), (1, 16, 16, 130, 130), (9, 300, 200, 8, 8)], ids=str)
def test_the_same_bits_for_any_number_of_threads(shape: tuple, m: int) -> None:
    numba = pytest.importorskip("numba")
    N, C, O, H, W = shape
    x, U = normal(N, C, H, W), winograd.transform(normal(O, C, 3, 3), m)
    most, found = numba.get_num_threads(), []
    for threads in range(1, most + 1):
        numba.set_num_threads(threads)
        try:
            found.append(winograd.correlate(x, U, (1, 1, 1, 1)))
        finally:
            numba.set_num_threads(most)
    assert all((y == found[0]).all() for y in found)


@pytest.mark.parametrize("m", [2, 4])
def test_every_way_to_cut_the_work_gives_the_same_numbers(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = pytest.importorskip("npgradcam.kernels.winograd_blocks")
    x, weight = normal(3, 18, 30, 50), normal(20, 18, 3, 3)
    expected = direct(x, weight, (1, 1, 1, 1), kernels.Store())
    for own, shared in itertools.product((0, 10**5, 10**9), (1, 10**5, 10**9)):
        monkeypatch.setattr(blocks, "OWN", own)
        monkeypatch.setattr(blocks, "SHARED", shared)
        assert error(winograd.correlate(x, winograd.transform(weight, m), (1, 1, 1, 1)), expected) < LIMITS[m]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_within_its_tiles_and_is_not_hidden(bad: float, backend: kernels.Backend) -> None:
    x, weight = normal(1, 2, 24, 24), normal(3, 2, 3, 3)
    clean = direct(x, weight, (1, 1, 1, 1), kernels.Store(None, 0.0))
    x[0, 1, 9, 14] = bad
    with kernels.session(backend), np.errstate(invalid="ignore"):
        y = winograd.correlate(x, winograd.transform(weight, 4), (1, 1, 1, 1), kernels.Store(None, 0.0))
    looks = np.zeros((24, 24), bool)
    looks[8:12, 12:16] = True  # tiles begin at multiples of 4 and look at 6 x 6 cells from one before
    assert not np.isfinite(y[0, :, 8:11, 13:16]).any()  # what the 3 x 3 kernel looks at
    assert abs(y - clean)[..., ~looks].max() < 1e-4


def test_a_smaller_rounding_error_than_with_the_usual_points() -> None:
    x, weight, found = normal(1, 64, 32, 32), normal(64, 64, 3, 3), []
    expected = direct(x, weight, (1, 1, 1, 1), kernels.Store())
    with kernels.session("numpy"), pytest.MonkeyPatch.context() as patch:
        for points in (winograd.POINTS[4], tuple(map(Fraction, (0, 1, -1, 2, -2)))):
            patch.setitem(winograd.POINTS, 4, points)
            y = winograd.correlate(x, winograd.transform(weight, 4), (1, 1, 1, 1))
            found.append(np.sqrt(np.mean((y - expected) ** 2)))
    assert 1.25 * found[0] < found[1]


def test_what_does_not_fit_is_refused() -> None:
    x, U = normal(1, 3, 8, 8), winograd.transform(normal(4, 3, 3, 3), 4)
    for wrong in (lambda: winograd.correlate(x[:, :2], U, (0, 0, 0, 0)),
                  lambda: winograd.transform(normal(4, 3, 2, 3), 2),
                  lambda: winograd.correlate(x.astype(float), U, (0, 0, 0, 0)),
                  lambda: winograd.correlate(x[:, :, :2], U, (0, 0, 0, 0)),
                  lambda: winograd.correlate(x, U, (0, 0, 0, 0), kernels.Store(normal(3))),
                  lambda: winograd.correlate_adjoint(normal(1, 4, 6, 7), U, (0, 0, 0, 0), x.shape)):
        with pytest.raises(ShapeError):
            wrong()
