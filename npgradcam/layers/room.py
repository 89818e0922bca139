"""How large constants may grow while a graph is built and measured: a few bytes of a file can ask for terabytes."""

from __future__ import annotations

import math
from typing import Any

from npgradcam.errors import ShapeError

from .computed import Computed
from .layer import Layer
from .measures import ConstantOfShape, NonZero, Range

SPARE, TIMES = 160_000_000, 8  # numbers in all: the weights of a VGG-16, and so many times those that a graph holds


class NoRoomError(ShapeError):
    """A graph computes more numbers from its constants than it may."""


class Room:
    """Counts the numbers that layers make of constants, before they are made.

    Parameters
    ----------
    held : int
        How many numbers the graph holds.
    """

    def __init__(self, held: int) -> None:
        self.most = self.left = SPARE + TIMES * held

    def ask(self, layer: Layer, values: list[Any]) -> None:
        """Refuse what `layer` would make of these arrays where it does not fit any more.

        Raises
        ------
        NoRoomError
        """
        if isinstance(layer, Computed):
            layer, through = layer.settled(*values)
            values = values[:through]
        if isinstance(layer, ConstantOfShape):
            count = math.prod(max(0, int(length)) for length in values[0].reshape(-1))
        elif isinstance(layer, Range):
            start, limit, step = (float(value.item()) for value in values)
            count = max(0, math.ceil((limit - start) / step)) if step else 0
        elif isinstance(layer, NonZero):
            count = values[0].size * values[0].ndim
        else:
            count = math.prod(layer.output_shape(*(value.shape for value in values)))
        self.left -= count
        if self.left < 0:
            raise NoRoomError(f"expected constants of at most {self.most:,} numbers in all, got more; simplify the "
                              "graph, so that it holds them instead of computing them")
