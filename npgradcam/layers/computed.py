"""A layer whose settings are computed on the way: a target shape, sizes to resize to, the ends of a slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from npgradcam.typing import Array, Shape

from .checking import NoShapeYetError
from .layer import Layer


@dataclass(frozen=True, eq=False, repr=False)
class Computed(Layer):
    """Build a layer from numbers that arrive, and be that layer.

    Exported graphs compute shapes while they run (`x.view(x.size(0), -1)`), so that a picture of another size finds its
    way. The first inputs go through the layer; the others are its settings, and no signal is paid back to them.

    Parameters
    ----------
    make : function of `settings` arrays that returns a Layer
    settings : int
        How many of the last inputs are settings.
    kind : str
        What it builds, for people.
    """

    make: Callable[..., Layer]
    settings: int
    kind: str = "layer"
    inputs: ClassVar[int | None] = None

    def forward(self, *xs: Array) -> tuple[Array, Any]:  # (x, ..., settings, ...) -> what the layer makes of x
        layer, through = self.settled(*xs)
        y, cache = layer.forward(*xs[:through])
        return y, (layer, cache)

    def backward(self, signal: Array, cache: Any) -> tuple[Array | None, ...]:  # as the layer; nothing to settings
        layer, kept = cache
        return (*layer.backward(signal, kept), *(None,) * self.settings)

    def settled(self, *xs: Any) -> tuple[Layer, int]:
        """Return the layer that these inputs ask for, and how many of them go through it."""
        through = len(xs) - self.settings
        numbers = xs[through:]
        if not all(isinstance(number, np.ndarray) for number in numbers):
            raise NoShapeYetError(f"the settings of this {self.kind} depend on the picture's numbers: no shape yet")
        layer = self.make(*numbers)
        dtype = next((x.dtype for x in xs[:through] if isinstance(x, np.ndarray) and x.dtype.kind == "f"), None)
        return (layer if dtype is None else layer.astype(dtype)), through

    def output_shape(self, *known: Shape | NDArray[Any]) -> Shape:
        """Return the shape for inputs of which the settings are given as they are, and the others by their shapes."""
        layer, through = self.settled(*known)
        return layer.output_shape(*(x.shape if isinstance(x, np.ndarray) else x for x in known[:through]))
