"""Convolutions in vector code are the convolutions of the definition, forward and back, and so is what they store."""

from __future__ import annotations

import numpy as np
import pytest
from blocks import backward, forward, sizes
from hypothesis import given
from hypothesis import strategies as st

from npgradcam import kernels
from npgradcam.errors import ShapeError
from npgradcam.kernels import passes
from npgradcam.kernels.frames import Frame, lines, pack, unpack, whole
from npgradcam.kernels.geometry import ADD, GATE, POSITIVE
from npgradcam.kernels.passes import Frames
from npgradcam.kernels.taps import Window, adjoint_together, forward_taps, halo

pytest.importorskip("numba")
Array = np.ndarray


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array, Window, tuple[int, int], np.random.Generator]:
    """A picture, kernels, how they slide, the padding behind, and numbers to draw."""
    random = np.random.default_rng(draw(st.integers(0, 9)))
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (5, 5), (2, 3), (7, 7)]))
    stride = draw(st.sampled_from([(1, 1), (2, 2), (1, 2)]))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1)]))
    padding = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    after = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    least = [max(1, d * (k - 1) + 1 - p - a) for k, d, p, a in zip(kernel, dilation, padding, after, strict=True)]
    H, W = (draw(st.integers(n, 18)) for n in least)
    C, O = draw(st.sampled_from([(1, 5), (3, 16), (16, 16), (24, 33), (40, 8)]))
    N = draw(st.integers(1, 2))
    whole_numbers = draw(st.booleans())
    def numbers(*shape: int) -> Array:
        return random.integers(-8, 9, shape).astype(np.float32) if whole_numbers else random.standard_normal(
            shape, np.float32)
    return numbers(N, C, H, W), numbers(O, C, *kernel), Window(kernel, stride, padding, dilation), after, random


def definition(x: Array, weight: Array, window: Window, after: tuple[int, int], groups: int = 1) -> Array:
    """In float64."""
    with kernels.session("numpy"):
        return kernels.correlate2d(x.astype(float), weight.astype(float), window.stride, (*window.padding, *after),
                                   window.dilation, groups)


def adjoint(signal: Array, weight: Array, window: Window, after: tuple[int, int], shape: tuple,
            groups: int = 1) -> Array:
    with kernels.session("numpy"):
        return kernels.correlate2d_adjoint(signal.astype(float), weight.astype(float), window.stride,
                                           (*window.padding, *after), window.dilation, groups, shape)


def near(found: Array, expected: Array, products: float) -> bool:
    """Whole numbers are exact; else sums of so many products, each below 100, are rounded as often."""
    exact = bool((expected == np.rint(expected)).all())
    limit = 0 if exact else 1e-5 * np.sqrt(products)
    return found.shape == expected.shape and bool((abs(found - expected) <= limit).all())


@given(cases())
def test_dense_is_the_definition_both_ways(case: tuple) -> None:
    x, weight, window, after, random = case
    expected = definition(x, weight, window, after)
    assert near(forward(x, weight, window, after), expected, weight[0].size)
    signal = random.integers(-8, 9, expected.shape).astype(np.float32)
    back = adjoint(signal, weight, window, after, x.shape)
    assert near(backward(signal, weight, window, x.shape), back, weight[:, 0].size * 8)


@given(cases())
def test_depthwise_is_the_definition_both_ways(case: tuple) -> None:
    x, weight, window, after, random = case
    alone = np.resize(weight, (x.shape[1], 1, *window.kernel))
    expected = definition(x, alone, window, after, len(alone))
    assert near(forward(x, alone[:, 0], window, after), expected, alone[0].size)
    signal = random.integers(-8, 9, expected.shape).astype(np.float32)
    back = adjoint(signal, alone, window, after, x.shape, len(alone))
    assert near(backward(signal, alone[:, 0], window, x.shape), back, alone[0].size * 8)


@given(cases(), st.sampled_from([1, 3]))
def test_a_picture_of_few_channels_is_read_without_lanes_of_zeros(case: tuple, lanes: int) -> None:
    x, weight, window, after, _ = case
    x, weight = x[:, :lanes], weight[:, :lanes]
    if x.shape[1] == lanes:
        assert near(forward(x, weight, window, after, lanes=lanes), definition(x, weight, window, after), 150)


