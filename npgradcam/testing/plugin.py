"""A fixture for pytest: say `pytest_plugins = ["npgradcam.testing.plugin"]` in your conftest.py.

It is not registered by itself, so that nobody's pytest starts slower for having this package installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from .kit import Report, check


class Check(Protocol):
    """Run the kit against a function and fail the test with its report; see `npgradcam.testing.check`."""

    def __call__(self, function: Any, methods: str | Sequence[str] = "grad-cam", **settings: Any) -> Report:
        """Return the report, if nothing in it is wrong."""


@pytest.fixture
def npgradcam_check() -> Check:
    """Return a function like `npgradcam.testing.check` that fails the test where something is wrong."""

    def checked(function: Any, methods: str | Sequence[str] = "grad-cam", **settings: Any) -> Report:
        __tracebackhide__ = True
        report = check(function, methods, **settings)
        if not report.passed:
            pytest.fail(report.text(), pytrace=False)
        return report

    return checked
