"""Run the notebooks and write a page of each that needs neither a server nor a network: python notebooks/render.py."""

from __future__ import annotations

import argparse
import html
import re
from difflib import get_close_matches
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from nbclient import NotebookClient
from nbconvert import HTMLExporter

HERE = Path(__file__).parent
CODE_OR_FORMULA = re.compile(r"`[^`]*`|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$]+?)\$", re.DOTALL)


def run(path):
    """Return a notebook with the outputs of all its cells."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(HERE)}}).execute()
    return notebook


def page(notebook, title):
    """Return a notebook as HTML: pictures inside, formulas as MathML, no script."""
    formulas, cells = [], []

    def kept(found):  # a formula leaves a mark behind, so that Markdown does not touch it
        tex = found["block"] or found["inline"]
        if tex is None:
            return found[0]
        formulas.append(convert(tex.strip(), display="block" if found["block"] else "inline"))
        return f"FORMULA{len(formulas) - 1}X"

    for cell in notebook.cells:
        text = CODE_OR_FORMULA.sub(kept, cell.source) if cell.cell_type == "markdown" else cell.source
        cells.append(nbformat.from_dict({**cell, "source": text}))
    made, _ = HTMLExporter(embed_images=True).from_notebook_node(nbformat.from_dict({**notebook, "cells": cells}))
    made = re.sub(r"<script\b.*?</script>", "", made, flags=re.DOTALL)
    made = re.sub(r"<title>.*?</title>", f"<title>{html.escape(title)}</title>", made)
    return re.sub(r"FORMULA(\d+)X", lambda mark: formulas[int(mark[1])], made)


def a_notebook(name):
    """Return the path of a notebook: as it is given, or one of this folder by its name."""
    for path in (Path(name), Path(f"{name}.ipynb"), HERE / name, HERE / f"{name}.ipynb"):
        if path.suffix == ".ipynb" and path.is_file():
            return path
    near = get_close_matches(Path(name).stem, [path.stem for path in HERE.glob("*.ipynb")])
    raise argparse.ArgumentTypeError(f"there is no notebook {name}{'; near it: ' if near else ''}{', '.join(near)}")


def main(arguments=None):
    """Render the notebooks that are named, or all."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("notebooks", nargs="*", type=a_notebook, default=sorted(HERE.glob("*.ipynb")))
    parser.add_argument("-o", "--out", type=Path, default=HERE / "rendered")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for path in chosen.notebooks:
        target = chosen.out / f"{path.stem}.html"
        target.write_text(page(run(path), path.stem), encoding="utf-8")
        print(target)


if __name__ == "__main__":
    main()
