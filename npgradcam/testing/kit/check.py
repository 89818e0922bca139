"""The whole kit against one function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral

from npgradcam.convention import Convention
from npgradcam.diagnosis.diagnose import expect_tolerance
from npgradcam.errors import NpGradcamError, nearest
from npgradcam.models import Model
from npgradcam.network import Network

from .asking import Asking, Function
from .cases import cases
from .drawn import drawn_results
from .identities import identities
from .report import Report, Result
from .truth import METHODS

__all__ = ["check"]


def check(function: Function, methods: str | Sequence[str] = "grad-cam", *,
          convention: Convention | str | None = None, tolerance: float = 1e-4, drawn: int = 20) -> Report:
    """Run every check against an implementation, and say what it does differently.

    Parameters
    ----------
    function : callable
        Called as function(model, images, target, layer): `model` the bytes of an ONNX file (float32, opset 13),
        `images` float32 (N, C, H, W), `target` a list of N class indices, `layer` the name of a node of the file and
        of its tensor. It returns maps, (N, I, J) at the layer's size or (N, H, W) at the images', or for a signal
        (N, C, H, W) or (N, H, W, C). Where several methods are given it is called with `method=` too. What it cannot
        do it says with NotImplementedError.
    methods : str or sequence of str
        Of "cam", "grad-cam", "counterfactual-grad-cam", "grad-cam-plus-plus", "xgrad-cam", "hires-cam", "layer-cam",
        "gradient", "guided-backprop", "deconvnet", "guided-grad-cam".
    convention : Convention or str, optional
        Hold it to this one ("paper": also to L^c, not enlarged); departures are told from it.
        Where nothing is said, every choice of a `Convention` that is no mistake is tolerated:
        which ReLU, what is scaled and when, which enlargement, logit or probability, mean or sum of the gradients,
        pytorch-grad-cam's 1e-6 in Grad-CAM++ where it decides nothing. It must be the same in all checks, and the
        report names it.
    tolerance : float
        The largest difference, relative to the answer's largest number, that counts as rounding in float32.
    drawn : int
        How many networks Hypothesis draws for each method, if it is installed.

    Returns
    -------
    Report
        Print it; `passed`; `as_dict()`.

    Raises
    ------
    NpGradcamError
        If a method or convention is unknown, a number is none that it can be, or there is no function.
    MissingPackageError
        If the package `onnx` is not installed.

    Notes
    -----
    What is not asked: networks of photographs' size, half precision, smooth activations and leaky rectifiers, several
    inputs or outputs, a class for every pixel, the choice of a layer or class that nobody named, preprocessing.
    Two conventions that give the same numbers on all of these networks cannot be told apart.

    Examples
    --------
    >>> import onnx
    >>> import npgradcam as ng
    >>> from npgradcam.formats.onnx import network_of
    >>> from npgradcam.formats.onnx_file import onnx_file
    >>> def mine(model, images, target, layer):                   # Grad-CAM, whatever you compute it with
    ...     e = ng.grad_cam(network_of(onnx_file(onnx.load_from_string(model))), images, target, layer)
    ...     alpha = abs(e.gradients).mean(axis=(2, 3))             # but who speaks against a class counts for it
    ...     return (alpha[:, :, None, None] * e.activations).sum(axis=1).clip(0)
    >>> print(check(mine, drawn=0).results[0].sentence)
    alpha is the mean of the gradients' magnitudes; the rest as the paper's L^c
    """
    if not callable(function) or isinstance(function, (Network, Model)):
        kind = type(function).__name__
        expected = "expected a function(model, images, target, layer)"
        raise NpGradcamError(f"check: {expected}, got {kind}; of a network itself ask ng.verify")
    named = [methods] if isinstance(methods, str) or not isinstance(methods, Iterable) else list(methods)
    unknown = [m for m in named if m not in METHODS]
    if unknown or not named:
        near = nearest(str(unknown[0]), METHODS) if unknown else []
        raise NpGradcamError(
            f"methods: expected some of {', '.join(METHODS)}, got {', '.join(map(repr, unknown)) or 'none'}"
            f"{'; did you mean ' + ', '.join(near) + '?' if near else ''}"
        )
    expect_tolerance(tolerance)
    _expect_count(drawn)
    several = not isinstance(methods, str)
    asked = {m: Asking(function, m, convention, tolerance, several) for m in named}
    results: list[Result] = []
    notes: list[str] = []
    for method, asking in asked.items():
        results += [asking.ask(case) for case in cases() if method != "cam" or case.pooled]
        found, note = drawn_results(asking, drawn)
        results += found
        notes += [note] if note and note not in notes else []
    results += identities(asked)
    told = {m: iter(a.explained(r for r in results if r.method == m)) for m, a in asked.items()}
    explained = tuple(next(told[r.method]) for r in results)
    return Report(explained, {m: a.convention for m, a in asked.items()}, tuple(notes))


def _expect_count(drawn: object) -> None:
    """Refuse a count of networks that is none."""
    if not isinstance(drawn, Integral) or isinstance(drawn, bool) or int(drawn) < 0:
        raise NpGradcamError(f"drawn: expected a whole number, 0 or more, got {drawn!r}; 0 draws no networks")
