"""Why a map has no shape: NaN, zero or one number in every cell, where the right one is not."""

from __future__ import annotations

import numpy as np

from npgradcam.typing import Array

CERTAIN = 1e-6  # a probability so near to 0 or 1 has next to no gradient in float32
NO_NUMBER = ("A^k, its gradients or the picture hold NaN or infinity already (a picture divided by a deviation of 0, "
             "half precision that overflows, a logarithm of 0)")
NO_GRADIENT = ("the gradient never came (detach or no_grad between the layer and the score, a layer that this forward "
               "did not use, a hook that was read before the backward)")


def is_flat(maps: Array) -> bool:
    """Whether there is a NaN, or every one of the maps (R, H, W) holds one number alone."""
    return bool(np.isnan(maps).any() or not np.ptp(maps, axis=(1, 2)).any())


def why(given: Array, signed: Array, probability: Array, subject: str) -> str:
    """Say what typically makes such maps (R, H, W), of what could have made these.

    Parameters
    ----------
    given : ndarray (R, H, W)
        They are flat.
    signed : ndarray (R, I, J)
        The right ones before their ReLU.
    probability : ndarray (R,)
        Of the classes that are explained.
    subject : str
        What the maps should be.
    """
    right, missing = np.maximum(signed, 0), int(np.isnan(given).sum())
    nothing = not right.any(axis=(1, 2)).all()  # a map without a positive cell, whose range is 0
    should = f"{subject} goes from {right.min():.4g} to {right.max():.4g}; what makes such a map: "
    if missing:
        where = "everywhere" if missing == given.size else f"in {missing} of {given.size} cells"
        cause = "0 was divided by 0: a map of zeros by its range or its largest number, without an epsilon"
        return f"the map is NaN {where}, and {should}{cause if nothing else NO_NUMBER}"
    if given.any():
        numbers = " and ".join(f"{c:.4g}" for c in np.unique(given[:, 0, 0]))
        zeros = "a map of zeros was normalised" if nothing else "all evidence was lost before the map was normalised"
        return (f"the map is {numbers} in every cell, and {should}{zeros}, a layer of one cell (behind global "
                "pooling) was enlarged, or a mean over all cells was taken")
    causes = [NO_GRADIENT]
    if right.max() < 1:
        causes.append("numbers below 1 became whole numbers")
    if (np.minimum(probability, 1 - probability) < CERTAIN).all():
        causes.append("a probability was differentiated, and this one is so near to 0 or 1 that its gradient vanishes")
    if signed.min() >= 0:
        causes.append("the sign was reversed before the ReLU, which leaves nothing as no cell is negative")
    return f"the map is zero everywhere, and {should}{'; or '.join(causes)}"
