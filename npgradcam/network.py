"""A graph of named layers: forward keeps a tape, backward reads it from a seed down to a layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from . import kernels, rules
from .errors import NpGradcamError, ShapeError, UnknownLayerError, close_matches
from .layers import Layer
from .rules import Rule
from .typing import Array, IntArray, Shape


@dataclass(frozen=True, eq=False)
class Node:
    """One place in the graph: a layer, its name, and the names of what goes in."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Tape:
    """What one forward pass kept, as announced: enough for any number of backward passes.

    Attributes
    ----------
    output : str
        The node whose output is explained.
    logits : ndarray
        That node's output, (N, classes) for a classifier.
    activations : mapping of str to ndarray
        The outputs of the observed nodes, each (N, K, I, J) or whatever the layer makes.
    shapes : mapping of str to tuple
        The shape of everything that was computed.
    """

    network: Network
    output: str
    logits: Array
    activations: Mapping[str, Array]
    shapes: Mapping[str, Shape]
    caches: Mapping[str, Any] = field(repr=False)

    def activation(self, name: str) -> Array:
        """Return an observed activation, or say how to observe it."""
        if name not in self.activations:
            self.network.check_name(name)
            raise UnknownLayerError(f"the tape did not keep {name!r}; ask for it: forward(images, observe={name!r})")
        return self.activations[name]


