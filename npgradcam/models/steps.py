"""What nearly every architecture since 2015 repeats: a convolution, its batch normalisation, an activation."""

from __future__ import annotations

from typing import Literal

from npgradcam.layers import Layer
from npgradcam.typing import Pair

from .graph import Graph
from .weights import Weights


def conv_norm(g: Graph, w: Weights, name: str, saved: tuple[str, str], outputs: int, inputs: int, kernel: int | Pair, *,
              stride: int = 1, padding: int | Pair | Literal["same"] | None = None, groups: int = 1,
              epsilon: float = 1e-5, activation: Layer | None = None, x: str | None = None) -> str:
    """Add `name`.conv (without bias), `name`.norm and, where there is one, the activation; return what was added last.

    Parameters
    ----------
    saved : (str, str)
        What the convolution's and the normalisation's parameters are called in the state dict.
    padding : int, (int, int) or "same", optional
        Where nothing is said, half the kernel: pictures keep their size at stride 1.
    activation : Layer, optional
        Called `name`.relu for a rectifier, or by its kind: `name`.silu.
    x : str, optional
        What goes in; what was added last where nothing is said.
    """
    if padding is None:
        padding = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    conv = w.conv(saved[0], outputs, inputs, kernel, stride, padding, groups, bias=False)
    g.add(f"{name}.conv", conv, x or g.last)
    g.add(f"{name}.norm", w.norm(saved[1], outputs, epsilon))
    if activation is not None:
        g.add(f"{name}.{'relu' if activation.rectifies else type(activation).__name__.lower()}", activation)
    return g.last


def scaled(channels: float, width: float = 1.0) -> int:
    """Round width * channels to a multiple of 8, never more than a tenth below it.

    Examples
    --------
    >>> [scaled(c, 1.1) for c in (16, 24, 320)]
    [16, 24, 352]
    """
    rounded = max(8, int(width * channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width * channels else rounded
