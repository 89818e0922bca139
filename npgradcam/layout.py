"""Which axis is which: N images, C channels, H rows and W columns, followed through a graph in letters.

PyTorch keeps channels first (NCHW), TensorFlow last (NHWC), and an exported graph may change between both. Layers that
slide windows say what their axes are; a Transpose permutes the letters; a Reshape drops them.
"""

from __future__ import annotations

from collections.abc import Mapping

from npgradcam.layers import (
    LRN,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    DepthToSpace,
    Flatten,
    Gather,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Layer,
    Linear,
    MatMul,
    MaxPool2d,
    Pad,
    ReduceL2,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
    Reshape,
    SpaceToDepth,
    Squeeze,
    Transpose,
    Unsqueeze,
)
from npgradcam.topology import Topology
from npgradcam.typing import Shape

FIRST = "NCHW"
_CHANNELS_FIRST = (
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm2d, Conv2d, ConvTranspose2d, DepthToSpace, GlobalAvgPool2d, GlobalMaxPool2d,
    LRN, MaxPool2d, Pad, SpaceToDepth,
)
_REDUCTIONS = (ReduceL2, ReduceMax, ReduceMean, ReduceMin, ReduceSum)
_OTHER = "."  # an axis that is none of the four


def axes(network: Topology, images: Shape | Mapping[str, Shape]) -> Mapping[str, str | None]:
    """Return the letters of every node's and input's axes, for inputs of these shapes; None where they are lost."""
    given = network.given(images)
    return network.remember("axes", given, lambda: _follow(
        network, dict(given), {name: input_axes(network, dict(given), name) for name in network.inputs}
    ))


def input_axes(network: Topology, images: Shape | Mapping[str, Shape], name: str) -> str | None:
    """Return the letters of an input's axes.

    The first layer that slides a window over it tells; without one the axis of 1 or 3 cells is the channels'.
    """
    shape = tuple(images[name] if isinstance(images, Mapping) else images)
    if len(shape) != 4:
        return {2: "NC", 3: "NCW"}.get(len(shape))
    if not any(isinstance(node.layer, Transpose) for node in network.nodes):
        return "NHWC" if _last(shape) and not _slides(network) else FIRST
    numbered = _follow(network, images, {name: "0123"})
    for node in network.nodes:
        seen = numbered[node.inputs[0]] if node.inputs else None
        if isinstance(node.layer, _CHANNELS_FIRST) and seen is not None and set(seen) == set("0123"):
            return "".join(FIRST[seen.index(number)] for number in "0123")
    return "NHWC" if _last(shape) else FIRST


def channels_first(letters: str | None) -> tuple[int, ...] | None:
    """Return the order of axes that makes (N, C, H, W) of an array with these letters; None where it has none.

    Examples
    --------
    >>> channels_first("NHWC")
    (0, 3, 1, 2)
    """
    if letters is None or sorted(letters) != sorted(FIRST):
        return None
    return tuple(letters.index(letter) for letter in FIRST)


def _slides(network: Topology) -> bool:
    return any(isinstance(node.layer, _CHANNELS_FIRST) for node in network.nodes)


def _last(shape: Shape) -> bool:
    return shape[3] in (1, 3) and shape[1] not in (1, 3)


def _follow(network: Topology, images: Shape | Mapping[str, Shape],
            given: Mapping[str, str | None]) -> dict[str, str | None]:
    shapes, layers = network.shapes(images), network.layers(images)
    letters: dict[str, str | None] = dict.fromkeys(network.inputs)
    letters.update(given)
    for node in network.nodes:
        came, sizes = [letters[name] for name in node.pays], [shapes[name] for name in node.pays]
        letters[node.name] = _carry(layers[node.name], came, sizes, shapes[node.name])
    return letters


def _carry(layer: Layer, letters: list[str | None], shapes: list[Shape], shape: Shape) -> str | None:
    """Return the letters of a layer's output; its inputs have `letters` and `shapes`, the output has `shape`."""
    if isinstance(layer, _CHANNELS_FIRST):
        numbered = letters and letters[0] is not None and letters[0].isdigit()
        return letters[0] if numbered else FIRST  # numbers are followed to the first such layer only, and keep still
    if isinstance(layer, Linear):
        return "NC"
    first = letters[0] if letters else None
    if isinstance(layer, MatMul) and len(letters) > 1:
        return None
    if first is None or (len(letters) > 1 and len(first) != len(shape)):
        return next((other for other in letters if other is not None and len(other) == len(shape)), None)
    if isinstance(layer, Transpose):
        return "".join(first[axis] for axis in layer.perm or reversed(range(len(first))))
    if isinstance(layer, (Reshape, Flatten)):
        return first if shape == shapes[0] else None
    if isinstance(layer, Squeeze):
        squeezed = {axis % len(first) for axis in layer.axes or range(len(first))}
        lost = {axis for axis in squeezed if shapes[0][axis] == 1}
        return "".join(letter for axis, letter in enumerate(first) if axis not in lost)
    if isinstance(layer, Unsqueeze):
        new, old = {axis % len(shape) for axis in layer.axes}, iter(first)
        return "".join(_OTHER if axis in new else next(old) for axis in range(len(shape)))
    if isinstance(layer, (*_REDUCTIONS, Gather)) and len(shape) != len(first):
        over = (layer.axis,) if isinstance(layer, Gather) else layer.axes or range(len(first))
        gone = {axis % len(first) for axis in over}
        kept = "".join(letter for axis, letter in enumerate(first) if axis not in gone)
        return kept if len(kept) == len(shape) else None
    return first if len(first) == len(shape) else None
