"""The pytest plugin, in a pytest of its own: it passes what is right, and fails with the report."""

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
import sys
pytest_plugins = ["npgradcam.testing.plugin"]
sys.path.insert(0, {folder!r})
"""
TESTS = """
from kit_implementations import guided_at_relu_alone, right

def test_right(npgradcam_check):
    report = npgradcam_check(right, methods=["gradient", "guided-backprop"], drawn=2)
    assert report.passed

def test_inert(npgradcam_check):
    npgradcam_check(guided_at_relu_alone, "guided-backprop", drawn=0)
"""


def test_the_fixture_passes_what_is_right_and_fails_with_a_sentence(pytester, request):
    pytester.makeconftest(CONFTEST.format(folder=str(request.path.parent)))
    pytester.makepyfile(TESTS)
    done = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*ReLU6: equals the plain gradient: the rule was not applied at ReLU6*"])
    assert "Traceback" not in done.stdout.str()


def test_pytest_loads_nothing_of_npgradcam_before_it_is_asked_to(pytester):
    pytester.makepyfile("import sys\ndef test_nothing():\n    assert 'npgradcam' not in sys.modules")
    pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.parametrize("module", ["npgradcam.testing", "npgradcam.testing.kit"])
def test_the_kit_itself_needs_neither_pytest_nor_hypothesis_to_be_imported(module):
    code = f"import {module}, sys; assert not {{'pytest', 'hypothesis', 'onnx'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_hypothesis_the_report_says_what_was_left_out(monkeypatch):
    from kit_implementations import ours

    from npgradcam.testing import check

    for name in [m for m in sys.modules if m.startswith("npgradcam.testing.strategies")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    report = check(ours("gradient"), "gradient")
    assert report.passed
    assert report.notes == ("networks are drawn only where Hypothesis is installed: pip install hypothesis",)
