"""Grad-CAM's relatives, one sum at a time, from feature maps (N, K, I, J) and gradients (R, K, I, J).

In each, row r belongs to image r where `image` is None, or to the only image.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np

from .methods import cam
from .numbers import Numbers


def grad_cam_plus_plus(activations: Numbers, gradients: Numbers,
                       image: list[int] | None = None) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Return alpha[r,k,i,j], w[r,k], sum_k w[r,k] A[image[r],k,i,j] and its ReLU (Chattopadhay et al. 2018).

    alpha = g^2 / (2 g^2 + T g^3) with g = gradients[r,k,i,j] and T = sum_{a,b} A[image[r],k,a,b] (equation 19), in
    fractions, so exactly; 0 where the denominator is 0. w[r,k] = sum_{i,j} alpha[r,k,i,j] ReLU(g) (equation 5).
    """
    R, K, I, J = gradients.shape
    alpha, w = np.zeros((R, K, I, J)), np.zeros((R, K))
    for (r, n), k in product(enumerate(_images(activations, gradients, image)), range(K)):
        T = sum(Fraction(float(activations[n, k, a, b])) for a, b in product(range(I), range(J)))
        terms = []
        for i, j in product(range(I), range(J)):
            g = Fraction(float(gradients[r, k, i, j]))
            denominator = 2 * g**2 + T * g**3
            alpha[r, k, i, j] = float(g**2 / denominator) if denominator else 0
            terms.append(alpha[r, k, i, j] * max(float(g), 0))
        w[r, k] = math.fsum(terms)
    return alpha, w, *cam(activations, w, image)


def xgrad_cam(activations: Numbers, gradients: Numbers,
              image: list[int] | None = None) -> tuple[Numbers, Numbers, Numbers]:
    """Return alpha[r,k], sum_k alpha[r,k] A[image[r],k,i,j] and its ReLU (Fu et al. 2020).

    alpha[r,k] = sum_{i,j} A[n,k,i,j] / (sum_{a,b} A[n,k,a,b]) gradients[r,k,i,j] with n = image[r]; 0 where the
    denominator is 0.
    """
    R, K, I, J = gradients.shape
    alpha = np.zeros((R, K))
    for (r, n), k in product(enumerate(_images(activations, gradients, image)), range(K)):
        A = {(i, j): Fraction(float(activations[n, k, i, j])) for i, j in product(range(I), range(J))}
        T = sum(A.values())
        if T:
            alpha[r, k] = float(sum(A[i, j] / T * Fraction(float(gradients[r, k, i, j])) for i, j in A))
    return alpha, *cam(activations, alpha, image)


def hires_cam(activations: Numbers, gradients: Numbers, image: list[int] | None = None) -> tuple[Numbers, Numbers]:
    """Return sum_k gradients[r,k,i,j] A[image[r],k,i,j] and its ReLU (Draelos and Carin 2020).

    The paper's map is the first of the two: it has no ReLU.
    """
    R, K, I, J = gradients.shape
    signed = np.zeros((R, I, J))
    for (r, n), i, j in product(enumerate(_images(activations, gradients, image)), range(I), range(J)):
        signed[r, i, j] = math.fsum(float(gradients[r, k, i, j]) * float(activations[n, k, i, j]) for k in range(K))
    return signed, np.where(signed > 0, signed, 0)


def layer_cam(activations: Numbers, gradients: Numbers, image: list[int] | None = None) -> tuple[Numbers, Numbers]:
    """Return sum_k ReLU(gradients[r,k,i,j]) A[image[r],k,i,j] and its ReLU (Jiang et al. 2021)."""
    return hires_cam(activations, np.where(gradients > 0, gradients, 0), image)


def _images(activations: Numbers, gradients: Numbers, image: list[int] | None) -> list[int]:
    return image if image is not None else [r if len(activations) > 1 else 0 for r in range(len(gradients))]
