"""One family of errors: each is a sentence that says where, what was expected, what came, and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NpGradcamError(Exception):
    r"""The base of every error that this package raises on purpose.

    Its text is one line, whatever names a file has put into it: what cannot be printed is written as an escape.

    Examples
    --------
    >>> print(NpGradcamError("no layer is called conv\x1b[2J\nconv1"))
    no layer is called conv\x1b[2J\nconv1
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(printable(text))


class ShapeError(NpGradcamError, ValueError):
    """An array has the wrong shape, number of axes or dtype for the place where it arrived."""


class ModelFormatError(NpGradcamError, ValueError):
    """A model file or a set of weights is not what it should be."""


class UnsupportedOperatorError(ModelFormatError):
    """A model uses operators that this package does not have; the message lists all of them."""


class ImageError(NpGradcamError, ValueError):
    """Something that should be a picture is not one, or is one that cannot be read safely."""


class UnknownLayerError(NpGradcamError, KeyError):
    """No layer has that name, or no layer fits; the message names candidates."""

    def __str__(self) -> str:
        """Return the sentence itself (a KeyError would show it in quotes)."""
        return str(self.args[0]) if self.args else ""


class TargetError(NpGradcamError, ValueError):
    """The class to explain is unknown, ambiguous, or not one per image."""


class MissingPackageError(NpGradcamError, ImportError):
    """An optional package is not installed; the message holds the command that installs it."""


class NoFolderError(NpGradcamError, FileNotFoundError):
    """A result should be written into a folder that is not there."""


class NotWrittenError(NpGradcamError, OSError):
    """A result could not be written: the disk is full, or the place may not be written to."""


class OutputExistsError(NpGradcamError, FileExistsError):
    """A result would overwrite something that is already there."""


def printable(text: str) -> str:
    r"""Return text on one line, in which nothing moves a cursor or a window's title: such letters become escapes.

    Examples
    --------
    >>> print(printable("\x1b[31mred\n\u202e.bmp"))
    \x1b[31mred\n\u202e.bmp
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def close_matches(name: str, names: Iterable[str], limit: int = 5) -> str:
    """Return the nearest of `names` as text for an error message, or the last ones where none is near.

    Upper and lower case are the same, with hyphens and without; a part of a name is near it.

    Examples
    --------
    >>> close_matches("relu9", ["conv1", "relu1", "relu2"])
    'relu2, relu1'
    >>> close_matches("Stem", ["stem.conv.weight", "block", "head"])
    'stem.conv.weight'
    >>> close_matches("GradCAM", ["cam", "grad-cam", "gradient"], limit=1)
    'grad-cam'
    """
    names = list(names)
    return ", ".join(nearest(name, names, limit) or names[-limit:]) or "none"


def nearest(name: str, names: Iterable[str], limit: int = 5) -> list[str]:
    """Return those of `names` that are near a name, the nearest first; as `close_matches` finds them."""
    folded: dict[str, list[str]] = {}
    for each in names:
        folded.setdefault(_folded(each), []).append(each)
    wanted = _folded(name)
    near = get_close_matches(wanted, folded, n=limit) or [each for each in folded if wanted and wanted in each]
    return [each for like in near for each in folded[like]][:limit]


def _folded(name: str) -> str:
    return name.casefold().replace("-", "")
