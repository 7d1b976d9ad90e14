"""Texts that come piece by piece: pieces are kept and joined once, so that a long stream costs linear time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class GrowingText:
    """A text of which more may come."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = list(pieces)

    @staticmethod
    def after(before: Any, piece: str) -> GrowingText:
        """What stood there before, with one more piece."""
        grown = (
            before if isinstance(before, GrowingText) else GrowingText(*([before] if isinstance(before, str) else []))
        )
        grown.pieces.append(piece)
        return grown


def closed(value: Any) -> Any:
    """A value with its growing texts joined."""
    if isinstance(value, GrowingText):
        return "".join(value.pieces)
    if isinstance(value, Mapping):
        return {key: closed(item) for key, item in value.items()}
    return [closed(item) for item in value] if isinstance(value, list) else value
