"""Functions of an ONNX file's own, replaced by their nodes, after a count of how many that makes: calls multiply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from npgradcam.errors import ModelFormatError

_ROOM = 2**28  # bytes that a graph may grow by


def without_functions(onnx: Any, source: str, model: Any, max_nodes: int) -> Any:
    """Return the model with every call of a function of its own replaced by what the function does.

    Raises
    ------
    ModelFormatError
        If functions call one another in a circle, or the graph would grow beyond all measure.
    """
    if not model.functions:
        return model
    try:
        count, size = _unfolded(model)
    except CycleError:
        raise ModelFormatError(f"{source}: expected functions that end, got some that call one another") from None
    if count > max_nodes or size > _ROOM:
        raise ModelFormatError(f"{source}: expected at most {max_nodes} nodes, got functions that unfold to more")
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # the checker's, in C++
        reason = " ".join(str(error).split())[:300]
        raise ModelFormatError(f"{source}: the functions in this file could not be resolved ({reason})") from None


def _unfolded(model: Any) -> tuple[int, int]:
    """Return how many nodes there will be without functions, and how many bytes they take."""
    called = {_key(f, f.name): [(_key(node, node.op_type), node.ByteSize()) for node in _nodes(f.node)]
              for f in model.functions}
    sizes: dict[Any, tuple[int, int]] = {}
    order = TopologicalSorter({key: {call for call, _ in calls if call in called} for key, calls in called.items()})
    for key in order.static_order():
        sizes[key] = _sum(called[key], sizes)
    return _sum([(_key(node, node.op_type), node.ByteSize()) for node in _nodes(model.graph.node)], sizes)


def _sum(calls: list[tuple[Any, int]], sizes: dict[Any, tuple[int, int]]) -> tuple[int, int]:
    """Add up nodes and bytes; more than 2**40 are not told apart."""
    found = [sizes.get(key, (1, size)) for key, size in calls]
    return min(2**40, sum(n for n, _ in found)), min(2**40, sum(size for _, size in found))


def _key(called: Any, name: str) -> tuple[str, str, str]:
    return called.domain, name, getattr(called, "overload", "")


def _nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    """Every node, and every node of the graphs inside nodes."""
    left = list(nodes)
    while left:
        node = left.pop()
        yield node
        for attribute in node.attribute:
            left.extend(attribute.g.node)
            for graph in attribute.graphs:
                left.extend(graph.node)
