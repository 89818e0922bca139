"""What is half done, and how to undo it: an error in the middle does, and so does a signal that ends the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_undo: list[Callable[[], None]] = []  # the newest last


@contextmanager
def all_or_nothing(undo: Callable[[], None]) -> Iterator[None]:
    """Undo what a block did unless it reaches its end.

    Parameters
    ----------
    undo : callable
        Called without arguments, after any part of the block, the whole of it, or none.

    Examples
    --------
    >>> from contextlib import suppress
    >>> with suppress(ZeroDivisionError), all_or_nothing(lambda: print("swept up")):
    ...     1 / 0
    swept up
    """
    _undo.append(undo)
    try:
        yield
    except BaseException:
        undo()
        raise
    finally:
        _undo.remove(undo)


def undo_all() -> None:
    """Undo whatever is half done just now, in whichever thread: the process is about to end."""
    for undo in tuple(_undo)[::-1]:
        with suppress(OSError):
            undo()
