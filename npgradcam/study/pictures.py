"""The page's pictures: what is there without JavaScript, and what JavaScript paints over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam import maps
from npgradcam.colours import BLUE_WHITE_RED, TURBO, ColourTable, colourise
from npgradcam.images import Prepared
from npgradcam.methods import InputSignal
from npgradcam.models import network_of

from .encode import photograph_like, picture
from .trace import RULES, Trace

Pixels = NDArray[np.uint8]
SHOWN = 12  # maps side by side
LONGEST = 480  # pixels of the photograph
FRAME = (255, 212, 0)


def as_seen(t: Trace) -> Pixels:
    """Return the network's input as a picture (H, W, 3): back through its preprocessing, or grey by its range."""
    layout = getattr(t.net, "layout", "NCHW")
    x = t.outputs[network_of(t.net).inputs[0]].transpose([layout.index(axis) for axis in "NCHW"])
    preprocessing = t.grad_cam.preprocessing
    if preprocessing is not None:
        return np.asarray(preprocessing.pixels(x))
    grey = x[0].astype(np.float64).mean(axis=0)
    low, high = grey.min(), grey.max()
    levels = np.rint(255 * (grey - low) / (high - low)) if high > low else np.full(grey.shape, 128)
    return np.repeat(levels.astype(np.uint8)[:, :, None], 3, axis=2)


def framed(prepared: Prepared) -> Pixels:
    """Return the photograph, made smaller, with a frame around what the network sees."""
    from PIL import Image, ImageDraw

    height, width = prepared.photograph.shape[:2]
    factor = min(1.0, LONGEST / max(height, width))
    image = Image.fromarray(prepared.photograph)
    image = image.resize((max(1, round(width * factor)), max(1, round(height * factor))), Image.Resampling.LANCZOS)
    left, top, right, bottom = (edge * factor for edge in prepared.box)
    ImageDraw.Draw(image).rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=FRAME, width=3)
    return np.asarray(image)


def coloured(values: NDArray[Any], table: ColourTable) -> Pixels:
    """Return a map at one pixel a cell."""
    return colourise(maps.normalise(values.astype(np.float64)), table)


def side_by_side(values: NDArray[Any], table: ColourTable) -> Pixels:
    """Return maps (M, I, J) in rows of six with a white line between, each with its own scale."""
    M, I, J = values.shape
    across = min(6, M)
    down = -(-M // across)
    sheet = np.full((down * (I + 1) - 1, across * (J + 1) - 1, 3), 255, np.uint8)
    for n, one in enumerate(values):
        top, left = n // across * (I + 1), n % across * (J + 1)
        sheet[top : top + I, left : left + J] = coloured(one, table)
    return sheet


def static_pictures(t: Trace, prepared: Prepared | None, rule_pictures: dict[str, list[str]],
                    products: list[str]) -> dict[str, str]:
    """Return the pictures of the first class by name."""
    k, seen = t.strongest(0)[:SHOWN], as_seen(t)
    A = t.activations[k]
    return {
        "photograph": picture(framed(prepared), "JPEG") if prepared is not None else picture(seen),
        "input": picture(seen),
        "maps": picture(side_by_side(A, BLUE_WHITE_RED if (A < 0).any() else TURBO)),
        "gradients": picture(side_by_side(t.gradients[0][k], BLUE_WHITE_RED)),
        "weighted": picture(side_by_side(t.contributions(0)[k], BLUE_WHITE_RED)),
        "signed": picture(coloured(t.signed_cam[0], BLUE_WHITE_RED)), "cam": picture(coloured(t.cam[0], TURBO)),
        "upsampled": picture(colourise(t.normalised[0], TURBO)), "overlay": picture(over(t, 0, seen)),
        **{rule: found[0] for rule, found in rule_pictures.items() if found},
        **dict(zip(("guided_grad_cam",), products, strict=False)),
    }


def over(t: Trace, row: int, seen: Pixels) -> Pixels:
    """Return the map of a row over the input."""
    return maps.overlay(seen, t.normalised[row])


def by_layer(traces: Sequence[Trace]) -> list[list[str]]:
    """Return the overlay of each layer and class, at most 224 pixels wide."""
    return [[picture(over(t, row, as_seen(t))[:: _every(t), :: _every(t)], "JPEG") for row in range(len(t.target))]
            for t in traces]


def _every(t: Trace) -> int:
    return max(1, -(-int(t.upsampled.shape[2]) // 224))


def arriving(t: Trace) -> dict[str, InputSignal]:
    """Return what arrives at the input under each rule; nothing where no rectifier is on the way, or no picture."""
    network = network_of(t.net)
    if not network.rectifiers(t.tape.output, network.inputs[0]):
        return {}
    signals = {rule: t.at_input(rule) for rule in RULES}
    return signals if signals["gradient"].array(0).shape[0] in (1, 3) else {}


def by_rule(signals: Mapping[str, InputSignal]) -> dict[str, list[str]]:
    """Return the pictures of these signals, for each class."""
    classes = {rule: range(len(signal.signal)) for rule, signal in signals.items()}
    return {rule: [photograph_like(signals[rule].picture(row)) for row in some] for rule, some in classes.items()}
