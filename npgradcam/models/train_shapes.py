"""Train the small network of `shapes`: python -m npgradcam.models.train_shapes -o shapes.npz.

The loss is softmax cross-entropy plus a price on maps that are spread out; no box is ever looked at. The network's own
backward gives the signal at every layer with parameters, `parameter_gradients` makes gradients of it, and Adam takes
the steps. The same seed on the same machine gives the same bytes; where sums are rounded in another order (another
machine, another kernel), training takes another path to a network that is as good.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from npgradcam import kernels
from npgradcam._version import __version__
from npgradcam.formats import write_npz
from npgradcam.layers import Conv2d, Linear
from npgradcam.network import Network
from npgradcam.typing import Array, IntArray

from .load import build
from .shapes import MAPS, MEAN, STD, shapes_graph
from .shapes_data import CLASSES, HELD_OUT, ShapesData, shapes_data
from .weights import random_weights

PICTURES = 8000
EPOCHS = 6
BATCH = 50
RATE = 0.01  # of learning; it rises for WARM_UP steps and then falls to 0 along half a cosine
WARM_UP = 50
DECAY = 0.05
COMPACT = 1.5  # the price of spread-out maps in the loss; it rises from 0 in the middle third of the training
CHECKED = {"count": 1000, "seed": 1000}  # other pictures that training never sees, for the recorded accuracy


def network_input(pictures: NDArray[np.uint8], dtype: str = "float32") -> Array:
    """Return pictures (N, H, W, 3) as the network takes them, (N, 3, H, W): `PREPROCESS.prepare` for all at once."""
    return np.ascontiguousarray(((pictures.astype(dtype) - MEAN) / STD).transpose(0, 3, 1, 2))


def cross_entropy(logits: Array, labels: IntArray) -> tuple[float, Array]:
    """Return the mean of -log softmax(logits)[label] over the batch, and its derivative by the logits, (N, classes)."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    seed = np.exp(log_p)
    seed[rows, labels] -= 1  # d(-log p_label) / d logit_c = p_c - [c = label]
    return float(-log_p[rows, labels].mean()), seed / len(labels)


def spread(activations: Array) -> tuple[float, Array]:
    """Return the part of the cells in which the maps are active, a mean over the batch, and its derivative by the maps.

    With T_ij = sum_k A^k_ij: (sum_ij T)^2 / (Z sum_ij T^2), which is 1 where all Z cells are alike and 1/Z where one
    cell holds everything. It says nothing about which cells these are.
    """
    N, _, I, J = activations.shape
    T = activations.sum(axis=1, keepdims=True)
    total = T.sum(axis=(2, 3), keepdims=True)
    squares = (T * T).sum(axis=(2, 3), keepdims=True) + T.dtype.type(1e-6)  # so that maps of zeros have a spread of 0
    signal = 2 * total / (I * J * squares) * (1 - total * T / squares) / N
    return float((total**2 / (I * J * squares)).mean()), np.broadcast_to(signal, activations.shape)


def loss_and_gradients(network: Network, images: Array, labels: IntArray,
                       compact: float = COMPACT) -> tuple[float, dict[str, Array]]:
    """Return the loss on a batch and its gradient by every parameter.

    Parameters
    ----------
    network : Network
        `build("shapes", weights)`.
    images : ndarray (N, 3, H, W)
    labels : ndarray of int (N,)
    compact : float
        What `spread` costs beside the cross-entropy.

    Returns
    -------
    loss : float
    gradients : dict of str to ndarray
        "conv1.weight" and so on, each of its parameter's shape.
    """
    below = {"conv1": "input", "conv2": "relu1", "conv3": "relu2", "fc": "flatten"}
    *convolutions, last = below
    body = network.forward(images, observe=[*convolutions, *(below[name] for name in convolutions)], output=MAPS)
    head = Network.sequential([(name, network[name].layer) for name in ("pool", "flatten", last)],
                              dtype=network.dtype, backend=network.backend)
    tape = head.forward(body.logits, observe=["input", "flatten"])
    mistakes, seed = cross_entropy(tape.logits, labels)
    width, squeeze = spread(body.logits)
    signal = head.backward(tape, seed, down_to="input") + compact * squeeze
    signals = network.backward(body, signal.astype(network.dtype), down_to=convolutions) | {last: seed}
    inputs = {**body.activations, **tape.activations, "input": images}
    gradients: dict[str, Array] = {}
    for name, source in below.items():
        layer = network[name].layer
        if isinstance(layer, (Conv2d, Linear)):
            parts = layer.parameter_gradients(signals[name], inputs[source])
            gradients |= {f"{name}.{parameter}": gradient for parameter, gradient in parts.items()}
    return mistakes + compact * width, gradients


