"""Text for figures: one typeface that comes with Pillow, wrapped and shortened to the space there is."""

from __future__ import annotations

import os
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

from npgradcam.errors import ImageError, MissingPackageError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_ASCII = str.maketrans({"\u2212": "-", "\u2192": "->", "\u2265": ">=", "\u2264": "<=", "\u00d7": "x", "\u2026": "..."})


class Lettering:
    """One typeface at one size.

    Parameters
    ----------
    size : int
        Height in pixels.
    font : str or Path, optional
        A TrueType or OpenType file; by default the typeface inside Pillow, so that figures are the same everywhere.
        It has ASCII and little more: other letters lose their accents, or become "?".
    """

    def __init__(self, size: int, font: str | os.PathLike[str] | None = None) -> None:
        from PIL import ImageFont

        try:
            loaded = ImageFont.load_default(size) if font is None else ImageFont.truetype(font, size)
        except ImportError:
            raise MissingPackageError(
                "figure: expected a Pillow that has FreeType, got one without; pip install --force-reinstall pillow"
            ) from None
        except OSError:
            raise ImageError(f"figure: expected font to be a TrueType or OpenType file, got {str(font)!r}") from None
        self.size = size
        self.font: FreeTypeFont = loaded  # type: ignore[assignment]
        ascent, descent = self.font.getmetrics()
        self.line = ascent + descent + max(1, size // 8)
        self._has = lru_cache(maxsize=None)(self._draws)
        self._missing = self._shape("\U0010ffff")

    def width(self, text: str) -> int:
        """Return the width in pixels of one line."""
        return round(self.font.getlength(text))

    def fit(self, text: str, width: int, lines: int = 1) -> list[str]:
        """Break text into at most `lines` lines of `width` pixels; what does not fit ends in three dots.

        Words that are longer than a line are broken where the line ends.
        """
        words = " ".join(self.drawable(text).split())[: width * lines + 1].split()  # no letter is under a pixel wide
        done: list[str] = []
        current = ""
        while words:
            word = words.pop(0)
            longer = f"{current} {word}" if current else word
            if self.width(longer) <= width:
                current = longer
            elif current:
                done.append(current)
                current, words = "", [word, *words]
            else:
                head = max(1, self._longest(word, width))
                done.append(word[:head])
                words = [word[head:], *words] if word[head:] else words
            if len(done) == lines and (current or words):
                return [*done[:-1], self._shorten(" ".join([done[-1], current, *words]), width)]
        return [*done, current] if current else done

    def _shorten(self, text: str, width: int) -> str:
        return f"{text[: self._longest(text, width - self.width('...'))].rstrip()}..."

    def _longest(self, text: str, width: int) -> int:
        """Return how many letters of text fit into the width."""
        return bisect_right(range(1, len(text) + 1), width, key=lambda count: self.width(text[:count]))

    def drawable(self, text: str) -> str:
        """Replace what the typeface does not have: by ASCII, by the letter without its accent, or by "?"."""
        return "".join(self._letter(letter) for letter in unicodedata.normalize("NFC", text))

    def _letter(self, letter: str) -> str:
        if letter.isspace() or not letter.isprintable():
            return " "
        if self._has(letter):
            return letter
        plain = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
        plain = plain.translate(_ASCII)
        return plain if plain and plain.isascii() and plain.isprintable() else "?" * bool(plain)

    def _draws(self, letter: str) -> bool:
        return letter.isascii() or self._shape(letter) != self._missing

    def _shape(self, letter: str) -> tuple[tuple[int, int], bytes]:
        mask = self.font.getmask(letter)
        return mask.size, bytes(mask)
