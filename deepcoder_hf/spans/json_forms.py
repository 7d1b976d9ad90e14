"""Forms of texts whose steps are JSON objects: `{"thought": "...", "action": {...}}`, `{"role": "user", ...}`.

Only the keys of the outermost objects that begin a line count. One pass over strings and brackets, with a budget for
objects that never end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from deepcoder_hf.spans.forms import Form, Mark
from deepcoder_hf.spans.roles import roles_of

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)|[{}\[\]]', re.DOTALL)
_OBJECT = re.compile(rb"\n[ \t]{0,3}(?=\{\s*\")")
_COLON = re.compile(rb"\s*:\s*")
_GLUE = re.compile(rb"[\s,}\]]*")
SPEAKERS = frozenset(("role", "from", "speaker", "author", "type", "source", "kind", "event", "sender"))
SPEECH = frozenset(("content", "value", "text", "message", "body", "data", "payload", "output"))
LONGEST = 200_000
"""Bytes of an object that are looked at."""

Entry = tuple[int, bytes, int, int]
"""Where a key begins, the key, and where its value begins and ends."""


def json_marks(text: bytes, start: int, end: int) -> Iterator[Mark]:
    """The keys of the steps of a text, as marks that their values' ends close.

    Args:
        text: UTF-8; a newline stands before `start`.
        start: Byte where the text begins.
        end: Byte where it ends.
    """
    position, budget = start - 1, 2 * (end - start)
    while budget > 0 and (found := _OBJECT.search(text, position, end)) is not None:
        entries, stop = _entries(text, found.end(), min(end, found.end() + LONGEST))
        budget -= stop - found.end()
        position = max(stop - 1, found.end())
        if entries is not None:
            yield from _marks(text, found.end(), entries, stop)


def _entries(text: bytes, start: int, end: int) -> tuple[list[Entry] | None, int]:
    """The outermost keys of an object and their values, and where it ends; None where it does not end."""
    depth, key, entries = 0, (0, b"", 0), []
    awaited = True
    for token in _TOKEN.finditer(text, start, end):
        sign = token.group()[:1]
        if sign in b"{[":
            depth += 1
        elif sign in b"}]":
            depth -= 1
            if depth == 1 and key[1]:
                entries.append((*key, token.end()))
                key, awaited = (0, b"", 0), True
            if depth == 0:
                return entries, token.end()
        elif depth == 1:
            colon = _COLON.match(text, token.end(), end) if awaited else None
            if colon:
                key, awaited = (token.start(), token.group()[1:-1], colon.end()), False
            elif key[1]:
                entries.append((*key, token.end()))
                key, awaited = (0, b"", 0), True
        if depth == 1 and not awaited and text[key[2] : key[2] + 1] not in b'"{[':
            awaited = True  # a number, true, false or null
    return None, end


def _marks(text: bytes, start: int, entries: list[Entry], stop: int) -> Iterator[Mark]:
    speaker = next((entry for entry in entries if entry[1].decode("utf-8", "replace").lower() in SPEAKERS), None)
    role = text[speaker[2] : speaker[3]].decode("utf-8", "replace").strip('" ').lower() if speaker else ""
    if speaker and roles_of(role) and len(role) < 30:
        speech = [entry for entry in entries if entry[1].decode("utf-8", "replace").lower() in SPEECH]
        if speech:
            yield from _pair(text, start, speech[0], Form("json", '{"role"}', role), stop)
            return
    first = True
    for entry in entries:
        name = entry[1].decode("utf-8", "replace").lower()
        if roles_of(name) and len(name) < 40:
            yield from _pair(text, start if first else entry[0], entry, Form("json", '{"X"}', name), stop)
            first = False


def _pair(text: bytes, start: int, entry: Entry, form: Form, stop: int) -> Iterator[Mark]:
    """The opening mark of a value, and its closing one with the punctuation after it."""
    yield Mark(start, entry[2], form)
    glue = _GLUE.match(text, entry[3], stop)
    yield Mark(entry[3], glue.end() if glue else entry[3], form, closes=True)