@dataclass
class Adam:
    """Steps of Adam (Kingma & Ba 2015, algorithm 1) with decoupled decay (Loshchilov & Hutter 2019, algorithm 2)."""

    beta1: float = 0.9
    beta2: float = 0.99
    epsilon: float = 1e-8
    count: int = 0
    mean: dict[str, Array] = field(default_factory=dict)
    square: dict[str, Array] = field(default_factory=dict)

    def step(self, weights: dict[str, Array], gradients: dict[str, Array], rate: float) -> dict[str, Array]:
        """Return the weights after one step against the gradients."""
        self.count += 1
        moved: dict[str, Array] = {}
        for name, g in gradients.items():
            m = self.mean[name] = self.beta1 * self.mean.get(name, 0 * g) + (1 - self.beta1) * g
            v = self.square[name] = self.beta2 * self.square.get(name, 0 * g) + (1 - self.beta2) * g * g
            m, v = m / (1 - self.beta1**self.count), v / (1 - self.beta2**self.count)
            moved[name] = weights[name] - rate * (m / (np.sqrt(v) + self.epsilon) + DECAY * weights[name])
        return moved


def initial_weights(seed: int) -> dict[str, Array]:
    """Return random weights, those of the first layer without their mean: at first it sees differences, not colours."""
    w = random_weights(seed)
    shapes_graph(w)
    first = w.taken["conv1.weight"]
    return {**w.taken, "conv1.weight": first - first.mean(axis=(2, 3), keepdims=True)}


def centred(weights: dict[str, Array]) -> dict[str, Array]:
    """Return the same classifier with class weights that sum to 0 over the classes.

    Softmax does not see what is added to all logits alike, so training leaves it open how much of "here is something"
    every class claims. Of all the equal answers this is the one in which a map shows evidence for its class alone.
    """
    parts = {name: weights[name] - weights[name].mean(axis=0) for name in ("fc.weight", "fc.bias")}
    return {**weights, **parts}


def train(seed: int = 0, epochs: int = EPOCHS, pictures: int = PICTURES,
          backend: kernels.Backend = "auto") -> tuple[dict[str, Array], list[float]]:
    """Train from scratch.

    Parameters
    ----------
    seed : int
        Of the weights, the pictures, their order and their mirroring.
    epochs : int
    pictures : int
        A multiple of `BATCH`.
    backend : {"auto", "numba", "numpy"}

    Returns
    -------
    weights : dict of str to ndarray
    losses : list of float
        The loss of each step's batch, before the step.
    """
    from tqdm import tqdm

    data = shapes_data(pictures, seed=(seed, 1))
    images, labels = network_input(data.pictures), data.labels.astype(np.int64)
    weights, adam, draw = initial_weights(seed), Adam(), np.random.default_rng((seed, 2))
    steps, losses = epochs * (pictures // BATCH), list[float]()
    with kernels.session(backend), tqdm(total=steps, desc="training", unit="step") as progress:
        for _ in range(epochs):
            for batch in draw.permutation(pictures).reshape(-1, BATCH):
                x = images[batch, :, :, :: 1 - 2 * int(draw.integers(2))]  # half of the batches are mirrored
                done = len(losses) / steps
                rate = RATE * min(1, (len(losses) + 1) / WARM_UP) * (1 + np.cos(np.pi * done)) / 2
                network, price = build("shapes", weights, backend=backend), COMPACT * min(1, max(0, 3 * done - 1))
                loss, gradients = loss_and_gradients(network, x, labels[batch], price)
                weights = adam.step(weights, gradients, float(rate))
                losses.append(loss)
                progress.set_postfix_str(f"loss {np.mean(losses[-100:]):.3f}", refresh=False)
                progress.update()
    return centred(weights), losses


def accuracy(network: Network, data: ShapesData) -> float:
    """Return the fraction of pictures whose shape is recognised."""
    return float((network(network_input(data.pictures)).argmax(axis=1) == data.labels).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print the accuracy on pictures that training never saw, and write the weights with how they were made."""
    parser = argparse.ArgumentParser(prog="python -m npgradcam.models.train_shapes", description=main.__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the weights, an .npz file")
    parser.add_argument("--pictures", type=Path, help="write the held-out pictures as well, an .npz file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    chosen = parser.parse_args(arguments)
    start = perf_counter()
    weights, losses = train(chosen.seed, chosen.epochs)
    seconds = perf_counter() - start
    network, held_out = build("shapes", weights), shapes_data(**HELD_OUT)
    made = {
        "by": f"npgradcam {__version__}, npgradcam.models.train_shapes",
        "seed": chosen.seed,
        "epochs": chosen.epochs,
        "pictures": PICTURES,
        "classes": CLASSES,
        "last_losses": round(float(np.mean(losses[-100:])), 4),
        "accuracy_held_out": accuracy(network, held_out),
        "accuracy_checked": accuracy(network, shapes_data(**CHECKED)),
    }
    write_npz(chosen.output, {**weights, "made": json.dumps(made)})
    if chosen.pictures:
        write_npz(chosen.pictures, held_out._asdict())
    print(f"{json.dumps(made, indent=1)}\n{network.parameter_count} parameters, trained in {seconds:.0f} s")


if __name__ == "__main__":
    main()
