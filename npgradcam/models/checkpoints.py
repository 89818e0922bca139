"""From the tensors of a checkpoint to those of the network in it, whatever the training script wrapped around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from npgradcam.errors import ModelFormatError
from npgradcam.typing import Array


def network_part(arrays: Mapping[str, Array], expected: Collection[str], source: str = "weights") -> dict[str, Array]:
    """Return the network's own arrays, without what their names have in front.

    Training scripts save a network inside something: `module.` (data parallel), `model.` (Lightning), `state_dict.`
    (a checkpoint with an optimizer beside it). Where names with one such prefix cover everything that the network
    needs, these are taken; what lies beside them (an optimizer's state, a loss) is left alone.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    expected : collection of str
        The names that the architecture asks for.
    source : str
        Where the arrays come from, for error messages.

    Raises
    ------
    ModelFormatError
        If two prefixes cover everything, as where a checkpoint holds running averages of the weights too.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> list(network_part({"epoch": one, "model.fc.weight": one, "model.fc.bias": one}, ["fc.weight", "fc.bias"]))
    ['fc.weight', 'fc.bias']
    """
    if all(name in arrays for name in expected):
        return dict(arrays)
    found = Counter[str]()
    for name in arrays:
        parts = name.split(".")
        tails = ((i, ".".join(parts[i:])) for i in range(len(parts)))
        found.update(".".join((*parts[:i], "")) for i, tail in tails if tail in expected)
    whole = [prefix for prefix, count in found.items() if count == len(expected)]
    if len(whole) > 1:
        raise ModelFormatError(
            f"{source}: expected one network, got {len(whole)}, whose names begin with {', '.join(map(repr, whole))}; "
            "give the arrays of one of them, as a dictionary"
        )
    prefix = max(found, key=lambda p: (found[p], -len(p)), default="")
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
