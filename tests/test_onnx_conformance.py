"""The official ONNX suite: what passed once passes for ever, and everything else is refused in one way."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx_backend import NpGradcam, counted, suite, verdicts
from onnx_skeletons import DATA

TABLE = json.loads((DATA / "conformance.json").read_text())
PARTS = [("node", part, 6) for part in range(6)]
PARTS += [(name, 0, 1) for name in ("simple", "pytorch-converted", "pytorch-operator")]
PARTS += [("light", part, 3) for part in range(3)]
GOALS = {"one operator on float32": 390, "pytorch-converted": 69, "pytorch-operator": 30, "light": 9}


@pytest.mark.parametrize(("category", "part", "parts"), PARTS, ids=lambda value: str(value))
def test_what_passed_once_passes(warm, category, part, parts):
    before = {name: said for said, names in TABLE["tests"][category].items() for name in names}
    worse = {}
    for name, said in verdicts(category, part, parts):
        was = before.get(name, "unsupported")  # another version of the suite may bring tests of its own
        fine = said == "passed" or (said.startswith("unsupported") and was.startswith("unsupported"))
        if not fine and said != was:
            worse[name] = said
    assert not worse, worse


def test_the_table_reaches_the_goals():
    reached = {name: TABLE["counts"][name]["passed"] for name in GOALS}
    assert all(reached[name] >= goal for name, goal in GOALS.items()), reached


def test_the_counts_are_those_of_the_table():
    for category, tests in TABLE["tests"].items():
        passed = sum(len(names) for said, names in tests.items() if said.startswith("passed"))
        assert TABLE["counts"][category] == {"passed": passed, "of": sum(map(len, tests.values()))}
    names = {name for said, names in TABLE["tests"]["node"].items() if said.startswith("passed") for name in names}
    if TABLE["onnx"] == __import__("onnx").__version__:
        assert TABLE["counts"]["one operator on float32"] == {"passed": len(names & counted()), "of": len(counted())}


def test_each_exception_has_its_reason():
    for tests in TABLE["tests"].values():
        for said in tests:
            assert said == "passed" or len(said.partition(": ")[2]) > 8, said


def test_the_backend_runs_one_node_alone():
    import numpy as np
    from onnx import helper

    (y,) = NpGradcam.run_node(helper.make_node("Relu", ["x"], ["y"]), [np.float32([[-1, 2]])])
    assert y.tolist() == [[0, 2]]
    assert NpGradcam.supports_device("CPU") and not NpGradcam.supports_device("CUDA")  # noqa: PT018
    assert set(suite()) == set(TABLE["tests"])
