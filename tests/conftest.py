"""What all tests share: how many examples Hypothesis draws, compiled kernels made once, and which tests are slow.

HYPOTHESIS_PROFILE=thorough draws many more examples, at random. NPGRADCAM_SLOW=1 (or `-m slow`) runs the slow tests.
"""

from __future__ import annotations

import fcntl
import os
import signal

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # test processes share the cores: do not spin while waiting

import pytest
from hypothesis import HealthCheck, settings
from warm import compile_all

SUPPRESSED = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("ci", max_examples=40, deadline=None, derandomize=True, database=None,
                          suppress_health_check=SUPPRESSED)
settings.register_profile("thorough", max_examples=300, deadline=None, database=None, print_blob=True,
                          suppress_health_check=SUPPRESSED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job: what is interrupted here, is
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; runs where NPGRADCAM_SLOW is set, or with -m slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("NPGRADCAM_SLOW") or "slow" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: set NPGRADCAM_SLOW=1 to run it"))


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compile every kernel before the first example; of several test processes one compiles, the others wait."""
    shared = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None
    with (shared or tmp_path_factory.getbasetemp()).joinpath("compiling.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for dtype in ("float32", "float64"):
            compile_all(dtype)
