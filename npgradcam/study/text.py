"""The derivation as text: each step with its equation, the same equation with its numbers, shapes and source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.methods.target import rows
from npgradcam.models import network_of

from .cell import behind
from .language import said

if TYPE_CHECKING:
    from .trace import Trace

LISTED = 6  # terms of a long sum


def told(t: Trace, k: int | None, cell: tuple[int, int] | None, row: int, lang: str = "en") -> str:
    """Return the whole derivation for channel k, cell (i, j) and the class of a row.

    Where nothing is said: the row's hottest cell, and the channel that contributes most to it.
    """
    t.grad_cam.check_row(row)
    K, I, J = t.activations.shape
    i, j = cell or tuple(int(n) for n in np.unravel_index(t.signed_cam[row].argmax(), (I, J)))
    if not (0 <= i < I and 0 <= j < J):
        raise ShapeError(f"cell: expected one from (0, 0) to ({I - 1}, {J - 1}), got ({i}, {j})")
    k = int(t.contributions(row)[:, i, j].argmax()) if k is None else k
    if not 0 <= k < K:
        raise ShapeError(f"channel: expected a number from 0 to {K - 1}, got {k}")
    parts = (_network(t, row, lang), _maps(t, k, i, j, lang), _gradient(t, k, i, j, row, lang),
             _sum(t, k, i, j, row, lang), _after(t, i, j, row, lang), _rules(t, row, lang))
    return "\n\n".join(f"{n}. {part}" for n, part in enumerate(parts, start=1)) + "\n"


def _network(t: Trace, row: int, lang: str) -> str:
    c, network = t.target[row], network_of(t.net)
    lines = [said(lang, "network", c=c, label=t.label(row))]
    for name, x in t.outputs.items():
        kind = said(lang, "input_kind") if name in network.inputs else type(network[name].layer).__name__
        mark = "  <- A^k" if name == t.layer else "  <- y" if name == t.tape.output else ""
        bounds = said(lang, "to", low=f"{x.min():.4g}", high=f"{x.max():.4g}") if x.size else said(lang, "empty")
        lines.append(f"   {name:28s} {kind:16s} {_times(x.shape):20s} {bounds}{mark}")
    if t.tape.logits.ndim == 2:
        lines.append("   " + said(lang, "score", c=c, y=f"{t.tape.logits[0, c]:.6g}"))
    else:  # every pixel has a class
        seed = rows(t.tape, [[c]]).seed
        lines.append("   " + said(lang, "pixels", n=int(seed.sum()), y=f"{(seed * t.tape.logits).sum():.6g}"))
    return "\n".join(lines)


def _maps(t: Trace, k: int, i: int, j: int, lang: str) -> str:
    K, I, J = t.activations.shape
    lines = [said(lang, "maps", layer=t.layer, K=K, I=I, J=J), f"   A^{k}_({i},{j}) = {t.activations[k, i, j]:.6g}"]
    return "\n".join(lines + [f"   {line}" for line in behind(t, k, i, j, lang)])


def _gradient(t: Trace, k: int, i: int, j: int, row: int, lang: str) -> str:
    dA, Z = t.gradients[row, k], t.gradients[row, k].size
    first = " + ".join(f"({v:.4g})" for v in dA.ravel()[:LISTED]) + (" + ..." if Z > LISTED else "")
    return "\n".join([
        f"{said(lang, 'gradients'):69s} {said(lang, 'equation', n=1)}",
        f"   dy^{t.target[row]}/dA^{k}_({i},{j}) = {dA[i, j]:.6g}",
        f"   alpha^{t.target[row]}_{k} = 1/{Z} ({first}) = {t.alpha[row, k]:.6g}",
    ])


def _sum(t: Trace, k: int, i: int, j: int, row: int, lang: str) -> str:
    why = t.why(i, j, row, LISTED)
    return "\n".join([
        said(lang, "sum"),
        f"   alpha_{k} A^{k}_({i},{j}) = {t.alpha[row, k]:.6g} x {t.activations[k, i, j]:.6g} = "
        f"{t.contributions(row)[k, i, j]:+.6g}",
        "   " + said(lang, "why", i=i, j=j, label=why.label),
        *(f"     {term}" for term in (*why.positive, *why.negative)),
        *(["     " + said(lang, "rest", n=why.others, value=f"{why.rest:+.6g}")] if why.others else []),
        "     " + said(lang, "total", total=f"{why.total:+.6g}", cam=f"{max(why.total, 0.0):.6g}"),
    ])


def _after(t: Trace, i: int, j: int, row: int, lang: str) -> str:
    signed, cam, up = t.signed_cam[row], t.cam[row], t.upsampled[row]
    (I, J), (H, W) = cam.shape, up.shape
    h, w = min(H - 1, int((i + 0.5) * H / I)), min(W - 1, int((j + 0.5) * W / J))
    s, q = (f"{(pixel + 0.5) * cells / pixels - 0.5:.4g}" for pixel, cells, pixels in ((h, I, H), (w, J, W)))
    cut = said(lang, "cut", cut=int((signed < 0).sum()), all=I * J)
    lines = [
        f"{said(lang, 'after'):69s} {said(lang, 'equation', n=2)}",
        f"   L_({i},{j}) = max({signed[i, j]:.6g}, 0) = {cam[i, j]:.6g}; {cut}",
        "   " + said(lang, "bilinear", I=I, J=J, H=H, W=W, h=h, w=w, s=s, q=q, value=f"{up[h, w]:.6g}"),
        "   " + said(lang, "divided", peak=f"{up.max():.6g}", value=f"{t.normalised[row, h, w]:.6g}"),
    ]
    note = t.grad_cam.note(row)
    return "\n".join([*lines, *([f"   {note}"] if note else [])])


def _rules(t: Trace, row: int, lang: str) -> str:
    """One cell of one rectifier under each of the three rules."""
    lines = [said(lang, "rules")]
    for case in rule_cells(t, row):
        passed = ", ".join(f"{rule} {value:.4g}" for rule, value in case["passed"].items())
        lines.append(f"   {case['layer']}[{', '.join(map(str, case['at']))}]: x = {case['x']:.4g}, "
                     f"slope = {case['slope']:.4g}, s = {case['signal']:.4g} -> {passed}")
    if len(lines) == 1:
        lines.append("   " + said(lang, "no_rules"))
    return "\n".join(lines)


def rule_cells(t: Trace, row: int) -> list[dict[str, Any]]:
    """Return up to four real cells of one rectifier, one for each sign of x and of the signal that arrives there."""
    from .trace import RULES

    network = network_of(t.net)
    gates = network.rectifiers(t.tape.output, network.inputs[0])
    between = [name for name in gates if name in network.leads_to(t.layer)] or gates
    if not between:
        return []
    name, found = between[-2 if len(between) > 1 else -1], []  # one below the layer: its signal has both signs
    x = t.outputs[network[name].inputs[0]][0]
    signal = t.flow("gradient", row, (name,))[name][0]
    slope = np.broadcast_to(np.asarray(network[name].layer.slope(_kept(t, name))), (1, *x.shape))[0]  # type: ignore[attr-defined]
    for positive_x in (True, False):
        for positive_s in (True, False):
            here = ((x > 0) == positive_x) & ((signal > 0) if positive_s else (signal < 0))
            if not here.any():
                continue
            flat = int(np.where(here, np.abs(signal), -1).argmax())
            at = tuple(int(n) for n in np.unravel_index(flat, x.shape))
            s, gate = signal[at], slope[at]
            both = np.asarray(s), np.asarray(gate, s.dtype)
            passed = {rule: float(passes(*both)) + 0.0 for rule, passes in RULES.items()}  # -0 is 0
            found.append({"layer": name, "at": list(at), "x": float(x[at]), "signal": float(s),
                          "slope": float(gate), "passed": passed})
    return found


def _kept(t: Trace, name: str) -> Any:
    """What the rectifier reads its slope off: it keeps that itself on the tape."""
    return t.tape.caches[name]


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
