"""The inverted residual block (Sandler et al. 2018, figure 3), which four families of networks are made of.

    1x1 expands the channels -> depthwise looks around -> (squeeze-and-excitation) -> 1x1 projects -> (add the input)

The projection is linear: nothing is cut off where channels are few. Where neither size nor channels change, the block's
input is added. The families differ in activations, paddings, epsilon, and in what they call the parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from npgradcam.layers import Add, GlobalAvgPool2d, Layer, Mul

from .graph import Graph
from .steps import conv_norm
from .weights import Weights


@dataclass(frozen=True)
class Squeeze:
    """Squeeze-and-excitation: how many channels lie in the middle, what acts there, and what makes the scale.

    `saved` is what the two convolutions are called in the state dict, before ".fc1" and ".fc2".
    """

    saved: str
    channels: int
    activation: Layer
    gate: Layer


def inverted_residual(g: Graph, w: Weights, name: str, saved: Sequence[tuple[str, str]], inputs: int, wide: int,
                      outputs: int, kernel: int, stride: int, activation: Layer, epsilon: float = 1e-5,
                      padding: Literal["same"] | None = None, squeeze: Squeeze | None = None) -> None:
    """Add one block.

    Parameters
    ----------
    saved : sequence of (str, str)
        What convolution and normalisation of expansion, depthwise step and projection are called in the state dict;
        without the first pair there is no expansion.
    inputs, wide, outputs : int
        Channels that go in, are looked around in, and come out.
    padding : "same", optional
        TensorFlow's; half the kernel where nothing is said.
    """
    x, (*expand, depthwise, project) = g.last, saved
    for names in expand:
        conv_norm(g, w, f"{name}.expand", names, wide, inputs, 1, epsilon=epsilon, activation=activation)
    conv_norm(g, w, f"{name}.depthwise", depthwise, wide, wide, kernel, stride=stride, padding=padding, groups=wide,
              epsilon=epsilon, activation=activation)
    if squeeze is not None:
        _excite(g, w, f"{name}.squeeze", wide, squeeze)
    conv_norm(g, w, f"{name}.project", project, outputs, wide, 1, epsilon=epsilon)
    if stride == 1 and inputs == outputs:
        g.add(f"{name}.add", Add(), g.last, x)


def _excite(g: Graph, w: Weights, name: str, channels: int, squeeze: Squeeze) -> None:
    """y[n,c] = s[n,c] x[n,c], s = gate(W2 activation(W1 mean of x)) (Hu et al. 2018, equations 2 to 4)."""
    x = g.last
    g.add(f"{name}.pool", GlobalAvgPool2d())
    g.add(f"{name}.fc1", w.conv(f"{squeeze.saved}.fc1", squeeze.channels, channels, 1))
    g.add(f"{name}.activation", squeeze.activation)
    g.add(f"{name}.fc2", w.conv(f"{squeeze.saved}.fc2", channels, squeeze.channels, 1))
    scale = g.add(f"{name}.gate", squeeze.gate)
    g.add(f"{name}.scale", Mul(), scale, x)
