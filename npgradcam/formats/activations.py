"""How much memory a network would take for the input that its own file declares: found from shapes, and bounded.

A value lives from its node to its last reader, so this much is there at once when y = f(x) is computed; a backward pass
down to the picture keeps nearly all of them. A file of a kilobyte can ask for terabytes of both.
"""

from __future__ import annotations

from math import prod

import numpy as np

from npgradcam.errors import ModelFormatError, NpGradcamError
from npgradcam.network import Network
from npgradcam.topology import last_reads

AT_ONCE, IN_ALL = 8, 64  # GiB


def check_activations(network: Network) -> None:
    """Refuse a network whose activations are larger; one whose input may be of any size cannot be measured.

    Raises
    ------
    ModelFormatError
    """
    declared = [network.declared.get(name) for name in network.inputs]
    if any(shape is None or None in shape[1:] for shape in declared):
        return
    images = {name: tuple(1 if n is None else n for n in shape or ())
              for name, shape in zip(network.inputs, declared, strict=True)}
    try:
        shapes = network.shapes(images)
    except NpGradcamError:  # they depend on numbers that are not there yet, or another input than the declared one fits
        return
    gib = {name: prod(shape) * np.dtype(network.dtype).itemsize / 2**30 for name, shape in shapes.items()}
    alive = most = sum(gib[name] for name in network.inputs)
    for node, done in last_reads(network.nodes, set(network.outputs)):
        alive += gib[node.name]
        most = max(most, alive)
        alive -= sum(gib[name] for name in done)
    if most > AT_ONCE or sum(gib.values()) > IN_ALL:
        raise ModelFormatError(
            f"expected at most {AT_ONCE} GiB of activations at once and {IN_ALL} in all for the declared input, got "
            f"{most:.1f} and {sum(gib.values()):.1f}; export the model for a smaller one"
        )
