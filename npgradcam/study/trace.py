"""The record of steps: every number between one photograph and its Grad-CAM maps, layer by layer, class by class."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam import maps, rules
from npgradcam.errors import ShapeError
from npgradcam.methods import ClassActivationMap, InputSignal, grad_cam
from npgradcam.methods.backprop import NAMES
from npgradcam.methods.grad_cam import maps_and_gradients
from npgradcam.methods.records import about
from npgradcam.methods.start import Images, Score, explained_output, layer_of, layout_of
from npgradcam.methods.target import rows
from npgradcam.methods.why import Why, contributions, in_order, why_of
from npgradcam.models import Model, network_of
from npgradcam.network import Network, Tape
from npgradcam.typing import Array

RULES = {"gradient": rules.gradient, "deconvnet": rules.deconvnet, "guided": rules.guided}
Wide = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Every step for one image and R classes at one layer; frozen, and every array read-only.

    What the network computes is as it computes it (`outputs`, `signals`, `activations`, `gradients`); from there on
    everything is float64 and added one after the other in the order of the index, so that a reader who does the same
    gets the same last digit: `signed_cam` is exactly the sum of `contributions`.

    Attributes
    ----------
    net : Network or Model
        Unrewritten: every layer by itself, as it is drawn.
    tape : Tape
        Of the forward pass; it observes everything.
    grad_cam : ClassActivationMap
        The method's own result, in the network's dtype.
    activations : ndarray of shape (K, I, J)
        A^k of the chosen layer.
    gradients : ndarray of shape (R, K, I, J)
        dy^c/dA^k.
    alpha : ndarray of float64, shape (R, K)
    signed_cam, cam : ndarray of float64, shape (R, I, J)
    upsampled, normalised : ndarray of float64, shape (R, H, W)
        The map at the input's size, and divided by its maximum.
    """

    net: Network | Model
    tape: Tape
    grad_cam: ClassActivationMap
    activations: Array
    gradients: Array
    alpha: Wide
    signed_cam: Wide
    cam: Wide
    upsampled: Wide
    normalised: Wide

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                value = value.view()
                value.flags.writeable = False
                object.__setattr__(self, name, value)

    @property
    def layer(self) -> str:
        """The layer whose maps are weighed."""
        return self.grad_cam.layer

    @property
    def target(self) -> tuple[int, ...]:
        """The class of each row."""
        assert self.grad_cam.target is not None  # noqa: S101  `trace` takes no seed
        return tuple(int(c) for c in self.grad_cam.target)

    def label(self, row: int = 0) -> str:
        """Return what the class of a row is called."""
        return self.grad_cam.label(row)

    @property
    def outputs(self) -> Mapping[str, Array]:
        """What each layer gives, by name, in the order of the graph; the inputs first."""
        return self.tape.activations

    @cached_property
    def signals(self) -> Mapping[str, Mapping[str, Array]]:
        """By rule and by layer: what flows back to each layer's output, (R, ...); computed when first asked for."""
        found = {rule: self.flow(rule) for rule in RULES}
        for signals in found.values():
            for signal in signals.values():
                signal.flags.writeable = False
        return found

    def flow(self, rule: str, row: int | None = None, at: Sequence[str] = ()) -> dict[str, Array]:
        """Return what flows back under one rule, kept nowhere: of all rows or one, to every layer or those named."""
        network, tape = network_of(self.net), self.tape
        if not at:
            at = [name for name in tape.activations if name in network.between(tape.output, network.inputs)]
            at += [name for name in network.inputs if name not in network.whole]
        classes = self.target if row is None else self.target[row : row + 1]
        return network.backward(tape, rows(tape, [list(classes)]).seed, list(at), RULES[rule])  # type: ignore[no-any-return]

    def at_input(self, rule: str) -> InputSignal:
        """Return the signal at the input under a rule: what `backprop` returns."""
        network, tape = network_of(self.net), self.tape
        name = network.inputs[0]
        return InputSignal(
            **about(self.net, tape, rows(tape, [list(self.target)]), NAMES[rule]), rule=rule,
            signal=self.flow(rule, at=(name,))[name], gates=len(network.rectifiers(tape.output, name)),
            layout=layout_of(tape, name) or "NCHW",
        )

    def contributions(self, row: int = 0) -> Wide:
        """alpha^c_k A^k_ij of a row, (K, I, J): what adds up to `signed_cam`."""
        return contributions(self.alpha[row], self.activations)

    def why(self, i: int, j: int, row: int = 0, top: int = 10) -> Why:
        """Return the arithmetic of one cell of the map, as `ClassActivationMap.why`."""
        self.grad_cam.check_row(row)
        return why_of(self.alpha[row], self.activations, self.label(row), i, j, top)

    def strongest(self, row: int = 0) -> NDArray[np.intp]:
        """Return the channels by how much they move the map: sum_ij |alpha_k A^k_ij|, largest first."""
        return np.argsort(-np.abs(self.contributions(row)).sum(axis=(1, 2)), kind="stable")

    def text(self, k: int | None = None, cell: tuple[int, int] | None = None, row: int = 0, lang: str = "en") -> str:
        """Return the derivation as text, with the numbers of channel k, cell (i, j) and the class of a row."""
        from .text import told

        return told(self, k, cell, row, lang)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as an .npz that `numpy.load` reads without this package; whole or not at all."""
        from .saved import save

        save(self, path)

    def __str__(self) -> str:
        """Return the derivation of the strongest cell of the first class."""
        return self.text()

    def _repr_html_(self) -> str:
        """Show the maps and the derivation of the strongest cell in a notebook."""
        steps = f"<summary>{escape(repr(self))}</summary><pre>{escape(str(self))}</pre>"
        return f"{self.grad_cam._repr_html_()}<details>{steps}</details>"

    def __repr__(self) -> str:
        """Return one line."""
        labels = ", ".join(self.label(row) for row in range(len(self.target)))
        return f"Trace({labels}; layer {self.layer!r}, A {self.activations.shape}, {len(self.outputs)} arrays)"


def trace(net: Network | Model, images: Images, target: Any = None, layer: str | None = None, *,
          output: str | None = None, score: Score = "logit") -> Trace:
    """Record every step of Grad-CAM for one image.

    Parameters
    ----------
    net : Network or Model
        It is run as drawn, without rewrites.
    images : ndarray of shape (1, C, H, W), or the tape of an earlier trace
        The network's input; `net.preprocess` makes it of a photograph.
    target : None, int, str, or list of those
        The classes to explain, one row each; the top class where nothing is said.
    layer : str, optional
        The layer of A; the last one with spatial maps where nothing is said.
    output, score
        As for `grad_cam`.

    Returns
    -------
    Trace

    Raises
    ------
    ShapeError
        If there is not exactly one image, or the layer has no maps.
    TargetError, UnknownLayerError
        If there is no such class or layer.

    Examples
    --------
    >>> import npgradcam as ng
    >>> net = ng.load("shapes")
    >>> t = ng.trace(net, net.preprocess(ng.images.sample("two_shapes")))
    >>> t.layer, t.activations.shape, sorted(t.signals)
    ('relu3', (24, 16, 16), ['deconvnet', 'gradient', 'guided'])
    """
    if isinstance(images, Tape):
        tape, net = images, _drawn(net, images.network)
    else:
        net = _drawn(net)
        network = network_of(net)
        explained = explained_output(net, images, output, score)
        needed = network.leads_to(explained)
        everything = [name for name in (*network.inputs, *(node.name for node in network.nodes)) if name in needed]
        tape = network.forward(images, everything, explained)
    if len(tape.logits) != 1:
        raise ShapeError(f"trace: expected one image, got {len(tape.logits)}; trace them one by one")
    classes = target if isinstance(target, (list, tuple)) else [target]
    chosen = None if target is None else [list(classes)]
    layer = layer_of(net, tape, layer, tape.output, score)
    e = grad_cam(net, tape, chosen, layer, score=score)
    A, dA = maps_and_gradients(e)  #                                             (R, K, I, J) both
    Z = A.shape[2] * A.shape[3]
    flat = dA.reshape(*dA.shape[:2], Z).transpose(2, 0, 1).astype(np.float64)
    alpha = in_order(flat) / Z  # alpha^c_k = 1/Z sum_ij dy^c/dA^k_ij            (R, K)
    signed_cam = np.stack([in_order(contributions(a, A[0])) for a in alpha])  #  (R, I, J)
    cam = np.maximum(signed_cam, 0)  # L^c = ReLU( sum_k alpha^c_k A^k )
    upsampled = maps.upsample(cam, _size(net, tape))  #                          (R, H, W)
    return Trace(net, tape, e, A[0], dA, alpha, signed_cam, cam, upsampled, maps.normalise(upsampled))


def _drawn(net: Network | Model, network: Network | None = None) -> Network | Model:
    """Return the network as it is drawn; a plan that is faster may compute other layers than the reader sees."""
    network = network or replace(network_of(net), rewrite=None, choose=None)
    return replace(net, network=network) if isinstance(net, Model) else network


def _size(net: Network | Model, tape: Tape) -> tuple[int, int]:
    shape, layout = tape.shapes[network_of(net).inputs[0]], getattr(net, "layout", "NCHW")
    return shape[layout.index("H")], shape[layout.index("W")]
