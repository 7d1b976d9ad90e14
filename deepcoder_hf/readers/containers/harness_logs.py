"""Rows of a file that are one log -> its records: events of a session put together, samples of a log taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deepcoder_hf.readers import inspect_log, openhands_events, smolagents
from deepcoder_hf.readers.containers.raw_record import RawRecord, RecordDecoder
from deepcoder_hf.readers.containers.session_lines import together

EVENT_KEYS = frozenset(("id", "kind", "source", "action", "observation", "step_number", "task", "system_prompt"))
SMOLAGENTS_STARTS = (frozenset(("task", "task_images")), frozenset(("system_prompt",)), frozenset(("task",)))
"""Keys of the first step of a memory, where that is no action."""


def records_of(rows: Iterator[RawRecord], decoder: RecordDecoder) -> Iterator[RawRecord]:
    """Yield the records of the rows of a text.

    Args:
        rows: Lines, documents or elements of an array.
        decoder: What decoded them; it names the file and holds the limits.

    Yields:
        Where the first row is an event of OpenHands or a step of a smolagents memory: one record of all the rows, and
        then the rejects among them. For a log of Inspect: a record a sample. Else the rows.
    """
    first = next(rows, None)
    if first is None:
        return
    if first.record is not None and _opens_log(first.record):
        yield from together(first, first.record, [], rows, decoder)
        return
    yield from _samples(first)
    for row in rows:
        yield from _samples(row)


def with_evaluation(sample: dict[str, Any], evaluation: Any) -> dict[str, Any]:
    """A sample with what its log says of the evaluation: its task and model."""
    named = evaluation if isinstance(evaluation, dict) else {}
    kept = {key: named[key] for key in ("task", "model", "run_id", "created") if key in named}
    return {**sample, "eval": kept} if kept and "eval" not in sample else sample


def _opens_log(record: dict[str, Any]) -> bool:
    if EVENT_KEYS.isdisjoint(record) and smolagents.MARKS.isdisjoint(record):
        return False
    if openhands_events.matches({"events": [record]}):
        return True
    return (not smolagents.MARKS.isdisjoint(record) and "steps" not in record) or record.keys() in SMOLAGENTS_STARTS[:2]


def _samples(row: RawRecord) -> Iterator[RawRecord]:
    record = row.record
    if record is None or "samples" not in record or not inspect_log.matches(record):
        yield row
        return
    samples = [sample for sample in record["samples"] if isinstance(sample, dict)]
    if not samples:
        yield row
    for sample in samples:
        yield RawRecord(row.line, with_evaluation(sample, record["eval"]))
