"""Point npgradcam's testing kit at other implementations, and write what it finds: benchmarks/peers.md.

Each framework has an environment of its own, with npgradcam, and leaves its findings in a file; the page is of these:

    pip install torch==2.14.1 grad-cam==1.5.7 captum==0.9.0 torchcam==0.5.0 onnx==1.23.2 hypothesis
    python -m benchmarks.kit torch torch.json

    pip install tensorflow==2.20.0 tf_keras==2.20.1 tf-keras-vis==0.8.7 xplique==2.0.2 onnx==1.23.2 hypothesis
    python -m benchmarks.kit keras keras.json

    python -m benchmarks.kit page torch.json keras.json

The kit's networks are built as a user would write them; where a rule acts on rectifiers, in every way in which these
are usually written.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("peers.md")
DRAWN = 20
FEW = 3  # checks that are named
STYLES = {"modules": "", "activations": "", "functions": ", rectifiers as functions",
          "one ReLU for all": ", one `nn.ReLU` for all", "layers": ", rectifiers as `ReLU` layers"}
HEAD = """# What the kit finds in other implementations

Made by `python -m benchmarks.kit`, which says how the environments are made. Each implementation is asked what its
users ask it, about the chosen networks of `npgradcam.testing.check`, {drawn} drawn ones, and the identities between
its own answers. A convention is a documented choice and no failure: what is cut off, normalised and enlarged, when
and how; whether the logit is differentiated or what the network returns. It must only be the same in every check. A
difference counts from 1e-4 of the answer's largest number on. What an implementation does not offer is not asked:
pytorch-grad-cam's guided backpropagation explains one image, so it gets none with more.

Of Grad-CAM++, "wrong" means: another formula than equation (19) of its paper. Of guided backpropagation and the
deconvnet, that the rule did not act at a rectifier; at a ReLU6 most of these let the plain gradient through and say
nothing.

Versions: {versions}.

| implementation | method | checks passed | convention | what fails |
|---|---|---|---|---|
"""


def findings(framework: str) -> dict[str, Any]:
    """Return what the kit says of every implementation on a framework."""
    from npgradcam.testing import check

    module, found = import_module(f"benchmarks.kit_{framework}"), []
    for name, style, function, methods in module.peers():
        report = check(function, methods, drawn=DRAWN).as_dict()
        found.append({"name": name, "style": style, **report})
        failed = sum(r["status"] in ("wrong", "error") for r in report["results"])
        print(f"{name}, {style}: {failed} of {len(report['results'])} checks fail", flush=True)
    return {"framework": module.FRAMEWORK, "peers": found}


def page(every: list[dict[str, Any]]) -> str:
    """Return the page of all findings: a row for each method."""
    rows = []
    for peer in (p for f in every for p in f["peers"]):
        for method, convention in peer["conventions"].items():
            asked = [r for r in peer["results"] if r["method"] == method and r["status"] != "left out"]
            failed = [r for r in asked if r["status"] != "right"]
            passed = f"{len(asked) - len(failed)} of {len(asked)}"
            fails = "<br>".join(told(failed)) or "nothing"
            name = f"{peer['name']}{STYLES[peer['style']]}"
            rows.append(f"| {name} | {method} | {passed} | {convention} | {fails} |")
    return HEAD.format(drawn=DRAWN, versions="; ".join(f["framework"] for f in every)) + "\n".join([*rows, ""])


def told(failed: list[dict[str, Any]]) -> list[str]:
    """Say what fails: each reason once, with its checks and the largest error."""
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for r in failed:
        by_reason.setdefault(r["sentence"], []).append(r)
    said = []
    for why, results in by_reason.items():
        errors = [r["error"] for r in results if r["error"]]
        off = f", off by up to {max(errors):.1g} of the largest number" if errors else ""
        names = [r["check"] for r in results]
        said.append(f"{why} ({'; '.join(names) if len(names) <= FEW else f'{len(names)} checks'}{off})")
    return said


def main(what: str, *files: str) -> None:
    """Look at the implementations on a framework, or make the page."""
    if what == "page":
        PAGE.write_text(page([json.loads(Path(file).read_text(encoding="utf-8")) for file in files]), encoding="utf-8")
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    Path(files[0]).write_text(json.dumps(findings(what), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
