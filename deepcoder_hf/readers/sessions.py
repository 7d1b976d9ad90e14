"""Which harness wrote an event: files of which each line is an event of one session are recognised by content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import xxhash

EVENT_LISTS = ("events", "loglines")
"""Keys under which a record holds the events of a session; containers write the first."""
CODEX_LINES = frozenset({"session_meta", "turn_context", "response_item", "event_msg", "compacted"})
MAX_LOOKED_AT = 200
"""Events of a session that are looked at to find its harness."""

_CLAUDE_IDS = ("sessionId", "session_id", "uuid", "parentUuid", "leafUuid", "messageId")
_CLAUDE_LINES = frozenset(
    (
        *("user", "assistant", "system", "summary", "progress", "attachment", "result", "rate_limit_event"),
        *("file-history-snapshot", "queue-operation", "last-prompt", "custom-title", "ai-title", "tag", "mode"),
        *("agent-name", "agent-color", "agent-setting", "permission-mode", "worktree-state", "pr-link"),
        *("attribution-snapshot", "speculation-accept", "content-replacement"),
    )
)
_OLD_CODEX_HEADER = frozenset(
    ("id", "timestamp", "instructions", "git", "cwd", "source", "originator", "cli_version", "model_provider")
)


def harness_of(event: Mapping[str, Any]) -> str:
    """The reader of an event's session: `claude_code`, `codex`, `pi`, `otel`, or nothing for any other object."""
    kind = event.get("type")
    if isinstance(kind, str):
        return _harness_of_typed(kind, event)
    if event.get("record_type") == "state" or _is_old_codex_header(event):
        return "codex"
    return "otel" if is_span(event) or is_span_export(event) else ""


def opens_session(event: Mapping[str, Any]) -> bool:
    """Whether the object that a file begins with is an event, so that the whole file is one record."""
    return bool(harness_of(event))


def events_of(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The events of a record, without list elements that are no objects."""
    found = [record[key] for key in EVENT_LISTS if isinstance(record.get(key), list)]
    return [event for event in found[0] if isinstance(event, Mapping)] if found else []


def harness_of_events(events: Iterable[Mapping[str, Any]]) -> str:
    """The reader of a session: what the first events say that say anything."""
    return next((name for event in islice(events, MAX_LOOKED_AT) if (name := harness_of(event))), "")


def session_facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the container noted of the file: lines that could not be read."""
    names = ("broken_lines", "first_broken_line")
    return {name: record[name] for name in names if isinstance(record.get(name), int)}


def names_said(names: Iterable[Any]) -> str:
    """What several lines say, such as the model: each name once, in order, as a string of its own.

    No line's own string is handed out, since none of them alone is what the trajectory has.
    """
    told = dict.fromkeys(name for name in names if isinstance(name, str) and name)
    return ", ".join([*told, ""])[:-2]


def derived_id(events: Sequence[Mapping[str, Any]]) -> str:
    """An id for a session that names none, so that its trajectories can point to each other."""
    return xxhash.xxh3_128_hexdigest(json.dumps(events, default=str).encode())


def is_span(event: Mapping[str, Any]) -> bool:
    """Whether an object is one span of a trace, in OTLP's keys or those of an exporter to the console."""
    context = event.get("context")
    inner = context if isinstance(context, Mapping) else {}
    ids = [event.get(name) or inner.get(name) for name in ("span_id", "spanId")]
    return any(isinstance(name, str) for name in ids) and isinstance(event.get("attributes"), Mapping | list)


def is_span_export(event: Mapping[str, Any]) -> bool:
    """Whether an object is an export of spans as OTLP writes it."""
    return isinstance(event.get("resourceSpans", event.get("resource_spans")), list)


def _harness_of_typed(kind: str, event: Mapping[str, Any]) -> str:
    if kind in CODEX_LINES and isinstance(event.get("payload"), Mapping):
        return "codex"
    message = event.get("message")
    if kind in ("user", "assistant"):
        return "claude_code" if isinstance(message, Mapping) and "content" in message else ""
    if kind == "session":
        return "pi" if isinstance(event.get("id"), str) and ("cwd" in event or "version" in event) else ""
    if kind == "message":
        return "pi" if isinstance(message, Mapping) and "role" in message and "parentId" in event else ""
    is_claude = any(isinstance(event.get(name), str) for name in _CLAUDE_IDS) or (
        kind == "system" and isinstance(event.get("subtype"), str)
    )
    if kind in _CLAUDE_LINES and is_claude:
        return "claude_code"
    return "otel" if is_span(event) else ""


def _is_old_codex_header(event: Mapping[str, Any]) -> bool:
    known = {"id", "timestamp", "instructions"}
    return known <= event.keys() <= _OLD_CODEX_HEADER and isinstance(event["timestamp"], str)
