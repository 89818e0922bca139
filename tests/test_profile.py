"""A network with clocks computes the same, and the command line prints where its time went."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from small_nets import gap_net, pictures

from npgradcam.cli import main
from npgradcam.kernels import machine
from npgradcam.layers import Conv2d, Linear, ReLU
from npgradcam.rewrites.timed import operations, timed


def test_clocks_change_no_number() -> None:
    net, x = gap_net(), pictures(2)
    clocked, rows = timed(net)
    plain, other = net.forward(x, ("input", "relu1")), clocked.forward(x, ("input", "relu1"))
    assert (plain.logits == other.logits).all()
    seed = np.ones_like(plain.logits)
    for rule in ("gradient", "guided"):
        assert (net.backward(plain, seed, "input", rule) == clocked.backward(other, seed, "input", rule)).all()
    assert [row.name for row in rows.values()] == [node.name for node in net.nodes]
    assert all(len(row.forward) == 1 and len(row.backward) == 2 for row in rows.values())
    assert all(row.shape == plain.shapes[name] for name, row in rows.items())


def test_operations_are_those_of_the_equation() -> None:
    conv = Conv2d(np.ones((5, 3, 2, 2)))
    assert operations(conv, (2, 5, 7, 9)) == 2 * (5 * 3 * 2 * 2) * (2 * 7 * 9)
    assert operations(Linear(np.ones((4, 3)), np.zeros(4)), (2, 4)) == 2 * 2 * 12
    assert operations(ReLU(), (1, 5, 7, 9)) == 0


@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_the_command_prints_every_layer_of_the_plan(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["profile", "shapes", "--backend", backend, "--rounds", "2"]
    assert main([*given, "--back"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["layer", "computed", "by"]
    assert "ms back" in lines[0]
    assert any(line.startswith("sum") for line in lines)
    assert main([*given, "--json", "--quiet"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["sum"]["operations"] == sum(layer["operations"] for layer in said["layers"]) > 1e6
    assert (said["peak_gflop_s"] is None) == (backend == "numpy" or said["peak_gflop_s"] is None)
    assert said["sum"]["backward_ms"] == 0
    assert said["forward_ms"] > 0


@pytest.mark.parametrize(("load", "said"), [(1.7, 1), (0.3, 0)])
def test_times_of_a_busy_machine_come_with_a_remark(load: float, said: int, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    given = ["profile", "shapes", "--backend", "numpy", "--rounds", "1", "--json"]
    assert main(given) == 0
    printed = capsys.readouterr()
    assert printed.err.count("npgradcam: others use this machine (load 1.7 on 2 cores), so these times are not") == said
    assert json.loads(printed.out)["rounds"] == 1
    assert main([*given, "--quiet"]) == 0
    assert capsys.readouterr().err == ""
