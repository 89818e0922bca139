"""Find out which convention, layer, class or known mistake explains a map that somebody computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from npgradcam.errors import NpGradcamError, ShapeError
from npgradcam.kernels.session import session
from npgradcam.methods.layer import default_layer
from npgradcam.methods.start import explained_output, layout_of, network_of
from npgradcam.methods.target import rows
from npgradcam.models import Model
from npgradcam.network import Network, Tape
from npgradcam.typing import Array, IntArray

from .diagnosis import Diagnosis
from .findings import Asked, ranked
from .inputs import other_inputs
from .search import BEST, TURNS, Hypothesis, compare, promising, screen
from .sources import THE_PAPERS, Source, sources
from .words import TITLES

FEW = 32  # classes all of which are tried; of more, the neighbours and the best
USUAL = ("logit", "probability")


def diagnose(given: Any, net: Network | Model, images: Array, target: Any = None, layer: str | None = None, *,
             method: str = "grad-cam", tolerance: float = 1e-4) -> Diagnosis:
    """Find which convention, layer, class or known mistake explains a map.

    Parameters
    ----------
    given : ndarray of shape (H, W) or (R, H, W), or a function
        The map, at the layer's or the picture's size; one for each image. uint8 counts as levels of 1/255. A function
        is called as given(images, target) with the classes' numbers, and returns the map.
    net : Network or Model
    images : ndarray of shape (N, C, H, W)
        What went into the network.
    target : None, int, str or list of N
        The class that the map is meant to explain, one for each image; None: each image's top class.
    layer : str, optional
        The layer that it is meant to be of; see `default_layer`.
    method : {"grad-cam", "grad-cam-plus-plus", "xgrad-cam", "hires-cam", "layer-cam"}
        What it is meant to be.
    tolerance : float
        The largest difference, relative to the map's largest magnitude, that counts as an explanation.

    Returns
    -------
    Diagnosis
        `print` it; `as_dict()` for programs; `picture()` shows the map, the nearest one, and where they differ.

    Raises
    ------
    ShapeError, TargetError, UnknownLayerError, NpGradcamError
        If the map, the class or the layer cannot be what they should be.

    Notes
    -----
    Everything follows from one forward and a backward for each score: a map is one of four scores' gradients, weighed
    in one of 17 ways (`WEIGHINGS`), of a layer and a class, perhaps turned, and finished in one of some 400 ways, the
    product of the choices of a `Convention`. Those that no factor and no shift brings near the given map are dropped
    first, by sums over the layer's cells alone; the others are compared in full. Of explanations as good as the best
    (within a factor of 10, or rounding), those that depart from a named convention in the fewest choices are reported,
    all of them: what cannot be told apart on this input is not told apart. Asked for are the layer and class first;
    then every layer; then other classes; and where nothing explains the map, pictures that went in wrongly.
    """
    network = network_of(net)
    if method not in TITLES:
        raise NpGradcamError(f"method: expected one of {', '.join(TITLES)}, got {method!r}")
    tape, layer, layers = _forward(net, images, layer)
    if tape.logits.ndim != 2:
        raise ShapeError(f"diagnose: expected a network with one score a class, got an output of {tape.logits.shape}")
    row = rows(tape, target, labels=getattr(net, "labels", None))
    wanted = tuple(int(c) for c in row.target) if row.target is not None else ()
    maps, floor = _checked(given(images, list(wanted)) if callable(given) else given, len(row.image))
    H, W = _size(tape)
    asked = Asked(method, layer, wanted, (H, W), network.last(network.outputs[0]) is not None)
    floor, tolerance = max(floor, 1e-12 if network.dtype == "float64" else 2e-6), max(tolerance, floor)

    search = _Search(net, images, tape, row.image, asked, layers, tolerance)
    with session(network.backend):  # products of small matrices by the thousand: threads of BLAS would only wait
        found = ranked(search.run(maps), asked, tolerance, floor)
    notes = search.notes(maps)
    empty = ~maps.any(axis=(1, 2))
    if found[0].error > tolerance and empty.any() and not empty.all():
        part = diagnose(maps[~empty], net, images[row.image[~empty]], [wanted[r] for r in np.flatnonzero(~empty)],
                        layer, method=method, tolerance=tolerance)
        zero = ", ".join(map(str, np.flatnonzero(empty)))
        return Diagnosis(part.given, part.findings, tolerance, (
            *part.notes, f"row {zero} of the map is zero everywhere, and was left out: fewer classes than pictures?",
        ))
    return Diagnosis(maps, tuple(found), tolerance, notes)


class _Search:
    """The stages of the search, each for what the ones before it left unexplained."""

    def __init__(self, net: Network | Model, images: Array, tape: Tape, image: IntArray, asked: Asked,
                 layers: Sequence[str], tolerance: float) -> None:
        self.net, self.images, self.tape, self.image = net, images, tape, image
        self.asked, self.layers, self.tolerance = asked, layers, tolerance
        self.found: list[Hypothesis] = []

    def run(self, given: Array) -> list[Hypothesis]:
        """Return what was compared in full."""
        self._compare(given, self._as_asked(), self._sources(self.asked.target, [self.asked.layer]))
        if not np.ptp(np.nan_to_num(given), axis=(1, 2)).any():  # too many would be as constant
            return self.found
        for stage in (self._other_layers, self._other_classes):
            for some in stage():
                self._compare(given, promising(np.nan_to_num(given), some))
        for stage in (self._inputs, self._both):
            for some in () if self.explained else stage():
                self._compare(given, promising(np.nan_to_num(given), some))
        return self.found

    @property
    def explained(self) -> bool:
        """Whether something is within the tolerance."""
        return any(h.error <= self.tolerance for h in self.found)

    def _compare(self, given: Array, plain: list[Source], turned: Sequence[Source] = ()) -> None:
        """Compare what is worth it of some sources, and of some that may be turned."""
        seen, picture = np.nan_to_num(given), self.asked.picture
        candidates = screen(seen, plain, picture, self.tolerance)
        candidates += screen(seen, turned, picture, self.tolerance, [turn for turn in TURNS if turn])
        self.found += compare(given, candidates, self.tolerance, 0 if self.explained else BEST)

    def _as_asked(self) -> list[Source]:
        """The layer and the class that were asked for: every score and weight."""
        return list(sources(network_of(self.net), self.tape, self.asked.target, self.image, [self.asked.layer]))

    def _sources(self, target: Sequence[int], layers: Sequence[str], tape: Tape | None = None,
                 input: str = "") -> list[Source]:
        return list(sources(network_of(self.net), tape or self.tape, target, self.image, layers, USUAL, THE_PAPERS,
                            input)) if layers else []

    def _others(self) -> list[str]:
        return [name for name in self.layers if name != self.asked.layer]

    def _other_layers(self) -> Iterator[list[Source]]:
        yield self._sources(self.asked.target, self._others())

    def _other_classes(self) -> Iterator[list[Source]]:
        for target in self._classes():
            yield self._sources(target, [self.asked.layer])

    def _classes(self) -> Iterator[tuple[int, ...]]:
        """Other classes: all of few; of many the neighbours (labels that begin at 1) and each image's best."""
        logits, asked = self.tape.logits, self.asked.target
        count = logits.shape[1]
        if len(self.image) == 1:
            c, best = asked[0], np.argsort(-logits[0], kind="stable")[:5]
            some = range(count) if count <= FEW else [c - 1, c + 1, *map(int, best), 0]
            yield from ((k,) for k in dict.fromkeys(some) if 0 <= k < count and k != c)
            return
        top = tuple(int(c) for c in logits.argmax(axis=1)[self.image])
        shifted = [tuple(c + d for c in asked) for d in (-1, 1)]
        same = [(k,) * len(asked) for k in (range(count) if count <= FEW else dict.fromkeys(asked))]
        for target in dict.fromkeys([top, asked[::-1], *same, *shifted]):
            if target != asked and all(0 <= c < count for c in target):
                yield target

    def _inputs(self) -> Iterator[list[Source]]:
        """Pictures that went in wrongly: the layer and class that were asked for."""
        for words, x in other_inputs(self.net, self.images):
            tape = network_of(self.net).forward(x, [self.asked.layer], self.tape.output)
            yield self._sources(self.asked.target, [self.asked.layer], tape, words)

    def _both(self) -> Iterator[list[Source]]:
        """Another layer and another class at once."""
        for target in self._classes():
            yield self._sources(target, self._others())

    def notes(self, given: Array) -> tuple[str, ...]:
        """Say what makes an answer weak."""
        found = []
        flat = [str(r) for r, m in enumerate(np.nan_to_num(given)) if not np.ptp(m)]
        if flat:
            found.append(f"row {', '.join(flat)} of the map is constant, which says little about how it was made")
        size, picture = given.shape[1:], self.asked.picture
        layer = self.tape.activation(self.asked.layer).shape
        if size not in (picture, picture[::-1]) and not {*size} <= {*layer}:
            found.append(f"the map has {size[0]} x {size[1]} cells, the picture {picture[0]} x {picture[1]}")
        return tuple(found)


