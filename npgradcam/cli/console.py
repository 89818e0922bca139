"""What a person reads while it runs: results on stdout, everything else on stderr, and a bar where that helps."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from npgradcam.errors import printable
from npgradcam.kernels import Backend, Compilation
from npgradcam.typing import Shape


class Console:
    """Where text goes.

    Parameters
    ----------
    quiet : bool
        No progress and no remarks: errors and results only.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar: Any = None
        self.compiled = 0  # kernels, so far

    def result(self, text: str) -> None:
        """Print to stdout: lines of text."""
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
        text = "\n".join(map(printable, text.split("\n")))  # names come from files, whose names are anybody's
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
        if self.bar is not None:
            self.bar.refresh()

    def progress(self, sources: Iterable[Any], count: int, unit: str = "photograph", few: int = 1) -> Iterator[Any]:
        """Go through the photographs, with a bar where they are more than a few and a person is watching.

        What a photograph consists of has a bar only where the photographs have none.
        """
        if self.quiet or count <= few or self.bar is not None or sys.stderr is None or not sys.stderr.isatty():
            yield from sources
            return
        from tqdm import tqdm

        with tqdm(sources, total=count, unit=unit, leave=False) as self.bar:
            yield from self.bar
        self.bar = None

    @contextmanager
    def compiling(self, dtype: str, backend: Backend) -> Iterator[None]:
        """Say so where Numba compiles in this block, and how long that took; loading from a cache is not compiling."""
        from npgradcam import kernels

        def begun(kernel: str) -> None:
            if not self.compiled:
                self.remark(f"compiling {dtype} kernels for this machine ...")
            self.compiled += 1

        with kernels.compilation(backend, begun) as done:
            yield
        if done.names:
            self.remark(f"{counted(done)}; {next_run(done)}")

    def left_out(self, bad: Sequence[str], asked: int) -> int:
        """Say once more, at the end of many, which photographs could not be read; return the exit code."""
        if bad and asked > 1:
            more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
            self.remark(f"{len(bad)} of {asked} photographs could not be read: {', '.join(bad[:10])}{more}")
        return 4 if bad else 0

    def computing_with(self, backend: Backend) -> None:
        """Say so where computing will be slow; threads that wait give their core to those that draw and encode."""
        from npgradcam.kernels.session import choose

        os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when Numba's pool starts
        if backend == "auto" and resolved(choose(backend)) == "numpy":
            self.remark("Numba is missing or switched off; NumPy alone is slow on a large network")


def counted(done: Compilation) -> str:
    """Return how many kernels were compiled, and how long that took."""
    count = len(done.names)
    return f"compiled {count} kernel{'s' * (count != 1)} in {done.seconds:.1f} s"


def next_run(done: Compilation) -> str:
    """Return what becomes of compiled kernels."""
    if done.kept:
        return "the next run takes them from the cache"
    return "they could not be kept, so every run compiles; set NUMBA_CACHE_DIR"


def imports_are_over() -> None:
    """Set apart what was imported and let garbage be collected again; see `npgradcam.cli._no_collector`."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def resolved(kernels: Any) -> str:
    """Return what "auto" came to."""
    return "numpy" if kernels.__name__.endswith("definition") else "numba"


def readable(path: str | os.PathLike[str]) -> str:
    """Return a path as text that every file can hold, also where its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def times(shape: Sequence[int]) -> str:
    """Say how large something is: 1 x 3 x 224 x 224."""
    return " x ".join(map(str, shape))


def inputs_as_text(shapes: Mapping[str, Shape]) -> str:
    """Say how large each input is, and of several which is which."""
    return ", ".join(times(shape) if len(shapes) == 1 else f"{name} {times(shape)}" for name, shape in shapes.items())


def as_json(value: Any) -> str:
    """Return JSON as people read it: indented, letters as they are where they can be printed, never NaN."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


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
    with suppress(ValueError, OSError):
        path = path.resolve().relative_to(Path.cwd())
    return printable(readable(path))
