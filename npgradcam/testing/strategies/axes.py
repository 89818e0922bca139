"""Cases of layers that move, reduce and multiply along axes: arrays of one to four axes, any of which may be meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...layers import (
    Concat,
    DepthToSpace,
    Expand,
    Flatten,
    Gather,
    GlobalMaxPool2d,
    Layer,
    MatMul,
    PadAxes,
    ReduceL2,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
    Reshape,
    Slice,
    SpaceToDepth,
    Squeeze,
    Tile,
    Transpose,
    Unsqueeze,
)
from ...typing import Shape
from .cases import Case, Kind, shapes, sizes, values

FAR = 2**63 - 1  # what exporters write for "to the end"


@st.composite
def any_shape(draw: st.DrawFn, least: int = 1, most: int = 4, lengths: tuple[int, ...] = (1, 2, 3)) -> Shape:
    """Draw the shape of an array with `least` to `most` axes."""
    return tuple(draw(st.lists(st.sampled_from(lengths), min_size=least, max_size=most)))


@st.composite
def some_axes(draw: st.DrawFn, rank: int, least: int = 0) -> Shape:
    """Draw some axes in any order, counted from the front or from the end."""
    axes = draw(st.lists(st.integers(0, rank - 1), unique=True, min_size=least, max_size=rank))
    return tuple(draw(st.sampled_from((axis, axis - rank))) for axis in axes)


@st.composite
def reshape(draw: st.DrawFn, numbers: Kind) -> Case:
    """Lengths copied, inferred and said; with the batch kept and not."""
    shape = draw(any_shape())
    targets = [(0, -1), (-1,), (-1, *shape[:0:-1]), (0, *shape[:0:-1]), (0,) * len(shape), (1, 0, -1), (-1, *shape[2:])]
    target = draw(st.sampled_from([t for t in targets if not (len(shape) < 2 and t == (1, 0, -1))]))
    return Case(Reshape(target), (draw(values(shape, numbers)),))


@st.composite
def squeeze(draw: st.DrawFn, numbers: Kind) -> Case:
    """Every axis of length 1, or some; at least one axis of another length stays."""
    shape = (*draw(any_shape(0, 3)), 2)
    chosen = tuple(draw(st.sampled_from((k, k - len(shape)))) for k, n in enumerate(shape) if n == 1)
    chosen = chosen[draw(st.integers(0, len(chosen))) :]
    return Case(Squeeze(draw(st.sampled_from((None, chosen)))), (draw(values(shape, numbers)),))


@st.composite
def unsqueeze(draw: st.DrawFn, numbers: Kind) -> Case:
    """One to three new axes."""
    shape, new = draw(any_shape(1, 3)), draw(sizes())
    axes = draw(st.permutations(range(len(shape) + new)))[:new]
    signed = tuple(draw(st.sampled_from((axis, axis - len(shape) - new))) for axis in axes)
    return Case(Unsqueeze(signed), (draw(values(shape, numbers)),))


@st.composite
def transpose(draw: st.DrawFn, numbers: Kind) -> Case:
    """Any order."""
    shape = draw(any_shape())
    perm = draw(st.one_of(st.none(), st.permutations(range(len(shape))).map(tuple)))
    return Case(Transpose(perm), (draw(values(shape, numbers)),))


@st.composite
def depth_to_space(draw: st.DrawFn, numbers: Kind) -> Case:
    """Both orders of channels."""
    block, (n, c, h, w) = draw(sizes()), draw(shapes(largest=3))
    mode: Any = draw(st.sampled_from(("DCR", "CRD")))
    layer = DepthToSpace(block, mode)
    return Case(layer, (draw(values((n, c * block**2, h, w), numbers)),))


@st.composite
def space_to_depth(draw: st.DrawFn, numbers: Kind) -> Case:
    """Blocks that tile the picture; both orders of channels."""
    block, (n, c, h, w) = draw(sizes()), draw(shapes(largest=3))
    mode: Any = draw(st.sampled_from(("DCR", "CRD")))
    return Case(SpaceToDepth(block, mode), (draw(values((n, c, h * block, w * block), numbers)),))


@st.composite
def slices(draw: st.DrawFn, numbers: Kind) -> Case:
    """Steps both ways, bounds from either end and far beyond; at least one cell stays."""
    shape = draw(any_shape(lengths=(1, 2, 3, 5)))
    axes = draw(some_axes(len(shape)))
    starts, ends, steps = [], [], []
    for axis in axes:
        n, step = shape[axis], draw(st.sampled_from((1, 1, 2, 3, -1, -2, FAR, -FAR)))
        first = draw(st.integers(0, n - 1))
        last = draw(st.integers(first + 1, n) if step > 0 else st.integers(-1, first - 1))
        beyond = {0: -FAR} if step > 0 else {n - 1: FAR}
        starts.append(draw(st.sampled_from((first, first - n, beyond.get(first, first)))))
        ends.append(draw(st.sampled_from((-FAR, -n - 1) if last < 0 else (FAR, n) if last == n else (last, last - n))))
        steps.append(step)
    layer = Slice(tuple(starts), tuple(ends), axes, tuple(steps))
    return Case(layer, (draw(values(shape, numbers)),))


@st.composite
def gather(draw: st.DrawFn, numbers: Kind) -> Case:
    """Indices with no axis, one or two, from either end, the same ones again."""
    shape = draw(any_shape(2))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    indices = np.asarray(random.integers(-shape[axis], shape[axis], draw(any_shape(0, 2))))
    return Case(Gather(indices, axis), (draw(values(shape, numbers)),))


@st.composite
def expand(draw: st.DrawFn, numbers: Kind) -> Case:
    """Lengths of 1 repeated, new axes in front, and 1 where the input's own length stays."""
    shape, new = draw(any_shape()), draw(any_shape(0, 1))
    own = tuple(draw(st.sampled_from((1, 2, 3) if n == 1 else (1, n))) for n in shape)
    target = (*new, *own) if new else own[draw(st.integers(0, len(own))) :]
    return Case(Expand(target), (draw(values(shape, numbers)),))


