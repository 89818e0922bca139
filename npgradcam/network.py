"""A graph of named layers: forward keeps a tape, backward reads it from a seed down to a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npgradcam import kernels, layout, rules
from npgradcam.checking import check_inputs, check_seed
from npgradcam.errors import NpGradcamError, ShapeError, UnknownLayerError
from npgradcam.layers import Computed, Layer
from npgradcam.layers.checking import NoShapeYetError
from npgradcam.rules import Rule
from npgradcam.tape import Tape, by_image, of_image, read_only
from npgradcam.topology import Node, Topology, named
from npgradcam.typing import Array, IntArray, Shape

__all__ = ["Network", "Node", "Tape"]


@dataclass(frozen=True, eq=False, repr=False)
class Network(Topology):
    """A directed graph of layers, pure mathematics: no labels, no preprocessing, no state.

    Parameters
    ----------
    nodes : tuple of Node
        In an order in which every node comes after its inputs. Parameters in the right dtype are not copied: who
        changes them later changes the network.
    inputs : tuple of str
        Names of the arrays that go in.
    outputs : tuple of str
        Names of the nodes that come out; the last node where nothing is said.
    dtype : str
        "float32", or "float64" as the exact mode.
    backend : str
        "auto" (Numba where it is installed), "numba" or "numpy".
    rewrite : function, optional
        From a graph, and the nodes that somebody will look at, to a graph that gives the same answer faster; see
        `npgradcam.rewrites.optimise`. What is seen of a network does not depend on it.
    choose : function, optional
        From the rewritten graph, the shape of everything, and the nodes that somebody will look at, to a graph whose
        layers are computed by other algorithms; see `npgradcam.rewrites.choose`.
    """

    dtype: str = "float32"
    backend: kernels.Backend = "auto"
    rewrite: Callable[[Topology, Set[str]], Topology] | None = None
    choose: Callable[[Topology, Mapping[str, Shape], Set[str]], Topology] | None = None

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "float64"):
            raise NpGradcamError(f"dtype: expected 'float32' or 'float64', got {self.dtype!r}")
        if self.backend not in ("auto", "numba", "numpy"):
            raise NpGradcamError(f"backend: expected 'auto', 'numba' or 'numpy', got {self.backend!r}")
        object.__setattr__(self, "nodes", tuple(replace(n, layer=n.layer.astype(self.dtype)) for n in self.nodes))
        super().__post_init__()

    @classmethod
    def sequential(cls, layers: Iterable[tuple[str, Layer]], **settings: Any) -> Network:
        """Build a network in which each (name, layer) feeds the next."""
        nodes: list[Node] = []
        for name, layer in layers:
            nodes.append(Node(name, layer, (nodes[-1].name if nodes else "input",)))
        return cls(tuple(nodes), **settings)

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
        output = self.resolve(output or self.outputs[0])
        names = (observe,) if isinstance(observe, str) or not isinstance(observe, Iterable) else observe
        observe = tuple(map(self.resolve, names))
        given = self.checked_inputs(images)
        self._check_room(given)
        self._check_observed(observe, output)
        values = {name: read_only(x.copy()) for name, x in given.items()}  # the caller keeps his
        plan = self.plan((*observe, output), {name: x.shape for name, x in values.items()})
        on_the_way = plan.remember("between", (output, observe), lambda: plan.between(output, observe))
        route = plan.remember("route", (output, observe), lambda: plan.route(output, observe))

        shapes, caches = {name: x.shape for name, x in values.items()}, dict[str, Any]()
        with kernels.session(self.backend):
            for node, done in route:
                with named(node):
                    y, cache = node.layer.forward(*(values[name] for name in node.inputs))
                    y = np.asarray(y)
                values[node.name], shapes[node.name] = y, y.shape
                if node.name in on_the_way:
                    caches[node.name] = cache
                elif isinstance(node.layer, Computed):  # what it built says whether it keeps the batch
                    caches[node.name] = (cache[0], None)
                for name in done:  # nobody will read them again
                    del values[name]
        kept = {name: read_only(values[name]) for name in observe}
        return Tape(self, plan, output, read_only(values[output]), kept, shapes, caches)

    def plan(self, keep: Iterable[str], images: Mapping[str, Shape] | None = None) -> Topology:
        """Return the graph that is run where these nodes will be looked at: the rewritten one, or this one."""
        kept, rewrite, choose = frozenset(keep), self.rewrite, self.choose
        plan: Topology = self if rewrite is None else self.remember("plan", kept, lambda: rewrite(self, kept))
        if choose is None or images is None:
            return plan
        about = self.given(images)
        try:
            with kernels.session(self.backend):
                return self.remember("plan at", (kept, about), lambda: choose(plan, self.shapes(dict(about)), kept))
        except NoShapeYetError:
            return plan

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
        asked = (down_to,) if isinstance(down_to, str) else tuple(down_to)
        names = tuple(map(self.resolve, asked))
        seed = np.asarray(seed)
        if tape.network is not self:
            raise NpGradcamError("tape: expected one of this network, got another's; run forward(images, ...) again")
        for name in names:
            tape.activation(name)
        image = check_seed(tape.logits, seed, image)
        rule = rules.find(rule)
        with kernels.session(self.backend):
            if image is None and len(seed) == len(tape.logits):  # each row is an image's
                signals = self._backward(tape, tape.caches, seed, names, rule)
            elif not tape.plan.between(tape.output, names) <= self._batched(tape):
                signals = self._row_by_row(tape, seed, names, rule, image)
            elif image is None:  # one image serves every row
                signals = self._backward(tape, tape.caches, seed, names, rule)
            else:  # several rows of several images: image by image
                signals = {name: np.empty((len(seed), *tape.shapes[name][1:]), seed.dtype) for name in names}
                for n, rows in by_image(image):
                    caches = {name: of_image(n, cache) for name, cache in tape.caches.items()}
                    for name, part in self._backward(tape, caches, seed[rows], names, rule).items():
                        signals[name][rows] = part
        return signals[names[0]] if isinstance(down_to, str) else dict(zip(asked, signals.values(), strict=True))

    def _backward(self, tape: Tape, caches: Mapping[str, Any], seed: Array, names: tuple[str, ...],
                  rule: Rule) -> dict[str, Array]:
        plan = tape.plan
        on_the_way = plan.remember("between", (tape.output, names), lambda: plan.between(tape.output, names))
        signals: dict[str, Array] = {tape.output: seed}
        for node in reversed(tape.plan.nodes):
            if node.name not in on_the_way or node.name not in signals:
                continue
            signal = signals[node.name] if node.name in names else signals.pop(node.name)
            given = (signal, caches[node.name], rule) if node.layer.rectifies else (signal, caches[node.name])
            with named(node):
                parts = node.layer.backward(*given)
            for name, part in zip(node.inputs, parts, strict=True):
                if part is not None and name in node.pays and (name in on_the_way or name in names):
                    # where paths meet, signals add
                    signals[name] = kernels.add(signals[name], part) if name in signals else part
        for name in names:
            if name not in signals:
                raise UnknownLayerError(
                    f"no signal reaches {name!r} from {tape.output!r}: only whole numbers or parameters join them"
                )
        return {name: signals[name].copy() if signals[name] is seed else signals[name] for name in names}

    def _row_by_row(self, tape: Tape, seed: Array, names: tuple[str, ...], rule: Rule,
                    image: IntArray | None) -> dict[str, Array]:
        """Run a whole batch backward for each row, with the row's seed at its own image and zeros at the others.

        Some graphs move or merge the batch axis on the way, so that no image's part can be taken out of a cache.
        """
        letters = layout.axes(self, {name: tape.shapes[name] for name in self.inputs})
        for name in names:
            if tape.shapes[name][0] != len(tape.logits) or (letters[name] or "N")[0] != "N":
                raise ShapeError(
                    f"layer {name!r}: expected the {len(tape.logits)} images on axis 0, got axes {letters[name]} of "
                    f"shape {tape.shapes[name]}; choose another layer, or one image and one class at a time"
                )
        images = np.zeros(len(seed), np.intp) if image is None else image
        rows: dict[str, list[Array]] = {name: [] for name in names}
        for row, n in zip(seed, images, strict=True):
            alone = np.zeros(tape.logits.shape, seed.dtype)
            alone[n] = row
            for name, part in self._backward(tape, tape.caches, alone, names, rule).items():
                rows[name].append(part[n])
        return {name: np.stack(parts) for name, parts in rows.items()}

    def _batched(self, tape: Tape) -> set[str]:
        """Return the inputs and nodes of which row n is image n's, and so of their caches."""
        batched = {name for name in self.inputs if name not in self.whole}
        for node in tape.plan.nodes:
            if node.name not in tape.shapes or not node.pays or not batched.issuperset(node.pays):
                continue
            layer = tape.caches[node.name][0] if isinstance(node.layer, Computed) else node.layer
            if layer.keeps_batch(*(tape.shapes[name] for name in node.pays)):
                batched.add(node.name)
        return batched

    def checked_inputs(self, images: Array | Mapping[str, Array]) -> dict[str, Array]:
        """Return the inputs by name, or say what is wrong with them."""
        given = dict(images) if isinstance(images, Mapping) else {self.inputs[0]: images}
        check_inputs(self, given, self.dtype)
        return given

    def _check_room(self, images: Mapping[str, Array]) -> None:
        """Refuse inputs for which a layer would make an absurdly large array, before any memory is asked for."""
        with suppress(NoShapeYetError):  # what depends on the picture's numbers is checked when they are there
            self.check_shapes({name: x.shape for name, x in images.items()})

    def _check_observed(self, observe: tuple[str, ...], output: str) -> None:
        """Refuse to observe what `output` does not depend on."""
        needed = self.leads_to(output)
        for name in observe:
            if name not in needed:
                raise UnknownLayerError(f"layer {name!r} does not lead to the output {output!r}; observe one that does")
