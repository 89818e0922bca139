"""Whether a result has the shape of an answer, in one sentence if it has not."""

from __future__ import annotations

from npgradcam.typing import Array, Shape

from .case import Case
from .truth import MAPS

TURNED = "height and width change places"


def shape_of(case: Case, method: str, found: Array) -> tuple[str, str]:
    """Say what is wrong with a result's shape, for every case alike, and what was expected in this one; or "", ""."""
    N, C, H, W = case.images.shape
    if method in MAPS:
        I, J = case.network.shapes(case.images.shape)[case.layer][2:]
        sizes: set[Shape] = {(I, J), (H, W)}
        wanted = " or ".join(str((N, *size)) for size in dict.fromkeys([(I, J), (H, W)]))
        letters = "(N, I, J) at the layer's size or (N, H, W) at the images'"
    else:
        sizes, wanted, letters = {(C, H, W)}, f"{(N, C, H, W)}", "(N, C, H, W)"
    if found.shape[1:] in sizes and len(found) == N:
        return "", ""
    here = f"expected {wanted}, got {found.shape}"
    if found.shape in sizes:
        return f"expected {letters}: the axis of the images is missing", here
    if found.shape[1:] in sizes:
        return "expected an answer for each image of a batch", here
    if method in MAPS and found.ndim == 4 and 3 in (found.shape[1], found.shape[3]):
        return "expected a map, got a picture in colour", here
    turned = (*found.shape[1:-2], *found.shape[:-3:-1]) in sizes and len(found) == N
    return (TURNED if turned else f"expected {letters}"), here
