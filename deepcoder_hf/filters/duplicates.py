"""Exact duplicates: the only filter that must see the whole run, so it runs after the others, in order."""

from __future__ import annotations

REASON = "duplicate"


class Duplicates:
    """Remembers the texts of kept trajectories by their 64-bit hash."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def is_new(self, text_hash: int) -> bool:
        """Whether no trajectory with this text was kept before; remembers it."""
        if text_hash in self._seen:
            return False
        self._seen.add(text_hash)
        return True
