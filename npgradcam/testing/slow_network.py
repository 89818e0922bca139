"""A network computed by slow definitions alone: forward and backward that share no line with the fast ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from ..errors import NpGradcamError
from ..models import Model, network_of
from ..network import Network, Node
from .definitions.numbers import Numbers, wide
from .twins import slow_backward, slow_forward

Rule = Literal["gradient", "deconvnet", "guided"]


def slow_outputs(network: Network | Model, images: Numbers | Mapping[str, Numbers]) -> dict[str, Numbers]:
    """Return what comes out of every node, and the inputs, by name; float64, or int64 where every number is whole.

    Parameters
    ----------
    network : Network or Model
    images : ndarray of shape (N, C, H, W), or a mapping of them by the inputs' names

    Raises
    ------
    NpGradcamError
        If there is no network.
    UnknownLayerError
        If a layer has no slow definition.

    Examples
    --------
    >>> import numpy as np
    >>> from npgradcam.layers import Linear, ReLU
    >>> net = Network.sequential([("fc", Linear(np.array([[1.0, -2.0]]), np.zeros(1))), ("relu", ReLU())])
    >>> values = slow_outputs(net, np.array([[3.0, 1.0]]))                   # 1 * 3 - 2 * 1
    >>> values["fc"].tolist(), values["relu"].tolist()
    ([[1.0]], [[1.0]])
    """
    network = network_of(network)
    given = images if isinstance(images, Mapping) else {network.inputs[0]: images}
    values = {name: wide(np.asarray(x)) for name, x in given.items()}
    for node in network.nodes:
        values[node.name] = slow_forward(node.layer, *(values[name] for name in node.inputs))
    return values


def slow_signals(network: Network | Model, values: Mapping[str, Numbers], output: str, seed: Numbers,
                 rule: Rule = "gradient") -> dict[str, Numbers]:
    """Return the signal of one image at every node and input below `output`, under a rule.

    Parameters
    ----------
    network : Network or Model
    values : mapping
        From `slow_outputs`, of one image: every batch axis is 1.
    seed : ndarray of the output's shape
        Where the backward begins.
    rule : {"gradient", "deconvnet", "guided"}

    Raises
    ------
    NpGradcamError
        If there is no network, or no such rule.
    UnknownLayerError
        If a layer has no slow definition.

    Notes
    -----
    signal[input] += backward of each node that reads it. At a rectifier with slope s: gradient signal s, guided
    max(signal, 0) s, deconvnet max(signal, 0).

    Examples
    --------
    >>> import numpy as np
    >>> from npgradcam.layers import Linear, ReLU
    >>> net = Network.sequential([("fc", Linear(np.array([[1.0, -2.0]]), np.zeros(1))), ("relu", ReLU())])
    >>> values = slow_outputs(net, np.array([[3.0, 1.0]]))
    >>> slow_signals(net, values, "relu", np.array([[1.0]]))["input"].tolist()
    [[1.0, -2.0]]
    """
    network = network_of(network)
    if rule not in ("gradient", "deconvnet", "guided"):
        raise NpGradcamError(f"rule: expected 'gradient', 'deconvnet' or 'guided', got {rule!r}")
    signals: dict[str, Numbers] = {output: wide(np.asarray(seed))}
    for node in reversed(network.nodes):
        if node.name not in signals:
            continue
        down = _down(node, signals[node.name], [values[name] for name in node.inputs], rule)
        for name, part in zip(node.inputs, down, strict=True):
            signals[name] = signals[name] + part if name in signals else part
    return signals


def _down(node: Node, signal: Numbers, xs: list[Numbers], rule: Rule) -> tuple[Numbers, ...]:
    """Return one signal for each input of a node."""
    if not node.layer.rectifies or rule == "gradient":
        return slow_backward(node.layer, signal, *xs)
    positive = np.where(signal > 0, signal, 0)
    return (positive,) if rule == "deconvnet" else slow_backward(node.layer, positive, *xs)
