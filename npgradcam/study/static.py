"""What the page says without JavaScript: the same numbers as tables, for the first class and layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from .trace import Trace

Say = Callable[..., str]


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], chosen: int = -1) -> str:
    """Return a table; text is escaped, numbers are shown with six digits."""
    top = "".join(f'<th scope="col"{_right(n)}>{escape(head)}</th>' for n, head in enumerate(heads))
    lines = []
    for number, row in enumerate(rows):
        cells = "".join(f"<td{_right(n)}>{escape(shown(value))}</td>" for n, value in enumerate(row))
        lines.append(f'<tr{" class=chosen" if number == chosen else ""}>{cells}</tr>')
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _right(n: int) -> str:
    return ' class="n"' if n else ""


def shown(value: Any) -> str:
    """Return a number as the page shows it, and text as it is."""
    return f"{value:.6g}".replace("-", "−") if isinstance(value, (float, np.floating)) else str(value)


def _moved(r: dict[str, Any], say: Say) -> str:
    """What of map k was moved: one cell, or all of it."""
    return say("receipt.whole", k=r["k"]) if r["i"] is None else f"k = {r['k']} ({r['i']}, {r['j']})"


def tables(t: Trace, data: dict[str, Any], say: Say) -> dict[str, str]:
    """Return the tables by name."""
    layer, chosen = data["layers"][0], data["classes"][0]
    strongest = [int(k) for k in t.strongest(0)[:12]]
    hot = np.unravel_index(t.signed_cam[0].argmax(), t.signed_cam.shape[1:])
    why = t.why(int(hot[0]), int(hot[1]))
    terms = [(f"k = {one.channel}", one.weight, one.activation, one.contribution)
             for one in (*why.positive, *why.negative)]
    top = data["top"]
    return {
        "predictions": table(
            [say("head.class"), say("head.rank"), say("head.logit"), say("head.probability")],
            [(f"{p['label']} ({p['index']})", p["rank"], p["logit"], p["probability"]) for p in top],
            next((n for n, p in enumerate(top) if p["index"] == chosen["index"]), -1)),
        "network": table(
            [say("head.layer"), say("head.kind"), say("head.shape"), say("head.parameters"), say("head.range"),
             *data["network"][0]["signals"]],
            [(n["name"], n["kind"], " × ".join(map(str, n["shape"])), f"{n['parameters']:,}",
              f"{n['low']:.3g} … {n['high']:.3g}", *(f"{s[0]:.3g}" if s else "" for s in n["signals"].values()))
             for n in data["network"]],
            next(n for n, node in enumerate(data["network"]) if node["name"] == layer["name"])),
        "receipt": table(
            [say("head.cell"), "h", say("head.measured"), say("head.gradient"), say("head.error")],
            [(_moved(r, say), r["h"], r["measured"], r["gradient"], f"{r['error']:.1e}")
             for r in layer["receipt"] if r["row"] == 0]),
        "alpha": table([say("term.map"), "α"], [(f"k = {k}", float(t.alpha[0, k])) for k in strongest]),
        "cell": table(
            [f"({hot[0]}, {hot[1]})", "α", "A", say("term.product")],
            [*terms, (say("term.rest", count=why.others), "", "", why.rest), (say("term.total"), "", "", why.total)],
            len(terms) + 1),
        "rules": table(
            [say("head.cell"), "x", "s", "slope", "gradient", "deconvnet", "guided"],
            [(f"{r['layer']}{r['at']}", r["x"], r["signal"], r["slope"], *r["passed"].values())
             for r in layer["rules"][0]]),
    }
