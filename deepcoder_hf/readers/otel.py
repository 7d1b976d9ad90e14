"""OpenTelemetry: spans with gen_ai.* or llm.* attributes, as an OTLP export (resourceSpans) or one object a span."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, sessions
from deepcoder_hf.readers.claims import claims_of
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.otel_spans import Span, decoded, spans_of
from deepcoder_hf.readers.otel_turns import Conversation, add_results, conversations
from deepcoder_hf.trajectory import Trajectory

NOTES = "what the instrumentation notes about a span"
INSIDE = "JSON text, of which each string is read"
MESSAGE_KEYS = (
    *("gen_ai.input", "gen_ai.output", "gen_ai.prompt", "gen_ai.completion", "gen_ai.system_instructions"),
    *("gen_ai.tool.definitions", "gen_ai.tool.call", "llm.input_messages", "llm.output_messages", "llm.tools"),
    "llm.request.functions",
)
"""Beginnings of the keys of attributes that hold what a model was given or said."""
_AGENT = ("invoke_agent", "create_agent", "invoke_workflow")
_STRUCTURE = ("role", "type", "id", "tool_call_id", "finish_reason")
_NAMES = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
IGNORED = {"**attributes**": "again: what an earlier span was given or gave"}
"""What every later span of a conversation says once more (readers/claims.py)."""
_INSIDE_IGNORED = {
    **fields.IGNORED,
    "tool_call_id": "an id",
    "finish_reason": "structure, not text",
    "**": "again: it was decoded once more",
}
MAX_UNREAD = 0.01
"""Most of the text inside JSON attributes that may be unread for them to count as read."""


def matches(record: Record) -> bool:
    """A span, an export of spans, or a list of them under `events`."""
    if sessions.is_span(record) or sessions.is_span_export(record):
        return True
    return sessions.harness_of_events(sessions.events_of(record)) == "otel"


def read(record: Record) -> list[Trajectory]:
    """Read the traces of a record: a trajectory for each agent, in which every turn is said once.

    Raises:
        RecordError: No span in which a model says something (`no_assistant_turn`), or a part without text
            (`unsupported_modality`).
    """
    spans = spans_of(_values(record))
    found = _trajectories(spans)
    if not found:
        raise RecordError(
            f"expected spans with the messages of a model, got {len(spans)} spans without; turn on the capture of "
            "message content in the instrumentation",
            "no_assistant_turn",
        )
    first = replace(found[0], metadata={**found[0].metadata, **sessions.session_facts(record)})
    return [first, *found[1:]]


def left_out(record: Record) -> list[tuple[Any, str]]:
    """What of the spans is in no trajectory: the notes of the instrumentation, and JSON that is read inside."""
    spans = spans_of(_values(record))
    unused = [found for value in _values(record) for found in _around(value)]
    texts: list[str] = []
    for span in spans:
        for holder in (span.raw, *_objects(span.raw.get("events")), *_objects(span.raw.get("span_events"))):
            unused += [(value, NOTES) for key, value in holder.items() if key not in ("attributes", "events", "body")]
            unused += _attributes(holder.get("attributes"), texts)
    inside = [value for text in texts if not isinstance(value := decoded(text), str)]
    claims = claims_of(inside, _trajectories(spans), _INSIDE_IGNORED)
    if claims.unread <= MAX_UNREAD * claims.total:
        unused += [(text, INSIDE) for text in texts if not isinstance(decoded(text), str)]
    return unused


def _values(record: Record) -> list[Any]:
    if sessions.is_span(record) or sessions.is_span_export(record):
        return [record]
    return list(sessions.events_of(record))


def _trajectories(spans: list[Span]) -> list[Trajectory]:
    by_name = {(span.trace, span.name): span for span in spans}
    results = {name: text for span in spans if (name := _text(span, "gen_ai.tool.call.id"))
               and (text := _text(span, "gen_ai.tool.call.result"))}  # fmt: skip
    groups: dict[tuple[str, str], list[Span]] = {}
    for span in spans:
        if _has_messages(span):
            groups.setdefault(_agent_of(span, by_name), []).append(span)
    found: list[Trajectory] = []
    for (root, agent), members in groups.items():
        # What a whole run was given and gave stands in its own calls of the model too.
        calls = [span for span in members if not _is_agent(span)] or members
        for number, conversation in enumerate(conversations(calls)):
            add_results(conversation, results)
            found += _trajectory(conversation, root, agent, number)
    return found


def _trajectory(conversation: Conversation, root: str, agent: str, number: int) -> list[Trajectory]:
    if not any(step.source == "agent" and step.trained for step in conversation.steps):
        return []
    own = f"{root}/{agent}" if agent else root
    named = (next(filter(None, (_text(span, key) for key in _NAMES)), None) for span in conversation.spans)
    facts: dict[str, Any] = {"harness": "otel"}
    if models := sessions.names_said(named):
        facts["model"] = models
    if name := sessions.names_said(_text(span, "gen_ai.agent.name") for span in conversation.spans):
        facts["agent"] = name
    if number or agent:
        facts["kind"] = "segment" if number else "sub_agent"
    return [
        Trajectory(
            steps=tuple(conversation.steps),
            source_format="otel",
            trajectory_id=f"{own}#{number}" if number and own else own or None,
            group_id=root or None,
            metadata=facts,
            tools=conversation.tools,
            parent_id=own if number else root if agent else None,
        )
    ]


def _agent_of(span: Span, by_name: Mapping[tuple[str, str], Span]) -> tuple[str, str]:
    """The conversation (or trace) of a span, and the sub-agent that it belongs to, if it is not the outermost."""
    agents: list[Span] = []
    at: Span | None = span
    seen: set[int] = set()
    root = _text(span, "gen_ai.conversation.id") or _text(span, "session.id")
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if _is_agent(at):
            agents.append(at)
        root = root or _text(at, "gen_ai.conversation.id")
        at = by_name.get((at.trace, at.parent)) if at.parent else None
    return root or span.trace, agents[0].name if len(agents) > 1 else ""


def _is_agent(span: Span) -> bool:
    kind = span.attributes.get("openinference.span.kind")
    return span.attributes.get("gen_ai.operation.name") in _AGENT or kind in ("AGENT", "CHAIN")


def _has_messages(span: Span) -> bool:
    if span.attributes.get("gen_ai.operation.name") == "execute_tool":
        return False
    said = ("gen_ai.output", "gen_ai.completion", "llm.output_messages", "gen_ai.input", "gen_ai.prompt")
    return any(key.startswith(said) for key in span.attributes) or any(
        name.startswith("gen_ai.") for name, _ in span.events
    )


def _text(span: Span, key: str) -> str | None:
    value = span.attributes.get(key)
    return value if isinstance(value, str) and value else None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _around(value: Any) -> Iterator[tuple[Any, str]]:
    """What an export says around its spans: the service and the library."""
    for resource in _objects(value.get("resourceSpans", value.get("resource_spans"))):
        for key, item in resource.items():
            if key not in ("scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
                yield item, NOTES
                continue
            for scope in _objects(item):
                yield from ((inner, NOTES) for name, inner in scope.items() if name != "spans")


def _attributes(raw: Any, texts: list[str]) -> Iterable[tuple[Any, str]]:
    """Attributes that say nothing of messages; the strings of the others are put into `texts`."""
    pairs: list[tuple[str, Any]] = []
    unused: list[tuple[Any, str]] = []
    for item in _objects(raw):
        unused.append((item.get("key"), NOTES))
        pairs.append((str(item.get("key")), item.get("value")))
    if isinstance(raw, Mapping):
        pairs += [(str(key), value) for key, value in raw.items() if key not in ("gen_ai", "llm")]
    for key, value in pairs:
        if key.rpartition(".")[2] in _STRUCTURE:
            unused.append((value, "structure, not text"))
        elif not key.startswith((*MESSAGE_KEYS, "message", "content", "tool_calls", "role", "id")):
            unused.append((value, NOTES))
        else:
            texts += _strings(value)
    return unused


def _strings(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []
