"""Which pictures of a list of steps may lie in the same memory, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from npgradcam.kernels import rooms
from npgradcam.kernels.frames import Frame
from npgradcam.typing import Array


class Use(NamedTuple):
    """A picture: step k makes the k-th of them, and the step `last` reads it last."""

    frame: Frame
    images: int
    last: int

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        return self.images * self.frame.image

    @property
    def own(self) -> tuple[Frame, int] | None:
        """What alone may lie in its memory; a small picture keeps the zeros around it from one run to the next."""
        return (self.frame, self.images) if self.frame.has_zeros and not rooms.is_large(self.numbers) else None

    @property
    def clears(self) -> bool:
        """Whether its zeros must be put in place before each run."""
        return self.frame.has_zeros and self.own is None


def pieces(uses: Sequence[Use]) -> tuple[list[int], list[int]]:
    """Return the number of the piece of memory that each picture has, and how many numbers each piece holds.

    Of the pieces that nobody reads any longer a picture takes the closest that is large enough, or else the largest,
    which grows.
    """
    taken: list[int] = []
    holds: list[int] = []
    own: list[tuple[Frame, int] | None] = []
    until: list[int] = []
    for step, use in enumerate(uses):
        free = [p for p in range(len(holds)) if until[p] < step and own[p] == use.own]
        piece = min(free, key=lambda p: (holds[p] < use.numbers, abs(holds[p] - use.numbers)), default=len(holds))
        if piece == len(holds):
            holds.append(0)
            own.append(use.own)
            until.append(0)
        holds[piece], until[piece] = max(holds[piece], use.numbers), use.last
        taken.append(piece)
    return taken, holds


def settled(uses: Sequence[Use]) -> tuple[list[Array], int]:
    """Return the array of each picture, and how many bytes all of them take."""
    taken, holds = pieces(uses)
    memory: dict[int, Array] = {}
    for use, piece in zip(uses, taken, strict=True):
        if piece not in memory:
            memory[piece] = rooms.picture(*use.own).reshape(-1) if use.own else rooms.floats(holds[piece])
    pictures = [memory[piece][: use.numbers].reshape(use.frame.shape(use.images))
                for use, piece in zip(uses, taken, strict=True)]
    return pictures, 4 * sum(holds)
