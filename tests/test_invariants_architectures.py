"""Row 16: architectures in float32, as they run by default, against the float64 that PyTorch's recordings confirm.

test_architectures.py holds 44 against the recordings, and the plain float32 (EfficientNet-Lite0, the 45th, has its own
weights in test_reference.py); here are more of the numbers, whole, for one of each family.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from architectures import LAYERS, SEED, picture
from small_nets import relative

import npgradcam as ng
from npgradcam.models import random_weights
from npgradcam.rewrites import choose, optimise

FAMILIES = ("alexnet", "googlenet", "resnet18", "resnet50", "resnext50_32x4d", "squeezenet1_1", "densenet121",
            "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x1_0", "mnasnet0_5", "efficientnet_b0",
            "efficientnet_lite1")


@pytest.mark.parametrize("name", FAMILIES)
def test_row_16_an_architecture_by_default_is_the_exact_one(name: str, warm: None) -> None:
    drawn = random_weights(SEED)
    exact = ng.build(name, drawn, "float64")
    plain = ng.build(name, drawn.taken, "float32")
    layer = LAYERS[name][0]
    right = ng.grad_cam(exact, picture(name), None, layer)
    quick = replace(plain, rewrite=optimise, choose=choose)
    found = ng.grad_cam(quick, picture(name, "float32"), right.target, layer)
    limits = {"logits": 1e-4, "activations": 1e-4, "gradients": 1e-3, "alpha": 1e-3, "signed_cam": 1e-3}
    errors = {part: relative(getattr(found, part), getattr(right, part)) for part in limits}
    print(name, {part: f"{worst:.0e}" for part, worst in errors.items()})
    assert all(errors[part] <= limits[part] for part in limits), errors
    best = [np.argsort(-e.logits[0], kind="stable")[:5].tolist() for e in (found, right)]
    assert best[0] == best[1]
    a, b = found.signed_cam.ravel().astype(np.float64), right.signed_cam.ravel()
    assert a @ b >= 0.99999 * np.linalg.norm(a) * np.linalg.norm(b)


def test_row_16_twelve_families_at_least() -> None:
    assert len(FAMILIES) >= 12
    assert set(FAMILIES) <= set(LAYERS)
