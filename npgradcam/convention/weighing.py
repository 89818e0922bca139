"""How feature maps are weighed before they are summed: by each paper, as others compute it, and as it goes wrong.

Every function takes A^k of each row's own image and g = dy/dA^k, both (R, K, I, J), and the score y (R,), and returns
the sum over k, signed, (R, I, J).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from npgradcam.errors import NpGradcamError
from npgradcam.methods import ClassActivationMap
from npgradcam.methods.grad_cam import maps_and_gradients
from npgradcam.typing import Array

from .plus_plus import PLUS_PLUS
from .sums import over_cells, quotient, weighted

Weighing: TypeAlias = Callable[[Array, Array, Array], Array]


def mean(A: Array, g: Array, y: Array) -> Array:
    """w_k = mean of g: Grad-CAM, equation (1)."""
    return weighted(g.mean(axis=(2, 3)), A)


def total(A: Array, g: Array, y: Array) -> Array:
    """w_k = sum of g: Grad-CAM without the 1/Z."""
    return weighted(g.sum(axis=(2, 3)), A)


def maximum(A: Array, g: Array, y: Array) -> Array:
    """w_k = largest g: pooled by the maximum, not by the mean."""
    return weighted(g.max(axis=(2, 3)), A)


def rectified(A: Array, g: Array, y: Array) -> Array:
    """w_k = mean of ReLU(g): Grad-CAM with the negative gradients cut off."""
    return weighted(np.maximum(g, 0).mean(axis=(2, 3)), A)


def magnitude(A: Array, g: Array, y: Array) -> Array:
    """w_k = mean of |g|: a channel that speaks against the class counts for it."""
    return weighted(np.abs(g).mean(axis=(2, 3)), A)


def positive_mean(A: Array, g: Array, y: Array) -> Array:
    """w_k = ReLU(mean of g): channels that speak against the class are left out."""
    return weighted(np.maximum(g.mean(axis=(2, 3)), 0), A)


def magnitude_of_the_mean(A: Array, g: Array, y: Array) -> Array:
    """w_k = |mean of g|: Grad-CAM's weight without its sign."""
    return weighted(np.abs(g.mean(axis=(2, 3))), A)


def term_by_term(A: Array, g: Array, y: Array) -> Array:
    """The sum of ReLU(w_k A^k), w_k = mean of g: each channel rectified before the sum."""
    return np.asarray(np.maximum(g.mean(axis=(2, 3), keepdims=True) * A, 0).sum(axis=1))


def of_the_batch(A: Array, g: Array, y: Array) -> Array:
    """w_k = mean of g over the cells and the rows: one weight for all images."""
    return weighted(np.broadcast_to(g.mean(axis=(0, 2, 3)), g.shape[:2]), A)


def of_the_first_image(A: Array, g: Array, y: Array) -> Array:
    """w_k = mean of g of the first row: its weights for all images."""
    return weighted(np.broadcast_to(g[:1].mean(axis=(2, 3)), g.shape[:2]), A)


def over_rows(A: Array, g: Array, y: Array) -> Array:
    """w_kj = mean of g_kij over i: an axis forgotten in the mean."""
    return np.asarray((g.mean(axis=2, keepdims=True) * A).sum(axis=1))


def over_columns(A: Array, g: Array, y: Array) -> Array:
    """w_ki = mean of g_kij over j: the other axis forgotten."""
    return np.asarray((g.mean(axis=3, keepdims=True) * A).sum(axis=1))


def reshaped(A: Array, g: Array, y: Array) -> Array:
    """w_k = mean of g whose numbers were reshaped to (I, J, K), not transposed: of other channels' cells."""
    R, K, I, J = g.shape
    return weighted(g.reshape(R, I, J, K).mean(axis=(1, 2)), A)


def softmax(A: Array, g: Array, y: Array) -> Array:
    """w_k = exp(alpha_k) / sum of exp(alpha), alpha = mean of g: of either sign, all of it counts for the class."""
    alpha = g.mean(axis=(2, 3))
    e = np.exp(alpha - alpha.max(axis=1, keepdims=True))
    return weighted(e / e.sum(axis=1, keepdims=True), A)


def unweighted(A: Array, g: Array, y: Array) -> Array:
    """w_k = 1/K: the mean activation; no class comes into it."""
    return np.asarray(A.mean(axis=1))


def gradients_alone(A: Array, g: Array, y: Array) -> Array:
    """The mean of g over the channels; no activation comes into it."""
    return np.asarray(g.mean(axis=1))


def share(A: Array, g: Array, y: Array) -> Array:
    """w_k = sum of A g / sum of A: XGrad-CAM."""
    return weighted(quotient(over_cells(A * g), over_cells(A))[..., 0, 0], A)


def share_plus_1e_7(A: Array, g: Array, y: Array) -> Array:
    """w_k = sum of A g / (sum of A + 1e-7): XGrad-CAM in pytorch-grad-cam."""
    return weighted((over_cells(A * g) / (over_cells(A) + A.dtype.type(1e-7)))[..., 0, 0], A)


def cell_by_cell(A: Array, g: Array, y: Array) -> Array:
    """sum_k g A^k, cell by cell: HiResCAM."""
    return np.asarray(np.einsum("rkij,rkij->rij", g, A))


def cell_by_cell_rectified(A: Array, g: Array, y: Array) -> Array:
    """sum_k ReLU(g) A^k, cell by cell: LayerCAM."""
    return np.asarray(np.einsum("rkij,rkij->rij", np.maximum(g, 0), A))


WEIGHINGS: dict[str, dict[str, Weighing]] = {  # by method, the paper's own first
    "grad-cam": {"mean": mean, "sum": total, "maximum": maximum, "rectified": rectified, "magnitude": magnitude,
                 "positive mean": positive_mean, "magnitude of the mean": magnitude_of_the_mean,
                 "term by term": term_by_term, "of the batch": of_the_batch,
                 "of the first image": of_the_first_image, "over rows": over_rows, "over columns": over_columns,
                 "reshaped": reshaped, "softmax": softmax, "unweighted": unweighted,
                 "gradients alone": gradients_alone},
    "grad-cam-plus-plus": PLUS_PLUS,
    "xgrad-cam": {"share": share, "share + 1e-7": share_plus_1e_7},
    "hires-cam": {"cell by cell": cell_by_cell},
    "layer-cam": {"cell by cell, rectified": cell_by_cell_rectified},
}


def score_of(e: ClassActivationMap) -> Array:
    """Return y of each row, (R,); 0 where a seed was explained."""
    if e.target is None:
        return np.zeros(len(e), e.logits.dtype)
    return np.asarray(e.logits[e.image, e.target].reshape(len(e), -1)[:, 0])


def signed_map(e: ClassActivationMap, weighing: str) -> Array:
    """Return the signed map (R, I, J) of what a record holds, weighed as one of its method's `WEIGHINGS`."""
    known = WEIGHINGS.get(e.method, {})
    if not known:  # CAM has no gradients, the counterfactual has no variants
        return e.signed_cam
    if weighing not in known:
        raise NpGradcamError(f"weights of {e.method}: expected one of {', '.join(known)}, got {weighing!r}")
    return known[weighing](*maps_and_gradients(e), score_of(e))