def _forward(net: Network | Model, images: Array, layer: str | None) -> tuple[Tape, str, list[str]]:
    """Run the forward that keeps every layer with maps; return it, the layer that was asked for, and all of them."""
    network, output = network_of(net), explained_output(net)
    if isinstance(images, Mapping):
        raise NpGradcamError("diagnose: expected pictures (N, C, H, W), got a dict; give the network with one input")
    shape = next(iter(network.checked_inputs(images).values())).shape
    layer = network.resolve(layer) if layer else default_layer(network, shape, output)
    shapes, needed = network.shapes(shape), network.leads_to(output)
    spatial = [n.name for n in network.nodes
               if n.name in needed and n.pays and len(shapes[n.name]) == 4 and np.prod(shapes[n.name][2:]) > 1]
    if layer not in spatial:
        raise ShapeError(f"layer {layer!r}: expected feature maps (N, K, I, J), got {shapes[layer]}; choose another")
    return network.forward(images, spatial, output), layer, spatial


def _size(tape: Tape) -> tuple[int, int]:
    """Return (H, W) of the pictures."""
    name = tape.network.inputs[0]
    letters, shape = layout_of(tape, name) or "NCHW", tape.shapes[name]
    return shape[letters.index("H")], shape[letters.index("W")]


def _checked(given: Any, count: int) -> tuple[Array, float]:
    """Return the map as float64 (R, H, W), and the rounding that its dtype brings."""
    maps = np.asarray(given)
    if maps.dtype.kind not in "biuf" or maps.ndim not in (2, 3, 4) or 0 in maps.shape:
        raise ShapeError(f"map: expected real numbers (H, W) or (R, H, W), got {maps.dtype} {maps.shape}")
    if maps.ndim == 4 and 1 in (maps.shape[1], maps.shape[3]):  # (R, 1, H, W) or (R, H, W, 1), as some return it
        maps = maps[:, 0] if maps.shape[1] == 1 else maps[..., 0]
    if maps.ndim == 2:
        maps = maps[None]
    if maps.ndim != 3 or len(maps) != count:
        colour = "; a picture in colour is no map" if maps.shape[-1] in (3, 4) else ""
        raise ShapeError(f"map: expected (H, W), or {count} of them, one for each picture, got {maps.shape}{colour}")
    if np.isinf(maps).any():
        raise ShapeError("map: expected finite numbers, got infinity; NaN may stay, and is compared as such")
    if maps.dtype == np.uint8:
        return maps / 255, 1.01 / 255
    return maps.astype(np.float64), {8: 0.0, 2: 2e-3}.get(maps.dtype.itemsize, 2e-6)