@st.composite
def tile(draw: st.DrawFn, numbers: Kind) -> Case:
    """Once to three times on each axis."""
    shape = draw(any_shape(1, 3))
    return Case(Tile(tuple(draw(sizes()) for _ in shape)), (draw(values(shape, numbers)),))


@st.composite
def pad_axes(draw: st.DrawFn, numbers: Kind) -> Case:
    """Any frame on any axis, longer than the array, too; cells taken away, but not all."""
    shape = draw(any_shape())
    mode: Any = draw(st.sampled_from(("constant", "constant", "reflect", "edge", "wrap")))
    before, after = [], []
    for n in shape:
        framed = draw(st.booleans())
        before.append(draw(st.integers(1 - n if mode == "constant" else 0, 4)) if framed else 0)
        after.append(draw(st.integers(1 - n - min(0, before[-1]) if mode == "constant" else 0, 3)) if framed else 0)
    value = draw(st.sampled_from((0.0, -3.0, 7.0)))
    return Case(PadAxes(tuple(before), tuple(after), value, mode), (draw(values(shape, numbers)),))


@st.composite
def concat(draw: st.DrawFn, numbers: Kind) -> Case:
    """One to three inputs with lengths of their own on one axis."""
    shape = draw(any_shape())
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    each = [[*shape] for _ in range(draw(sizes()))]
    for lengths in each:
        lengths[axis] = draw(sizes())
    return Case(Concat(axis), tuple(draw(values(tuple(lengths), numbers)) for lengths in each))


@st.composite
def flatten(draw: st.DrawFn, numbers: Kind) -> Case:
    """Any axis, also none and the end."""
    shape = draw(any_shape())
    return Case(Flatten(draw(st.integers(-len(shape), len(shape)))), (draw(values(shape, numbers)),))


@st.composite
def reduction(draw: st.DrawFn, numbers: Kind, kind: Callable[..., Layer]) -> Case:
    """Some axes, all or none; for "whole", lengths that divide exactly. At least one axis stays."""
    shape = draw(any_shape(lengths=(1, 2, 4) if numbers == "whole" else (1, 2, 3)))
    axes = draw(st.one_of(st.none(), some_axes(len(shape))))
    keepdims = draw(st.booleans()) or axes is None or len(axes) == len(shape)
    x = draw(values(shape, numbers))
    return Case(kind(axes, keepdims), (x + np.sign(x) if kind is ReduceL2 else x,))  # a norm bends near 0


@st.composite
def global_max_pool2d(draw: st.DrawFn, numbers: Kind) -> Case:
    """Any picture."""
    return Case(GlobalMaxPool2d(), (draw(values(draw(shapes()), numbers)),))


@st.composite
def matmul(draw: st.DrawFn, numbers: Kind) -> Case:
    """Operands of one to four axes, leading axes that broadcast, either operand held or none; not two single axes."""
    i, j, k = draw(st.tuples(sizes(), sizes(), sizes()))
    batch = draw(any_shape(0, 2))
    a, b = ((tuple(draw(st.sampled_from((1, n))) for n in batch)[draw(st.integers(0, len(batch))) :]) for _ in range(2))
    held = draw(st.sampled_from((None, "first", "second", "second")))
    first: Shape = (k,) if not a and draw(st.booleans()) else (*a, i, k)
    second: Shape = (k,) if not b and len(first) > 1 and draw(st.booleans()) else (*b, k, j)
    operands = {"first": draw(values(first, "whole" if numbers == "whole" else "real")),
                "second": draw(values(second, "whole" if numbers == "whole" else "real"))}
    layer = MatMul(**({held: operands.pop(held)} if held else {}))
    return Case(layer, tuple(operands.values()))


def layers(numbers: Kind) -> dict[str, st.SearchStrategy[Case]]:
    """Return a strategy for each of these layers, by its name."""
    drawn: dict[str, Any] = {
        "Concat": concat, "DepthToSpace": depth_to_space, "Expand": expand, "Flatten": flatten, "Gather": gather,
        "GlobalMaxPool2d": global_max_pool2d, "MatMul": matmul, "PadAxes": pad_axes, "Reshape": reshape,
        "Slice": slices, "SpaceToDepth": space_to_depth, "Squeeze": squeeze, "Tile": tile, "Transpose": transpose,
        "Unsqueeze": unsqueeze,
    }
    kinds = (ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceL2)
    found = {name: strategy(numbers) for name, strategy in drawn.items()}
    found |= {kind.__name__: reduction(numbers, kind) for kind in kinds}
    return {name: strategy for name, strategy in found.items() if (name, numbers) != ("ReduceL2", "whole")}
