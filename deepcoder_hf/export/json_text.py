"""JSON inside other JSON: which argument texts are objects, and how a document is written without changing a value."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any


def json_object(text: str) -> dict[str, Any] | None:
    """The object that a text is, or None where it is none or would lose something as a value.

    A text with a repeated key, a number that a float cannot hold (1e400), or NaN is no object here: it stays a string.
    """
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_exact)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def dump(value: Any) -> str:
    """One line of JSON, characters as they are; escapes where a text holds half of a character pair."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text


def same_spelling(value: dict[str, Any], text: str) -> bool:
    """Whether an object is written again exactly as it stood in its text."""
    return json.dumps(value, ensure_ascii=False) == text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refuse(literal: str) -> Any:
    raise ValueError(f"{literal} is no JSON")


def _exact(literal: str) -> float:
    """A float that says all that its text says; 17 digits are what a float holds."""
    number = float(literal)
    digits = literal.lower().split("e")[0].replace(".", "").strip("-0")
    if not isfinite(number) or len(digits) > 17:
        raise ValueError("a float cannot hold this number")
    return number


def call_text(name: str, arguments: str) -> str:
    """A call as JSON text: an object of arguments stands there as it is spelled, anything else as a string."""
    held = arguments if json_object(arguments) is not None else json.dumps(arguments, ensure_ascii=False)
    return f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": {held}}}'
