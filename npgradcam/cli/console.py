"""What a person reads while it runs: results on stdout, everything else on stderr, and a bar where that helps."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from npgradcam.kernels import Backend

PATIENCE = 1.5  # seconds after which a person wonders


class Console:
    """Where text goes.

    Parameters
    ----------
    quiet : bool
        Errors only, and what was asked for as JSON.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar: Any = None

    def result(self, text: str) -> None:
        """Print to stdout."""
        self._write(sys.stdout, text)

    def remark(self, text: str) -> None:
        """Print a remark to stderr, unless quiet."""
        if not self.quiet:
            self._write(sys.stderr, f"npgradcam: {text}")

    def error(self, error: Exception) -> None:
        """Print one sentence to stderr."""
        self._write(sys.stderr, f"npgradcam: error: {' '.join(str(error).split())}")

    def _write(self, stream: TextIO, text: str) -> None:
        if self.bar is not None:
            self.bar.clear()
        if stream is None:  # closed by whoever started us
            return
        encoding = stream.encoding or "utf-8"  # a letter that the terminal cannot show is no reason to stop
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
        if self.bar is not None:
            self.bar.refresh()

    def progress(self, sources: Sequence[Any]) -> Iterator[Any]:
        """Go through the photographs, with a bar where there are several and a person is watching."""
        if self.quiet or len(sources) < 2 or not sys.stderr.isatty():
            yield from sources
            return
        from tqdm import tqdm

        with tqdm(sources, unit="photograph", leave=False) as self.bar:
            yield from self.bar
        self.bar = None

    @contextmanager
    def compiling(self, dtype: str, backend: Backend) -> Iterator[None]:
        """Say so where kernels are being compiled and a person has begun to wonder."""
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(done, dtype, backend), daemon=True)
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()

    def _watch(self, done: threading.Event, dtype: str, backend: Backend) -> None:
        if done.wait(PATIENCE):
            return
        from npgradcam.kernels.session import choose

        while not done.wait(0.1):
            if getattr(choose(backend), "cache_misses", int)():  # loading them from the cache is not compiling
                return self.remark(f"compiling {dtype} kernels for this machine (first run only) ...")


def warm_up(console: Console, dtype: str, backend: Backend) -> None:
    """Load or compile the kernels, and say how long compiling took."""
    from npgradcam import kernels
    from npgradcam.kernels.session import choose

    with console.compiling(dtype, backend):
        done = kernels.warmup(dtype, backend)
    gc.freeze()  # what was imported is not looked through again; see `npgradcam.cli._no_collector`
    gc.enable()
    if done.compiled:
        compiled = f"compiled {done.compiled} kernels in {done.seconds:.1f} s"
        next_run = "the next run takes them from the cache"
        if not done.kept:
            next_run = "no folder for a cache can be written, so every run compiles; set NUMBA_CACHE_DIR"
        console.remark(f"{compiled}; {next_run}")
    if backend == "auto" and resolved(choose(backend)) == "numpy":
        console.remark("Numba is missing or switched off; NumPy alone is slow on a large network")


def resolved(kernels: Any) -> str:
    """Return what "auto" came to."""
    return "numpy" if kernels.__name__.endswith("definition") else "numba"


def readable(path: str | os.PathLike[str]) -> str:
    """Return a path as text that every file can hold, also where its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def as_json(value: Any) -> str:
    """Return JSON as people read it: indented, letters as they are, and never NaN, which is not JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[str] = ()) -> str:
    """Align text in columns: to the right, but for the columns named in `left`.

    Examples
    --------
    >>> print(table(["rank", "label"], [["1", "espresso"], ["2", "cup"]], left=["label"]))
    rank  label
       1  espresso
       2  cup
    """
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[c]) for line in lines) for c in range(len(head))]
    ways = [str.ljust if name in left else str.rjust for name in head]
    aligned = ([way(text, w) for way, text, w in zip(ways, line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in aligned)


def short(path: Path) -> str:
    """Return a path relative to the folder one is in, where it lies below it."""
    try:
        return readable(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return readable(path)
