"""JSON documents and arrays of records, decoded from a growing piece of the text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from deepcoder_hf.readers.containers.compression import ByteSource
from deepcoder_hf.readers.containers.json_window import Value, Window
from deepcoder_hf.readers.containers.raw_record import EXCERPT_CHARS, RawRecord, RecordDecoder
from deepcoder_hf.readers.containers.session_lines import EVENTS, session_record
from deepcoder_hf.readers.sessions import opens_session

CONTAINER_KEYS = frozenset({"messages", "conversations", "conversation", "steps", "trajectory", "turns", "history"})
"""An object with one of these keys holds messages; it is not one."""

_REST_OF_ARRAY = "; the rest of the array was not read"
_REST_OF_FILE = "; the rest of the file was not read"


def iter_documents(source: ByteSource, decoder: RecordDecoder) -> Iterator[RawRecord]:
    """Yield the records of one JSON document, of several after another, or of arrays of them.

    An array whose first element is a chat message is one record, `{"messages": [...]}` or `{"conversations": [...]}`;
    so is one that begins with an event of a session, `{"events": [...]}`.

    Args:
        source: The bytes of the file, white space at the start allowed.
        decoder: Decodes a record, and holds the limits and the name of the file.

    Yields:
        Records and rejects. After a broken document reading goes on at the next line that begins with `{`, provided
        that the broken one was indented: such a line cannot belong to it.
    """
    window = Window(source, decoder)
    while (first := window.skip_space()) and not window.stopped:
        if first == "[":
            yield from _iter_array(window, decoder)
            continue
        value = window.decode()
        if value is None:
            return
        if value.end >= 0:
            yield value.reject or decoder.checked(value.content, value.line, window.text, window.pos, value.end)
            window.take(value.end)
        elif value.reject:
            found = window.to_next_document(may_be_flat=first != "{")
            reject = value.reject
            yield reject if found or window.at_end() else replace(reject, message=reject.message + _REST_OF_FILE)
            if not found:
                return


def _iter_array(window: Window, decoder: RecordDecoder) -> Iterator[RawRecord]:
    line = window.line
    values = _iter_values(window, decoder)
    first = next(values, None)
    if first is None:
        return
    key = _message_list_key(first.content)
    if key:
        yield from _conversation(key, line, chain((first,), values), window, decoder)
        return
    for value in chain((first,), values):
        yield value.reject or decoder.checked(value.content, value.line, window.text, window.pos, value.end)


def _iter_values(window: Window, decoder: RecordDecoder) -> Iterator[Value]:
    """Yield the elements of the array at the window; each is valid until the next one is asked for."""
    window.take(window.pos + 1)
    if window.skip_space() == "]":
        window.take(window.pos + 1)
        return
    while True:
        value = window.decode(_REST_OF_ARRAY)
        window.stopped = value is None or value.end < 0
        if value is not None:
            yield value
        if value is None or value.end < 0:
            return
        window.take(value.end)
        separator = window.skip_space()
        if separator not in (",", "]"):
            window.stopped = True
            if separator or window.source.problem is None:
                error = json.JSONDecodeError("Expecting ',' or ']'", window.peek(EXCERPT_CHARS), 0)
                yield window.broken(error, _REST_OF_ARRAY if separator else "")
            return
        window.take(window.pos + 1)
        if separator == "]":
            return
        window.skip_space()


def _conversation(
    key: str, line: int, values: Iterator[Value], window: Window, decoder: RecordDecoder
) -> Iterator[RawRecord]:
    """Yield the one record of an array of chat messages or events, then the rejects of broken events."""
    messages: list[dict[str, Any]] = []
    broken: list[RawRecord] = []
    reject: RawRecord | None = None
    n_chars = 0
    for value in values:
        if reject is not None:  # the elements are still walked, to find the end of the array
            continue
        found = value.reject or decoder.checked(value.content, value.line, window.text, window.pos, value.end)
        n_chars += value.end - window.pos
        if found.record is None and key == EVENTS and value.end >= 0:
            broken.append(found)
        elif found.record is None:
            reject = replace(found, line=line)
        elif n_chars > decoder.max_bytes:
            reject = decoder.too_large(line, n_chars, window.peek(EXCERPT_CHARS))
        else:
            messages.append(found.record)
    if reject is not None:
        yield reject
    elif not window.stopped:
        yield RawRecord(line, session_record(messages, broken) if key == EVENTS else {key: messages})
        yield from broken


def _message_list_key(first: Any) -> str:
    """Return the key under which an array that begins with `first` is a record; empty if it is an array of records."""
    if not isinstance(first, dict) or not CONTAINER_KEYS.isdisjoint(first):
        return ""
    if opens_session(first):
        return EVENTS
    if "role" in first and "content" in first:
        return "messages"
    return "conversations" if "from" in first and "value" in first else ""
