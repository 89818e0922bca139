"""JSON as the standard has it: no key twice, no NaN."""

from __future__ import annotations

import json
from typing import Any


def read_json(text: str) -> Any:
    """Return what a JSON text says; `ValueError` where it is none, or says two things."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_constant)
    except RecursionError:
        raise ValueError("lists in lists, deeper than anybody writes them") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key occurs twice")
    return keys


def _constant(text: str) -> Any:
    raise ValueError(f"{text}, which is not JSON")
