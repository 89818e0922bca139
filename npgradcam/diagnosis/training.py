"""Batch normalisation as in training: by the pictures' own statistics, where an `eval()` was forgotten."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from npgradcam.layers import BatchNorm, Layer
from npgradcam.network import Network
from npgradcam.typing import Array

TRAINING = "batch norm with the statistics of these very pictures, as in training: is an eval() missing?"


@dataclass(frozen=True, eq=False, repr=False)
class InTraining(Layer):
    """Normalise by mean and variance of each channel over the batch (Ioffe & Szegedy 2015, algorithm 1).

    A backward's rows are the batch's scores, added up as by one call of a framework's backward; or, of one picture,
    each a score of its own.
    """

    norm: BatchNorm

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:  # type: ignore[override]
        """Return x (N, C, ...) normalised, scaled and shifted."""
        # y[n,c,...] = gamma[c] z[n,c,...] + beta[c], z = (x - mean_c) / sqrt(variance_c + epsilon)
        axes = (0, *range(2, x.ndim))
        deviation = np.sqrt(x.var(axis=axes, keepdims=True) + x.dtype.type(self.norm.epsilon))  # (1, C, 1, ...)
        z = (x - x.mean(axis=axes, keepdims=True)) / deviation
        gamma, beta = (v.reshape(deviation.shape) for v in (self.norm.weight, self.norm.bias))
        return np.asarray(gamma * z + beta), (z, np.broadcast_to(gamma / deviation, (len(x), *deviation.shape[1:])))

    def backward(self, signal: Array, cache: tuple[Array, Array]) -> tuple[Array]:
        """Return the signal (R, C, ...) times the derivative, through mean and variance too."""
        # dx = gamma / deviation (signal - mean of signal - z mean of (z signal))
        z, scale = cache
        axes = (*range(len(z) == len(signal)), *range(2, z.ndim))
        mean, with_z = (v.mean(axis=axes, keepdims=True) for v in (signal, z * signal))
        return (np.asarray(scale * (signal - mean - z * with_z)),)


def in_training(network: Network) -> Network | None:
    """Return the network with batch norm as in training; None where it has none."""
    nodes = tuple(replace(n, layer=InTraining(n.layer)) if isinstance(n.layer, BatchNorm) else n
                  for n in network.nodes)
    return replace(network, nodes=nodes) if any(isinstance(n.layer, InTraining) for n in nodes) else None
