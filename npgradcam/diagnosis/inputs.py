"""What may have been done to pictures before they went in: another order of channels, another normalisation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from npgradcam.images import preset
from npgradcam.models import Model
from npgradcam.network import Network
from npgradcam.typing import Array


def other_inputs(net: Network | Model, x: Array) -> Iterator[tuple[str, Array]]:
    """Yield pictures as they would have gone in by mistake, with the mistake in words.

    Without a preprocessing only the order of the channels can be doubted.
    """
    made = net.preprocessing if isinstance(net, Model) else None
    layout = net.layout if isinstance(net, Model) else "NCHW"
    axis = layout.index("C")
    if x.ndim != 4 or x.shape[axis] != 3:
        return
    there, back = ["NCHW".index(a) for a in layout], [layout.index(a) for a in "NCHW"]
    if made is None:
        yield "channels in the reversed order (BGR for RGB, or RGB for BGR)", np.ascontiguousarray(np.flip(x, axis))
        return
    column = (3, 1, 1)
    mean, std = np.reshape(made.mean, column), np.reshape(made.std, column)
    pixels = x.transpose(back).astype(np.float64) * std + mean  # 0..255, channels as they go in
    unit = pixels / 255
    imagenet = preset("imagenet")
    a, b = (np.reshape(v, column) for v in (imagenet.mean, imagenet.std))
    order, other = ("RGB", "BGR") if made.channels == "RGB" else ("BGR", "RGB")
    variants = {
        f"channels in the order {other}, not {order}": (pixels[:, ::-1] - mean) / std,
        f"channels in the order {other}, not {order}, after normalising": ((pixels - mean) / std)[:, ::-1],
        "pictures of 0 to 1, not normalised further": unit,
        "pictures of 0 to 255, not normalised": pixels,
        "pictures of -1 to 1": 2 * unit - 1,
        "pictures normalised as for ImageNet": (pixels - a) / b,
        "pictures of 0 to 1 where 0 to 255 is normalised": (unit - mean) / std,
    }
    seen = [x]
    for words, y in variants.items():
        arranged = np.ascontiguousarray(y.transpose(there)).astype(x.dtype)
        if not any(np.allclose(arranged, other) for other in seen):
            seen.append(arranged)
            yield words, arranged
