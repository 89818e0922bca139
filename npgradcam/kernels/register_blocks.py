"""How many sums the vector code of a convolution keeps in registers at once: P cells of a line times Q blocks of y."""

from __future__ import annotations

from functools import cache

from npgradcam.typing import Pair

PIXELS = (1, 4, 7, 14)  # cells that one register block of a depthwise convolution computes


@cache
def register_block(cells: int, blocks: int) -> Pair:
    """Return how many cells of a line, and blocks of channels of y, one register block sums.

    The best of those that fit the registers is the one that computes the fewest cells twice at the end of a line, then
    the one that loads least for a multiplication.
    """
    fitting = [(p, q) for p, q in register_blocks() if p <= cells and q <= blocks]

    def cost(shape: Pair) -> float:
        p, q = shape
        tiles = -(-cells // p) * -(-blocks // q)
        return tiles * (max(p * q, 8) + 0.15 * p + 0.6 * q + 1)

    return min(fitting, key=cost)


@cache
def register_blocks() -> tuple[Pair, ...]:
    """Return the register blocks for this processor: P cells times Q blocks of sums, and room for the factors."""
    from llvmlite import binding
    from numba import config

    features = config.CPU_FEATURES if config.CPU_FEATURES is not None else binding.get_host_cpu_features().flatten()
    if "+avx512f" in features:  # 32 registers, each a whole vector
        return ((14, 2), (14, 1), (7, 3), (7, 2), (7, 1), (16, 1), (4, 1), (1, 1))
    return ((6, 1), (5, 1), (4, 1), (2, 1), (1, 1))  # 16 of half a vector (AVX2), or 32 of a quarter (NEON)
