"""What is where in a network: named nodes, what leads to what, and how large everything is. Nothing is computed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import NpGradcamError, ShapeError, UnknownLayerError, UnsupportedOperatorError, close_matches
from npgradcam.layers import Computed, Layer, LogSoftmax, Sigmoid, Softmax
from npgradcam.layers.checking import expect_room
from npgradcam.layers.room import Room
from npgradcam.typing import Shape

Found = TypeVar("Found")
_REMEMBERED = 64  # answers for so many sizes of input


@dataclass(frozen=True, eq=False)
class Node:
    """One place in the graph: a layer, its name, and the names of what goes in."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]

    @property
    def pays(self) -> tuple[str, ...]:
        """The inputs to which `backward` pays a signal back: not settings, and nothing below whole numbers."""
        if not self.layer.differentiable:
            return ()
        return self.inputs[: -self.layer.settings] if isinstance(self.layer, Computed) else self.inputs


@dataclass(frozen=True, eq=False, repr=False)
class Topology:
    """A directed graph of named layers, in an order in which every node comes after its inputs.

    Parameters
    ----------
    nodes : tuple of Node
    inputs, outputs : tuple of str
        What goes in, and which nodes come out; the last node where nothing is said.
    aliases : mapping of str to str
        Other names of nodes: a model file names what flows between its nodes as well.
    declared : mapping of str to tuple
        The shape that an input must have, None where an axis may be of any length; nothing where all is allowed.
    whole : frozenset of str
        The inputs that hold whole numbers or truth values.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...] = ("input",)
    outputs: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    declared: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.nodes or not self.inputs:
            raise NpGradcamError("Network: expected at least one node and one input, got none")
        known = set(self.inputs)
        for node in self.nodes:
            if node.name in known or not (node.inputs or node.layer.inputs == 0) or not known.issuperset(node.inputs):
                raise NpGradcamError(
                    f"node {node.name!r}: expected a new name and inputs that come before it, got {node.inputs}"
                )
            if node.layer.inputs not in (None, len(node.inputs)):
                raise NpGradcamError(
                    f"node {node.name!r}: expected {node.layer.inputs} input to a {type(node.layer).__name__}, "
                    f"got {node.inputs}"
                )
            known.add(node.name)
        object.__setattr__(self, "outputs", tuple(map(self.resolve, self.outputs or (self.nodes[-1].name,))))

    @cached_property
    def _plans(self) -> dict[Any, Any]:
        return {}

    def remember(self, what: str, about: Any, make: Callable[[], Found]) -> Found:
        """Return what `make` finds for a network and these shapes; found once, for it follows from them alone."""
        key = (what, about)
        if key not in self._plans:
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            self._plans[key] = make()
        found: Found = self._plans[key]
        return found

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def __repr__(self) -> str:
        """Return what the network is in one line."""
        ends = f"{', '.join(self.inputs)} -> {', '.join(self.outputs)}"
        return f"{type(self).__name__}({ends}; {len(self.nodes)} layers, {self.parameter_count:,} parameters)"

    def __getitem__(self, name: str) -> Node:
        """Return the node of that name."""
        name = self.resolve(name)
        if name in self.inputs:
            raise UnknownLayerError(f"{name!r} is an input of this network, not a layer")
        return self._by_name[name]

    def resolve(self, name: str) -> str:
        """Return the node or input that goes by this name.

        Raises
        ------
        UnknownLayerError
            If there is none; with close matches.
        """
        if not isinstance(name, str):
            several = isinstance(name, (list, tuple, set))
            way_out = "; ask once for each, of one forward(x, observe=[...])" if several else ""
            raise UnknownLayerError(f"layer: expected a name, got {name!r}{way_out}")
        name = self.aliases.get(name, name) if name not in self._by_name else name
        if name not in self._by_name and name not in self.inputs:
            near = close_matches(name, [*self._by_name, *self.aliases])
            raise UnknownLayerError(f"no layer {name!r} in this network; near it: {near}")
        return name

    def shapes(self, images: Shape | Mapping[str, Shape]) -> dict[str, Shape]:
        """Return the shape of every node's output for inputs of these shapes; only whole numbers are computed."""
        known = self._known(self.given(images))
        return {name: x.shape if isinstance(x, np.ndarray) else x for name, x in known.items()}

    def check_shapes(self, images: Mapping[str, Shape]) -> None:
        """Raise `ShapeError` where a layer does not fit inputs of these shapes, or would make an absurdly large one."""
        self._known(self.given(images))

    def given(self, images: Shape | Mapping[str, Shape]) -> tuple[tuple[str, Shape], ...]:
        """Return the shape of each input by its name; one shape alone is the first input's."""
        given = dict(images) if isinstance(images, Mapping) else {self.inputs[0]: images}
        if set(given) != set(self.inputs):
            raise ShapeError(
                f"expected the inputs {', '.join(self.inputs)}, got {', '.join(given)}; give a dict with one for each"
            )
        return tuple((name, tuple(given[name])) for name in self.inputs)

    def _known(self, given: tuple[tuple[str, Shape], ...]) -> Mapping[str, Shape | NDArray[Any]]:
        """Return what the inputs' shapes decide: of every node the output's shape, or the output itself."""
        return self.remember("known", given, lambda: self._survey(given))

    def _survey(self, given: tuple[tuple[str, Shape], ...]) -> dict[str, Shape | NDArray[Any]]:
        known: dict[str, Shape | NDArray[Any]] = dict(given)
        room = Room(sum(array.size for node in self.nodes for array in node.layer.arrays.values()))
        for node in self.nodes:
            with named(node):
                known[node.name] = outcome(node.layer, [known[name] for name in node.inputs], room)
        return known

    def layers(self, images: Shape | Mapping[str, Shape]) -> dict[str, Layer]:
        """Return every node's layer as it is for inputs of these shapes: what is `Computed` is built."""
        known, found = self._known(self.given(images)), {}
        for node in self.nodes:
            layer = node.layer
            with named(node):
                found[node.name] = (
                    layer.settled(*(known[name] for name in node.inputs))[0] if isinstance(layer, Computed) else layer
                )
        return found

    def leads_to(self, output: str) -> set[str]:
        """Return the nodes and inputs that `output` depends on, itself included."""
        needed = {self.resolve(output)}
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return needed

    def follows(self, names: Iterable[str]) -> set[str]:
        """Return the nodes from which a signal reaches any of `names`; themselves only where it reaches another."""
        sources, reached = set(names), set[str]()
        for node in self.nodes:
            if any(name in sources or name in reached for name in node.pays):
                reached.add(node.name)
        return reached

    def between(self, output: str, names: Iterable[str]) -> set[str]:
        """Return the nodes that a signal passes on its way from `output` to any of `names`."""
        reached = self.follows(names)
        passed = {self.resolve(output)} & reached
        for node in reversed(self.nodes):
            if node.name in passed:
                passed.update(name for name in node.pays if name in reached)
        return passed

    def sources(self, output: str) -> tuple[str, ...]:
        """Return the inputs that a signal from `output` reaches; none that holds whole numbers."""
        return tuple(name for name in self.inputs if name not in self.whole and self.between(output, (name,)))

    def route(self, output: str, keep: Iterable[str]) -> list[tuple[Node, tuple[str, ...]]]:
        """Return the nodes that `output` depends on, each with the values that nobody reads after it."""
        needed = self.leads_to(output)
        return last_reads([node for node in self.nodes if node.name in needed], {output, *keep})

    def score(self, output: str) -> str:
        """Return the node whose output a last Softmax, LogSoftmax or Sigmoid turns into probabilities.

        Layers that only reshape may follow it. `output` itself where there is no such end.
        """
        last = self.last(output)
        return self.resolve(output) if last is None else last.inputs[0]

    def last(self, output: str) -> Node | None:
        """Return the Softmax, LogSoftmax or Sigmoid with which an output ends, but for layers that only reshape."""
        at = self.resolve(output)
        while at not in self.inputs and _kind(self._by_name[at].layer) in _RESHAPES:
            at = self._by_name[at].inputs[0]
        node = self._by_name.get(at)
        probable = node is not None and isinstance(node.layer, (Softmax, LogSoftmax, Sigmoid))
        return node if probable and node is not None and node.inputs[0] not in self.inputs else None

    def rectifiers(self, output: str, down_to: str | Iterable[str]) -> list[str]:
        """Return the nodes between any of `down_to` and `output` on which a backward rule acts."""
        between = self.between(output, map(self.resolve, (down_to,) if isinstance(down_to, str) else down_to))
        return [node.name for node in self.nodes if node.name in between and node.layer.rectifies]

    @property
    def parameter_count(self) -> int:
        """How many numbers the layers hold."""
        return sum(array.size for node in self.nodes for array in node.layer.parameters.values())


