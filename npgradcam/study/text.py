"""The derivation as text: each step with its equation, the same equation with its numbers, shapes and source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npgradcam.errors import ShapeError
from npgradcam.methods.start import network_of

from .cell import behind

if TYPE_CHECKING:
    from .trace import Trace

LISTED = 6  # terms of a long sum


def told(t: Trace, k: int | None, cell: tuple[int, int] | None, row: int) -> str:
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
    parts = (_network(t, row), _maps(t, k, i, j), _gradient(t, k, i, j, row), _sum(t, k, i, j, row),
             _after(t, i, j, row), _rules(t, row))
    return "\n\n".join(f"{n}. {part}" for n, part in enumerate(parts, start=1)) + "\n"


def _network(t: Trace, row: int) -> str:
    c, network = t.target[row], network_of(t.net)
    lines = [f"The network, layer by layer; class c = {c} ({t.label(row)})"]
    for name, x in t.outputs.items():
        kind = "input" if name in network.inputs else type(network[name].layer).__name__
        mark = "  <- A^k" if name == t.layer else "  <- y" if name == t.tape.output else ""
        bounds = f"{x.min():.4g} to {x.max():.4g}" if x.size else "empty"
        lines.append(f"   {name:28s} {kind:16s} {_times(x.shape):20s} {bounds}{mark}")
    if t.tape.logits.ndim == 2:
        lines.append(f"   y^c = y[{c}] = {t.tape.logits[0, c]:.6g}: the score before softmax")
    return "\n".join(lines)


def _maps(t: Trace, k: int, i: int, j: int) -> str:
    K, I, J = t.activations.shape
    lines = [f"Feature maps A^k_ij of {t.layer}: {K} maps of {I} x {J} cells",
             f"   A^{k}_({i},{j}) = {t.activations[k, i, j]:.6g}"]
    return "\n".join(lines + [f"   {line}" for line in behind(t, k, i, j).lines])


def _gradient(t: Trace, k: int, i: int, j: int, row: int) -> str:
    dA, Z = t.gradients[row, k], t.gradients[row, k].size
    first = " + ".join(f"({v:.4g})" for v in dA.ravel()[:LISTED]) + (" + ..." if Z > LISTED else "")
    return "\n".join([
        "Gradients, and their mean: alpha^c_k = 1/Z sum_ij dy^c/dA^k_ij       Selvaraju et al. 2017, equation (1)",
        f"   dy^{t.target[row]}/dA^{k}_({i},{j}) = {dA[i, j]:.6g}",
        f"   alpha^{t.target[row]}_{k} = 1/{Z} ({first}) = {t.alpha[row, k]:.6g}",
    ])


def _sum(t: Trace, k: int, i: int, j: int, row: int) -> str:
    return "\n".join([
        "Weighted sum: S_ij = sum_k alpha^c_k A^k_ij",
        f"   alpha_{k} A^{k}_({i},{j}) = {t.alpha[row, k]:.6g} x {t.activations[k, i, j]:.6g} = "
        f"{t.contributions(row)[k, i, j]:+.6g}",
        *(f"   {line}" for line in str(t.why(i, j, row, LISTED)).splitlines()),
    ])


def _after(t: Trace, i: int, j: int, row: int) -> str:
    signed, cam, up = t.signed_cam[row], t.cam[row], t.upsampled[row]
    (I, J), (H, W) = cam.shape, up.shape
    h, w = min(H - 1, int((i + 0.5) * H / I)), min(W - 1, int((j + 0.5) * W / J))
    lines = [
        "ReLU, upsampling, normalisation: L^c = ReLU(S)                        Selvaraju et al. 2017, equation (2)",
        f"   L_({i},{j}) = max({signed[i, j]:.6g}, 0) = {cam[i, j]:.6g}; {int((signed < 0).sum())} of {I * J} cells "
        "are cut off",
        f"   {I} x {J} -> {H} x {W}, bilinear with half-pixel centres: pixel ({h}, {w}) reads row "
        f"({h} + 1/2) {I}/{H} - 1/2 = {(h + 0.5) * I / H - 0.5:.4g}, column {(w + 0.5) * J / W - 0.5:.4g}: "
        f"{up[h, w]:.6g}",
        f"   divided by its largest, {up.max():.6g}: {t.normalised[row, h, w]:.6g}",
    ]
    note = t.grad_cam.note(row)
    return "\n".join([*lines, *([f"   {note}"] if note else [])])


def _rules(t: Trace, row: int) -> str:
    """One cell of one rectifier under each of the three rules."""
    lines = ["Three rules at a rectifier: what of the signal s from above passes, slope = [x > 0]"]
    for case in rule_cells(t, row):
        passed = ", ".join(f"{rule} {value:.4g}" for rule, value in case["passed"].items())
        lines.append(f"   {case['layer']}[{', '.join(map(str, case['at']))}]: x = {case['x']:.4g}, "
                     f"s = {case['signal']:.4g} -> {passed}")
    if len(lines) == 1:
        lines.append("   this network has no rectifier, so all three are the gradient")
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
