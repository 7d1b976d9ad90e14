"""HF session traces: harness, session_id, messages, tools and the raw `trace` of a session, as `datasets` has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import claude_code, codex, fields, messages, otel, pi, sessions
from deepcoder_hf.readers.claims import claims_of
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.taken import Taken, is_small
from deepcoder_hf.trajectory import Trajectory

MAX_UNREAD = 0.01
"""Most of a trace that may be unread for it to count as read."""
_HARNESSES: dict[str, Any] = {"claude_code": claude_code, "codex": codex, "pi": pi, "otel": otel}
CONVERTED = "a trace of a harness that is not known; its texts are read in the messages"
_MADE = ("messages", "tools", "prompt")
_FACTS = ("harness", "session_id", "sent_at", "file_path")
IGNORED = {
    **dict.fromkeys(("sent_at", "file_path"), "where and when the session was recorded"),
    "metadata.*": "what the converter counted",
    **{path: reason for reader in _HARNESSES.values() for path, reason in getattr(reader, "IGNORED", {}).items()},
}
"""What is left out, besides what the reader of the harness leaves out of the trace."""


def matches(record: Record) -> bool:
    """The columns harness and session_id beside a trace or messages."""
    if "harness" not in record or "session_id" not in record:
        return False
    has_trace = isinstance(record.get("trace"), str | list | Mapping)
    return has_trace or (isinstance(record.get("messages"), list) and "num_tool_calls" in record)


def read(record: Record) -> list[Trajectory]:
    """Read the trace, which has everything; the converted messages only where its harness is not known.

    Raises:
        RecordError: Neither the trace nor the messages can be read; the reason says why. More than 1 % of the trace
            is in fields that its reader does not know (`unread_fields`).
    """
    reader, events = _trace(record)
    if reader is None:
        return [_converted(record)]
    inner = {"events": events}
    found: list[Trajectory] = reader.read(inner)
    claims = claims_of(inner, found, {**fields.IGNORED, **getattr(reader, "IGNORED", {})}, reader.left_out(inner))
    if claims.unread > MAX_UNREAD * claims.total:
        raise RecordError(
            f"{claims.unread / claims.total:.1%} of the trace is in fields that its reader does not know: "
            f"{', '.join(claims.unread_paths)}",
            "unread_fields",
        )
    tools = _tools(record)
    facts = {**_facts(record), **sessions.session_facts(inner)}
    return [replace(one, metadata={**facts, **one.metadata}, tools=one.tools or tools) for one in found]


def left_out(record: Record) -> Iterable[tuple[Any, str]]:
    """The trace where it is text, of which the events are read; and what was converted from it."""
    reader, events = _trace(record)
    if reader is None:
        yield from _in_messages(record, events)
        yield record.get("prompt"), "again: the first message"
        return
    if isinstance(record.get("trace"), str):
        yield record["trace"], "JSON lines, of which each string is read"
    else:
        yield from reader.left_out({"events": events})
        yield record.get("trace"), "events that are read; their own fields are accounted for there"
    yield from ((record.get(name), "converted from the trace, which is read") for name in _MADE if name != "tools")


def _in_messages(record: Record, events: list[Any]) -> Iterator[tuple[Any, str]]:
    """The texts of a trace of an unknown harness that the messages hold, and its small facts."""
    taken = Taken([_converted(record)])
    inside = list(_strings(events))
    told = [text for text in inside if is_small(text) or taken.says_again(text)]
    yield from ((text, CONVERTED) for text in told)
    if sum(map(len, inside)) - sum(map(len, told)) <= MAX_UNREAD * sum(map(len, inside)):
        yield record.get("trace"), CONVERTED


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for item in inside:
        yield from _strings(item)


def _trace(record: Record) -> tuple[Any, list[Any]]:
    """The reader of a trace and its events; (None, []) where there is no trace that can be read."""
    trace = record.get("trace")
    events = _lines(trace) if isinstance(trace, str) else trace if isinstance(trace, list) else []
    if isinstance(trace, Mapping):
        events = list(sessions.events_of(trace)) or [trace]
    return _HARNESSES.get(sessions.harness_of_events(sessions.events_of({"events": events}))), events


def _lines(text: str) -> list[Any]:
    """The events of a trace as text: one document, or a line each. A line that is broken makes the trace unusable."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        pass
    else:
        return whole if isinstance(whole, list) else [whole]
    try:
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"expected a trace of JSON lines, got a line that is none ({type(error).__name__}); repair or drop it",
            "broken_json",
        ) from None


def _converted(record: Record) -> Trajectory:
    inner = {name: record[name] for name in ("messages",) if isinstance(record.get(name), list)}
    if not inner:
        raise RecordError(
            f"expected the trace of a known harness or messages, got harness {record.get('harness')!r}; known: "
            f"{', '.join(_HARNESSES)}",
            "no_assistant_turn",
        )
    found = messages.read(inner)
    return replace(
        found,
        trajectory_id=fields.identifier(record, ("session_id",)),
        metadata={**_facts(record), **found.metadata},
        tools=found.tools or _tools(record),
    )


def _facts(record: Record) -> dict[str, Any]:
    facts = {name: record[name] for name in _FACTS if isinstance(record.get(name), str) and record[name]}
    inner = record.get("metadata")
    if isinstance(inner, Mapping) and isinstance(inner.get("model"), str):
        facts["model"] = inner["model"]
    return facts


def _tools(record: Record) -> tuple[str, ...]:
    tools = record.get("tools")
    if not isinstance(tools, list):
        return ()
    return tuple(fields.verbatim(tool) for tool in tools if isinstance(tool, Mapping | str))
