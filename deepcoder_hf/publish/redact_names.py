"""Placeholders for what must not leave: the same value gets the same one in every row, column and split."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.personal import EMAIL, HOST, USER
from deepcoder_hf.publish.scan import Kind, digest_of, hits_of
from deepcoder_hf.publish.secrets import Hit, merged

LABELS = {EMAIL: "EMAIL", USER: "USER", HOST: "HOST"}
MIN_EVERYWHERE = 10
"""A secret of this many characters is replaced wherever it stands, context or not; a shorter one may be a word."""
MAX_PASSES = 4
"""How often a text is looked at again after a replacement gave something else its borders."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters of a text, and what stands there afterwards."""

    start: int
    end: int
    placeholder: str


class Names:
    """Numbers the values of a bundle in the order in which they are met.

    Args:
        allow: Digests of values that stay.
    """

    def __init__(self, allow: Collection[str] = ()) -> None:
        self._allow = frozenset(allow)
        self._placeholders: dict[str, str] = {}
        self._numbers: Counter[str] = Counter()
        self._everywhere: list[str] = []

    @property
    def found_any(self) -> bool:
        """Whether any value has a placeholder."""
        return bool(self._placeholders)

    @property
    def has_secrets(self) -> bool:
        """Whether any value is replaced wherever it stands."""
        return bool(self._everywhere)

    def learn(self, text: str) -> bool:
        """Give every value of a text its placeholder; returns whether it has any."""
        found = [pair for pair in hits_of(text) if digest_of(pair[1].value(text)) not in self._allow]
        for kind, hit in found:
            self._placeholder(kind, hit, text)
        return bool(found)

    def mentions(self, text: str) -> bool:
        """Whether a text holds a known secret, with its context or without."""
        return any(value in text for value in self._everywhere)

    def edits(self, text: str) -> list[Edit]:
        """What is replaced in a text, in order and disjoint: its own findings, and known secrets without context."""
        edits: dict[tuple[int, int], str] = {}
        for kind, hit in hits_of(text):
            if digest_of(hit.value(text)) not in self._allow:
                edits[hit.start, hit.end] = self._placeholder(kind, hit, text)
        for value in self._everywhere:
            at = text.find(value)
            while at >= 0:
                edits.setdefault((at, at + len(value)), self._placeholders[value])
                at = text.find(value, at + len(value))
        whole = merged([Hit(start, end, placeholder) for (start, end), placeholder in edits.items()])
        return [Edit(hit.start, _with_marks(text, hit.end), hit.rule) for hit in whole]

    def _placeholder(self, kind: Kind, hit: Hit, text: str) -> str:
        value = hit.value(text)
        known = value.casefold() if kind == "personal" else value
        if known not in self._placeholders:
            label = "SECRET" if kind == "secret" else LABELS[hit.rule]
            self._numbers[label] += 1
            self._placeholders[known] = f"<{label}_{self._numbers[label]}>"
            if kind == "secret" and len(value) >= MIN_EVERYWHERE:
                self._everywhere.append(value)
        return self._placeholders[known]


def _with_marks(text: str, end: int) -> int:
    """The end of an edit, after combining marks that would otherwise join the placeholder."""
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    return end


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """The text with its placeholders."""
    parts, at = [], 0
    for edit in edits:
        parts += [text[at : edit.start], edit.placeholder]
        at = edit.end
    return "".join([*parts, text[at:]])


def moved(places: Sequence[int], edits: Sequence[Edit]) -> list[int]:
    """Where places of a text stand after its edits; one inside an edit moves behind the placeholder.

    Args:
        places: Ascending.
        edits: In order, disjoint.
    """
    made, number, shift = [], 0, 0
    for place in places:
        while number < len(edits) and edits[number].end <= place:
            shift += len(edits[number].placeholder) - (edits[number].end - edits[number].start)
            number += 1
        inside = number < len(edits) and edits[number].start < place
        made.append(edits[number].start + shift + len(edits[number].placeholder) if inside else place + shift)
    return made


def redacted(text: str, names: Names, counts: Counter[str]) -> tuple[str, list[list[Edit]]]:
    """A text without findings, and the edits of each pass that made it.

    Raises:
        PublishError: Something is still found after the last pass.
    """
    passes: list[list[Edit]] = []
    for _ in range(MAX_PASSES):
        edits = names.edits(text)
        if not edits:
            return text, passes
        counts.update(edit.placeholder[1:].partition("_")[0] for edit in edits)
        text = apply_edits(text, edits)
        passes.append(edits)
    if names.edits(text):
        raise PublishError(f"a text still has findings after {MAX_PASSES} passes of redaction; drop the row instead")
    return text, passes
