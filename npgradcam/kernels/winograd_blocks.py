"""How Winograd's convolution is cut into blocks of tiles, from the shapes alone.

A block's V and M (see `compiled_winograd`) should not leave the cache between the three steps. For few channels that
is possible in one core's own cache: each task then takes a block through all steps. With many channels the kernels
are larger than the tiles, so all threads work on one large block, step after step, and read the kernels once.

Measured on 2 cores of an EPYC (512 kB of own cache, 32 MB shared): 64 channels of 224 x 224 cells take 20 ms with own
blocks and 26 with common ones, 256 channels of 56 x 56 cells 16 and 13.
"""

from __future__ import annotations

import numpy as np

from npgradcam.typing import Array, IntArray, Pair

from .compiled_winograd import LANES, PAD, by_block, by_phase
from .geometry import Store

OWN, SHARED = 300_000, 4_000_000  # numbers in V and M of a block: for one core's cache, and for the one all share


def correlate(x: Array, transformed: Array, store: Store, before: Pair, sizes: Pair) -> Array:
    """Compiled twin of `winograd.plain`."""
    y = np.empty((x.shape[0], transformed.shape[1], *sizes), dtype=x.dtype)
    bias = np.zeros(y.shape[1], x.dtype) if store.bias is None else store.bias
    (K, O, C), m = transformed.shape, 4 if len(transformed) == 36 else 2
    columns = -(-sizes[1] // m)
    parts = plan(len(x), -(-sizes[0] // m) * columns)
    given = (x, transformed, bias, x.dtype.type(store.low), x.dtype.type(store.high), *before, m, columns)
    in_cache = OWN // (K * (O + C)) // LANES  # parts in a block whose V and M stay in one core's own cache
    together = max(1, SHARED // (K * (O + C)) // LANES)  # parts in a block that all threads work on
    if in_cache and len(parts) > 4 * in_cache:
        cuts = np.append(np.arange(0, len(parts), in_cache), len(parts))
        by_block(*given, parts, cuts, y)
        return y
    rooms = [np.empty(K * (channels * LANES * min(len(parts), together) + PAD), x.dtype) for channels in (C, O)]
    for first in range(0, len(parts), together):
        block = parts[first : first + together]
        tiles = int(block[-1, 3] + block[-1, 2] - block[-1, 1] - block[0, 3])
        v, product = rooms[0][: K * (C * tiles + PAD)], rooms[1][: K * (O * tiles + PAD)]
        by_phase(*given, block, v.reshape(K, -1), product.reshape(K, -1), y)
    return y


def plan(images: int, tiles: int) -> IntArray:
    """Return the parts, each at most `LANES` tiles: image, first tile, last tile + 1, number of the first of all."""
    found = [
        (n, first, min(tiles, first + LANES), n * tiles + first) for n in range(images)
        for first in range(0, tiles, LANES)
    ]
    return np.array(found, dtype=np.int64)