@given(cases(), st.integers(1, 3), st.integers(1, 3))
def test_neighbouring_cells_of_a_picture_of_few_channels_are_computed_together(case: tuple, C: int, times: int) -> None:
    x, weight, window, after, random = case
    x, weight = x[:, :C], weight[:, :C]
    (N, C, H, W), r = x.shape, times * max(window.stride)
    if C * r * r > 16:
        return
    signal = random.integers(-8, 9, definition(x, weight, window, after).shape).astype(np.float32)
    together, taps = adjoint_together(weight, window, (H, W), r)
    source, target = Frame(*signal.shape[1:]), Frame(C * r * r, -(-H // r), -(-W // r))
    source = source.around(halo(taps, source))
    dx = np.empty(target.shape(N), np.float32)
    for each in passes.dense(together, None, taps, Frames(source, target)):
        each.run(pack(signal, source), dx)
    found = unpack(dx, target).reshape(N, r, r, C, target.height, target.width)
    expected = adjoint(signal, weight, window, after, x.shape)
    for a in range(min(r, H)):
        for b in range(min(r, W)):
            cells = expected[:, :, a::r, b::r]
            assert near(found[:, a, b][:, :, : cells.shape[2], : cells.shape[3]], cells, weight[:, 0].size * 8)


@given(cases(), st.integers(0, 3), st.integers(1, 5), st.integers(0, 2))
def test_blocks_of_a_dark_end_are_not_multiplied(case: tuple, first: int, last: int, before: int) -> None:
    """Where the first or the last 16 channels of x are zero, their weights are not read: here they are NaN."""
    x, weight, window, after, random = case
    x, weight = (np.rint(np.resize(each, (len(each), 70, *each.shape[2:]))) for each in (x, weight))
    x[:, : 16 * first], x[:, 16 * last :] = 0, 0
    expected = definition(x, weight, window, after)
    weight[:, : 16 * first], weight[:, 16 * last :] = np.nan, np.nan
    (taps,) = forward_taps(window, expected.shape[2:])
    source, target = Frame(16 * before + 70, *x.shape[2:]), Frame(*expected.shape[1:])
    source = source.around(halo([taps], source))
    y = np.empty(target.shape(len(x)), np.float32)
    others = random.integers(1, 9, (len(x), 16 * before, *x.shape[2:])).astype(np.float32)  # of another convolution
    (made,) = passes.dense(weight, None, [taps], Frames(source, target, reads=before))
    made.run(pack(np.concatenate([others, x], axis=1), source), y)
    if x.any():  # where all is dark, the first block is multiplied
        assert near(unpack(y, target), expected, weight[0].size)


@given(cases(), st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (0.0, 6.0), (-1.5, 2.5)]), st.booleans())
def test_what_is_stored(case: tuple, ends: tuple[float, float], adds: bool) -> None:
    x, weight, window, after, random = case
    I, J = sizes(x, weight, window, after)
    bias = random.integers(-8, 9, len(weight)).astype(np.float32)
    other = random.integers(-8, 9, (len(x), len(weight), I, J)).astype(np.float32) if adds else None
    total = definition(x, weight, window, after) + bias[:, None, None] + (0 if other is None else other)
    found = forward(x, weight, window, after, bias, *ends, other, around=(1, 0, 2, 3))
    assert near(found, np.clip(total, *ends), weight[0].size)


@given(cases(), st.sampled_from([GATE, POSITIVE, GATE | POSITIVE]), st.booleans(), st.booleans())
def test_what_a_rectifier_lets_through(case: tuple, what: int, adds: bool, depthwise: bool) -> None:
    x, weight, window, after, random = case
    if depthwise:
        weight = np.resize(weight, (x.shape[1], 1, *window.kernel))
    groups = len(weight) if depthwise else 1
    kept = random.integers(-1, 5, x.shape).astype(np.float32)  # often on the kinks 0 and 3
    other = random.integers(-8, 9, x.shape).astype(np.float32) if adds else None
    signal = random.integers(-8, 9, definition(x, weight, window, after, groups).shape).astype(np.float32)
    total = adjoint(signal, weight, window, after, x.shape, groups) + (0 if other is None else other)
    expected = np.maximum(total, 0) if what & POSITIVE else total
    expected = expected * ((kept > 0) & (kept < 3)) if what & GATE else expected
    held = weight[:, 0] if depthwise else weight
    found = backward(signal, held, window, x.shape, None, kept, 0.0, 3.0, what | (ADD if adds else 0), other)
    reached = adjoint(np.ones_like(signal), np.ones_like(weight), window, after, x.shape, groups) != 0
    assert near(found[reached], expected[reached], weight[:, 0].size * 8)  # what no tap reaches is left to the caller


