"""Train the small network of `shapes`: python -m npgradcam.models.train_shapes -o shapes.npz.

The layers' own backward gives the signal at every layer with parameters, `parameter_gradients` turns it into
gradients, and Adam does the rest. The same seed on the same machine gives the same bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..network import Network
from ..typing import Array

PICTURES = 8000
BATCH = 50
LEARNING_RATE = 3e-3
DECAY = 1e-4


def cross_entropy(logits: Array, labels: NDArray[np.integer]) -> tuple[float, Array]:
    """Return the mean of -log softmax(logits)[label] over the batch, and its derivative by the logits (N, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    probabilities = np.exp(shifted)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = float(-np.log(probabilities[rows, labels]).mean())
    probabilities[rows, labels] -= 1
    return loss, probabilities / len(labels)


def loss_and_gradients(network: Network, images: Array, labels: NDArray[np.integer]) -> tuple[float, dict[str, Array]]:
    """Return the loss on a batch and its gradient by every parameter.

    Parameters
    ----------
    network : Network
        Of layers with at most one input where they have parameters.
    images : ndarray (N, C, H, W)
    labels : ndarray of int (N,)

    Returns
    -------
    loss : float
    gradients : dict of str to ndarray
        "conv1.weight" and so on.
    """
    trained = [node for node in network.nodes if node.layer.parameters]
    places = [node.name for node in trained]
    tape = network.forward(images, observe=[*places, *(node.inputs[0] for node in trained)])
    loss, seed = cross_entropy(tape.logits, labels)
    signals = network.backward(tape, seed, down_to=places)
    gradients = {}
    for node in trained:
        by_name = node.layer.parameter_gradients(signals[node.name], tape.activations[node.inputs[0]])
        gradients.update({f"{node.name}.{name}": gradient for name, gradient in by_name.items()})
    return loss, gradients
