"""What may have been done to pictures before they went in: another order of channels, another normalisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from npgradcam.images import preset
from npgradcam.models import Model
from npgradcam.network import Network
from npgradcam.typing import Array

REVERSED = "channels in the reversed order (BGR for RGB, or RGB for BGR)"
ARRANGED: dict[str, Callable[[Array], Array]] = {  # pictures (N, C, H, W), whatever their numbers mean
    REVERSED: lambda x: x[:, ::-1],
    "the map of a mirrored picture: left and right swapped before it went in": lambda x: x[..., ::-1],
    "the map of a picture upside down": lambda x: x[:, :, ::-1],
    "pictures reshaped, not transposed, from channels last to channels first": lambda x: (
        x.transpose(0, 2, 3, 1).reshape(x.shape)),
}


def other_inputs(net: Network | Model, x: Array) -> Iterator[tuple[str, Array]]:
    """Yield pictures as they would have gone in by mistake, with the mistake in words.

    Without a preprocessing only the order of the channels, rows and columns can be doubted.
    """
    layout = net.layout if isinstance(net, Model) else "NCHW"
    if x.ndim != 4 or x.shape[layout.index("C")] != 3:
        return
    there, back = ["NCHW".index(a) for a in layout], [layout.index(a) for a in "NCHW"]
    first = x.transpose(back)  # (N, C, H, W)
    variants = {**_normalised(net, first), **{words: arranged(first) for words, arranged in ARRANGED.items()}}
    seen = [x]
    for words, y in variants.items():
        arranged = np.ascontiguousarray(y.transpose(there)).astype(x.dtype)
        if not any(np.allclose(arranged, other) for other in seen):
            seen.append(arranged)
            yield words, arranged


def _normalised(net: Network | Model, x: Array) -> dict[str, Array]:
    """Return pictures (N, 3, H, W) as other preprocessings make them; nothing where the right one is not known."""
    made = net.preprocessing if isinstance(net, Model) else None
    if made is None:
        return {}
    column = (3, 1, 1)
    mean, std = np.reshape(made.mean, column), np.reshape(made.std, column)
    pixels = x.astype(np.float64) * std + mean  # 0..255, channels as they go in
    unit, full = pixels / 255, 255 if std.max() > 1 else 1  # in which numbers a mean is written: of 1, or of 255
    imagenet = preset("imagenet")
    a, b = (np.reshape(v, column) for v in (imagenet.mean, imagenet.std))
    order, other = ("RGB", "BGR") if made.channels == "RGB" else ("BGR", "RGB")
    reshaped = pixels.transpose(0, 2, 3, 1).reshape(x.shape)
    return {
        f"channels in the order {other}, not {order}": (pixels[:, ::-1] - mean) / std,
        f"channels in the order {other}, not {order}, after normalising": x[:, ::-1],
        "pictures of 0 to 1, not normalised further": unit,
        "pictures of 0 to 255, not normalised": pixels,
        "pictures of -1 to 1": 2 * unit - 1,
        "pictures normalised as for ImageNet": (pixels - a) / b,
        "pictures of 0 to 1 where 0 to 255 is normalised": (unit - mean) / std,
        "pictures normalised twice": (x - mean / full) / (std / full),
        "pictures reshaped, not transposed, from channels last to channels first, then normalised": (
            reshaped - mean) / std,
    }
