"""Winograd's convolution: exact in fractions, right in floats, bitwise the same for any number of threads."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from blocks import backward, forward
from hypothesis import given
from hypothesis import strategies as st

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.kernels import winograd
from npgradcam.kernels.geometry import ADD, GATE, POSITIVE
from npgradcam.kernels.taps import Window

pytest.importorskip("numba")
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


@pytest.mark.parametrize("m", [2, 4])
def test_the_emitted_transforms_are_the_exact_matrices(m: int) -> None:
    """Cell by cell: every factor is a float32 exactly, so of a tile with a single 1 nothing is rounded."""
    from numba import njit

    from npgradcam.kernels.vector_tiles import store_tile, transform_tile

    n, exact = m + 2, winograd.matrices(winograd.POINTS[m])

    @njit
    def into(x, v):  # type: ignore[no-untyped-def]
        transform_tile(m, x, 0, n * 16, v, 0, 16)

    @njit
    def out(v, y, zeros):  # type: ignore[no-untyped-def]
        store_tile(m, v, 0, 16, zeros, 0, y, 0, m * 16, y, 0, 0, y, 0, 0, m, m, -np.inf, np.inf, 0)

    zeros = np.zeros(16, np.float32)
    for i, j in itertools.product(range(n), range(n)):
        one = np.zeros((n, n, 16), np.float32)
        one[i, j] = 1
        found, back = np.empty(n * n * 16, np.float32), np.empty(m * m * 16, np.float32)
        into(one.ravel(), found)
        out(one.ravel(), back, zeros)
        for made, rows in ((found, exact.input), (back, exact.output)):
            expected = [[row[i] * column[j] for column in rows] for row in rows]
            held = made.reshape(len(rows), len(rows), 16)
            assert (held == held[..., :1]).all()
            assert [[Fraction(float(value)) for value in row] for row in held[..., 0]] == expected


def direct(x: np.ndarray, weight: np.ndarray, padding: tuple) -> np.ndarray:
    """The convolution in float64."""
    with kernels.session("numpy"):
        return kernels.correlate2d(x.astype(float), weight.astype(float), (1, 1), padding, (1, 1), 1)


def adjoint(signal: np.ndarray, weight: np.ndarray, padding: tuple, shape: tuple) -> np.ndarray:
    with kernels.session("numpy"):
        exact = signal.astype(float), weight.astype(float)
        return kernels.correlate2d_adjoint(*exact, (1, 1), padding, (1, 1), 1, shape)


def normal(*shape: int) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


def window(padding: tuple) -> Window:
    return Window((3, 3), (1, 1), padding[:2])


LIMITS = {2: 1e-5, 4: 1e-4}


@st.composite
def geometries(draw: st.DrawFn) -> tuple[int, ...]:
    N, C, O = draw(st.integers(1, 2)), draw(st.sampled_from([16, 20, 40])), draw(st.sampled_from([16, 33]))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(4))
    H, W = (draw(st.integers(max(1, 3 - a - b), 23)) for a, b in (padding[::2], padding[1::2]))
    return (N, C, O, H, W, *padding)


@given(geometries(), st.sampled_from([2, 4]), st.booleans())
def test_it_is_the_convolution_and_its_adjoint(geometry: tuple, m: int, adds: bool) -> None:
    N, C, O, H, W, *padding = geometry
    x, weight, bias = normal(N, C, H, W), normal(O, C, 3, 3), normal(O)
    expected = direct(x, weight, tuple(padding))
    other = normal(*expected.shape) if adds else None
    after = tuple(padding[2:])
    found = forward(x, weight, window(tuple(padding)), after, bias, 0.0, 6.0, other, m, around=(0, 1, 2, 0))
    total = expected + bias[:, None, None] + (0 if other is None else other)
    assert abs(found - np.clip(total, 0, 6)).max() < LIMITS[m] * 3 * np.sqrt(C)

    signal, kept, plus = normal(*expected.shape), normal(*x.shape), normal(*x.shape)
    back = adjoint(signal, weight, tuple(padding), x.shape)
    found = backward(signal, weight, window(tuple(padding)), x.shape, m)
    assert abs(found - back).max() < LIMITS[m] * 3 * np.sqrt(O)
    gated = backward(signal, weight, window(tuple(padding)), x.shape, m, kept, 0.0, 1.0, GATE | POSITIVE | ADD, plus)
    passed = np.maximum(back + plus, 0) * ((kept > 0) & (kept < 1))
    assert abs(gated - passed).max() < LIMITS[m] * 3 * np.sqrt(O)


@pytest.mark.parametrize("m", [2, 4])
def test_the_definition_is_the_convolution_too(m: int) -> None:
    x, weight, bias = normal(2, 5, 13, 9), normal(3, 5, 3, 3), normal(3)
    store = kernels.Store(bias, 0.0, 6.0)
    found = winograd.plain(x, winograd.transform(weight, m), store, (0, 2), (12, 9))
    assert abs(found - store.applied(direct(x, weight, (0, 2, 1, 0)))).max() < LIMITS[m] * 7


@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("shape", [(1, 24, 24, 13, 22), (1, 16, 16, 130, 130), (9, 48, 32, 8, 8)], ids=str)
def test_the_same_bits_for_any_number_of_threads(shape: tuple, m: int) -> None:
    import numba

    N, C, O, H, W = shape
    x, weight = normal(N, C, H, W), normal(O, C, 3, 3)
    most, found = numba.get_num_threads(), []
    for threads in range(1, most + 1):
        numba.set_num_threads(threads)
        try:
            found.append(forward(x, weight, Window((3, 3), padding=(1, 1)), (1, 1), m=m))
        finally:
            numba.set_num_threads(most)
    assert all((y == found[0]).all() for y in found)


@pytest.mark.parametrize("m", [2, 4])
def test_every_way_to_cut_the_work_gives_the_same_numbers(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from npgradcam.kernels import winograd_passes

    x, weight = normal(3, 18, 30, 50), normal(20, 18, 3, 3)
    expected = direct(x, weight, (1, 1, 1, 1))
    for own, shared in itertools.product((0, 10**5, 10**9), (1, 10**5, 10**9)):
        monkeypatch.setattr(winograd_passes, "OWN", own)
        monkeypatch.setattr(winograd_passes, "SHARED", shared)
        found = forward(x, weight, Window((3, 3), padding=(1, 1)), (1, 1), m=m)
        assert abs(found - expected).max() < LIMITS[m] * np.sqrt(np.mean(expected**2))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_within_its_tiles_and_is_not_hidden(bad: float) -> None:
    x, weight = normal(1, 16, 24, 24), normal(16, 16, 3, 3)
    clean = np.maximum(direct(x, weight, (1, 1, 1, 1)), 0)
    x[0, 1, 9, 14] = bad
    y = forward(x, weight, Window((3, 3), padding=(1, 1)), (1, 1), low=0.0, m=4)
    looks = np.zeros((24, 24), bool)
    looks[8:12, 12:16] = True  # tiles begin at multiples of 4 and look at 6 x 6 cells from one before
    assert not np.isfinite(y[0, :, 8:11, 13:16]).any()  # what the 3 x 3 kernel looks at
    assert abs(y - clean)[..., ~looks].max() < 1e-4


def test_a_smaller_rounding_error_than_with_the_usual_points() -> None:
    x, weight, found = normal(1, 64, 32, 32), normal(64, 64, 3, 3), []
    expected = direct(x, weight, (1, 1, 1, 1))
    with pytest.MonkeyPatch.context() as patch:
        for points in (winograd.POINTS[4], tuple(map(Fraction, (0, 1, -1, 2, -2)))):
            patch.setitem(winograd.POINTS, 4, points)
            y = winograd.plain(x, winograd.transform(weight, 4), kernels.Store(), (1, 1), (32, 32))
            found.append(np.sqrt(np.mean((y - expected) ** 2)))
    assert 1.25 * found[0] < found[1]


def test_what_does_not_fit_is_refused() -> None:
    from npgradcam.kernels.frames import Frame
    from npgradcam.kernels.passes import Frames
    from npgradcam.kernels.winograd_passes import WinogradPass, transformed

    U, frame = transformed(normal(16, 16, 3, 3), 4), Frame(16, 8, 8)
    around = frame.around((1, 1, 1, 1))
    assert WinogradPass.of(4, U, None, (1, 1), Frames(around, frame))
    for frames in (Frames(frame, frame), Frames(around, Frame(16, 9, 8)), Frames(around, frame, Frame(16, 7, 8)),
                   Frames(around, frame, None, Frame(16, 8, 7)), Frames(Frame(3, 8, 8, 1, 1, 1, 1, lanes=3), frame),
                   Frames(around, frame, writes=1), Frames(around, frame, reads=1)):
        with pytest.raises(ShapeError):
            WinogradPass.of(4, U, None, (1, 1), frames)
    with pytest.raises(ShapeError):
        winograd.transform(normal(4, 3, 2, 3), 2)
