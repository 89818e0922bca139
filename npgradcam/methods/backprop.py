"""From a class back to the pixels: the gradient, the deconvnet and guided backpropagation differ by one rule."""

from __future__ import annotations

from typing import Any

from npgradcam import rules
from npgradcam.errors import NpGradcamError
from npgradcam.models import Model, network_of
from npgradcam.network import Network
from npgradcam.typing import Array

from .records import InputSignal, about, check_signal_shape
from .start import Images, Score, layout_of, tape_of
from .target import rows

NAMES = {"gradient": "gradient", "deconvnet": "deconvnet", "guided": "guided-backprop"}


def backprop(net: Network | Model, images: Images, target: Any = None, rule: str = "gradient", *,
             seed: Array | None = None, region: Array | None = None, output: str | None = None,
             score: Score = "logit", input: str | None = None) -> InputSignal:
    """Bring a class's score back to the input under one of three rules.

    Parameters
    ----------
    net : Network or Model
    images : ndarray of shape (N, C, H, W), or a Tape that observes the input
    target : None, int, str, list of N, or list of N lists
        As for `grad_cam`.
    rule : {"gradient", "deconvnet", "guided"}
        What a rectifier lets through; see `npgradcam.rules`.
    seed, region, output, score
        As for `grad_cam`.
    input : str, optional
        One of several inputs.

    Returns
    -------
    InputSignal
        `signal` (R, C, H, W), or as the input's axes lie; under "gradient" it is dy^c/dx, in units of score per unit
        of the preprocessed input.

    Raises
    ------
    NpGradcamError
        If the rule would act on no rectifier: the result would be a plain gradient under another name.

    Notes
    -----
    Every layer but the rectifiers passes its true adjoint on: max pooling to the cell that won, batch normalisation
    its scale. The rule acts through the rectifier's own slope, so guided backpropagation on ReLU6 gates at 0 < x < 6.

    References
    ----------
    .. [1] Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks", ICLR workshop 2014, section 3.
    .. [2] Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 2.1.
    .. [3] Springenberg et al., "Striving for Simplicity", ICLR workshop 2015, section 3.4.
    """
    if rule not in NAMES:
        raise NpGradcamError(f"rule: expected one of {', '.join(NAMES)}, got {rule!r}")
    network = network_of(net)
    input = network.resolve(input or network.inputs[0])
    tape = tape_of(net, images, (input,), output, score)
    row = rows(tape, target, seed, region, getattr(net, "labels", None))
    gates = network.rectifiers(tape.output, input)
    if rule != "gradient" and not gates:
        raise NpGradcamError(
            f"rule {rule!r}: no rectifier lies between {input!r} and {tape.output!r}, so the result would be the plain "
            "gradient; take the rule 'gradient'"
        )
    signal = network.backward(tape, row.seed, down_to=input, rule=rules.find(rule), image=row.image)
    check_signal_shape(signal)
    return InputSignal(**about(net, tape, row, NAMES[rule]), rule=rule, signal=signal, gates=len(gates),
                       layout=layout_of(tape, input) or "NCHW")
