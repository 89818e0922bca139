"""Find out which convention, layer, class or known mistake explains a map that somebody computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import NpGradcamError, ShapeError
from npgradcam.kernels.session import session
from npgradcam.methods.layer import default_layer
from npgradcam.methods.start import explained_output, layout_of
from npgradcam.methods.target import rows
from npgradcam.models import Model, network_of
from npgradcam.network import Network, Tape
from npgradcam.typing import Array

from .diagnosis import Diagnosis
from .findings import Asked, alike, ranked
from .flat import is_flat
from .stages import Search
from .words import TITLES, rounded

FEW = 4  # cells
LEVEL = 1.01  # what a picture's levels round, of 255
LARGEST = 0.1  # tolerance: within more of it much is alike
SUBNORMAL = float(np.finfo(np.float64).tiny)
MOST = 2**21  # numbers in a map: each is compared with some hundred others, in a minute and 2 GB


def diagnose(given: Any, net: Network | Model, images: Array, target: Any = None, layer: str | None = None, *,
             method: str = "grad-cam", tolerance: float = 1e-4) -> Diagnosis:
    """Find which convention, layer, class or known mistake explains a map.

    Parameters
    ----------
    given : ndarray of shape (H, W) or (R, H, W), or a function
        The map, at the layer's or the picture's size; one for each image. uint8 counts as levels of 1/255, and so do
        whole numbers up to 255 and multiples of 1/255 that nothing else explains. A function is called as
        given(images, target) with the classes' numbers, and returns the map.
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
    ShapeError
        If the map is not finite numbers (NaN may be in it), of one map an image, 2,097,152 in all at the most; or the
        layer has no maps.
    TargetError, UnknownLayerError
        If there is no such class or layer.
    NpGradcamError
        If there is no network, the method is not one of these, or the tolerance is no number from 0 to 0.1.

    Notes
    -----
    Everything follows from one forward and a backward for each score: a map is one of four scores' gradients, weighed
    in one of 34 ways (`WEIGHINGS`), of a layer and a class, perhaps turned, and finished in one of some 400 ways, the
    product of the choices of a `Convention`. Those that no factor and no shift brings near the given map are dropped
    first, by sums over the layer's cells alone; the others are compared in full. Of explanations as good as the best
    (within a factor of 10, or rounding), those that depart from a named convention in the fewest choices are reported,
    all of them: what cannot be told apart on this input is not told apart. Asked for are the layer and class first;
    then every layer; then other classes; and where nothing explains the map, pictures that went in wrongly. A map that
    is the same in every cell fits much by chance: where it is not what was asked for, the answer is what makes such.

    Examples
    --------
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> x = net.preprocess(ng.images.sample("two_shapes"))
    >>> mine = abs(ng.grad_cam(net, x, "cross").signed_cam)
    >>> print(ng.diagnose(mine, net, x, "cross").findings[0].departures[0])
    magnitudes in the place of the ReLU: what speaks against the class counts for it
    """
    network = network_of(net)
    if not isinstance(method, str) or method not in TITLES:
        raise NpGradcamError(f"method: expected one of {', '.join(TITLES)}, got {method!r}")
    expect_tolerance(tolerance)
    tape, layer, layers = _forward(net, images, layer)
    if tape.logits.ndim != 2:
        raise ShapeError(f"diagnose: expected a network with one score a class, got an output of {tape.logits.shape}")
    row = rows(tape, target, labels=getattr(net, "labels", None))
    wanted = tuple(int(c) for c in row.target) if row.target is not None else ()
    maps, floor = _checked(_asked(given, images, wanted) if callable(given) else given, len(row.image))
    H, W = _size(tape)
    asked = Asked(method, layer, wanted, (H, W), network.last(network.outputs[0]) is not None)
    floor, tolerance = max(floor, 1e-12 if network.dtype == "float64" else 2e-6), max(tolerance, floor)

    search = Search(net, images, tape, row.image, asked, layers, tolerance)
    with session(network.backend):  # products of small matrices by the thousand: threads of BLAS would only wait
        hypotheses = search.run(maps)
    found = ranked(hypotheses, asked, tolerance, floor)
    levels = not callable(given) and np.asarray(given).dtype == np.uint8
    if levels and tolerance < found[0].error:  # rounded before it was enlarged, and after
        tolerance = max(tolerance, min(2 * floor, LARGEST))
        found = ranked(hypotheses, asked, tolerance, floor)
    notes = search.notes(maps)
    if levels:
        notes += (f"levels of 256: the map is rounded to them, and so compared to {rounded(tolerance)}",)
    if not levels and found[0].error > tolerance and (grey := _levels(maps)) is not None:
        found_so = diagnose(grey, net, images, list(wanted), layer, method=method, tolerance=tolerance)
        if found_so.explained:
            kind = "whole numbers from 0 to 255" if maps.max() > 1 else "multiples of 1/255"
            return replace(found_so, notes=(*found_so.notes, f"{kind} are taken for levels of 1/255"))
    empty = ~maps.any(axis=(1, 2))
    if found[0].error > tolerance and empty.any() and not empty.all():
        part = diagnose(maps[~empty], net, images[row.image[~empty]], [wanted[r] for r in np.flatnonzero(~empty)],
                        layer, method=method, tolerance=tolerance)
        zero = ", ".join(map(str, np.flatnonzero(empty)))
        left_out = f"row {zero} of the map is zero everywhere, and was left out: fewer classes than pictures?"
        return replace(part, notes=(*part.notes, left_out))
    unexplained = found[0].error > tolerance or found[0].departures  # what is flat fits many departures by chance
    flat = search.why_flat(maps) if unexplained and is_flat(maps) else ""
    if unexplained and not flat and maps[0].size < FEW:
        flat = f"the map has {maps[0].size} cells, and so few numbers fit much by chance; give one of more cells"
    same = () if unexplained else alike(hypotheses, found[0], asked, floor)
    return Diagnosis(maps, tuple(found), tolerance, notes, flat, search.untried, same)


def expect_tolerance(tolerance: object) -> None:
    """Refuse a tolerance that decides nothing."""
    if not isinstance(tolerance, Real) or isinstance(tolerance, bool) or not 0 <= float(tolerance) <= LARGEST:
        raise NpGradcamError(f"tolerance: expected a number from 0 to {LARGEST}, got {tolerance!r}; 1e-4 allows for "
                             "rounding in float32, and much more explains anything")


def _forward(net: Network | Model, images: Array, layer: str | None) -> tuple[Tape, str, list[str]]:
    """Run the forward that keeps every layer with maps; return it, the layer that was asked for, and all of them."""
    network, output = network_of(net), explained_output(net)
    if isinstance(images, Mapping):
        raise NpGradcamError("diagnose: expected pictures (N, C, H, W), got a dict; give the network with one input")
    shape = next(iter(network.checked_inputs(images).values())).shape
    layer = default_layer(network, shape, output) if layer is None else network.resolve(layer)
    shapes, needed = network.shapes(shape), network.leads_to(output)
    spatial = [n.name for n in network.nodes
               if n.name in needed and n.pays and len(shapes[n.name]) == 4 and np.prod(shapes[n.name][2:]) > 1]
    if layer not in spatial:
        raise ShapeError(f"layer {layer!r}: expected feature maps (N, K, I, J), got {shapes[layer]}; choose another")
    return network.forward(images, spatial, output), layer, spatial


def _asked(function: Callable[..., Any], images: Array, wanted: Sequence[int]) -> Any:
    """Return the map that a function computes of a copy of the pictures."""
    try:
        return function(np.array(images), list(wanted))
    except Exception as error:  # whatever it is, it is theirs; the traceback is kept
        said = f"{type(error).__name__}: {error}"
        raise NpGradcamError(f"map: the function that was given for it, called with (images, target), raised {said}"
                             ) from error


def _size(tape: Tape) -> tuple[int, int]:
    """Return (H, W) of the pictures."""
    name = tape.network.inputs[0]
    letters, shape = layout_of(tape, name) or "NCHW", tape.shapes[name]
    return shape[letters.index("H")], shape[letters.index("W")]


def _levels(maps: Array) -> NDArray[np.uint8] | None:
    """Return a map (R, H, W) as a grey picture's levels, where it may be one as numbers that are no uint8."""
    levels = maps if maps.max() > 1 else 255 * maps
    whole = np.rint(levels)
    return whole.astype(np.uint8) if np.abs(levels - whole).max() < 1e-3 and 0 <= whole.min() < whole.max() <= 255 \
        else None


