"""The slow definitions of layers that move, reduce and multiply along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..layers import (
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
from ..typing import Shape
from . import definitions as slow
from .definitions import places, products, reductions
from .definitions.numbers import Numbers

Pair = tuple[Callable[..., Any], Callable[..., Any]]  # forward(layer, *xs), backward(layer, signal, *xs)


def _moving(moves: Callable[[Any, Shape], places.Moves]) -> Pair:
    return (
        lambda layer, x: places.moved(x, moves(layer, x.shape)),
        lambda layer, signal, x: places.moved_adjoint(
            signal, x.shape, moves(layer, x.shape), layer.keeps_batch(x.shape)),
    )


def _pad_forward(layer: PadAxes, x: Numbers) -> Numbers:
    shape = tuple(b + n + a for b, n, a in zip(layer.before, x.shape, layer.after, strict=True))
    return places.moved(x, places.pad_axes(x.shape, layer.before, layer.after, layer.mode), shape, layer.value)


def _reducing(forward: Callable[..., Numbers], backward: Callable[..., Numbers], *settings: bool) -> Pair:
    return (
        lambda layer, x: forward(x, layer.axes, layer.keepdims, *settings),
        lambda layer, signal, x: backward(signal, x, layer.axes, layer.keepdims, *settings),
    )


def _operands(layer: MatMul, *xs: Numbers) -> tuple[Numbers, Numbers]:
    if layer.first is not None:
        return layer.first, xs[0]
    return xs[0], (xs[1] if layer.second is None else layer.second)


def _matmul_backward(layer: MatMul, signal: Numbers, *xs: Numbers) -> tuple[Numbers, ...]:
    both = products.matmul_adjoint(signal, *_operands(layer, *xs), rows=layer.keeps_batch(*(x.shape for x in xs)))
    return tuple(part for part, held in zip(both, (layer.first, layer.second), strict=True) if held is None)


_EXTREME = (reductions.reduce_extreme, reductions.reduce_extreme_adjoint)
_LARGEST, _SMALLEST = _reducing(*_EXTREME, True), _reducing(*_EXTREME, False)

PAIRS: dict[type[Layer], Pair] = {
    Reshape: _moving(lambda layer, shape: places.regroup(
        shape, places.reshape_shape(shape, layer.target, layer.allowzero))),
    Flatten: _moving(lambda layer, shape: places.flatten(shape, layer.axis)),
    Squeeze: _moving(lambda layer, shape: places.squeeze(shape, layer.axes)),
    Unsqueeze: _moving(lambda layer, shape: places.unsqueeze(shape, layer.axes)),
    Transpose: _moving(lambda layer, shape: places.transpose(shape, layer.perm)),
    DepthToSpace: _moving(lambda layer, shape: places.depth_to_space(shape, layer.block, layer.mode)),
    SpaceToDepth: _moving(lambda layer, shape: places.space_to_depth(shape, layer.block, layer.mode)),
    Slice: _moving(lambda layer, shape: places.slice_moves(shape, layer.starts, layer.ends, layer.axes, layer.steps)),
    Gather: _moving(lambda layer, shape: places.gather(shape, layer.indices, layer.axis)),
    Expand: _moving(lambda layer, shape: places.expand(shape, layer.shape)),
    Tile: _moving(lambda layer, shape: places.tile(shape, layer.repeats)),
    PadAxes: (_pad_forward, _moving(lambda layer, shape: places.pad_axes(
        shape, layer.before, layer.after, layer.mode))[1]),
    Concat: (
        lambda layer, *xs: slow.concat(*xs, axis=layer.axis),
        lambda layer, signal, *xs: slow.concat_adjoint(signal, [x.shape[layer.axis] for x in xs], layer.axis),
    ),
    ReduceSum: _reducing(reductions.reduce_sum, reductions.reduce_sum_adjoint),
    ReduceMean: _reducing(reductions.reduce_mean, reductions.reduce_mean_adjoint),
    ReduceL2: _reducing(reductions.reduce_l2, reductions.reduce_l2_adjoint),
    ReduceMax: _LARGEST,
    GlobalMaxPool2d: _LARGEST,
    ReduceMin: _SMALLEST,
    MatMul: (lambda layer, *xs: products.matmul(*_operands(layer, *xs)), _matmul_backward),
}
