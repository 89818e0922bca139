"""A pencil for drawing a network: each layer is added below the last, or where it is told."""

from __future__ import annotations

from npgradcam.layers import Layer
from npgradcam.network import Node


class Graph:
    """Collects nodes in order.

    Examples
    --------
    >>> from npgradcam.layers import ReLU, Add
    >>> g = Graph()
    >>> before = g.add("relu", ReLU())
    >>> g.add("add", Add(), before, "input")
    'add'
    >>> [(node.name, node.inputs) for node in g.nodes]
    [('relu', ('input',)), ('add', ('relu', 'input'))]
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    @property
    def last(self) -> str:
        """The name of what was added last; "input" at the beginning."""
        return self.nodes[-1].name if self.nodes else "input"

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        """Add a layer that reads `inputs`, or what was added last; return its name."""
        self.nodes.append(Node(name, layer, inputs or (self.last,)))
        return name
