"""The page: one file that needs no server and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from npgradcam._version import __version__
from npgradcam.colours import BLUE_WHITE_RED, TURBO
from npgradcam.images import Prepared
from npgradcam.methods import InputSignal
from npgradcam.writing import whole_file

from . import pictures, static
from .encode import photograph_like, stored, tensor
from .language import LANGUAGES, fill, words
from .payload import Progress, check_cap, layer_data, network_data, predictions
from .saved import together
from .trace import Trace

SCHEMA = 1
BUDGET, CAP = 5_000_000, 20_000_000  # bytes: what a page aims at, and what it never exceeds
SCRIPTS = ("tensors", "maths", "state", "grid", "views", "pixels", "arithmetic", "formulas", "behind", "above",
           "check", "sandbox", "tables", "main")
HERE = Path(__file__).parent


def write_page(path: str | os.PathLike[str], traces: Trace | Sequence[Trace], image: Prepared | None = None, *,
               name: str = "image", sha256: str = "", lang: str = "en", budget: int = BUDGET,
               progress: Progress = iter) -> int:
    """Write the page of one image's traces, whole or not at all.

    Parameters
    ----------
    path : str or Path
    traces : Trace, or sequence of Trace
        Of the same forward pass and classes, one for each layer; the first is shown first.
    image : Prepared, optional
        The photograph, from `net.prepare`.
    name, sha256 : str
        What to call the photograph, and the digest of its file.
    lang : {"en", "ko"}
        The language it opens in; both are inside.
    budget : int
        Bytes it may take; maps of the least influence are added up in one, so that every sum is whole.
    progress : function, optional
        From the passes back through the network, three a class, to an iterable of them: `tqdm` shows how far they are.

    Returns
    -------
    int
        How many bytes it has. The same traces give the same bytes.

    Raises
    ------
    NpGradcamError
        If the traces do not belong together, or the page would exceed 20 MB.
    """
    text = page(traces, image, name=name, sha256=sha256, lang=lang, budget=budget, progress=progress).encode("utf-8")
    check_cap(len(text), CAP)
    with whole_file(path) as file:
        file.write(text)
    return len(text)


def page(traces: Trace | Sequence[Trace], image: Prepared | None = None, *, name: str = "image", sha256: str = "",
         lang: str = "en", budget: int = BUDGET, progress: Progress = iter) -> str:
    """Return the page as text; see `write_page`."""
    several = together(traces)
    words(lang)
    shown, data = gather(several, image, name, sha256, lang, budget, progress)
    return assemble(shown, data, several[0], lang)


def gather(traces: tuple[Trace, ...], image: Prepared | None, name: str, sha256: str, lang: str,
           budget: int, progress: Progress) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the pictures by name, and all data of a page."""
    t = traces[0]
    arriving = pictures.arriving(t)
    by_rule = pictures.by_rule(arriving)
    guided, products, drawn = _guided(t, arriving["guided"], budget // 3) if by_rule else ([], [], [])
    shown = pictures.static_pictures(t, image, by_rule, drawn[:1])
    layers = pictures.by_layer(traces)
    left = budget - 120_000 - stored(*guided) - sum(map(len, shown.values()))
    absent: list[str | None] = [None if signal else drawn[row] for row, signal in enumerate(guided)]
    left -= sum(len(p) for group in (*by_rule.values(), *layers) for p in group) + sum(len(p or "") for p in absent)
    each = max(5_000, left // len(traces) // 2)  # half for A and its gradients, half for what lies behind them
    said = predictions(t)
    channels = t.grad_cam.preprocessing.channels if t.grad_cam.preprocessing else "RGB"
    data: dict[str, Any] = {
        "schema": SCHEMA, "lang": lang, "words": {one: _shown(one) for one in LANGUAGES},
        **said, "output": t.tape.output,
        "size": list(t.upsampled.shape[1:]), "channels": list(channels) if channels != "grey" else ["grey"],
        "layers": [layer_data(one, each) for one in traces], "network": network_data(t, progress),
        "guided": guided, "products": products,
        "pictures": {**by_rule, "layers": layers, "products": absent},
        "tables": {"turbo": TURBO.rgb.ravel().tolist(), "signed": BLUE_WHITE_RED.rgb.ravel().tolist()},
        "filled": _filled(t, name, sha256, said["classes"][0]),
    }
    return shown, data


def assemble(shown: dict[str, str], data: dict[str, Any], t: Trace, lang: str) -> str:
    """Put words, tables, pictures, style and script into the page's skeleton. All text is escaped."""
    spoken, filled = data["words"][lang], data["filled"]

    def say(key: str, **values: Any) -> str:
        sentence = spoken.get(f"{key}.pixels") if data["pixels"] else None  # where every pixel has a class
        return fill(sentence or spoken[key], {**filled, **values})

    style, script = part("style.css"), "\n".join(part(f"{name}.js") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();\n'
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "form-action 'none'; base-uri 'none'"
    )
    said = {**static.tables(t, data, say)}
    note = t.grad_cam.note(0)
    html = part("page.html").replace('<html lang="">', f'<html lang="{lang}">')
    html = html.replace("<body>", f'<body class="{"pixels" if data["pixels"] else "softmax" * data["probabilities"]}">')
    html = html.replace('content=""', f'content="{policy}"', 1)
    html = html.replace("<title></title>", f"<title>{escape(say('title'))} — {escape(filled['label'])}</title>")
    html = re.sub(r'data-words="([\w.]+)">', lambda m: m[0] + escape(say(m[1])), html)
    html = re.sub(r'data-text="([\w.]+)">', lambda m: m[0] + escape(note if m[1] == "empty" else say(m[1])), html)
    html = re.sub(r'data-label="([\w.]+)"', lambda m: f'{m[0]} aria-label="{escape(say(m[1]))}"', html)
    html = re.sub(r'data-table="([\w.]+)">', lambda m: m[0] + said.get(m[1], ""), html)
    html = re.sub(r'data-picture="(\w+)"', lambda m: _image(m, shown, say), html)
    html = re.sub(r'data-gallery="layers">', lambda m: m[0] + _gallery(data), html)
    html = html.replace("<style></style>", f"<style>{style}</style>")
    as_json = json.dumps(data, ensure_ascii=False, allow_nan=False, sort_keys=True).replace("<", "\\u003c")
    before, after = html.split('id="npgradcam-data">', 1)
    return f'{before}id="npgradcam-data">{as_json}{after.replace("<script></script>", f"<script>{script}</script>")}'


def _image(match: re.Match[str], shown: dict[str, str], say: Any) -> str:
    names = {"photograph": "prediction.photograph", "input": "prediction.input", "maps": "maps.static",
             "gradients": "gradients.static", "weighted": "weighted.static", "signed": "sum.title", "cam": "relu.title",
             "upsampled": "upsample.title", "overlay": "overlay.title", "guided_grad_cam": "guided.title"}
    alt = escape(say(names.get(match[1], f"rules.{match[1]}")))
    return f'{match[0]} alt="{alt}" src="{shown.get(match[1], "data:,")}"'


def _gallery(data: dict[str, Any]) -> str:
    figures = zip(data["layers"], data["pictures"]["layers"], strict=True)
    return "".join(
        f'<figure><img alt="{escape(layer["name"])}" src="{pictures[0]}"><figcaption>{escape(layer["name"])}, '
        f"{layer['shape'][1]} × {layer['shape'][2]}</figcaption></figure>" for layer, pictures in figures
    )


def _guided(t: Trace, signal: InputSignal, room: int) -> tuple[list[Any], list[Any], list[str]]:
    """By class: the guided signal while there is room, some products for the check, the picture of the product."""
    from npgradcam import maps

    channels = "BGR" if signal.preprocessing and signal.preprocessing.channels == "BGR" else "RGB"
    tensors: list[Any] = []
    products, drawn = [], []
    for row in range(len(t.target)):
        what = signal.array(row)
        product = what * t.upsampled[row]  # float32 times float64, as the page multiplies
        places = np.unique(np.linspace(0, product.size - 1, 64).astype(int))
        found = [[*map(int, np.unravel_index(p, product.shape)), float(product.ravel()[p])] for p in places]
        one = tensor(what)
        fits = stored(*tensors, one) <= room
        tensors.append(one if fits else None)
        products.append(found if fits else [])
        drawn.append(photograph_like(maps.signal_image(product, maps.signal_limit(product) or None, channels)))
    return tensors, products, drawn


def _shown(lang: str) -> dict[str, str]:
    """The sentences of the page, without those of the text."""
    return {key: sentence for key, sentence in words(lang).items() if not key.startswith("text.")}


def _filled(t: Trace, name: str, sha256: str, first: dict[str, Any]) -> dict[str, str]:
    """What is put into the braces of the page's sentences."""
    H, W = t.upsampled.shape[1:]
    return {
        "model": getattr(t.net, "name", "network"), "image": name, "label": t.label(0),
        "logit": f"{first['logit']:.4g}", "probability": f"{first['probability']:.4g}",
        "size": f"{W} × {H}", "version": __version__, "source": getattr(t.net, "source", "") or "—",
        "sha256": sha256 or "—",
    }


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def part(name: str) -> str:
    """Return a file of the page."""
    return (HERE / "page" / name).read_text(encoding="utf-8")
