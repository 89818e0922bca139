"""Row 15: again, on any number of cores, in any thread: the same bits; in a batch, the same to rounding.

Spawned processes are in test_processes.py.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from invariants import Mode, clear_picture, error, expect, made, modes, numbers, pooled

from npgradcam.network import Network

pytestmark = pytest.mark.usefixtures("warm")
NETS = 50


@cache
def drawn(number: int, mode: Mode) -> tuple[Network, np.ndarray, dict[str, np.ndarray]]:
    """A network, three pictures, and what comes out at the first look."""
    random = np.random.default_rng(number)
    layers = pooled(random)
    net, x = made(layers, mode), clear_picture(random, layers, mode[0], count=3)
    return net, x, numbers(net, x, [0, 1, 2])


def same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(one[part].tobytes() == other[part].tobytes() for part in one)


@modes
def test_row_15_ten_times_in_a_row_and_in_eight_threads_the_bits_are_the_same(mode: Mode) -> None:
    cases = [drawn(number, mode) for number in range(NETS)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            found = list(pool.map(lambda case: numbers(case[0], case[1], [0, 1, 2]), cases))
            assert all(same_bits(one, case[2]) for one, case in zip(found, cases, strict=True))
    assert all(same_bits(numbers(net, x, [0, 1, 2]), right) for net, x, right in cases)


@modes
def test_row_15_one_core_and_all_give_the_same_bits(mode: Mode) -> None:
    """As many as this process may start; test_processes.py starts some with 1, 2, 4 and 8."""
    numba = pytest.importorskip("numba")
    most = numba.get_num_threads()
    try:
        for threads in {1, max(1, most // 2), most}:
            numba.set_num_threads(threads)
            for number in range(NETS):
                net, x, right = drawn(number, mode)
                assert same_bits(numbers(net, x, [0, 1, 2]), right)
    finally:
        numba.set_num_threads(most)


@modes
def test_row_15_a_batch_is_its_pictures_one_by_one(mode: Mode) -> None:
    """Not bitwise: BLAS adds up in another order for another shape."""
    errors = []
    for number in range(NETS):
        net, x, together = drawn(number, mode)
        alone = [numbers(net, x[n : n + 1], [n]) for n in range(3)]
        errors += [error(np.concatenate([one[part] for one in alone]), whole) for part, whole in together.items()]
    expect(errors, {"float64": 1e-12, "float32": 1e-6}, mode)
