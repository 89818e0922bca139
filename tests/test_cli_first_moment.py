"""Ctrl-C in the first moment: almost nothing is imported before it is heard, and then it ends with one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]

INTERRUPTED = """
import os, signal, sys

module = sys.argv[1]

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
before = signal.getsignal(signal.SIGINT)
import npgradcam.cli
assert signal.getsignal(signal.SIGINT) is before
sys.argv[1:] = ["predict", "none.png"]
sys.exit(npgradcam.cli.main())
"""


def python(*arguments):
    """Run Python without what an installation imports before us."""
    return subprocess.run([sys.executable, "-S", *arguments], capture_output=True, text=True, timeout=300, check=False,
                          env=os.environ | {"PYTHONPATH": str(HOME)})


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize("module", ["npgradcam.cli.parser", "argparse", "npgradcam.cli.arguments"])
def test_an_interrupt_while_the_parser_is_imported_is_one_sentence(module):
    done = python("-c", INTERRUPTED, module)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "npgradcam: error: interrupted; nothing was left half done\n"


def test_before_an_interrupt_is_heard_almost_nothing_is_imported():
    done = python("-c", "import npgradcam.cli, sys; print(*sys.modules)")
    there = set(done.stdout.split())
    assert {name for name in there if name.startswith("npgradcam")} == {
        "npgradcam", "npgradcam._version", "npgradcam.cli", "npgradcam.cli.signals", "npgradcam.unfinished"}
    assert not there & {"argparse", "pathlib", "json", "numpy"}
