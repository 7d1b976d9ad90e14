"""Lines that are the events of one session -> one record; lines that are records of their own pass through."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from deepcoder_hf.readers.containers.raw_record import EXCERPT_CHARS, RawRecord, RecordDecoder
from deepcoder_hf.readers.sessions import EVENT_LISTS, opens_session

EVENTS = EVENT_LISTS[0]
_MAX_HELD = 16
"""Broken lines at the start of a file that are held back until a good one says what the file is."""


def grouped(rows: Iterator[RawRecord], decoder: RecordDecoder) -> Iterator[RawRecord]:
    """Put the lines of a session together; the first good line decides whether the file is one.

    Args:
        rows: The lines of a file, or its JSON documents.
        decoder: What decoded them; it counts the bytes, of which a session may have as many as any record.

    Yields:
        For a session its record `{"events": [...]}` and then the rejects of its broken lines; else the rows.
    """
    held: list[RawRecord] = []
    for row in rows:
        if row.record is None and len(held) < _MAX_HELD:
            held.append(row)
        elif row.record is not None and opens_session(row.record):
            yield from together(row, row.record, held, rows, decoder)
            return
        else:
            yield from held
            yield row
            yield from rows
            return
    yield from held


def session_record(events: list[dict[str, Any]], broken: Sequence[RawRecord]) -> dict[str, Any]:
    """The record of a session, which says how many of its lines could not be read."""
    record: dict[str, Any] = {EVENTS: events}
    if broken:
        record["broken_lines"] = len(broken)
        record["first_broken_line"] = broken[0].line
    return record


def together(
    first: RawRecord, event: dict[str, Any], broken: list[RawRecord], rows: Iterator[RawRecord], decoder: RecordDecoder
) -> Iterator[RawRecord]:
    """Put all rows of a text into one record.

    Args:
        first: The first good row.
        event: Its record.
        broken: Rejects before it.
        rows: The rows after it.
        decoder: What decoded them; together they may have as many bytes as any record.

    Yields:
        The record `{"events": [...]}`, or the reject `record_too_large`; then the rejects among the rows.
    """
    events = [event]
    for row in rows:
        if decoder.n_bytes > decoder.max_bytes:
            for _ in rows:  # read to its end, so that a file that breaks off is still named
                pass
            excerpt = json.dumps(event)[:EXCERPT_CHARS]
            yield decoder.too_large(first.line, decoder.n_bytes, excerpt, "; a file of events is one record")
            return
        if row.record is None:
            broken.append(row)
        else:
            events.append(row.record)
    yield RawRecord(first.line, session_record(events, broken))
    yield from broken
