"""Ctrl-C, kill and a closed terminal end the process at once, and leave nothing half done.

They raise no exception: one that comes out of the blue may be lost in a destructor, or leave a lock taken that a
thread waits for, and the process with it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from npgradcam.unfinished import undo_all

INTERRUPTED = "interrupted; nothing was left half done"
_POLITE = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def ended_politely() -> Iterator[None]:
    """While the last command of a process runs, let signals end it; there is nothing left then for Ctrl-C to end.

    Works in the main thread only, as Python does; a signal that whoever started us ignores stays ignored.
    """
    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _POLITE}
    ours = [number for number in _POLITE if here and before[number] in (signal.SIG_DFL, signal.default_int_handler)]
    for number in ours:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else before[number])


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Undo what is half done, say so, and end: no thread is waited for."""
    for each in _POLITE:  # people press Ctrl-C twice
        signal.signal(each, lambda *_: None)  # not SIG_IGN, to which Python has a remark if one is just coming
    undo_all()
    if number == signal.SIGINT and sys.stderr is not None:
        with suppress(OSError, ValueError):  # `print` may be what was interrupted
            line = "\n" * sys.stderr.isatty()  # after ^C, or a bar
            os.write(sys.stderr.fileno(), f"{line}npgradcam: error: {INTERRUPTED}\n".encode())
    with suppress(OSError, ValueError, RuntimeError, AttributeError):  # closed, full, being written to, or none
        sys.stdout.flush()
    os._exit(128 + number)
