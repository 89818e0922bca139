"""Graph to graph, same answer, faster. The layers stay the textbook; speed lives here and in the kernels."""

from __future__ import annotations

from collections.abc import Mapping, Set

from npgradcam import kernels
from npgradcam.topology import Topology
from npgradcam.typing import Shape

from .fold import fold
from .fuse import fuse

__all__ = ["by_layer", "choose", "fold", "fuse", "optimise"]


def optimise(network: Topology, keep: Set[str]) -> Topology:
    """Return a graph that gives the same outputs for the nodes in `keep`, faster.

    Parameters
    ----------
    network : Topology
    keep : set of str
        The nodes that somebody will look at: their outputs and the signals that arrive at them stay what they were.
        Any other node may be gone.
    """
    return fuse(fold(network, keep), keep)


def choose(network: Topology, shapes: Mapping[str, Shape], keep: Set[str]) -> Topology:
    """Return the graph with pictures in blocks of channels, and what nobody goes back through in chains."""
    if not kernels.vectorised():
        return network
    from .chains import chain  # needs Numba

    return chain(by_layer(network, shapes, keep), keep)


def by_layer(network: Topology, shapes: Mapping[str, Shape], keep: Set[str]) -> Topology:
    """Return the graph with pictures in blocks of channels, and an algorithm for each convolution by its shape."""
    if not kernels.vectorised():
        return network
    from .blocks import block

    return block(network, shapes, keep)
