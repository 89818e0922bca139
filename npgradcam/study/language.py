"""The sentences of the page and of the text, in English and Korean."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from npgradcam.errors import NpGradcamError

LANGUAGES = ("en", "ko")


@cache
def words(lang: str) -> dict[str, str]:
    """Return the sentences in a language, by name."""
    if lang not in LANGUAGES:
        raise NpGradcamError(f"lang: expected one of {', '.join(LANGUAGES)}, got {lang!r}")
    found: dict[str, str] = json.loads((Path(__file__).parent / "words" / f"{lang}.json").read_text(encoding="utf-8"))
    return found


def fill(sentence: str, values: dict[str, Any]) -> str:
    """Put values into the braces of a sentence; braces in the values stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda m: str(values.get(m[1], m[0])), sentence)


def said(lang: str, key: str, **values: Any) -> str:
    """Return a sentence of the text in a language, with its values."""
    return fill(words(lang)[f"text.{key}"], values)