_RESHAPES = ("Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast")


def _kind(layer: Layer) -> str:
    return layer.kind if isinstance(layer, Computed) else type(layer).__name__


def outcome(layer: Layer, known: list[Shape | NDArray[Any]], room: Room) -> Shape | NDArray[Any]:
    """Return the shape of a layer's output; the output itself where the inputs' shapes alone decide it, with `room`."""
    if layer.reads_shapes or all(isinstance(x, np.ndarray) for x in known):
        if known and not layer.reads_shapes:  # else it is held already, or as short as a shape
            room.ask(layer, known)
        # a stand-in has a shape, and no memory of its own
        values = (x if isinstance(x, np.ndarray) else np.broadcast_to(np.float32(0), x) for x in known)
        return np.asarray(layer.forward(*values)[0])
    if isinstance(layer, Computed):
        return expect_room(layer.output_shape(*known))
    return expect_room(layer.output_shape(*(x.shape if isinstance(x, np.ndarray) else x for x in known)))


def last_reads(nodes: Sequence[Node], kept: Container[str]) -> list[tuple[Node, tuple[str, ...]]]:
    """Return each of a row of nodes with the values that none after it reads; those that are kept are never done."""
    last = {name: node.name for node in nodes for name in node.inputs}
    return [
        (node, tuple(name for name in dict.fromkeys(node.inputs) if last[name] == node.name and name not in kept))
        for node in nodes
    ]


class named:
    """A layer's complaint gets the name of its place in the graph; NumPy's becomes one."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    def __enter__(self) -> None:
        """Nothing: a network enters once for each layer."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            return
        where = f"{_kind(self.node.layer)} {self.node.name!r}"
        if isinstance(error, (ShapeError, UnsupportedOperatorError)):
            raise type(error)(f"{where}: {error}") from None
        if isinstance(error, NpGradcamError):
            raise ShapeError(f"{where}: {error}") from None
        if isinstance(error, (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)):
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise ShapeError(f"{where}: it cannot be computed for this input: {said}") from error
