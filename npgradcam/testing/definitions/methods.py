"""The papers' maps, one sum at a time; what each needs is handed in, however it was computed."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from ...typing import Pair
from .numbers import Numbers, wide


def grad_cam_alpha(gradients: Numbers) -> Numbers:
    """alpha[r,k] = 1/Z sum_{i,j} gradients[r,k,i,j], Z = I J (Selvaraju et al. 2017, equation 1)."""
    R, K, I, J = gradients.shape
    alpha = np.zeros((R, K))
    for r, k in product(range(R), range(K)):
        alpha[r, k] = math.fsum(float(gradients[r, k, i, j]) for i, j in product(range(I), range(J))) / (I * J)
    return alpha


def grad_cam(activations: Numbers, gradients: Numbers, image: list[int] | None = None) -> tuple[Numbers, Numbers]:
    """Return sum_k alpha[r,k] A[image[r],k,i,j] and its ReLU, both (R, I, J) (Selvaraju et al. 2017, equation 2).

    Row r belongs to image r where `image` is None, or to the only image.
    """
    return cam(activations, grad_cam_alpha(gradients), image)


def cam(activations: Numbers, class_weights: Numbers, image: list[int] | None = None) -> tuple[Numbers, Numbers]:
    """Return M[r,i,j] = sum_k class_weights[r,k] A[image[r],k,i,j] and its ReLU (Zhou et al. 2016, equation 2).

    The paper's map is the first of the two: it has no ReLU.
    """
    N, K, I, J = activations.shape
    rows = image if image is not None else [r if N > 1 else 0 for r in range(len(class_weights))]
    signed = np.zeros((len(rows), I, J))
    for (r, n), i, j in product(enumerate(rows), range(I), range(J)):
        terms = (float(class_weights[r, k]) * float(activations[n, k, i, j]) for k in range(K))
        signed[r, i, j] = math.fsum(terms)
    return signed, np.where(signed > 0, signed, 0)


def upsample(maps: Numbers, size: Pair) -> Numbers:
    """Interpolate (R, I, J) to (R, H, W): bilinear, half-pixel centres, edges repeated.

    The centre of output cell h lies at row (h + 1/2) I/H - 1/2 of the map; each neighbour counts by its nearness.
    """
    (R, I, J), (H, W) = maps.shape, size
    y, maps = np.zeros((R, H, W)), wide(maps)
    for h, w in product(range(H), range(W)):
        row, column = (h + 0.5) * I / H - 0.5, (w + 0.5) * J / W - 0.5
        for i, j in product((math.floor(row), math.floor(row) + 1), (math.floor(column), math.floor(column) + 1)):
            near = (1 - abs(row - i)) * (1 - abs(column - j))
            y[:, h, w] += near * maps[:, min(max(i, 0), I - 1), min(max(j, 0), J - 1)]
    return y