def _checked(given: Any, count: int) -> tuple[Array, float]:
    """Return the map as float64 (R, H, W), and the rounding that its dtype brings."""
    try:
        maps = np.asarray(given)
    except ValueError:
        raise ShapeError("map: expected real numbers (H, W) or (R, H, W), got rows of several lengths") from None
    if maps.dtype == object:
        kind = type(given).__name__
        way_out = "; is a return missing?" if given is None else "; make an array of it first"
        raise ShapeError(f"map: expected real numbers (H, W) or (R, H, W), got {kind}{way_out}")
    if maps.dtype.kind not in "biuf" or maps.ndim not in (2, 3, 4) or 0 in maps.shape:
        raise ShapeError(f"map: expected real numbers (H, W) or (R, H, W), got {maps.dtype} {maps.shape}")
    if maps.ndim == 4 and 1 in (maps.shape[1], maps.shape[3]):  # (R, 1, H, W) or (R, H, W, 1), as some return it
        maps = maps[:, 0] if maps.shape[1] == 1 else maps[..., 0]
    if maps.ndim == 2:
        maps = maps[None]
    if maps.ndim != 3 or len(maps) != count:
        colour = "; a picture in colour is no map" if maps.shape[-1] in (3, 4) else ""
        raise ShapeError(f"map: expected (H, W), or {count} of them, one for each picture, got {maps.shape}{colour}")
    if maps.size > MOST:
        raise ShapeError(f"map: expected at most {MOST:,} numbers, got {maps.size:,}; give it as large as the layer or "
                         "as the network's input, before it is enlarged to a photograph")
    if np.isinf(maps).any():
        raise ShapeError("map: expected finite numbers, got infinity; NaN may stay, and is compared as such")
    if maps.dtype == np.uint8:
        return maps / 255, min(LEVEL / max(int(maps.max()), 1), LARGEST)
    if 0 < np.nanmax(np.abs(maps), initial=0) < SUBNORMAL:
        raise ShapeError(f"map: expected numbers that float64 holds in full, got none above {np.nanmax(maps):.1g}, "
                         "which is subnormal: few digits are left; scale the map before it underflows")
    return maps.astype(np.float64), {8: 0.0, 2: 2e-3}.get(maps.dtype.itemsize, 2e-6)
