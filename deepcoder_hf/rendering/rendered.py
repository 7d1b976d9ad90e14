"""Rendered: a conversation as text with typed spans that partition it, and where the source's own words stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deepcoder_hf.rendering.clean import normalize_across
from deepcoder_hf.rendering.units import Unit
from deepcoder_hf.spans.resolve import SpanTuple, number_steps

Range = tuple[int, int, int]
"""Start, end, type id."""


@dataclass(slots=True)
class Rendered:
    """One rendering of a trajectory."""

    text: str
    spans: list[SpanTuple]
    """They partition the text."""
    payload: list[Range]
    """Where the source's words stand, sorted, disjoint; markup, labels and what a template adds are between."""
    foreign: list[tuple[int, int]]
    """Ranges that the agent did not write, where the source says so: control tokens in them are only characters."""
    facts: dict[str, Any] = field(default_factory=dict)
    """How it was rendered, for the row's metadata."""
    cuts: list[int] = field(default_factory=list)
    """Characters before which the text is cut before it is encoded."""
    counts: dict[str, int] = field(default_factory=dict)
    """What was added or left out; see dataset/ledger.py."""
    read: tuple[int, ...] = (0, 0, 0, 0, 0)
    """Characters by type id that the rendering was to hold."""
    own: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of a template's rendering that the agent wrote: special tokens in them are only characters."""
    ids: Sequence[int] = ()
    """Its tokens, where they were recorded and are not those that the tokenizer gives."""
    tokens: dict[str, Any] = field(default_factory=dict)
    """Where its tokens come from, for the row's metadata; nothing where tokens.source is `rendered`."""

    def normalize(self) -> None:
        """Normalise to NFC what came together only in the rendering; every border moves along."""
        edges = {0, len(self.text), *self.cuts}
        for start, end in (
            *((s[0], s[1]) for s in self.spans),
            *((p[0], p[1]) for p in self.payload),
            *self.foreign,
            *self.own,
        ):
            edges.update((start, end))
        old = sorted(edges)
        self.text, new = normalize_across(self.text, old)
        to = dict(zip(old, new, strict=True))
        self.spans = [(to[s[0]], to[s[1]], *s[2:]) for s in self.spans if to[s[1]] > to[s[0]]]
        self.payload = [(to[s], to[e], kind) for s, e, kind in self.payload if to[e] > to[s]]
        self.foreign = [(to[s], to[e]) for s, e in self.foreign if to[e] > to[s]]
        self.own = [(to[s], to[e]) for s, e in self.own if to[e] > to[s]]
        self.cuts = sorted({to[cut] for cut in self.cuts})


class Layout:
    """Puts parts of text one after the other, with their spans."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._spans: list[SpanTuple] = []
        self._payload: list[Range] = []
        self._foreign: list[tuple[int, int]] = []
        self._end = 0

    def put(self, text: str, unit: Unit, joins: bool = False, is_payload: bool = False) -> None:
        """Add text that belongs to a unit.

        Args:
            text: The text; an empty one is nothing.
            unit: Whose it is.
            joins: It belongs to the span before it.
            is_payload: It is what the source says.
        """
        start, end = self._end, self._end + len(text)
        if not text:
            return
        if joins and self._spans:
            last = self._spans[-1]
            self._spans[-1] = (last[0], end, *last[2:])
        else:
            self._spans.append((start, end, unit.kind, unit.subtype, unit.confidence, unit.pattern, unit.origin, 0))
        if is_payload:
            put_payload(self._payload, text, start, unit.kind)
            if not unit.by_agent:
                self._foreign.append((start, end))
        self._texts.append(text)
        self._end = end

    def put_free(self, text: str, kind: int, subtype: str) -> None:
        """Add text of the layout's own, as a span."""
        if text:
            self._spans.append((self._end, self._end + len(text), kind, subtype, 1.0, "", "structure", 0))
            self._texts.append(text)
            self._end += len(text)

    def rendered(self, facts: dict[str, Any]) -> Rendered:
        """What was put, as one text."""
        return Rendered("".join(self._texts), number_steps(self._spans), self._payload, self._foreign, facts)


def put_payload(payload: list[Range], text: str, start: int, kind: int) -> None:
    """Add the words of a text without the whitespace at its edges."""
    if words := text.strip():
        first = start if words[0] == text[0] else start + len(text) - len(text.lstrip())
        payload.append((first, first + len(words), kind))


def payload_by_type(payload: Sequence[Range]) -> dict[int, int]:
    """Characters by type id."""
    counts: dict[int, int] = {}
    for start, end, kind in payload:
        counts[kind] = counts.get(kind, 0) + end - start
    return counts
