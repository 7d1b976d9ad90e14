"""Text as the tokenizer will get it: no lone surrogates, normalised where the tokenizer would, spans moved along."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from unicodedata import is_normalized, normalize

_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str, nfc: bool) -> tuple[str, int]:
    """Replace lone surrogates by U+FFFD and normalise.

    Args:
        text: Any text.
        nfc: Whether the tokenizer normalises to NFC.

    Returns:
        The clean text and how many surrogates were replaced.
    """
    if text.isascii():
        return text, 0
    n_replaced = 0
    try:
        text.encode()
    except UnicodeEncodeError:
        text, n_replaced = _SURROGATE.subn("\ufffd", text)
    if nfc and not is_normalized("NFC", text):
        text = normalize("NFC", text)
    return text, n_replaced


def normalize_across(text: str, borders: Sequence[int]) -> tuple[str, list[int]]:
    """Normalise a text to NFC and say where its borders went.

    Args:
        text: A text that is not NFC, though each part between two borders may be.
        borders: Ascending positions, the first 0 and the last the length of the text.

    Returns:
        The NFC text, and the borders in it: ascending, the first 0 and the last its length. Where a border cuts a
        composed character, the character stays before the border.
    """
    parts = [normalize("NFC", text[start:end]) for start, end in pairwise(borders)]
    if is_normalized("NFC", "".join(parts)):
        moved = [0]
        for part in parts:
            moved.append(moved[-1] + len(part))
        return "".join(parts), moved
    whole = normalize("NFC", text)
    highest, moved = 0, []
    for border in borders:
        highest = min(max(highest, len(normalize("NFC", text[:border]))), len(whole))
        moved.append(highest)
    return whole, [*moved[:-1], len(whole)]
