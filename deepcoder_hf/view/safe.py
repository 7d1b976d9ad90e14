"""Text from a data file, made safe for a terminal: no escape sequence, no control or direction character acts."""

from __future__ import annotations

import json
import re
from typing import Any

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def safe_text(text: str) -> str:
    """Replace what a terminal would act on by visible signs; newlines and tabs stay.

    Args:
        text: Any text.

    Returns:
        The text with C0 controls as their pictures (U+2400 block) and C1 controls, direction marks and lone
        surrogates as U+FFFD; a carriage return before a newline is left out.
    """
    return _CONTROL.sub(_visible, text.replace("\r\n", "\n"))


def safe_json(value: Any, indent: int | None = None) -> str:
    """JSON that a terminal may show: what `safe_text` replaces is written as its JSON escape, so no value changes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
