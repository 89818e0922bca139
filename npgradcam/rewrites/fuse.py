"""Fuse a rectifier into the convolution before it: what is cut off is cut off while the sum is stored.

    y = min(max(W x + b, low), high)

The fused layer keeps y, from which the slope can be read, and takes the rule like any rectifier.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgradcam import kernels
from npgradcam.layers import Clip, Conv2d, Layer, Rectifier, ReLU
from npgradcam.rules import Rule, deconvnet, gradient, guided
from npgradcam.topology import Topology
from npgradcam.typing import Array, Shape

from .fold import join

# what each rule looks at: whether the signal is positive, and the slope
_FLAGS: dict[Rule, tuple[bool, bool]] = {gradient: (False, True), deconvnet: (True, False), guided: (True, True)}


@dataclass(frozen=True, eq=False, repr=False)
class ConvRectifier(Layer):
    """A convolution and the rectifier after it.

    Parameters
    ----------
    conv : Conv2d
    gate : ReLU or Clip
    """

    conv: Conv2d
    gate: Rectifier

    @property
    def arrays(self) -> dict[str, Array]:
        """Every array of the convolution."""
        return self.conv.arrays

    def astype(self, dtype: Any) -> ConvRectifier:
        """Return the same layer in another precision."""
        return ConvRectifier(self.conv.astype(dtype), self.gate)

    @property
    def rectifies(self) -> bool:
        """Whether the backward rules act on this layer."""
        return self.gate.rectifies

    @property
    def ends(self) -> tuple[float, float]:
        """Where the rectifier cuts off."""
        return (self.gate.low, self.gate.high) if isinstance(self.gate, Clip) else (0.0, np.inf)

    def forward(self, x: Array) -> tuple[Array, Any]:  # (N, C, H, W) -> (N, O, I, J)
        # y[n,o,i,j] = min(max(bias[o] + sum_{c,u,v} weight[o,c,u,v] x[n, c, s i + d u - p, s j + d v - p], low), high)
        y = self.conv.correlate(x, kernels.Store(self.conv.bias, *self.ends))
        return y, (y, x.shape)

    def backward(self, signal: Array, cache: Any, rule: Rule = gradient) -> tuple[Array]:
        # (R, O, I, J) -> (R, C, H, W): the rule at the rectifier, then the convolution's adjoint
        y, shape = cache
        flags = _FLAGS.get(rule)
        if flags is None:  # a rule of the caller's own
            passed = rule(signal, self.gate.slope(y))
        else:
            passed = kernels.gate(signal, y, *self.ends, *flags)
        return self.conv.backward(passed, shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.conv.output_shape(*shapes)


def fuse(network: Topology, keep: Set[str]) -> Topology:
    """Return the graph with each rectifier in the convolution before it; a node that is kept, or read twice, stays."""
    return join(network, keep, _fused)


def _fused(conv: Layer, gate: Layer) -> Layer | None:
    return ConvRectifier(conv, gate) if isinstance(conv, Conv2d) and isinstance(gate, (ReLU, Clip)) else None
