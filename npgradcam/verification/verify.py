"""`verify`: the identities one after the other, on the user's own model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def verify(net: Network | Model, x: Array | Mapping[str, Array] | None = None, target: Any = None,
           layer: str | None = None, *, randomise: bool = True,
           progress: Callable[[str], None] | None = None) -> Verification:
    """Hold a model against everything that must be true of it whatever its weights are.

    Parameters
    ----------
    net : Network or Model
    x : ndarray of shape (N, C, H, W), or a mapping from input names to arrays, optional
        In the network's dtype. Where nothing is said: two sample photographs if the model knows its preprocessing and
        has one input, else two images of seeded noise in each.
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


def default_images(net: Network | Model) -> Array | dict[str, Array]:
    """Return inputs that do for any model: two photographs, if it says how they go in, else seeded noise."""
    model = net if isinstance(net, Model) else Model("network", network_of(net))
    inputs, declared = model.network.inputs, model.network.declared.values()
    count = next((shape[0] for shape in declared if shape and shape[0]), 2)
    if model.preprocessing is not None and len(inputs) == 1:
        return model.preprocess([images.sample(name) for name in ("cat_and_coffee", "chelsea")][:count])
    return model.noise(images=count)