@dataclass(frozen=True, eq=False)
class Network:
    """A directed graph of layers, pure mathematics: no labels, no preprocessing, no state.

    Parameters
    ----------
    nodes : sequence of Node
        In an order in which every node comes after its inputs.
    inputs : tuple of str
        Names of the arrays that go in.
    outputs : tuple of str
        Names of the nodes that come out; the last node where nothing is said.
    dtype : str
        "float32", or "float64" as the exact mode.
    backend : str
        "auto" (Numba where it is installed), "numba" or "numpy".
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...] = ("input",)
    outputs: tuple[str, ...] = ()
    dtype: str = "float32"
    backend: kernels.Backend = "auto"

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "float64"):
            raise NpGradcamError(f"dtype: expected 'float32' or 'float64', got {self.dtype!r}")
        known = set(self.inputs)
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in known]
            if missing or node.name in known or not node.inputs:
                raise NpGradcamError(
                    f"node {node.name!r}: expected a new name and inputs that come before it, got {node.inputs}"
                )
            if node.layer.inputs not in (None, len(node.inputs)):
                raise NpGradcamError(
                    f"node {node.name!r}: expected {node.layer.inputs} input to a {type(node.layer).__name__}, "
                    f"got {node.inputs}"
                )
            known.add(node.name)
        object.__setattr__(self, "nodes", tuple(replace(n, layer=n.layer.astype(self.dtype)) for n in self.nodes))
        object.__setattr__(self, "outputs", self.outputs or (self.nodes[-1].name,))
        for name in self.outputs:
            self.check_name(name)

    @classmethod
    def sequential(cls, layers: Iterable[tuple[str, Layer]], **settings: Any) -> Network:
        """Build a network in which each (name, layer) feeds the next."""
        nodes: list[Node] = []
        for name, layer in layers:
            nodes.append(Node(name, layer, (nodes[-1].name if nodes else "input",)))
        return cls(tuple(nodes), **settings)

    # ---------------------------------------------------------------- both directions

    def __call__(self, images: Array | Mapping[str, Array]) -> Array:
        """Return the output for images (N, C, H, W): logits (N, classes)."""
        return self.forward(images).logits

    def forward(self, images: Array | Mapping[str, Array], observe: str | Iterable[str] = (),
                output: str | None = None) -> Tape:
        """Run the layers from the input to `output`, keeping what was announced and no more.

        Parameters
        ----------
        images : ndarray of shape (N, C, H, W) in the network's dtype, or a mapping from input names to arrays
        observe : str or iterable of str
            Nodes or inputs whose activation is kept, and down to which `backward` may go.
        output : str, optional
            The node to explain; the network's first output where nothing is said.

        Returns
        -------
        Tape
        """
        output = output or self.outputs[0]
        observe = (observe,) if isinstance(observe, str) else tuple(observe)
        values = self._inputs(images)
        computed = self._towards(output)
        self._check_observed(observe, output, computed)
        on_the_way = self._from(observe)
        uses = {name: 1 for name in (*observe, output)}
        for node in self.nodes:
            for name in node.inputs if node.name in computed else ():
                uses[name] = uses.get(name, 0) + 1

        shapes = {name: x.shape for name, x in values.items()}
        caches: dict[str, Any] = {}
        with kernels.session(self.backend):
            for node in self.nodes:
                if node.name not in computed:
                    continue
                y, cache = self._run(node, values)
                values[node.name], shapes[node.name] = y, y.shape
                if node.name in on_the_way:
                    caches[node.name] = cache
                for name in node.inputs:  # an activation that nobody will read again is let go
                    uses[name] -= 1
                    if not uses[name]:
                        del values[name]
        kept = {name: values[name] for name in observe}
        return Tape(self, output, values[output], kept, shapes, caches)

    def backward(self, tape: Tape, seed: Array, down_to: str | Sequence[str], rule: str | Rule = rules.gradient,
                 image: IntArray | None = None) -> Any:
        """Run the layers' adjoints from the tape's output down to a layer, and only what lies on the way.

        Parameters
        ----------
        tape : Tape
            From this network's `forward`, with `observe` naming what `down_to` names.
        seed : ndarray of shape (R, ...)
            The signal at the output, each row as the output of one image.
        down_to : str or sequence of str
            Node or input; a sequence gives a dict.
        rule : {"gradient", "deconvnet", "guided"} or a function of (signal, slope)
            What a rectifier lets through.
        image : ndarray of int, shape (R,), optional
            Which image of the tape each row belongs to; row r to image r where nothing is said, or all rows to the
            only image.

        Returns
        -------
        ndarray of shape (R, ...), or a dict of them where `down_to` is a sequence
            The signal at `down_to`: under the `gradient` rule the derivative of <seed, output> by it.
        """
        names = (down_to,) if isinstance(down_to, str) else tuple(down_to)
        for name in names:
            tape.activation(name)
        batch = tape.logits.shape[0]
        if seed.shape[1:] != tape.logits.shape[1:] or seed.dtype != tape.logits.dtype:
            raise ShapeError(
                f"seed: expected rows of shape {tape.logits.shape[1:]} and dtype {tape.logits.dtype}, "
                f"got {seed.shape} and {seed.dtype}"
            )
        if image is None and batch not in (1, len(seed)):
            raise ShapeError(f"seed: expected {batch} rows, one per image, got {len(seed)}; say image= for other rows")
        rule = rules.find(rule)
        with kernels.session(self.backend):
            if image is None or batch == 1 or np.array_equal(image, np.arange(batch)):
                signals = self._backward(tape, tape.caches, seed, names, rule)
            else:  # several rows of several images: image by image
                signals = {name: np.empty((len(seed), *tape.shapes[name][1:]), seed.dtype) for name in names}
                for n in np.unique(image):
                    caches = {name: _only(cache, int(n), batch) for name, cache in tape.caches.items()}
                    part = self._backward(tape, caches, seed[image == n], names, rule)
                    for name in names:
                        signals[name][image == n] = part[name]
        return signals[down_to] if isinstance(down_to, str) else signals

    def _backward(self, tape: Tape, caches: Mapping[str, Any], seed: Array, names: tuple[str, ...],
                  rule: Rule) -> dict[str, Array]:
        on_the_way = self._from(names) & self._towards(tape.output)
        signals = {tape.output: seed}
        for node in reversed(self.nodes):
            if node.name not in on_the_way or node.name not in signals:
                continue
            signal = signals[node.name] if node.name in names else signals.pop(node.name)
            layer, cache = node.layer, caches[node.name]
            down = layer.backward(signal, cache, rule) if layer.rectifies else layer.backward(signal, cache)  # type: ignore
            for name, part in zip(node.inputs, down, strict=True):
                if name in on_the_way or name in names:  # where two paths meet, signals add
                    signals[name] = signals[name] + part if name in signals else part
        return {name: signals[name] for name in names}

    # ---------------------------------------------------------------- what is where

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def __getitem__(self, name: str) -> Node:
        """Return the node of that name."""
        self.check_name(name)
        if name in self.inputs:
            raise UnknownLayerError(f"{name!r} is an input of this network, not a layer")
        return self._by_name[name]

    def check_name(self, name: str) -> None:
        """Raise `UnknownLayerError` unless `name` is a node or an input."""
        if name not in self._by_name and name not in self.inputs:
            raise UnknownLayerError(
                f"no layer {name!r} in this network; near it: {close_matches(name, self._by_name)}"
            )

    def shapes(self, images: Shape | Mapping[str, Shape]) -> dict[str, Shape]:
        """Return the shape of every node's output for inputs of these shapes, without computing anything else."""
        known = dict(images) if isinstance(images, Mapping) else {self.inputs[0]: tuple(images)}
        for node in self.nodes:
            with _named(node):
                known[node.name] = node.layer.output_shape(*(known[name] for name in node.inputs))
        return known

    def rectifiers(self, output: str, down_to: str) -> list[str]:
        """Return the nodes between `down_to` and `output` on which a rule acts."""
        between = self._from((down_to,)) & self._towards(output)
        return [n.name for n in self.nodes if n.name in between and n.layer.rectifies]

    @property
    def parameter_count(self) -> int:
        """How many numbers the layers hold."""
        return sum(p.size for node in self.nodes for p in node.layer.parameters.values())

    def _towards(self, output: str) -> set[str]:
        """The nodes that `output` depends on, itself included."""
        self.check_name(output)
        needed = {output}
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return needed

    def _from(self, names: Iterable[str]) -> set[str]:
        """The nodes that depend on any of `names`, themselves not included unless they depend on another."""
        sources, reached = set(names), set[str]()
        for node in self.nodes:
            if any(name in sources or name in reached for name in node.inputs):
                reached.add(node.name)
        return reached

    def _check_observed(self, observe: tuple[str, ...], output: str, computed: set[str]) -> None:
        for name in observe:
            self.check_name(name)
            if name not in computed:
                raise UnknownLayerError(f"layer {name!r} does not lead to the output {output!r}; observe one that does")

    def _inputs(self, images: Array | Mapping[str, Array]) -> dict[str, Array]:
        given = dict(images) if isinstance(images, Mapping) else {self.inputs[0]: images}
        if set(given) != set(self.inputs):
            raise ShapeError(f"expected the inputs {', '.join(self.inputs)}, got {', '.join(given)}")
        for name, x in given.items():
            if not isinstance(x, np.ndarray) or x.dtype != self.dtype:
                got = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
                raise ShapeError(
                    f"input {name!r}: expected a {self.dtype} array, got {got}; "
                    f"preprocess the photograph, or convert with x.astype({self.dtype!r})"
                )
            if x.ndim == 0 or 0 in x.shape:
                raise ShapeError(f"input {name!r}: expected at least one image and one cell, got shape {x.shape}")
        return given

    def _run(self, node: Node, values: Mapping[str, Array]) -> tuple[Array, Any]:
        with _named(node):
            return node.layer.forward(*(values[name] for name in node.inputs))


class _named:
    """A layer's complaint gets the name of its place in the graph."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ShapeError):
            raise ShapeError(f"{type(self.node.layer).__name__} {self.node.name!r}: {error}") from None


def _only(cache: Any, n: int, batch: int) -> Any:
    """Return image n's part of a cache: arrays lose the other images, shapes and counts stay."""
    if isinstance(cache, np.ndarray):
        return cache[n : n + 1]
    if isinstance(cache, tuple) and any(isinstance(part, np.ndarray) for part in cache):
        return tuple(_only(part, n, batch) for part in cache)
    return cache
