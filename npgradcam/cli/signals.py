"""Ctrl-C, kill and a closed terminal: one wish to end, heard once, that lets what is half done be tidied up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import FrameType

PATIENCE = 5.0  # seconds in which a signal to end is not repeated


@contextmanager
def ended_politely(last: bool) -> Iterator[list[int]]:
    """While a command runs, a polite end (kill, a closed terminal) tidies up as Ctrl-C does; give those that came.

    A second one soon after the first is the same wish: it must not end the tidying, or half a result would be left.
    Where this is the last that the process does, there is nothing left for Ctrl-C to end.
    """
    heard, patient = list[int](), -inf  # until then nothing is heard
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal patient
        if monotonic() >= patient:
            patient = monotonic() + PATIENCE
            heard.append(number)
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    polite = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in polite}
    ours = [number for number in polite if before[number] in (signal.SIG_DFL, signal.default_int_handler)]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield heard
    finally:
        patient = inf
        for number in ours:
            signal.signal(number, signal.SIG_IGN if last and number == signal.SIGINT else before[number])
