"""What the comparison says about the machine, and how much of it others used while a time was taken."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import npgradcam

PACKAGES = ("numpy", "numba", "scipy", "torch", "torchvision", "onnxruntime", "openvino", "mnn", "grad-cam")
POOLS = ("OMP_", "OPENBLAS_", "MKL_", "NUMBA_", "KMP_", "GOMP_")


def facts(threads: int, first: bool = False) -> list[str]:
    """Return the lines that stand above the tables."""
    flags = _cpuinfo("flags").split()
    vectors = [name for name in ("avx512f", "avx2", "asimd") if name in flags] or ["unknown"]
    settings = [f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith(POOLS)]
    lines = [
        f"CPU: {_cpuinfo('model name') or platform.processor()}, {os.cpu_count()} logical, "
        f"widest vectors {vectors[0]}; {threads} threads for each competitor",
        f"System: {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        f"Versions: npgradcam {npgradcam.__version__}, " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "Settings of thread pools found in the environment: " + (", ".join(settings) or "none"),
    ]
    if first:
        lines.append("Whoever's turn it was ran with real-time priority, all alike, on a machine busy with other work")
    return lines


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


class Load:
    """CPU time that processes other than ``pid`` use between two moments, in cores; 0 where /proc does not exist."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.start = self._now()

    def _now(self) -> tuple[float, float, float]:
        try:
            ticks = os.sysconf("SC_CLK_TCK")
            busy = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
            own = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            up = float(Path("/proc/uptime").read_text().split()[0])
        except (OSError, ValueError):
            return 0.0, 0.0, 0.0
        user, nice, system, _, _, irq, softirq, steal = busy
        everyone = (user + nice + system + irq + softirq + steal) / ticks
        return everyone, (int(own[11]) + int(own[12])) / ticks, up

    def others(self) -> float:
        """Return the cores that everybody else has used since the start."""
        everyone, own, up = (b - a for a, b in zip(self.start, self._now(), strict=True))
        return max(0.0, (everyone - own) / up) if up > 0 else 0.0
