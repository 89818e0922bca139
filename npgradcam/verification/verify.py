"""`verify`: the identities one after the other, on the user's own model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from npgradcam import images
from npgradcam.errors import NpGradcamError
from npgradcam.models import Model, network_of
from npgradcam.network import Network
from npgradcam.typing import Array

from .derivatives import adjoints, completeness, finite_differences
from .randomise import randomised
from .record import Check, NotApplicableError, Verification
from .relations import cam_against_grad_cam, class_sum, linearity, positive
from .runs import batch, many_targets, plan, thread_counts
from .subject import Subject, subject

IDENTITIES: dict[str, Callable[[Subject], Check | list[Check]]] = {
    "finite differences": finite_differences,
    "adjoint of each layer": adjoints,
    "completeness": completeness,
    "CAM = Z Grad-CAM": cam_against_grad_cam,
    "linear in the score": linearity,
    "class sum": class_sum,
    "one rule if positive": positive,
    "many targets": many_targets,
    "batch": batch,
    "threads": thread_counts,
    "plan": plan,
}
RANDOMISED = "randomised weights"


def verify(net: Network | Model, x: Array | None = None, target: Any = None, layer: str | None = None, *,
           randomise: bool = True, progress: Callable[[str], None] | None = None) -> Verification:
    """Hold a model against everything that must be true of it whatever its weights are.

    Parameters
    ----------
    net : Network or Model
        Of one input.
    x : ndarray of shape (N, C, H, W), optional
        In the network's dtype. Where nothing is said: two sample photographs if the model knows its preprocessing,
        else two images of seeded noise.
    target : int or str, optional
        The class; the top one of the first image where nothing is said.
    layer : str, optional
        As for `grad_cam`.
    randomise : bool
        Whether to report what becomes of each method's map when the weights are randomised.
    progress : function of a name, optional
        Called before each identity.

    Returns
    -------
    Verification
        Prints itself; `ok` where nothing failed.

    Raises
    ------
    UnknownLayerError, TargetError, ShapeError
    NpGradcamError
        If `randomise` is neither True nor False.

    Notes
    -----
    Derivatives and relations are computed in float64 with the layers as they are drawn; together or alone, threads
    and plan with the network as it is run. Figures are relative; what to, each line says.

    Examples
    --------
    >>> import npgradcam as ng
    >>> found = ng.verify(ng.load("shapes"), randomise=False)
    >>> found.ok, found["completeness"].verdict
    (True, 'ok')
    """
    if not isinstance(randomise, (bool, np.bool_)):
        raise NpGradcamError(f"randomise: expected True or False, got {randomise!r}; False leaves that report out")
    s = subject(net, default_images(net) if x is None else x, target, layer)
    tell = progress or (lambda name: None)
    checks: list[Check] = []
    for name, identity in IDENTITIES.items():
        tell(name)
        try:
            found = identity(s)
        except NotApplicableError as reason:
            found = Check(name, str(reason))
        checks += found if isinstance(found, list) else [found]
    if randomise:
        tell(RANDOMISED)
    report = randomised(s) if randomise else None
    label = net.label(s.target) if isinstance(net, Model) else str(s.target)
    return Verification(getattr(net, "name", "network"), s.layer, label, tuple(checks), report)


def default_images(net: Network | Model) -> Array:
    """Return inputs that do for any model: two photographs, if it says how they go in, else seeded noise."""
    network = network_of(net)
    declared = network.declared.get(network.inputs[0]) or (None, 3, None, None)
    count = declared[0] or 2
    if isinstance(net, Model) and net.preprocessing is not None:
        return net.preprocess([images.sample(name) for name in ("cat_and_coffee", "chelsea")][:count])
    usual = "NCHW" if not isinstance(net, Model) else net.layout
    lengths = {"N": 2, "C": 3, "H": 224, "W": 224}
    shape = (known or lengths[axis] for known, axis in zip(declared, usual, strict=False))
    return np.random.default_rng(0).standard_normal(tuple(shape)).astype(network.dtype)
