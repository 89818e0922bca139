"""Where an architecture takes its parameters from: a mapping by name, or a seeded generator keyed by the name.

An architecture asks for every array with the shape it needs; what is missing, misshapen or left over is reported at
once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from zlib import crc32

import numpy as np

from npgradcam.errors import ModelFormatError
from npgradcam.kernels import Padding
from npgradcam.layers import BatchNorm2d, Conv2d, Linear
from npgradcam.typing import Array, Pair, Shape

_LISTED = 12


class Weights:
    """Parameters by name, handed out once each and checked.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        A state dict: names as the framework that trained the network wrote them.
    source : str
        Where they come from, for error messages.
    """

    def __init__(self, arrays: Mapping[str, Array], source: str = "weights") -> None:
        self.arrays = arrays
        self.source = source
        self.taken: dict[str, Array] = {}
        self.problems: list[str] = []
        self.ignored: tuple[str, ...] = ()

    def take(self, name: str, *shape: int) -> Array:
        """Return the array of that name; a missing or misshapen one is noted and stands in as zeros."""
        array = self._find(name, shape)
        if array is None or array.shape != shape:
            got = "missing" if array is None else f"got {array.shape}"
            self.problems.append(f"{name}: expected {shape}, {got}")
            array = np.zeros(shape, np.float32)
        self.taken[name] = array
        return array

    def conv(self, name: str, outputs: int, inputs: int, kernel: int | Pair, stride: int | Pair = 1,
             padding: int | Pair | Literal["same"] = 0, groups: int = 1, bias: bool = True) -> Conv2d:
        """Return a convolution with the parameters `name`.weight and `name`.bias (None where it has none).

        One number for `kernel`, `stride` or `padding` holds for both axes; `padding` is alike on opposite sides.
        """
        weight = self.take(f"{name}.weight", outputs, inputs // groups, *_pair(kernel))
        b = self.take(f"{name}.bias", outputs) if bias else None
        pad: Padding = padding if isinstance(padding, str) else (*_pair(padding), *_pair(padding))
        return Conv2d(weight, b, _pair(stride), pad, (1, 1), groups)

    def norm(self, name: str, channels: int, epsilon: float = 1e-5) -> BatchNorm2d:
        """Return a batch normalisation with the parameters of that name."""
        gamma, beta = self.take(f"{name}.weight", channels), self.take(f"{name}.bias", channels)
        mean, variance = self.take(f"{name}.running_mean", channels), self.take(f"{name}.running_var", channels)
        return BatchNorm2d(gamma, beta, mean, variance, epsilon)

    def linear(self, name: str, outputs: int, inputs: int) -> Linear:
        """Return a linear layer with the parameters of that name."""
        return Linear(self.take(f"{name}.weight", outputs, inputs), self.take(f"{name}.bias", outputs))

    def ignore(self, *prefixes: str) -> None:
        """Let parameters whose names begin so be there or not: what only training uses."""
        self.ignored += prefixes

    def finish(self, architecture: str) -> None:
        """Raise `ModelFormatError` that lists everything missing, misshapen or left over."""
        unread = [n for n in self.arrays if n not in self.taken and not n.startswith(self.ignored)]
        left = [n for n in unread if not n.endswith("num_batches_tracked")]
        problems = self.problems + [f"unexpected {name} {self.arrays[name].shape}" for name in left]
        if problems:
            more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
            raise ModelFormatError(
                f"{self.source}: these are not the weights of {architecture}: {'; '.join(problems[:_LISTED])}{more}"
                f"{self._other_classes(left)}"
            )

    def _other_classes(self, left: list[str]) -> str:
        """The way out where nothing but the number of classes is another: a network that was trained further."""
        counts = {(taken.shape[0], self.arrays[name].shape[0]) for name, taken in self.taken.items()
                  if name in self.arrays and self.arrays[name].ndim and self.arrays[name].shape != taken.shape}
        if left or len(counts) != 1 or any(name not in self.arrays for name in self.taken):
            return ""
        ((expected, got),) = counts
        return (
            f"; if it tells {got} classes apart and not {expected}, say so: classes={got}, or labels with {got} names "
            "(on the command line --labels FILE)"
        )

    def _find(self, name: str, shape: Shape) -> Array | None:
        return self.arrays.get(name)


class Outline(Weights):
    """Zeros that take no memory: enough to see which parameters an architecture asks for, and how large it is."""

    def __init__(self) -> None:
        super().__init__({}, "an outline")

    def _find(self, name: str, shape: Shape) -> Array | None:
        return np.broadcast_to(np.float32(0), shape)


class RandomWeights(Weights):
    """Weights drawn when asked for: the same name and seed give the same numbers in any order, on any machine.

    Convolution and linear weights are normal with variance 2 / fan-in (He et al. 2015, section 2.2), so that
    activations keep their size through a deep network of ReLUs; batch norms are near the identity.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__({}, f"random weights of seed {seed}")
        self.seed = seed

    def _find(self, name: str, shape: Shape) -> Array | None:
        draw = np.random.default_rng([self.seed, crc32(name.encode())])
        if len(shape) > 1:
            return draw.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        if name.endswith("running_var") or name.endswith("weight"):
            return draw.uniform(0.8, 1.2, shape).astype(np.float32)
        return draw.normal(0, 0.05, shape).astype(np.float32)


def random_weights(seed: int = 0) -> RandomWeights:
    """Return weights for any architecture, drawn from a generator keyed by seed and parameter name."""
    return RandomWeights(seed)


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value
