"""Point the kit at other implementations and write what it finds: python tests/make_peers_table.py torch|keras|page.

Each framework has an environment of its own, and leaves its findings in tests/data/kit_<framework>.json; `page` makes
benchmarks/peers.md of them with nothing but Python:

    pip install torch==2.14.1 grad-cam==1.5.7 captum==0.9.0 torchcam==0.5.0 onnx==1.23.2 hypothesis
    pip install tensorflow==2.20.0 tf_keras==2.20.1 tf-keras-vis==0.8.7 xplique==2.0.2 onnx==1.23.2 hypothesis

both with npgradcam, whose layers need no Numba here. The kit's networks are written as a user would write them (a module
or layer for each node); where a rule acts on rectifiers, also with rectifiers as functions, and with one nn.ReLU for all.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from importlib import import_module
from pathlib import Path

DATA = Path(__file__).parent / "data"
PAGE = Path(__file__).parents[1] / "benchmarks" / "peers.md"
DRAWN = 20


def findings(framework):
    from npgradcam.testing import check

    module = import_module(f"kit_peers_{framework}")
    found = []
    for name, style, function, methods in module.peers():
        report = check(function, methods, drawn=DRAWN).as_dict()
        found.append({"name": name, "style": style, **report})
        failed = sum(r["status"] in ("wrong", "error") for r in report["results"])
        print(f"{name}, {style}: {failed} of {len(report['results'])} checks fail", flush=True)
    return {"framework": module.FRAMEWORK, "peers": found}


def rows(peer):
    """Yield a row for each method of a peer."""
    for method, convention in peer["conventions"].items():
        mine = [r for r in peer["results"] if r["method"] == method and r["status"] != "left out"]
        failed = [r for r in mine if r["status"] != "right"]
        yield method, len(mine) - len(failed), len(mine), convention, failed


def told(failed):
    """Say what fails: each sentence once, with its checks and the largest error."""
    by_reason = {}
    for r in failed:
        said = r["sentence"].split(": ", 2)[-1] if r["check"] == "drawn networks" else r["sentence"]
        reason = said.split(" at ReLU ")[0].split(" at Clip")[0] if "the rule was not applied" in said else said
        if reason != said:
            kinds = [kind for kind in ("ReLU6", "ReLU") if (kind == "ReLU6" and "Clip(0, 6)" in said) or
                     (kind == "ReLU" and "ReLU '" in said)]
            reason = f"{reason} at {' and '.join(kinds)}"
        by_reason.setdefault(reason.removeprefix("matches "), []).append(r)
    for reason, results in by_reason.items():
        errors = [r["error"] for r in results if r["error"]]
        off = f", off by up to {max(errors):.2g} of the largest number" if errors else ""
        checks = "; ".join(r["check"].split(":")[0] for r in results)
        yield f"{reason} (in {len(results)}: {checks}{off})"


def page(every):
    lines = [
        "# What the kit finds in other implementations", "",
        "Made by `python tests/make_peers_table.py`, which says how the environments are made. Each implementation gets the",
        f"kit's hand-chosen networks, {DRAWN} drawn ones, and the identities, of `npgradcam.testing.check`, and is asked what its",
        "users ask it. A convention is a documented choice (what is normalised, enlarged, cut off; the logit or what the",
        "network returns) and no failure; it must only be the same in every check. A difference counts from 1e-4 of the",
        "answer's largest number on. What an implementation does not offer is not asked.", "",
        f"Versions: {'; '.join(f['framework'] for f in every)}.", "",
    ]
    styles = {"modules": "", "activations": "", "functions": ", rectifiers as functions",
              "one ReLU for all": ", one `nn.ReLU` for all", "layers": ", rectifiers as `ReLU` layers"}
    lines += ["| implementation | method | checks passed | convention | what fails |", "|---|---|---|---|---|"]
    for peer in (p for f in every for p in f["peers"]):
        for method, passed, count, convention, failed in rows(peer):
            fails = "<br>".join(told(failed)) or "nothing"
            lines.append(f"| {peer['name']}{styles[peer['style']]} | {method} | {passed} of {count} | {convention} | {fails} |")
    return "\n".join([*lines, ""])


def main(what):
    if what == "page":
        PAGE.write_text(page([json.loads((DATA / f"kit_{f}.json").read_text()) for f in ("torch", "keras")]))
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    (DATA / f"kit_{what}.json").write_text(json.dumps(findings(what), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
