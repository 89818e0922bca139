"""The command line: `npgradcam explain` and its sisters; errors are one sentence and an exit code.

Until `ended_politely` listens, Ctrl-C ends the process with Python's own traceback: what is imported here is little,
and the parser comes later.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from npgradcam.cli.signals import INTERRUPTED, ended_politely

if TYPE_CHECKING:
    from argparse import Namespace

USAGE, MODEL, IMAGE = 2, 3, 4
BY_CTRL_C, BROKEN_PIPE = 128 + 2, 128 + 13  # as the shell counts a process that a signal ended

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows `npgradcam` on the command line. Where nothing is given it is `sys.argv[1:]`, and this is the
        last that the process does: Ctrl-C ends the process at once, and is ignored from the end of the command on.

    Returns
    -------
    int
        0: done. 2: usage, an unknown class or layer, a folder that exists, a disk that is full. 3: the model. 4: a
        photograph (the others are done). 5: a map that nothing explains. 130: Ctrl-C. 1: something that
        `verify` looked at does not hold; or a fault of this package, and NPGRADCAM_TRACEBACK=1 shows where.
    """
    with ended_politely() if arguments is None else nullcontext():
        try:
            return _code(arguments)
        except KeyboardInterrupt:  # in somebody else's process it is Python's own
            return _say(INTERRUPTED, BY_CTRL_C)


def _code(arguments: Sequence[str] | None) -> int:
    """Run one command; say what went wrong, if anything did, and return the exit code."""
    try:
        code = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    except BrokenPipeError:  # whoever read our output has seen enough
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if os.environ.get("NPGRADCAM_TRACEBACK"):
            raise
        return _say(*_sentence(error))
    return code


def _run(arguments: Sequence[str] | None) -> int:
    from npgradcam.cli.parser import parse

    options = parse(arguments)
    with _no_collector():
        return _command(options)


def _command(options: Namespace) -> int:
    """Run a command; each has a module of its own, and nobody waits for the others to be imported."""
    run: Callable[[Namespace], int] = getattr(import_module(f"npgradcam.cli.{options.command}"), options.command)
    return run(options)


def _sentence(error: Exception) -> tuple[str, int]:
    """Return what went wrong in one sentence, and the exit code for it."""
    from npgradcam import errors

    if isinstance(error, (errors.ModelFormatError, errors.MissingPackageError)):
        return str(error), MODEL
    if isinstance(error, errors.ImageError):
        return str(error), IMAGE
    if isinstance(error, errors.NpGradcamError):
        return str(error), USAGE
    if isinstance(error, OSError):
        said = error.strerror or error
        if error.filename:
            return f"{error.filename}: {said}; check the path, its permissions and the room there", USAGE
        return f"{said}; make room where the output goes, and the compiled kernels", USAGE
    told = str(error).splitlines() or [""]
    if isinstance(error, MemoryError):
        return f"not enough memory ({told[0]}); take a smaller picture or network", USAGE
    return f"a fault of npgradcam: {type(error).__name__}: {told[0]}; NPGRADCAM_TRACEBACK=1 shows where", 1


def _say(text: str, code: int) -> int:
    if sys.stderr is not None:  # closed: `print` would take stdout, where results go
        from npgradcam.errors import printable

        with suppress(OSError):
            print(f"npgradcam: error: {printable(' '.join(text.split()))}", file=sys.stderr)
    return code


@contextmanager
def _no_collector() -> Iterator[None]:
    """Let nothing look for garbage while half a million objects are being imported: it finds none, in 0.3 s.

    `console.imports_are_over` sets those objects apart and turns the collector on again when the imports are over.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()
