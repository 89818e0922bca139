"""What is where in a network: named nodes, what leads to what, and how large everything is. Nothing is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from npgradcam.errors import NpGradcamError, ShapeError, UnknownLayerError, close_matches
from npgradcam.layers import Layer
from npgradcam.typing import Shape


@dataclass(frozen=True, eq=False)
class Node:
    """One place in the graph: a layer, its name, and the names of what goes in."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Topology:
    """A directed graph of named layers, in an order in which every node comes after its inputs."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...] = ("input",)
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.nodes or not self.inputs:
            raise NpGradcamError("Network: expected at least one node and one input, got none")
        known = set(self.inputs)
        for node in self.nodes:
            if node.name in known or not node.inputs or not known.issuperset(node.inputs):
                raise NpGradcamError(
                    f"node {node.name!r}: expected a new name and inputs that come before it, got {node.inputs}"
                )
            if node.layer.inputs not in (None, len(node.inputs)):
                raise NpGradcamError(
                    f"node {node.name!r}: expected {node.layer.inputs} input to a {type(node.layer).__name__}, "
                    f"got {node.inputs}"
                )
            known.add(node.name)
        object.__setattr__(self, "outputs", self.outputs or (self.nodes[-1].name,))
        for name in self.outputs:
            self.check_name(name)

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def __repr__(self) -> str:
        """Return what the network is in one line."""
        ends = f"{', '.join(self.inputs)} -> {', '.join(self.outputs)}"
        return f"{type(self).__name__}({ends}; {len(self.nodes)} layers, {self.parameter_count:,} parameters)"

    def __getitem__(self, name: str) -> Node:
        """Return the node of that name."""
        self.check_name(name)
        if name in self.inputs:
            raise UnknownLayerError(f"{name!r} is an input of this network, not a layer")
        return self._by_name[name]

    def check_name(self, name: str) -> None:
        """Raise `UnknownLayerError` unless `name` is a node or an input."""
        if not isinstance(name, str):
            raise UnknownLayerError(f"layer: expected a name, got {name!r}")
        if name not in self._by_name and name not in self.inputs:
            raise UnknownLayerError(f"no layer {name!r} in this network; near it: {close_matches(name, self._by_name)}")

    def shapes(self, images: Shape | Mapping[str, Shape]) -> dict[str, Shape]:
        """Return the shape of every node's output for inputs of these shapes, without computing anything else."""
        known = dict(images) if isinstance(images, Mapping) else {self.inputs[0]: tuple(images)}
        if set(known) != set(self.inputs):
            raise ShapeError(f"expected the inputs {', '.join(self.inputs)}, got {', '.join(known)}")
        for node in self.nodes:
            with named(node):
                known[node.name] = node.layer.output_shape(*(known[name] for name in node.inputs))
        return known

    def leads_to(self, output: str) -> set[str]:
        """Return the nodes and inputs that `output` depends on, itself included."""
        self.check_name(output)
        needed = {output}
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return needed

    def follows(self, names: Iterable[str]) -> set[str]:
        """Return the nodes that depend on any of `names`; themselves only where they depend on another of them."""
        sources, reached = set(names), set[str]()
        for node in self.nodes:
            if any(name in sources or name in reached for name in node.inputs):
                reached.add(node.name)
        return reached

    def rectifiers(self, output: str, down_to: str) -> list[str]:
        """Return the nodes between `down_to` and `output` on which a backward rule acts."""
        between = self.follows((down_to,)) & self.leads_to(output)
        return [node.name for node in self.nodes if node.name in between and node.layer.rectifies]

    @property
    def parameter_count(self) -> int:
        """How many numbers the layers hold."""
        return sum(array.size for node in self.nodes for array in node.layer.parameters.values())


@contextmanager
def named(node: Node) -> Iterator[None]:
    """A layer's complaint gets the name of its place in the graph."""
    try:
        yield
    except ShapeError as error:
        raise ShapeError(f"{type(node.layer).__name__} {node.name!r}: {error}") from None