def test_a_nan_stays_where_it_was_seen() -> None:
    x = np.ones((1, 16, 6, 6), np.float32)
    x[0, 3, 2, 2] = np.nan
    y = forward(x, np.ones((16, 16, 1, 1), np.float32), Window((1, 1)), (0, 0), low=0.0, high=6.0)
    assert np.isnan(y[0, :, 2, 2]).all()
    assert np.isfinite(np.delete(y.reshape(16, -1), 14, axis=1)).all()
    signal = np.ones((1, 16, 6, 6), np.float32)
    signal[0, 0, 1, 1] = np.nan
    for what in (GATE, POSITIVE, GATE | POSITIVE):
        back = backward(signal, np.ones((16, 1, 1), np.float32), Window((1, 1)), x.shape, None, x, 0.0, 6.0, what)
        assert np.isnan(back[0, 0, 1, 1])


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3, 16]), st.integers(0, 3))
def test_packing_and_unpacking_undo_each_other(C: int, H: int, W: int, lanes: int, halo: int) -> None:
    frame = Frame(C, H, W, halo, 1, 0, halo, lanes)
    x = np.random.default_rng(0).standard_normal((2, C, H, W), np.float32)
    assert pack(x, frame).shape == frame.shape(2)
    assert (unpack(pack(x, frame), frame) == x).all()
    with kernels.session("numba"):
        from npgradcam.kernels import blocks

        assert (blocks.pack(x, frame) == pack(x, frame)).all()
        assert (blocks.unpack(pack(x, frame), frame) == x).all()


@pytest.mark.parametrize("broken", ["x", "y", "other", "kept"])
def test_a_frame_that_is_too_small_is_refused_before_any_memory_is_touched(broken: str) -> None:
    """Tables that lead out of a picture: too few zeros around x, or what is added lies in a smaller frame than y."""
    window, small = Window((3, 3), (1, 1), (1, 1)), Frame(16, 5, 5)
    taps = forward_taps(window, (6, 6))
    frames = {"x": Frame(16, 6, 6, 1, 1, 1, 1), "y": Frame(16, 6, 6), "other": Frame(16, 6, 6), "kept": Frame(16, 6, 6)}
    assert passes.dense(np.ones((16, 16, 3, 3), np.float32), None, taps, Frames(**frames))
    frames[broken] = small
    for make, weight in ((passes.dense, np.ones((16, 16, 3, 3))), (passes.depthwise, np.ones((16, 3, 3)))):
        with pytest.raises(ShapeError, match=broken):
            make(weight.astype(np.float32), None, taps, Frames(**frames))


def test_an_array_that_does_not_fit_its_frame_is_refused() -> None:
    frame = Frame(16, 6, 6)
    taps = forward_taps(Window((1, 1)), (6, 6))
    (made,) = passes.dense(np.ones((16, 16, 1, 1), np.float32), None, taps, Frames(frame, frame))
    x = np.zeros(frame.shape(2), np.float32)
    made.run(x, np.empty_like(x))
    for wrong in (x[:, :, :5], x.astype(float), np.concatenate([x, x[:1]])):
        with pytest.raises(ShapeError):
            made.run(wrong, np.empty_like(x))


def test_lines_begin_where_rows_begin() -> None:
    frame = Frame(20, 3, 4, 1, 2, 0, 1)
    x = np.arange(np.prod(frame.shape(1)), dtype=np.float32).reshape(frame.shape(1))
    assert [x.ravel()[start] for start in lines(frame, whole(frame))] == list(x[0, 0, 1:4, 2, 0])


@pytest.mark.parametrize("shape", [(1, 24, 40, 13, 22, 1), (2, 16, 16, 7, 7, 3), (1, 3, 32, 30, 30, 3)], ids=str)
def test_the_same_bits_for_any_number_of_threads(shape: tuple) -> None:
    import numba

    N, C, O, H, W, k = shape
    random = np.random.default_rng(1)
    x, weight = random.standard_normal((N, C, H, W), np.float32), random.standard_normal((O, C, k, k), np.float32)
    most, found = numba.get_num_threads(), []
    for threads in range(1, most + 1):
        numba.set_num_threads(threads)
        try:
            found.append(forward(x, weight, Window((k, k), (1, 1), (k // 2, k // 2)), (k // 2, k // 2)))
        finally:
            numba.set_num_threads(most)
    assert all((y == found[0]).all() for y in found)
