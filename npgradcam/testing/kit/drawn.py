"""Networks that Hypothesis draws; of those that fail, the smallest is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from npgradcam.errors import MissingPackageError
from npgradcam.layers import BatchNorm2d, Conv2d, MaxPool2d, ReLU, ReLU6

from .asking import Asking
from .case import Case, in_float32
from .causes import Pair
from .report import Result
from .truth import PRODUCT, RULES, apart

CHECK = "drawn networks"
OF_THESE = (BatchNorm2d, Conv2d, MaxPool2d, ReLU, ReLU6)  # layers that have a module of their own everywhere


def drawn_results(asking: Asking, count: int) -> tuple[list[Result], str]:
    """Return one result for all of `count` networks, and a note where none could be drawn."""
    if not count:
        return [], ""
    try:
        from ..strategies import models
    except MissingPackageError:
        return [], "networks are drawn only where Hypothesis is installed: pip install hypothesis"
    from hypothesis import HealthCheck, assume, given, settings
    from hypothesis import strategies as st

    failed: list[tuple[int, Result, list[Pair]]] = []
    right: list[Result] = []
    left_out: list[Result] = []

    @settings(max_examples=count, database=None, derandomize=True, deadline=None,
              suppress_health_check=list(HealthCheck))
    @given(drawn=models(), data=st.data())
    def ask(drawn: Any, data: Any) -> None:
        names = [n.name for n in drawn.network.nodes if n.name in drawn.maps and isinstance(n.layer, OF_THESE)]
        layer = drawn.maps[-1] if asking.method == "cam" else data.draw(st.sampled_from(names))
        case = Case(CHECK, in_float32(drawn.network), drawn.images, drawn.target, layer)
        assume(steady(asking, case))
        result = asking.ask(case)
        if result.status == "right":
            right.append(result)
        elif result.status == "left out":
            left_out.append(result)
        else:
            here = f"{case}{'; ' if result.where else ''}{result.where}"
            failed.append((len(drawn.network.nodes), replace(result, where=here), asking.wrong.pop(CHECK, [])))

    ask()
    if failed:
        failed.sort(key=lambda f: f[0])  # the smallest first
        _, worst, pairs = failed[0]
        if pairs:
            asking.wrong[CHECK] = [pair for _, _, some in failed for pair in some]
        return [replace(worst, where=f"{len(failed)} of {len(failed) + len(right)}, the smallest: {worst.where}")], ""
    if not right:
        return left_out[:1], ""
    return [Result(asking.method, CHECK, "right", max(r.error for r in right))], ""


def steady(asking: Asking, case: Case) -> bool:
    """Whether rounding does not decide: the answer hardly changes with the last digits of the images.

    A rule must also have a rectifier to act at, and the map more than one cell.
    """
    layer = case.network.shapes(case.images.shape)[case.layer]
    if asking.method in (*RULES, PRODUCT) and not case.rectifiers:
        return False
    if layer[2] * layer[3] == 1:
        return False
    noise = 1 + 3e-6 * np.random.default_rng(0).standard_normal(case.images.shape)
    moved = replace(case, images=case.images * noise)
    choice = asking.choices[0]
    here, there = (choice.of(c, asking.method) for c in (case, moved))
    return bool(np.isfinite(here).all() and here.any() and apart(there, here) <= asking.tolerance / 3)
