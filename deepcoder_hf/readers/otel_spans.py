"""Exports of OpenTelemetry -> spans with flat attributes, in the order in which they began."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepcoder_hf.readers.sessions import is_span, is_span_export

_VALUES = ("stringValue", "intValue", "doubleValue", "boolValue", "string_value", "int_value", "double_value")


@dataclass(slots=True)
class Span:
    """One span of a trace."""

    raw: Mapping[str, Any]
    trace: str
    name: str
    parent: str
    start: tuple[int, str]
    """Sorts spans by their beginning, whether the exporter writes nanoseconds or a date."""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Names and attributes of the span's events; the body of a log event counts as attributes."""


def spans_of(values: Iterable[Any]) -> list[Span]:
    """The spans of exports, files of spans, or single spans, sorted by their beginning."""
    spans = [_span(raw, number) for number, raw in enumerate(_raw_spans(values))]
    return sorted(spans, key=lambda span: span.start)


def decoded(value: Any) -> Any:
    """The value of an attribute that holds JSON as text; other values as they are."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def nested(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """The list that keys such as `prefix.0.role` and `prefix.1.content` spell out, objects and lists inside it too."""
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if not key.startswith(f"{prefix}."):
            continue
        node = tree
        *path, last = key[len(prefix) + 1 :].split(".")
        for name in path[:20]:
            inner = node.setdefault(name, {})
            if not isinstance(inner, dict):
                inner = node[name] = {"": inner}
            node = inner
        node[last] = value
    found = _lists(tree)
    return found if isinstance(found, list) else []


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdecimal() and len(key) < 10 for key in node):
        return [_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _lists(value) for key, value in node.items()}


def _raw_spans(values: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for value in values:
        if not isinstance(value, Mapping):
            continue
        if is_span_export(value):
            for resource in _list(value, "resourceSpans", "resource_spans"):
                for scope in _list(resource, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
                    yield from (raw for raw in _list(scope, "spans") if isinstance(raw, Mapping))
        elif is_span(value):
            yield value


def _list(value: Any, *names: str) -> Sequence[Any]:
    found = [value[name] for name in names if isinstance(value.get(name), list)] if isinstance(value, Mapping) else []
    return found[0] if found else ()


def _span(raw: Mapping[str, Any], number: int) -> Span:
    context = raw.get("context")
    both = {**context, **raw} if isinstance(context, Mapping) else raw
    start = _first(both, "startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime")
    time = str(start) if isinstance(start, str | int) else ""
    events = [item for item in _list(raw, "events", "span_events") if isinstance(item, Mapping)]
    return Span(
        raw,
        trace=str(_first(both, "traceId", "trace_id") or ""),
        name=str(_first(both, "spanId", "span_id") or f"#{number}"),
        parent=str(_first(both, "parentSpanId", "parent_span_id", "parent_id") or ""),
        start=(int(time) if time.isdecimal() and len(time) < 25 else 0, time),
        attributes=_attributes(raw.get("attributes")),
        events=[(str(item.get("name") or ""), _event(item)) for item in events],
    )


def _first(value: Mapping[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if value.get(name)), None)


def _event(item: Mapping[str, Any]) -> dict[str, Any]:
    attributes = _attributes(item.get("attributes"))
    body = _value(item["body"]) if isinstance(item.get("body"), Mapping) else {}
    return {**attributes, **body} if isinstance(body, dict) else attributes


def _attributes(raw: Any) -> dict[str, Any]:
    """Attributes as one flat object: OTLP lists keys and typed values, console exporters write an object."""
    if isinstance(raw, list):
        pairs = [item for item in raw if isinstance(item, Mapping) and isinstance(item.get("key"), str)]
        return {item["key"]: _value(item.get("value")) for item in pairs}
    flat: dict[str, Any] = {}
    stack = [("", raw)] if isinstance(raw, Mapping) else []
    while stack:
        prefix, node = stack.pop()
        for key, value in node.items():
            name = f"{prefix}{key}"
            if isinstance(value, Mapping) and name.count(".") < 6 and not name.endswith(("arguments", "messages")):
                stack.append((f"{name}.", value))
            else:
                flat[name] = value
    return flat


def _value(value: Any) -> Any:
    """A value of OTLP: an object that names its type."""
    if not isinstance(value, Mapping):
        return value
    for name in _VALUES:
        if name in value:
            return value[name]
    for name in ("arrayValue", "array_value"):
        if isinstance(value.get(name), Mapping):
            return [_value(item) for item in _list(value[name], "values")]
    for name in ("kvlistValue", "kvlist_value"):
        if isinstance(value.get(name), Mapping):
            return _attributes(list(_list(value[name], "values")))
    return dict(value)
