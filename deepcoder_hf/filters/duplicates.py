"""Exact duplicates: the only filter that must see the whole run, so it runs after the others, in order."""

from __future__ import annotations

from collections.abc import Iterable

REASON = "duplicate"


class Duplicates:
    """Remembers the texts of kept trajectories by their 64-bit hash."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._repeating = False

    def repeated(self, kept: Iterable[bool], first: Iterable[bool], hashes: Iterable[int]) -> list[bool]:
        """Which rows belong to a trajectory whose text was kept before.

        Args:
            kept: Whether the other filters keep each row.
            first: Whether a row is the first of its trajectory; its windows follow, in the next call too.
            hashes: Hash of the whole trajectory's text, for each row.

        Returns:
            One answer a row; the texts that were new are remembered.
        """
        answers = []
        for keep, begins, text_hash in zip(kept, first, hashes, strict=True):
            if begins:
                self._repeating = keep and text_hash in self._seen
                if keep:
                    self._seen.add(text_hash)
            answers.append(self._repeating)
        return answers
